package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/llmgw/llmgw/admin/api"
)

// testsAtOnce bounds how many upstreams are tested at the same time.
const testsAtOnce = 4

// reached looks at the running gateway, on its socket and on the port of its
// clients.
func (d *doctor) reached(ctx context.Context) {
	const check = "gateway"
	if d.away != nil {
		f := explain(d.away)
		d.say(check, stateProblem, f.message, f.hint)
		return
	}
	state, text, hint := stateOK, d.status.Proxy, ""
	switch problem := d.answers(ctx); {
	case d.status.Draining:
		state, hint, text = stateWarning, "start it again: llmgw serve", text+" is stopping"
	case untrusted(problem):
		state, text, hint = stateProblem, problem.Error(), nameTheCertificate
	case problem != nil:
		state, text, hint = stateProblem, problem.Error(), "see the log of llmgw serve"
	case d.status.Version != version:
		state, text = stateWarning, fmt.Sprintf("%s ready, runs llmgw %s", text, d.status.Version)
		hint = fmt.Sprintf("this is llmgw %s. Restart the gateway with it", version)
	default:
		text += " ready, same version"
	}
	d.say(check, state, text, hint)
}

// answers asks the port of the clients, as a load balancer would.
func (d *doctor) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.settings.duration("timeout"))
	defer cancel()
	return askProbe(ctx, d.settings, d.status.Proxy+probe(false))
}

func (d *doctor) store(context.Context) {
	switch s := d.status.Store; {
	case d.away != nil:
		d.skip("store", "seen through a running gateway only")
	case !s.OK:
		d.say("store", stateProblem, storeLine(s), "traffic continues with the rules in force, changes are refused. See: llmgw status")
	default:
		d.ok("store", "%s", storeLine(s))
	}
}

// upstreams has the gateway test every upstream, several at a time.
func (d *doctor) upstreams(ctx context.Context) {
	if d.away != nil {
		d.skip("upstreams", "tested by a running gateway only")
		return
	}
	upstreams, err := d.gateway.Upstreams(ctx)
	if err != nil {
		d.failed("upstreams", err)
		return
	}
	if len(upstreams) == 0 {
		d.say("upstreams", stateWarning, "none yet", "make one: llmgw upstreams create NAME --provider PROVIDER")
		return
	}
	found := make([]finding, len(upstreams))
	var tests sync.WaitGroup
	turns := make(chan struct{}, testsAtOnce)
	for i, u := range upstreams {
		turns <- struct{}{}
		tests.Go(func() {
			found[i] = d.upstream(ctx, u)
			<-turns
		})
	}
	tests.Wait()
	for _, f := range found {
		d.say(f.Check, f.State, f.Text, f.Hint)
	}
}

func (d *doctor) upstream(ctx context.Context, u api.Upstream) finding {
	if !u.Enabled {
		return finding{Check: u.Name, State: stateSkipped, Text: "disabled"}
	}
	if u.Draining {
		return finding{Check: u.Name, State: stateSkipped, Text: "draining"}
	}
	r, err := d.gateway.TestUpstream(ctx, u.Name)
	if err != nil {
		return finding{Check: u.Name, State: stateProblem, Text: explain(err).message, Hint: explain(err).hint}
	}
	return judged(u, r)
}

// judged says what a test of an upstream means.
func judged(u api.Upstream, r api.UpstreamTest) finding {
	f := finding{Check: u.Name, State: stateProblem, Text: r.Error}
	switch {
	case r.OK:
		f.State, f.Text = stateOK, tested(r)
	case r.Status == 0 && u.Provider == "bedrock" && usable(u):
		f.State = stateSkipped // its requests are signed one by one, which a test does not do
	case r.Status == 401 || r.Status == 403:
		f.Text = fmt.Sprintf("%d from %s", r.Status, r.URL)
		f.Hint = fmt.Sprintf("credential %s was refused. Set a new one: llmgw upstreams credential set %s", credentials(u), u.Name)
	case r.Status != 0:
		f.Text, f.Hint = fmt.Sprintf("%d from %s", r.Status, r.URL), r.Error
	default:
		f.Hint = "try it alone: llmgw upstreams test " + u.Name
	}
	return f
}
