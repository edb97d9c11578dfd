package rules_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// withCredentials gives an upstream credentials of these names; the ID of "x" is
// "cred_x".
func withCredentials(names ...string) func(*accounts.Upstream) {
	return func(u *accounts.Upstream) {
		u.Credentials = nil
		for _, name := range names {
			u.Credentials = append(u.Credentials, accounts.Credential{ID: "cred_" + name, Name: name, Reference: "env:KEY", Enabled: true})
		}
	}
}

// binding reads "key_ci -> openai/batch order=10 weight=3 models=gpt-*,!gpt-4"; on
// the left stands a key's ID, user_…, or NAME=VALUE of a tag.
func binding(words string) accounts.Binding {
	fields := strings.Fields(words)
	upstream, credential, pinned := strings.Cut(fields[2], "/")
	b := accounts.Binding{UpstreamID: "upstream_" + upstream, Order: accounts.DefaultOrder, Weight: 1}
	if pinned {
		b.CredentialID = "cred_" + credential
	}
	switch name, value, tag := strings.Cut(fields[0], "="); {
	case tag:
		b.Tag, b.TagValue = name, value
	case strings.HasPrefix(name, "user_"):
		b.UserID = name
	default:
		b.KeyID = name
	}
	for _, word := range fields[3:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "order":
			b.Order = number(value)
		case "weight":
			b.Weight = number(value)
		case "models":
			b.Models = strings.Split(value, ",")
		}
	}
	return b
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// bindingsOf reads several, with IDs in their order.
func bindingsOf(lines ...string) []accounts.Binding {
	var all []accounts.Binding
	for i, line := range lines {
		b := binding(line)
		b.ID = fmt.Sprintf("bind_%03d", i)
		all = append(all, b)
	}
	return all
}

// compileBound is compile with bindings.
func compileBound(t fatal, source string, bindings []accounts.Binding, upstreams ...accounts.Upstream) *rules.Set {
	t.Helper()
	files, problems := rules.Decode("rules.yaml", []byte(source))
	if len(problems) > 0 {
		t.Fatalf("decoding: %v", problems)
	}
	set, problems := rules.Compile(rules.Config{Revision: 7, Files: files, Upstreams: upstreams, Bindings: bindings})
	if set == nil {
		t.Fatalf("compiling: %v", problems)
	}
	return set
}

const openRules = `version: 1
rules:
  - {name: mark, continue: true, action: {headers: {set: {x-marked: "by ${rule.name} for ${upstream.name}"}}, timeouts: {idle: 7s}, limits: [600/min]}}
  - {name: named, match: {model: [named]}, action: {upstream: a}}
  - name: open
    match: {model: [open*]}
    action: {model: "org/${model}", path: {add_prefix: /x}, headers: {add: {x-open: "yes"}}, retry: {on: [429], within: 5s}, timeouts: {total: 60s}, on_client_gone: finish}
  - {name: blind, match: {path: /blind}, action: {model: m}}
  - {name: answer, match: {model: [answer]}, action: {respond: {status: 410, message: gone}}}
`

