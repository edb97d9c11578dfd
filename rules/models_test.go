package rules_test

import (
	"slices"
	"testing"
)

func TestWhichUpstreamsRulesSendTo(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: one, match: {path: /a}, action: {upstream: a}}
  - {name: off, enabled: false, action: {upstream: b}}
  - {name: several, match: {path: /c}, action: {upstreams: [{name: c}, {name: c, weight: 2}], fallback: [{name: d}]}}
  - {name: elsewhere, match: {path: /t}, action: {target: "https://models.example", fallback: [{name: e}]}}
  - {name: answer, action: {respond: {status: 400}}}
`, upstream("a"), upstream("b"), upstream("c"), upstream("d"), upstream("e"), upstream("f"))
	if got, want := set.SendsTo(), []bool{true, false, true, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if none := compile(t, "version: 1\nrules: []\n"); len(none.SendsTo()) != 0 {
		t.Error("without upstreams there are some")
	}
}
