package proxy

import (
	"net/http"

	"github.com/llmgw/llmgw/rules"
)

// decide asks the rules where the request goes, and tells the caller what an
// operator would have to change where it goes nowhere.
func (x *exchange) decide() *failure {
	x.decision = x.snap.set.Decide(&x.request)
	d := &x.decision
	if d.Candidate != nil {
		x.target = x.snap.target(d.Candidate)
	}
	switch d.Outcome {
	case rules.Answer:
		return nil
	case rules.NoRule:
		return x.noRule()
	case rules.NoDestination:
		return noDestination(d.Rule.Name)
	case rules.UpstreamOff:
		return upstreamOff(d.Rule.Name, x.target.name)
	case rules.WrongWire:
		return wrongWire(x.target.name, x.request.Wire, x.request.Path)
	case rules.ModelUnreadable:
		return modelUnreadable(d.Rule.Name)
	}
	if problem := x.target.problem; problem != nil {
		return noCredential(d.Rule.Name, x.target.name)
	}
	return nil
}

// noRule tells the commonest mistakes of a base URL apart from a model that
// nobody takes.
func (x *exchange) noRule() *failure {
	if f := wrongBaseURL(x.request.Path); f != nil {
		return f
	}
	pattern, rule, _ := x.snap.set.Nearest(&x.request)
	return noRule(x.request.Model, x.request.Path, pattern, rule)
}

// respond answers for a rule that sends nowhere.
func (x *exchange) respond(r *rules.Respond) {
	if r.Body == "" && len(r.Headers) == 0 {
		f := &failure{status: r.Status, code: codeRule, message: r.Message, noRetry: r.Status < 500}
		x.writeFailure(f)
		x.record.end(endComplete, "")
		return
	}
	h := x.w.Header()
	for name, value := range r.Headers {
		h.Set(name, value)
	}
	x.applyEdits(h, x.decision.Rule.ResponseHeaders)
	x.w.WriteHeader(r.Status)
	x.headSent, x.record.status = true, r.Status
	if x.r.Method != http.MethodHead {
		n, err := x.w.Write([]byte(r.Body))
		x.record.responseBytes = int64(n)
		if err != nil {
			x.record.end(x.clientLost(err), "")
			return
		}
	}
	x.record.end(endComplete, "")
}