func TestBindingsNameWhatRulesLeaveOpen(t *testing.T) {
	upstreams := []accounts.Upstream{
		upstream("a", withCredentials("main", "batch")), upstream("b"), upstream("c", anthropic), upstream("off", off),
		upstream("busy", draining),
		upstream("ws", func(u *accounts.Upstream) { u.Websocket = true }),
	}
	for _, c := range []struct {
		name, request string
		bindings      []string
		outcome       rules.Outcome
		want          string // candidates, with the credential behind a slash
		bound         string
	}{
		{"no binding", "POST /v1/chat/completions model=new", nil, rules.NoRule, "", ""},
		{"another's binding", "POST /v1/chat/completions model=new", []string{"key_x -> a", "user_x -> a", "plan=paid -> a", "team=trial -> a"}, rules.NoRule, "", ""},
		{"a key's", "POST /v1/chat/completions model=new", []string{"key_ci -> a"}, rules.Forward, "a", "bind_000"},
		{"a key's before its user's before a tag's", "POST /v1/chat/completions model=new",
			[]string{"plan=trial -> c order=1", "user_dana -> b order=1", "key_ci -> a"}, rules.Forward, "a [b]", "bind_002"},
		{"a user's before a tag's", "POST /v1/x model=new", []string{"plan=trial -> c order=1", "user_dana -> b"}, rules.Forward, "b [c]", "bind_001"},
		{"the user's tag", "POST /v1/x model=new", []string{"team=core -> b"}, rules.Forward, "b", "bind_000"},
		{"a user's tag that the key has otherwise", "POST /v1/x model=new", []string{"env=prod -> b"}, rules.NoRule, "", ""},
		{"by order", "POST /v1/x model=new", []string{"key_ci -> b order=20", "key_ci -> a order=10", "key_ci -> c order=30"}, rules.Forward, "a [b] [c]", "bind_001"},
		{"tags of one order are peers", "POST /v1/x model=new", []string{"plan=trial -> b weight=1", "team=core -> b weight=1"}, rules.Forward, "b b", ""},
		{"for some models", "POST /v1/x model=new", []string{"key_ci -> a order=1 models=gpt-*", "key_ci -> b models=*,!new", "key_ci -> c models=n*"}, rules.Forward, "c", "bind_002"},
		{"for some models, and none is shown", "POST /v1/x", []string{"key_ci -> a models=*"}, rules.NoRule, "", ""},
		{"for all models, and none is shown", "POST /v1/x", []string{"key_ci -> a"}, rules.Forward, "a", "bind_000"},
		{"a credential", "POST /v1/x model=new", []string{"key_ci -> a/batch"}, rules.Forward, "a/batch", "bind_000"},
		{"two credentials of one upstream", "POST /v1/x model=new", []string{"key_ci -> a/batch order=1", "key_ci -> a/main", "user_dana -> a/batch", "user_dana -> a"}, rules.Forward, "a/batch [a/main] [a]", "bind_000"},
		{"one that is disabled", "POST /v1/x model=new", []string{"key_ci -> off", "user_dana -> b"}, rules.Forward, "b", "bind_001"},
		{"one of another wire format", "POST /v1/messages model=new", []string{"key_ci -> a", "user_dana -> c"}, rules.Forward, "c", "bind_001"},
		{"all are disabled", "POST /v1/x model=new", []string{"key_ci -> off"}, rules.UpstreamOff, "off", "bind_000"},
		{"one that is draining", "POST /v1/x model=new", []string{"key_ci -> busy", "user_dana -> b"}, rules.Forward, "b", "bind_001"},
		{"all are draining", "POST /v1/x model=new", []string{"user_dana -> busy", "key_ci -> off"}, rules.UpstreamOff, "busy", "bind_000"},
		{"none speaks the format", "POST /v1/messages model=new", []string{"key_ci -> off", "user_dana -> b"}, rules.WrongWire, "b", "bind_001"},
		{"one that takes no WebSocket", "GET /v1/responses upgrade=websocket connection=upgrade", []string{"key_ci -> a", "user_dana -> ws"}, rules.Forward, "ws", "bind_001"},
		{"none takes a WebSocket", "GET /v1/responses upgrade=websocket connection=upgrade", []string{"key_ci -> off", "user_dana -> a"}, rules.NoWebsocket, "a", "bind_001"},
		{"a base URL gone wrong", "POST /v1/v1/x model=new", []string{"key_ci -> a"}, rules.WrongBaseURL, "", ""},
		{"a base URL gone wrong that the rule mends", "POST /v1/v1/x model=open", []string{"key_ci -> a"}, rules.Forward, "a", "bind_000"},
		{"a base URL gone wrong that nobody is bound for", "POST /v1/v1/x model=new", nil, rules.NoRule, "", ""},
		{"a rule that names no destination", "POST /v1/x model=open", []string{"key_ci -> b"}, rules.Forward, "b", "bind_000"},
		{"a rule that names none, and no binding", "POST /v1/x model=open", nil, rules.NoDestination, "", ""},
		{"a rule that rewrites a model that is not shown", "POST /blind", []string{"key_ci -> b", "user_dana -> a"}, rules.ModelUnreadable, "b", "bind_000"},
		{"a rule that names an upstream", "POST /v1/x model=named", []string{"key_ci -> b"}, rules.Forward, "a", ""},
		{"a rule that answers", "POST /v1/x model=answer", []string{"key_ci -> b"}, rules.Answer, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := compileBound(t, openRules, bindingsOf(c.bindings...), upstreams...)
			q := ciBot(c.request)
			d := decide(set, q)
			if d.Outcome != c.outcome || boundCandidates(d) != c.want {
				t.Errorf("outcome %d, candidates %q", d.Outcome, boundCandidates(d))
			}
			switch {
			case c.bound != "" && (d.Bound == nil || d.Bound.ID != c.bound):
				t.Errorf("bound by %+v, wants %s", d.Bound, c.bound)
			case c.bound == "" && len(d.Candidates) > 0 && d.Bound != d.Candidates[0].Binding, len(d.Candidates) == 0 && d.Bound != nil:
				t.Errorf("bound by %+v", d.Bound)
			}
		})
	}
}

