package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// explain tells what would become of a request, by asking what the proxy asks,
// in the same order: path, key, body, allow-list, rules, bindings, credentials.
// Nothing is sent.
func (s *Server) explain(ctx context.Context, in *body[api.ExplainRequest]) (api.Explanation, error) {
	q, err := s.question(ctx, &in.Body)
	if err != nil {
		return api.Explanation{}, err
	}
	set, err := s.setFor(ctx, in.Body.Files)
	if err != nil {
		return api.Explanation{}, err
	}
	answer := api.Explanation{
		Method: q.Method, Path: q.Path, Wire: q.Wire.String(), Model: q.Model, Stream: q.Stream,
		Key: q.Key, User: q.User, Allowed: q.Allowed, Revision: set.Revision(), Rules: []api.ExplainedRule{},
	}
	switch {
	case q.refused != nil:
		refuseIn(&answer, *q.refused)
	case q.AsksForModels():
		answer.Outcome, answer.Status = outcomeRespond, http.StatusOK
		answer.Message = "the gateway itself answers which models there are; no rule is asked"
	default:
		e := explainer{server: s, set: set, question: q, answer: &answer}
		e.explain(ctx)
	}
	return answer, nil
}

// The outcomes of an explanation.
const (
	outcomeForward = "forward"
	outcomeRespond = "respond"
	outcomeRefuse  = "refuse"
)

// setFor compiles the rules in force, or what they would be with files applied;
// the revision of those is 0.
func (s *Server) setFor(ctx context.Context, sources []api.Source) (*rules.Set, error) {
	config, err := s.store.Load(ctx)
	if err != nil {
		return nil, err
	}
	if len(sources) > 0 {
		files, problems := decodeSources(sources)
		if len(problems) > 0 {
			return nil, problems
		}
		config.Files, config.Revision = rules.Merge(config.Files, files), 0
	}
	set, problems := rules.Compile(config)
	if set == nil {
		return nil, problems.Errors()
	}
	return set, nil
}

func refuseIn(answer *api.Explanation, r rules.Refusal) {
	answer.Outcome, answer.Status, answer.Code, answer.Message = outcomeRefuse, r.Status, r.Code, r.Message
}

// explainer fills in what the rules say.
type explainer struct {
	server   *Server
	set      *rules.Set
	question *question
	decision rules.Decision
	answer   *api.Explanation
}

func (e *explainer) explain(ctx context.Context) {
	q, d := &e.question.Request, &e.decision
	e.set.Decide(q, d)
	if d.Outcome != rules.ModelNotAllowed {
		e.answer.Rules = viewReasons(e.set.Explain(q))
	}
	e.answer.Rule, e.answer.BodyLog = d.RuleName(), d.LogBody
	for _, limit := range d.Limits {
		e.answer.Limits = append(e.answer.Limits, limit.String())
	}
	refusal, refused := e.set.Refusal(q, d)
	switch {
	case refused:
		e.answer.Binding = e.binding()
		e.answer.Candidates = e.passedOver(nil)
		refuseIn(e.answer, refusal)
	case d.Outcome == rules.Answer:
		e.respond()
	default:
		e.forward(ctx)
	}
}

func (e *explainer) respond() {
	respond := e.decision.Rule.Respond
	e.answer.Outcome, e.answer.Status, e.answer.Message = outcomeRespond, respond.Status, respond.Message
	if respond.Body != "" || len(respond.Headers) > 0 {
		e.answer.Message = respond.Body
		e.answer.Response = e.answerEdits(nil)
	}
}

