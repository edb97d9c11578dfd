package admin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

// ruleText is a rule that sends everything to openai.
func ruleText(name string) string {
	return "name: " + name + "\naction:\n  upstream: openai\n"
}

func TestARuleIsCreatedAtTheEndOfASetOrBesideAnother(t *testing.T) {
	for name, c := range map[string]struct {
		text  api.RuleText
		names []string
		set   string
		order int
	}{
		"at the end of default":                 {api.RuleText{}, []string{"team-first", "gpt", "embeddings", "new"}, "default", 100},
		"at the end of a set":                   {api.RuleText{Set: "team"}, []string{"team-first", "new", "gpt", "embeddings"}, "team", 50},
		"in a new set":                          {api.RuleText{Set: "extra"}, []string{"team-first", "gpt", "embeddings", "new"}, "extra", 100},
		"in the built-in set":                   {api.RuleText{Set: "builtin"}, []string{"team-first", "gpt", "embeddings", "new"}, "builtin", 1000},
		"before a rule":                         {api.RuleText{Before: "embeddings"}, []string{"team-first", "gpt", "new", "embeddings"}, "default", 100},
		"after a rule":                          {api.RuleText{After: "gpt"}, []string{"team-first", "gpt", "new", "embeddings"}, "default", 100},
		"before a rule of another set":          {api.RuleText{Before: "team-first"}, []string{"new", "team-first", "gpt", "embeddings"}, "team", 50},
		"after a rule of the set that is named": {api.RuleText{After: "team-first", Set: "team"}, []string{"team-first", "new", "gpt", "embeddings"}, "team", 50},
	} {
		t.Run(name, func(t *testing.T) {
			g := applied(t)
			before := exported(t, g)
			c.text.YAML, c.text.Message = ruleText("new"), "why not"
			try := c.text
			try.DryRun = true
			tried, err := g.CreateRule(t.Context(), try)
			must(t, err)
			plan, err := g.CreateRule(t.Context(), c.text)
			must(t, err)
			if diff := cmp.Diff([]string{"add " + c.set + "/new"}, ops(plan)); diff != "" || !plan.Applied || plan.Revision != before.Revision+1 {
				t.Errorf("plan is %+v\n%s", plan, diff)
			}
			if diff := cmp.Diff(ops(tried), ops(plan)); diff != "" || tried.Applied {
				t.Errorf("a dry run said %+v", tried)
			}
			if diff := cmp.Diff(c.names, ruleNames(t, g)); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
			rule, err := g.Rule(t.Context(), "new")
			must(t, err)
			if rule.Set != c.set || rule.Order != c.order {
				t.Errorf("the rule is in set %s, order %d", rule.Set, rule.Order)
			}
			last, err := g.store.LastConfigChange(t.Context())
			must(t, err)
			if last.Kind != "rule.create" || last.Why != "why not" {
				t.Errorf("the log says %+v", last)
			}
		})
	}
}

