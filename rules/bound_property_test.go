package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// The upstreams that random bindings name.
func boundUpstreams() []accounts.Upstream {
	return []accounts.Upstream{
		upstream("a", withCredentials("main", "batch")), upstream("b"), upstream("c", anthropic),
		upstream("off", off), upstream("away", off, anthropic), upstream("busy", draining),
	}
}

func drawBindings(t *rapid.T) []accounts.Binding {
	var lines []string
	for range rapid.IntRange(0, 10).Draw(t, "bindings") {
		of := rapid.SampledFrom([]string{"key_ci", "key_x", "user_dana", "user_x", "plan=trial", "plan=paid", "team=core", "env=prod", "env=ci"}).Draw(t, "of")
		to := rapid.SampledFrom([]string{"a", "a/main", "a/batch", "b", "c", "off", "away", "busy"}).Draw(t, "to")
		line := fmt.Sprintf("%s -> %s order=%d weight=%d", of, to, rapid.IntRange(1, 3).Draw(t, "order"), rapid.IntRange(1, 5).Draw(t, "weight"))
		if models := drawSome(t, modelGlobs, "models"); models != nil {
			line += " models=" + strings.Join(models, ",")
		}
		lines = append(lines, line)
	}
	return bindingsOf(lines...)
}

func drawCaller(t *rapid.T) *rules.Request {
	q := drawRequest(t)
	q.KeyID = rapid.SampledFrom([]string{"", "key_ci", "key_other"}).Draw(t, "key id")
	q.UserID = rapid.SampledFrom([]string{"", "user_dana", "user_other"}).Draw(t, "user id")
	some := rapid.MapOfN(rapid.SampledFrom([]string{"plan", "team", "env"}), rapid.SampledFrom([]string{"trial", "paid", "core", "prod", "ci", ""}), 0, 3)
	q.Tags, q.UserTags = some.Draw(t, "tags"), some.Draw(t, "user's tags")
	q.Wire = rapid.SampledFrom([]accounts.Wire{accounts.WireNone, accounts.WireOpenAIChat, accounts.WireAnthropicMessages, accounts.WireBedrock}).Draw(t, "wire")
	return q
}

// naiveGroups are the bindings of a caller, as plain as can be: those of one
// level and order together, the groups in their order.
func naiveGroups(all []accounts.Binding, q *rules.Request) [][]accounts.Binding {
	tag := func(name string) string {
		if value, ok := q.Tags[name]; ok {
			return name + "=" + value
		}
		if value, ok := q.UserTags[name]; ok {
			return name + "=" + value
		}
		return ""
	}
	var groups [][]accounts.Binding
	for level := range 3 {
		for order := 1; order <= 3; order++ {
			var group []accounts.Binding
			for _, b := range all {
				mine := level == 0 && b.KeyID != "" && b.KeyID == q.KeyID ||
					level == 1 && b.UserID != "" && b.UserID == q.UserID ||
					level == 2 && b.Tag != "" && b.Tag+"="+b.TagValue == tag(b.Tag)
				if mine && b.Order == order && (len(b.Models) == 0 || q.HasModel && allowedNaively(b.Models, q.Model)) {
					group = append(group, b)
				}
			}
			if group != nil {
				groups = append(groups, group)
			}
		}
	}
	return groups
}

// naiveCandidates are the destinations of groups of bindings, those of one group
// sorted.
func naiveCandidates(groups [][]accounts.Binding, upstreams []accounts.Upstream, wire accounts.Wire) (found [][]string, enabled bool) {
	seen := map[string]bool{}
	for _, group := range groups {
		var names []string
		for _, b := range group {
			at := slices.IndexFunc(upstreams, func(u accounts.Upstream) bool { return u.ID == b.UpstreamID })
			u, name := &upstreams[at], upstreams[at].Name+"/"+b.CredentialID
			enabled = enabled || u.Enabled && !u.Draining
			if !u.Enabled || u.Draining || !u.Speaks(wire) || len(found) > 0 && seen[name] {
				continue
			}
			seen[name] = true
			names = append(names, name)
		}
		if len(names) > 0 {
			slices.Sort(names)
			found = append(found, names)
		}
	}
	return found, enabled
}

