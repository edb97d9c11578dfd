package proxy

import (
	"net/http"
	"time"

	"github.com/llmgw/llmgw/rules"
)

// decide asks the rules where the request goes, and tells the caller what an
// operator would have to change where it goes nowhere.
func (x *exchange) decide() *failure {
	d := &x.decision
	x.snap.set.Decide(&x.request, d)
	x.bodies = x.p.bodyLog.begin(x)
	if len(d.Candidates) > 0 {
		x.target = x.snap.target(d.Candidates[0])
	}
	if refusal, ok := x.snap.set.Refusal(&x.request, d); ok {
		return permanent(refusal)
	}
	if d.Outcome == rules.Answer {
		return nil
	}
	first := d.Candidates[0]
	d.Keep(func(c *rules.Candidate) bool { return x.snap.problem(&x.request, d, c) == nil })
	switch {
	case len(d.Candidates) > 0:
		return nil
	case x.target.problem == nil:
		return boundCredential(x.target.name).because(x.snap.problem(&x.request, d, first))
	}
	return noCredential(d.RuleName(), x.target.name).because(x.target.problem)
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
	x.skippedEdits(x.decision.EditResponseHeaders(&x.request, nil, h))
	x.endConnectionAfter(h)
	x.moveWriteDeadline(time.Now())
	x.w.WriteHeader(r.Status)
	x.headSent, x.record.status = true, r.Status
	if x.r.Method != http.MethodHead {
		x.bodies.passed([]byte(r.Body))
		n, err := x.w.Write([]byte(r.Body))
		x.record.responseBytes = int64(n)
		if err != nil {
			x.record.end(x.clientLost(err), "")
			return
		}
	}
	x.record.end(endComplete, "")
}