func TestAnEditedRuleKeepsItsPlace(t *testing.T) {
	g := applied(t)
	edited := strings.Replace(ruleText("gpt"), "name: gpt", "name: gpt\nmatch: {model: [gpt-5*]}", 1)
	plan, err := g.EditRule(t.Context(), "gpt", api.RuleText{YAML: edited, Message: "only the new ones"})
	must(t, err)
	if diff := cmp.Diff([]string{"change default/gpt"}, ops(plan)); diff != "" || !plan.Applied {
		t.Errorf("plan is %+v", plan)
	}
	again, err := g.EditRule(t.Context(), "gpt", api.RuleText{YAML: edited})
	must(t, err)
	if again.Applied || again.Revision != plan.Revision {
		t.Errorf("the same text again: %+v", again)
	}
	plan, err = g.EditRule(t.Context(), "gpt", api.RuleText{YAML: strings.Replace(edited, "name: gpt", "name: openai-gpt", 1)})
	must(t, err)
	if !plan.Applied {
		t.Errorf("renamed: %+v", plan)
	}
	if diff := cmp.Diff([]string{"team-first", "openai-gpt", "embeddings"}, ruleNames(t, g)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	last, err := g.store.LastConfigChange(t.Context())
	must(t, err)
	if last.Kind != "rule.edit" {
		t.Errorf("the log says %+v", last)
	}

	// What is shown can be edited as it stands.
	shown, err := g.Rule(t.Context(), "team-first")
	must(t, err)
	plan, err = g.EditRule(t.Context(), "team-first", api.RuleText{YAML: shown.YAML})
	must(t, err)
	if plan.Applied {
		t.Errorf("the rule as it is shown is another: %+v", plan)
	}
}

func TestARuleMovesWithinItsSet(t *testing.T) {
	for name, c := range map[string]struct {
		rule string
		to   api.MoveRule
		want string
	}{
		"to the end":         {"a", api.MoveRule{After: "d"}, "b c d a"},
		"to the beginning":   {"d", api.MoveRule{Before: "a"}, "d a b c"},
		"down by one":        {"b", api.MoveRule{After: "c"}, "a c b d"},
		"up by one":          {"c", api.MoveRule{Before: "b"}, "a c b d"},
		"to where it stands": {"b", api.MoveRule{After: "a"}, "a b c d"},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			g.upstreamAt(t, "openai", "http://127.0.0.1:1")
			before := g.apply(t, "version: 1\nrules:\n"+
				"- {name: a, action: {upstream: openai}}\n- {name: b, action: {upstream: openai}}\n"+
				"- {name: c, action: {upstream: openai}}\n- {name: d, action: {upstream: openai}}\n")
			c.to.Message = "for order"
			plan, err := g.MoveRule(t.Context(), c.rule, c.to)
			must(t, err)
			if got := strings.Join(ruleNames(t, g), " "); got != c.want {
				t.Errorf("order is %s, want %s", got, c.want)
			}
			if moved := c.want != "a b c d"; moved != plan.Applied || moved != (plan.Revision == before.Revision+1) {
				t.Errorf("plan is %+v", plan)
			}
			for _, change := range plan.Changes {
				if change.Op != "move" {
					t.Errorf("a move is planned as %+v", change)
				}
			}
		})
	}
}