func TestBoundDecisionsAreThoseOfANaiveModel(t *testing.T) {
	upstreams := boundUpstreams()
	rapid.Check(t, func(t *rapid.T) {
		all := drawBindings(t)
		source := rapid.SampledFrom([]string{
			"version: 1\nrules: []\n", "version: 1\nrules: [{name: open, action: {headers: {remove: [x-a]}}}]\n",
			"version: 1\nrules: [{name: open, action: {affinity: none}}]\n", "version: 1\nrules: [{name: named, action: {upstream: a}}]\n",
		}).Draw(t, "rules")
		set := compileBound(t, source, all, upstreams...)
		shuffled := compileBound(t, source, rapid.Permutation(all).Draw(t, "stored otherwise"), upstreams...)
		q := drawCaller(t)
		d := decide(set, q)
		if again := decide(shuffled, q); boundCandidates(again) != boundCandidates(d) || again.Outcome != d.Outcome {
			t.Fatalf("%q, and %q in another order", boundCandidates(d), boundCandidates(again))
		}
		groups := naiveGroups(all, q)
		if strings.Contains(source, "named") {
			checkCredential(t, groups, q, d)
			return
		}
		checkBound(t, groups, upstreams, q, d)
	})
}

func checkBound(t *rapid.T, groups [][]accounts.Binding, upstreams []accounts.Upstream, q *rules.Request, d *rules.Decision) {
	want, enabled := naiveCandidates(groups, upstreams, q.Wire)
	outcome := rules.Forward
	switch {
	case len(groups) == 0 && d.Rule == nil:
		outcome = rules.NoRule
	case len(groups) == 0:
		outcome = rules.NoDestination
	case len(want) == 0 && enabled:
		outcome = rules.WrongWire
	case len(want) == 0:
		outcome = rules.UpstreamOff
	}
	if d.Outcome != outcome {
		t.Fatalf("outcome %d, wants %d", d.Outcome, outcome)
	}
	if d.Outcome != rules.Forward {
		return
	}
	left := d.Candidates
	for i, group := range want {
		var got []string
		for _, c := range left[:min(len(group), len(left))] {
			got = append(got, c.Name()+"/"+c.Credential)
			if c.Fallback != (i > 0) {
				t.Fatalf("%s of group %d is a fallback: %v", c.Name(), i, c.Fallback)
			}
			if c.Credential != d.Credential(q, c) || c.Binding == nil {
				t.Fatalf("%s goes with %q", c.Name(), d.Credential(q, c))
			}
		}
		if slices.Sort(got); !slices.Equal(got, group) {
			t.Fatalf("candidates %q, wants %q", boundCandidates(d), want)
		}
		left = left[len(got):]
	}
	if len(left) > 0 || d.Bound != d.Candidates[0].Binding {
		t.Fatalf("candidates %q, bound by %v, wants %q", boundCandidates(d), d.Bound, want)
	}
}

// checkCredential is for a rule that names the upstream a.
func checkCredential(t *rapid.T, groups [][]accounts.Binding, q *rules.Request, d *rules.Decision) {
	want := []string{""}
	for _, group := range groups {
		var named []string
		for _, b := range group {
			if b.UpstreamID == "upstream_a" {
				named = append(named, b.CredentialID)
			}
		}
		if named != nil {
			want = named
			break
		}
	}
	if got := d.Credential(q, d.Candidates[0]); d.Bound != nil || !slices.Contains(want, got) {
		t.Fatalf("credential %q, wants one of %q; bound by %v", got, want, d.Bound)
	}
}