// ciBot asks as the key ci-bot of dana's, with tags of both.
func ciBot(words string) *rules.Request {
	q := asked(words)
	q.Wire, q.Websocket = rules.ReadPath(q.Path).Wire, rules.AsksForWebsocket(q.Method, q.Header)
	q.KeyID, q.Key, q.Tags = "key_ci", "ci-bot", map[string]string{"plan": "trial", "env": "ci"}
	q.UserID, q.User, q.UserTags = "user_dana", "dana", map[string]string{"team": "core", "env": "prod"}
	return q
}

// boundCandidates is candidates with the credentials that are named.
func boundCandidates(d *rules.Decision) string {
	var names []string
	for _, c := range d.Candidates {
		name := c.Name()
		if c.Credential != "" {
			name += "/" + strings.TrimPrefix(c.Credential, "cred_")
		}
		if c.Fallback {
			name = "[" + name + "]"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestEditsGoWithABoundRequest(t *testing.T) {
	set := compileBound(t, openRules, bindingsOf("key_ci -> a order=1", "key_ci -> b"), upstream("a"), upstream("b"))
	for _, c := range []struct {
		request, rule, path, model, url string
		headers                         map[string][]string
		attempts                        int
		on, timeouts                    string
		finish                          bool
	}{
		{"POST /v1/x model=new", "", "/v1/x", "new", "https://a.example/v1/x", map[string][]string{"X-Marked": {"by mark for a"}}, 2, "connect", "7s 0s", false},
		{"POST /v1/x model=open", "open", "/x/v1/x", "org/open", "https://a.example/v1/x/v1/x", map[string][]string{"X-Marked": {"by mark for a"}, "X-Open": {"yes"}}, 2, "429", "7s 1m0s", true},
	} {
		q := ciBot(c.request)
		d := decide(set, q)
		first := d.Candidates[0]
		path, err := d.Path(q, first)
		model, rewritten := d.Model(q, first)
		h := map[string][]string{}
		if skipped := d.EditHeaders(q, first, h) + d.SkippedEdits(q, first) + d.EditResponseHeaders(q, first, map[string][]string{}); skipped != 0 {
			t.Errorf("%s: %d edits were skipped", c.request, skipped)
		}
		if err != nil || d.RuleName() != c.rule || path != c.path || model != c.model || rewritten != (model != q.Model) || !cmp.Equal(h, c.headers) {
			t.Errorf("%s: rule %q, path %s (%v), model %s, headers %v", c.request, d.RuleName(), path, err, model, h)
		}
		timeouts := d.Timeouts(first)
		if d.Retry.Attempts != c.attempts || d.Retry.On.String() != c.on || d.Retry.Within == 0 || len(d.Limits) != 1 || d.FinishWhenGone != c.finish ||
			fmt.Sprint(timeouts.Idle, " ", timeouts.Total) != c.timeouts {
			t.Errorf("%s: retry %+v, limits %v, timeouts %+v, finish %v", c.request, d.Retry, d.Limits, timeouts, d.FinishWhenGone)
		}
		to, _, _, err := d.Destination(q, first, rules.ReadPath(q.Path))
		if err != nil || to.String() != c.url {
			t.Errorf("%s: goes to %s, %v", c.request, to, err)
		}
	}
}

func TestACandidateThatIsOfNoUseTakesItsBindingAlong(t *testing.T) {
	set := compileBound(t, openRules, bindingsOf("key_ci -> a order=1", "key_ci -> b"), upstream("a"), upstream("b"))
	d := decide(set, ciBot("POST /v1/x model=new"))
	d.Keep(func(c *rules.Candidate) bool { return c.Name() != "a" })
	if boundCandidates(d) != "[b]" || d.Bound.ID != "bind_001" || d.Retry.Attempts != 1 {
		t.Errorf("%q, bound by %v, %d attempts", boundCandidates(d), d.Bound, d.Retry.Attempts)
	}
	if share := d.Share(d.Candidates[0]); share != 1 {
		t.Errorf("its share is %v", share)
	}
	d.Keep(func(*rules.Candidate) bool { return false })
	if len(d.Candidates) != 0 || d.Bound != nil {
		t.Errorf("%q, bound by %v", boundCandidates(d), d.Bound)
	}
}

func TestBoundCallersAreSpreadByWeight(t *testing.T) {
	set := compileBound(t, openRules, bindingsOf("plan=trial -> a weight=80", "plan=trial -> b weight=15", "team=core -> b weight=5"), upstream("a"), upstream("b"))
	const callers = 20_000
	first := map[string]int{}
	var d rules.Decision
	q := ciBot("POST /v1/x model=new")
	for i := range callers {
		q.Key = fmt.Sprintf("key-%d", i)
		set.Decide(q, &d)
		first[d.Candidates[0].Name()]++
		again := decide(set, q)
		if diff := cmp.Diff(boundCandidates(&d), boundCandidates(again)); diff != "" || d.Bound != again.Bound {
			t.Fatalf("%s is not kept on its upstream:\n%s", q.Key, diff)
		}
	}
	if share := float64(first["a"]) / callers; math.Abs(share-0.8) > 0.015 {
		t.Errorf("a has %.3f of the callers, wants 0.8", share)
	}
	total := 0.0
	for _, c := range d.Candidates {
		total += d.Share(c)
	}
	if math.Abs(total-1) > 1e-9 {
		t.Errorf("the shares are %v together", total)
	}
}

func TestTheCredentialIsTheFirstBindings(t *testing.T) {
	upstreams := []accounts.Upstream{upstream("a", withCredentials("main", "batch")), upstream("b", withCredentials("other"))}
	for _, c := range []struct {
		name     string
		bindings []string
		want     string
	}{
		{"no binding", nil, ""},
		{"a binding to another upstream", []string{"key_ci -> b/other"}, ""},
		{"a binding that names none", []string{"key_ci -> a", "user_dana -> a/batch"}, ""},
		{"a binding that names one", []string{"user_dana -> a/batch"}, "cred_batch"},
		{"a tag's after a user's", []string{"plan=trial -> a/main order=1", "user_dana -> a/batch"}, "cred_batch"},
		{"by order", []string{"key_ci -> a/main order=2", "key_ci -> a/batch order=1"}, "cred_batch"},
		{"for this model", []string{"key_ci -> a/main models=gpt-*", "key_ci -> a/batch models=na*"}, "cred_batch"},
		{"behind one to another upstream", []string{"key_ci -> b/other order=1", "key_ci -> a/batch order=2"}, "cred_batch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := compileBound(t, openRules, bindingsOf(c.bindings...), upstreams...)
			q := ciBot("POST /v1/x model=named")
			d := decide(set, q)
			if got := d.Credential(q, d.Candidates[0]); got != c.want || d.RuleName() != "named" {
				t.Errorf("credential %q of rule %q, wants %q", got, d.RuleName(), c.want)
			}
		})
	}
}

func TestCredentialsOfOneOrderAreSharedByWeight(t *testing.T) {
	set := compileBound(t, openRules, bindingsOf("plan=trial -> a/main weight=3", "plan=trial -> a/batch"), upstream("a", withCredentials("main", "batch")))
	const callers = 10_000
	got := map[string]int{}
	for i := range callers {
		q := ciBot("POST /v1/x model=named")
		q.Key = fmt.Sprint("key-", i)
		d := decide(set, q)
		got[d.Credential(q, d.Candidates[0])]++
		// What the rules leave open goes the same way.
		left := ciBot("POST /v1/x model=new")
		left.Key = q.Key
		if open := decide(set, left); open.Credential(left, open.Candidates[0]) != d.Credential(q, d.Candidates[0]) {
			t.Fatalf("%s has two credentials", q.Key)
		}
	}
	if share := float64(got["cred_main"]) / callers; math.Abs(share-0.75) > 0.02 {
		t.Errorf("main has %.3f, wants 0.75: %v", share, got)
	}
}

func TestNoCredentialGoesToATarget(t *testing.T) {
	set := compileBound(t, "version: 1\nrules: [{name: t, action: {target: 'https://t.example'}}]\n", bindingsOf("key_ci -> a/main"), upstream("a", withCredentials("main")))
	q := ciBot("POST /v1/x model=new")
	d := decide(set, q)
	if got := d.Credential(q, d.Candidates[0]); got != "" {
		t.Errorf("credential %q", got)
	}
	if got := (&rules.Decision{}).Credential(q, d.Candidates[0]); got != "" {
		t.Errorf("credential %q of no decision", got)
	}
}

func TestRefusalsOfBoundCallers(t *testing.T) {
	set := compileBound(t, openRules, bindingsOf("key_ci -> off", "user_dana -> a order=2 models=other"), upstream("a"), upstream("off", off))
	for _, c := range []struct{ request, code, message string }{
		{"POST /v1/x model=new", rules.CodeUpstreamOff, `your key is bound to upstream "off", which is disabled. Admin: llmgw upstreams enable off`},
		{"POST /v1/x model=open", rules.CodeUpstreamOff, `rule "open" sends to upstream "off", which is disabled. Admin: llmgw upstreams enable off`},
		{"POST /v1/messages model=other", rules.CodeWrongWire, `upstream "a" does not speak the Anthropic Messages API (/v1/messages); route this model to one that does`},
		{"POST /v1/v1/x model=new", rules.CodeWrongBaseURL, `path "/v1/v1/x": the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`},
	} {
		q := ciBot(c.request)
		d := decide(set, q)
		got, ok := set.Refusal(q, d)
		if want := (rules.Refusal{Status: 400, Code: c.code, Message: c.message}); !ok || got != want {
			t.Errorf("%s: %+v\nwants %+v", c.request, got, want)
		}
	}
	if got, want := rules.RefuseCredential("", "a").Message, `your key is bound to upstream "a", which has no credential. Admin: llmgw upstreams credential set a`; got != want {
		t.Errorf("got %s", got)
	}
}

func TestBindingsThatNameNobodyOrNothingAreRefused(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = "plan=x -> a"
	}
	bad := append(bindingsOf(many...), accounts.Binding{ID: "bind_a", UpstreamID: "upstream_a"},
		accounts.Binding{ID: "bind_b", KeyID: "k", UserID: "u", UpstreamID: "upstream_a"},
		accounts.Binding{ID: "bind_c", KeyID: "k", UpstreamID: "up_gone"},
		accounts.Binding{ID: "bind_d", KeyID: "k", UpstreamID: "upstream_a", CredentialID: "cred_other"},
		accounts.Binding{ID: "bind_e", KeyID: "k", UpstreamID: "upstream_a", Weight: -1},
		accounts.Binding{ID: "bind_f", KeyID: "k", UpstreamID: "upstream_a", Models: []string{"gpt-*", "gpt-[5]"}})
	set, problems := rules.Compile(rules.Config{
		Upstreams: []accounts.Upstream{upstream("a", withCredentials("main")), upstream("b", withCredentials("other"))}, Bindings: bad,
	})
	want := `binding bind_064: there are more than 64 of the same key, user or tag
binding bind_a: wants one of key, user and tag, and has 0
binding bind_b: wants one of key, user and tag, and has 2
binding bind_c: there is no upstream up_gone
binding bind_d: upstream "a" has no credential cred_other
binding bind_e: weight must be a whole number from 1 to 1000000, found -1
binding bind_f: models: "gpt-[5]": in a pattern only * is special, and this one holds [`
	if diff := cmp.Diff(want, problems.Error()); diff != "" || set != nil {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestUpstreamsThatBindingsNameAreSentTo(t *testing.T) {
	set := compileBound(t, openRules, bindingsOf("key_ci -> c"), upstream("a"), upstream("b"), upstream("c"))
	if diff := cmp.Diff([]bool{true, false, true}, set.SendsTo()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := set.SendsTo(); again[1] {
		t.Error("b is sent to")
	} else if again[1] = true; set.SendsTo()[1] {
		t.Error("what is given out is the set's own")
	}
}

func TestBindingsOfACallerAreListedInTheirOrder(t *testing.T) {
	set := compileBound(t, openRules, bindingsOf("plan=trial -> a", "user_dana -> off", "key_ci -> b order=7", "key_ci -> a order=3", "key_ci -> a order=1 models=gpt-*"),
		upstream("a"), upstream("b"), upstream("off", off))
	var ids []string
	for _, b := range set.BindingsOf(ciBot("POST /v1/x model=new")) {
		ids = append(ids, b.ID)
	}
	if diff := cmp.Diff([]string{"bind_003", "bind_002", "bind_001", "bind_000"}, ids); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