// forward reports the candidates: those that are tried, then those that are not.
func (e *explainer) forward(ctx context.Context) {
	d := &e.decision
	credentials := map[*rules.Candidate]string{}
	var without []api.CandidateReport
	for _, c := range d.Candidates {
		credential, problem := e.server.credentialFor(ctx, c.Upstream, d.Credential(&e.question.Request, c))
		if problem != "" {
			without = append(without, api.CandidateReport{Upstream: c.Name(), URL: c.Base.String(), Fallback: c.Fallback, Problem: problem})
			continue
		}
		credentials[c] = credential
	}
	aside, first := e.passedOver(d.Candidates), d.Candidates[0].Name()
	e.answer.Binding = e.binding()
	d.Keep(func(c *rules.Candidate) bool { _, ok := credentials[c]; return ok })
	if len(d.Candidates) == 0 {
		refuseIn(e.answer, rules.RefuseCredential(d.RuleName(), first))
		e.answer.Candidates = append(without, aside...)
		return
	}
	e.answer.Outcome, e.answer.Binding = outcomeForward, e.binding()
	e.answer.Response = e.answerEdits(d.Candidates[0])
	e.answer.Retry = &api.RetryReport{On: strings.Split(d.Retry.On.String(), ", "), Attempts: d.Retry.Attempts, Within: d.Retry.Within.String()}
	for i, c := range d.Candidates {
		report, err := e.candidate(c)
		report.Credential = credentials[c]
		if err != nil && i == 0 {
			refuseIn(e.answer, rules.RefuseRewrite(d.RuleName()))
		}
		e.answer.Candidates = append(e.answer.Candidates, report)
	}
	e.answer.Candidates = append(append(e.answer.Candidates, without...), aside...)
}

// candidate reports what would be sent to one that can be used. The error is
// that no path can be made for it.
func (e *explainer) candidate(c *rules.Candidate) (api.CandidateReport, error) {
	q, d := &e.question.Request, &e.decision
	report := api.CandidateReport{URL: c.Base.String(), Share: d.Share(c), Fallback: c.Fallback}
	timeouts := d.Timeouts(c)
	if c.Upstream != nil {
		report.Upstream = c.Upstream.Name
		timeouts = timeouts.Or(c.Upstream.Timeouts)
	}
	report.Timeouts = viewTimeouts(timeouts)
	edited := copied(q.Header)
	d.EditHeaders(q, c, edited)
	report.Headers = compareHeaders(q.Header, edited)
	to, model, _, err := d.Destination(q, c, e.question.read)
	if err != nil {
		report.Problem = "its path cannot be sent: " + err.Error()
		return report, err
	}
	report.URL, report.Model = to.String(), model
	return report, nil
}

// passedOver reports the upstreams that the deciding rule or the caller's
// bindings name and that are not among the candidates.
func (e *explainer) passedOver(candidates []*rules.Candidate) []api.CandidateReport {
	switch e.decision.Outcome {
	case rules.ModelNotAllowed, rules.ModelUnreadable, rules.WrongBaseURL:
		return nil
	}
	among := map[string]bool{}
	for _, c := range candidates {
		among[c.Name()] = true
	}
	var reports []api.CandidateReport
	for _, name := range e.named() {
		u, _, ok := e.set.Upstream(name)
		if !ok || among[name] {
			continue
		}
		among[name] = true
		problem := "it does not speak the " + e.question.Wire.Title() + " API"
		switch {
		case !u.Enabled:
			problem = "it is disabled"
		case u.Draining:
			problem = "it is draining"
		case u.Speaks(e.question.Wire): // so this is what it lacks
			problem = "it does not take WebSockets"
		}
		reports = append(reports, api.CandidateReport{Upstream: name, URL: u.URL, Problem: problem})
	}
	return reports
}

// written gives a rule as it is written.
func (e *explainer) written(r *rules.Compiled) *rules.Rule { return e.set.All()[r.Position-1].Rule }

// credentialFor says which credential goes with requests to u, and why none
// can. A target URL has no u, and gets none. pinned is the ID of the one that the
// caller is bound to, if any.
func (s *Server) credentialFor(ctx context.Context, u *accounts.Upstream, pinned string) (credential, problem string) {
	if u == nil {
		return "", ""
	}
	c, secret, err := s.vault.Choose(ctx, u)
	if pinned != "" && u.NeedsCredential() {
		c, secret, err = s.pinned(ctx, u, pinned)
	}
	switch {
	case err != nil:
		return "", err.Error()
	case c == nil:
		return "", ""
	case secret.Last4() == "":
		return c.Name, ""
	}
	return c.Name + " …" + secret.Last4(), ""
}

func viewReasons(reasons []rules.Reason) []api.ExplainedRule {
	views := make([]api.ExplainedRule, 0, len(reasons))
	for _, r := range reasons {
		view := api.ExplainedRule{
			Position: r.Listed.Position, Set: r.Listed.Set, Name: r.Listed.Rule.Name,
			Verdict: r.Verdict.String(), Matcher: r.Matcher, Saw: r.Saw, Wants: r.Wants,
		}
		if r.Verdict == rules.Disabled {
			view.Verdict = "skip"
		}
		views = append(views, view)
	}
	return views
}