// manyBindings are those of a large installation: 10,000 keys and as many users
// of their own, and 100,000 customers that a tag tells apart.
func manyBindings(n int) []accounts.Binding {
	all := make([]accounts.Binding, 0, n+n/5)
	add := func(b accounts.Binding) {
		b.ID, b.UpstreamID, b.Order, b.Weight = fmt.Sprintf("bind_%d", len(all)), "upstream_a", 100, 1
		all = append(all, b)
	}
	for i := range n / 10 {
		add(accounts.Binding{KeyID: fmt.Sprintf("key_%d", i)})
		add(accounts.Binding{UserID: fmt.Sprintf("user_%d", i), CredentialID: "cred_main"})
	}
	for i := range n {
		add(accounts.Binding{Tag: "customer", TagValue: fmt.Sprint(i), Models: []string{"gpt-*"}})
	}
	for i := range all {
		if i%2 == 1 {
			all[i].UpstreamID, all[i].CredentialID = "upstream_b", ""
		}
	}
	return all
}

const customers = 100_000

// callerOfMany has a key, a user and a tag, all with bindings.
func callerOfMany(model string) *rules.Request {
	return &rules.Request{
		Method: "POST", Path: "/v1/chat/completions", Wire: accounts.WireOpenAIChat, Model: model, HasModel: true,
		KeyID: "key_77", Key: "ci-bot", UserID: "user_77", Tags: map[string]string{"env": "ci", "plan": "trial"},
		UserTags: map[string]string{"customer": "77777", "env": "prod"}, Allowed: []string{"gpt-*", "named", "!gpt-4*", "open"},
	}
}

const openAndNamed = `version: 1
rules:
  - {name: named, match: {model: [named]}, action: {upstream: a}}
  - {name: open, match: {model: [open]}, action: {affinity: none}}
`

func TestDecidingWithManyBindingsAllocatesNothing(t *testing.T) {
	started := time.Now()
	set := compileBound(t, openAndNamed, manyBindings(customers), upstream("a", withCredentials("main")), upstream("b"))
	t.Logf("%d bindings compiled in %v", customers+customers/5, time.Since(started))
	var d rules.Decision
	for model, want := range map[string]string{"gpt-5": "a [b]", "open": "a [b]", "named": "a"} {
		q := callerOfMany(model)
		q.RawQuery = "beta=true&model=gpt-5"
		if allocated := testing.AllocsPerRun(100, func() {
			if set.Decide(q, &d); d.Outcome != rules.Forward {
				t.Fatal(d.Outcome)
			}
			for _, c := range d.Candidates {
				d.Credential(q, c)
			}
		}); allocated != 0 {
			t.Errorf("%s: %v allocations", model, allocated)
		}
		if got := boundCandidates(&d); got != want {
			t.Errorf("%s: candidates %q, wants %q", model, got, want)
		}
	}
	q := callerOfMany("claude")
	if allocated := testing.AllocsPerRun(100, func() { set.Decide(q, &d) }); allocated != 0 || d.Outcome != rules.ModelNotAllowed {
		t.Errorf("refused with %v allocations: %d", allocated, d.Outcome)
	}
}

func BenchmarkDecideBound(b *testing.B) {
	for _, n := range []int{10, 1000, customers} {
		set := compileBound(b, openAndNamed, manyBindings(n), upstream("a", withCredentials("main")), upstream("b"))
		q := callerOfMany("gpt-5")
		q.KeyID, q.UserID, q.UserTags = "key_0", "user_0", map[string]string{"customer": "7", "env": "prod"}
		b.Run(fmt.Sprintf("bindings=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var d rules.Decision
			for b.Loop() {
				if set.Decide(q, &d); d.Bound == nil {
					b.Fatal(d.Outcome)
				}
				d.Credential(q, d.Candidates[0])
			}
		})
	}
}

func BenchmarkCompileManyBindings(b *testing.B) {
	all := manyBindings(customers)
	for b.Loop() {
		compileBound(b, openAndNamed, all, upstream("a", withCredentials("main")), upstream("b"))
	}
}