func TestRefusedEditsOfSingleRules(t *testing.T) {
	g := applied(t)
	before := exported(t, g)
	create := func(text api.RuleText) error { _, err := g.CreateRule(t.Context(), text); return err }
	edit := func(name string, text api.RuleText) error { _, err := g.EditRule(t.Context(), name, text); return err }
	move := func(name string, to api.MoveRule) error { _, err := g.MoveRule(t.Context(), name, to); return err }
	for _, c := range []struct {
		name   string
		err    error
		code   string
		status int
		detail string
	}{
		{"a rule that is there", create(api.RuleText{YAML: ruleText("team-first")}), api.CodeConflict, 409, `there is already a rule "team-first", in set "team"`},
		{"before and after", create(api.RuleText{YAML: ruleText("new"), Before: "gpt", After: "gpt"}), api.CodeInvalid, 422, "before: give either before or after"},
		{"beside a rule that is not there", create(api.RuleText{YAML: ruleText("new"), Before: "nothing"}), api.CodeNotFound, 404, `no rule "nothing"`},
		{"beside a rule of another set", create(api.RuleText{YAML: ruleText("new"), Before: "gpt", Set: "team"}), api.CodeInvalid, 422, `set: rule "gpt" is in set "default"`},
		{"a set that is no name", create(api.RuleText{YAML: ruleText("new"), Set: "No Set"}), api.CodeInvalid, 422, `"No Set" is not a name`},
		{"no rule", create(api.RuleText{YAML: ""}), api.CodeInvalid, 422, "there is no rule"},
		{"two rules", create(api.RuleText{YAML: "- name: a\n- name: b\n"}), api.CodeInvalid, 422, "the list holds 2 rules; this is the place of one"},
		{"two documents", create(api.RuleText{YAML: "name: a\n---\nname: b\n"}), api.CodeInvalid, 422, "more than one document"},
		{"a rules file", create(api.RuleText{YAML: twoRules}), api.CodeInvalid, 422, `unknown field "version"`},
		{"no YAML", create(api.RuleText{YAML: "name: [a\n"}), api.CodeInvalid, 422, "not YAML"},
		{"an unknown upstream", create(api.RuleText{YAML: "name: new\naction: {upstream: nowhere}"}), api.CodeInvalid, 422, `unknown upstream "nowhere"`},
		{"an edit of a rule that is not there", edit("nothing", api.RuleText{YAML: ruleText("nothing")}), api.CodeNotFound, 404, `no rule "nothing"`},
		{"a name that is taken", edit("gpt", api.RuleText{YAML: ruleText("team-first")}), api.CodeConflict, 409, `there is already a rule "team-first", in set "team"`},
		{"an edit that moves", edit("gpt", api.RuleText{YAML: ruleText("gpt"), After: "embeddings"}), api.CodeInvalid, 422, "set: an edited rule stays where it is"},
		{"a bad edit", edit("gpt", api.RuleText{YAML: "name: gpt\nmatch: {modle: [a]}\n"}), api.CodeInvalid, 422, `match.modle: unknown matcher "modle"`},
		{"a move of a rule that is not there", move("nothing", api.MoveRule{After: "gpt"}), api.CodeNotFound, 404, `no rule "nothing"`},
		{"a move beside a rule that is not there", move("gpt", api.MoveRule{After: "nothing"}), api.CodeNotFound, 404, `no rule "nothing"`},
		{"a move to nowhere", move("gpt", api.MoveRule{}), api.CodeInvalid, 422, "before: give either before or after"},
		{"a move to two places", move("gpt", api.MoveRule{Before: "embeddings", After: "embeddings"}), api.CodeInvalid, 422, "before: give either before or after"},
		{"a move beside itself", move("gpt", api.MoveRule{After: "gpt"}), api.CodeInvalid, 422, "before: a rule cannot stand before or after itself"},
		{"a move to another set", move("gpt", api.MoveRule{After: "team-first"}), api.CodeInvalid, 422, `before: rule "team-first" is in set "team", rule "gpt" in "default"; a rule moves within its set`},
	} {
		t.Run(c.name, func(t *testing.T) { refusedWith(t, c.err, c.code, c.status, c.detail) })
	}
	if after := exported(t, g); after != before {
		t.Errorf("something changed all the same:\n%s", after.YAML)
	}
}

func TestProblemsOfOneRuleStandAtTheirPlaceInItsText(t *testing.T) {
	g := applied(t)
	_, err := g.EditRule(t.Context(), "gpt", api.RuleText{YAML: "# mine\nname: gpt\nmatch:\n  modle: [a]\naction:\n  upstream: openai\n  taget: http://x\n"})
	refusal := refusedWith(t, err, api.CodeInvalid, 422)
	type place struct {
		line, column int
		field        string
	}
	var got []place
	for _, p := range refusal.Problems {
		got = append(got, place{p.Line, p.Column, p.Field})
	}
	want := []place{{4, 3, "match.modle"}, {7, 3, "action.taget"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(place{})); diff != "" {
		t.Errorf("places (-want +got):\n%s%+v", diff, refusal.Problems)
	}
	_, err = g.EditRule(t.Context(), "gpt", api.RuleText{YAML: "name: gpt\naction:\n  upstream: opnai\n"})
	refusal = refusedWith(t, err, api.CodeInvalid, 422)
	if p := refusal.Problems[0]; p.Line != 3 || p.Column != 13 || p.Rule != "gpt" {
		t.Errorf("a problem that only the gateway knows is at %+v", p)
	}
}
