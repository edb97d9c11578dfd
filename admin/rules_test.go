package admin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

const twoRules = `version: 1
rules:
  - name: gpt
    description: everything of OpenAI's
    match: {model: [gpt-*]}
    action: {upstream: openai}
  - name: embeddings
    match: {path: /v1/embeddings}
    action: {upstream: openai}
`

const teamRules = `version: 1
set: team
order: 50
rules:
  - name: team-first
    match: {header: {x-team: {equals: search}}}
    action: {upstream: openai, headers: {set: {x-a: b}}}
`

// ops writes a plan's changes in a line each.
func ops(plan api.Plan) []string {
	var lines []string
	for _, c := range plan.Changes {
		lines = append(lines, fmt.Sprintf("%s %s/%s", c.Op, c.Set, c.Rule))
	}
	return lines
}

// applied gives a gateway with an upstream and both sets.
func applied(t *testing.T) *gateway {
	t.Helper()
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	g.apply(t, twoRules)
	g.apply(t, teamRules)
	return g
}

func ruleNames(t *testing.T, g *gateway) []string {
	t.Helper()
	list, err := g.Rules(t.Context())
	must(t, err)
	var names []string
	for _, rule := range list.Items {
		names = append(names, rule.Name)
	}
	return names
}

func TestApplyMakesASetTheFile(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	before, err := g.Rules(t.Context())
	must(t, err)

	plan := g.apply(t, twoRules)
	if !plan.Applied || plan.Revision <= before.Revision {
		t.Errorf("plan is %+v, want it applied at a revision after %d", plan, before.Revision)
	}
	if diff := cmp.Diff([]string{"add default/gpt", "add default/embeddings"}, ops(plan)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}

	again := g.apply(t, twoRules)
	if again.Applied || again.Revision != plan.Revision || len(again.Changes) != 0 || again.Unchanged != 2 {
		t.Errorf("applying the same again: %+v", again)
	}

	changed := g.apply(t, strings.ReplaceAll(twoRules, "gpt-*", "gpt-5*"))
	if diff := cmp.Diff([]string{"change default/gpt"}, ops(changed)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if changed.Unchanged != 1 || changed.Revision != plan.Revision+1 {
		t.Errorf("plan is %+v", changed)
	}
	last, err := g.store.LastConfigChange(t.Context())
	must(t, err)
	if last.Kind != "rule.apply" || last.Actor != "local" || last.From != "socket" {
		t.Errorf("the log says %+v", last)
	}
}

func TestADryRunStoresNothingAndChecksEverything(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	head, err := g.store.Head(t.Context())
	must(t, err)
	plan, err := g.ApplyRules(t.Context(), api.ApplyRequest{DryRun: true, Files: []api.Source{{Name: "a", Content: twoRules}}})
	must(t, err)
	if plan.Applied || len(plan.Changes) != 2 || plan.Revision != head.Revision {
		t.Errorf("dry run is %+v", plan)
	}
	_, err = g.ApplyRules(t.Context(), api.ApplyRequest{DryRun: true,
		Files: []api.Source{{Name: "r.yaml", Content: strings.ReplaceAll(twoRules, "upstream: openai", "upstream: opnai")}}})
	refusal := refusedWith(t, err, api.CodeInvalid, 422, "r.yaml:6:")
	if len(refusal.Problems) != 2 || refusal.Problems[1].Line != 9 || refusal.Problems[0].Rule != "gpt" {
		t.Errorf("problems are %+v", refusal.Problems)
	}
	if after, err := g.store.Head(t.Context()); err != nil || after.Seq != head.Seq {
		t.Errorf("a dry run made a change, %v", err)
	}
	if names := ruleNames(t, g); len(names) != 0 {
		t.Errorf("a dry run stored %v", names)
	}
}

func TestAllProblemsOfAllFilesAreSaidAtOnce(t *testing.T) {
	g := open(t)
	_, err := g.ApplyRules(t.Context(), api.ApplyRequest{Files: []api.Source{
		{Name: "a.yaml", Content: "version: 1\nrules:\n  - name: one\n    mtach: {}\n    action: {respond: {status: 400, message: no}}\n"},
		{Name: "b.yaml", Content: "version: 1\nrules:\n  - name: two\n    match: {header: {x: {contians: y}}}\n    action: {respond: {status: 400, message: no}}\n"},
	}})
	refusal := refusedWith(t, err, api.CodeInvalid, 422, "a.yaml:4:5: ")
	where := map[string]int{}
	for _, p := range refusal.Problems {
		where[p.File] = p.Line
	}
	if diff := cmp.Diff(map[string]int{"a.yaml": 4, "b.yaml": 4}, where); diff != "" {
		t.Errorf("problems (-want +got):\n%s%+v", diff, refusal.Problems)
	}
}

func TestTwoFilesMayNotHoldTheSameSet(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	_, err := g.ApplyRules(t.Context(), api.ApplyRequest{Files: []api.Source{
		{Name: "a.yaml", Content: twoRules},
		{Name: "b.yaml", Content: "version: 1\nset: default\nrules:\n  - {name: other, match: {}, action: {upstream: openai}}\n"},
	}})
	refusal := refusedWith(t, err, api.CodeInvalid, 422, `set "default"`)
	if refusal.Problems[0].File != "b.yaml" {
		t.Errorf("problems are %+v", refusal.Problems)
	}
	_, err = g.ApplyRules(t.Context(), api.ApplyRequest{})
	refusedWith(t, err, api.CodeInvalid, 422, "no rules file")
}

func TestApplyDeletesRulesOnlyWhereToldTo(t *testing.T) {
	g := applied(t)
	_, only, _ := strings.Cut(twoRules, "  - name: embeddings")
	without := strings.TrimSuffix(twoRules, "  - name: embeddings"+only)
	request := api.ApplyRequest{Files: []api.Source{{Name: "rules/r.yaml", Content: without}}}
	_, err := g.ApplyRules(t.Context(), request)
	refusal := refusedWith(t, err, api.CodeWouldDelete, 409, "would delete 1 rule: embeddings")
	if diff := cmp.Diff([]api.Problem{{Set: "default", Rule: "embeddings", Message: "is not in the files and would be deleted"}}, refusal.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if want := "delete them too: llmgw rules apply -f rules/r.yaml --prune"; refusal.Hint != want {
		t.Errorf("hint is %q, want %q", refusal.Hint, want)
	}
	request.Prune = true
	plan, err := g.ApplyRules(t.Context(), request)
	must(t, err)
	if diff := cmp.Diff([]string{"delete default/embeddings"}, ops(plan)); diff != "" || !plan.Applied {
		t.Errorf("pruned: %+v\n%s", plan, diff)
	}
	if diff := cmp.Diff([]string{"team-first", "gpt"}, ruleNames(t, g)); diff != "" {
		t.Errorf("the other set is not what it was:\n%s", diff)
	}
	request.Files[0].Content = "version: 1\nrules: []\n"
	_, err = g.ApplyRules(t.Context(), request)
	must(t, err)
	if diff := cmp.Diff([]string{"team-first"}, ruleNames(t, g)); diff != "" {
		t.Error(diff)
	}
}

func TestApplyAgainstARevisionThatIsPast(t *testing.T) {
	g := applied(t)
	list, err := g.Rules(t.Context())
	must(t, err)
	last, err := g.store.LastConfigChange(t.Context())
	must(t, err)
	g.clock.Pass(last.At.Add(5*time.Minute + time.Second).Sub(g.clock.Now()))
	old := list.Revision - 1
	request := api.ApplyRequest{IfRevision: &old, Files: []api.Source{{Name: "rules.yaml", Content: twoRules}}}
	_, err = g.ApplyRules(t.Context(), request)
	refusal := refusedWith(t, err, api.CodeConflict, 409,
		fmt.Sprintf("rules changed since you read them (you have revision %d, now %d by local 5 min ago)", old, list.Revision))
	if want := fmt.Sprintf("see: llmgw rules diff -f rules.yaml; apply anyway: --if-revision %d", list.Revision); refusal.Hint != want {
		t.Errorf("hint is %q, want %q", refusal.Hint, want)
	}
	request.IfRevision = &list.Revision
	_, err = g.ApplyRules(t.Context(), request)
	must(t, err)
}

func TestTheOrderOfASetIsAChange(t *testing.T) {
	g := applied(t)
	plan := g.apply(t, strings.Replace(teamRules, "order: 50", "order: 500", 1))
	if !plan.Applied {
		t.Errorf("plan is %+v, want it applied", plan)
	}
	if diff := cmp.Diff([]string{"gpt", "embeddings", "team-first"}, ruleNames(t, g)); diff != "" {
		t.Error(diff)
	}
}

func TestARuleMovesFromSetToSet(t *testing.T) {
	g := applied(t)
	plan, err := g.ApplyRules(t.Context(), api.ApplyRequest{Prune: true, Files: []api.Source{
		{Name: "a", Content: strings.Replace(twoRules, "name: gpt", "name: team-first", 1)},
		{Name: "b", Content: strings.Replace(teamRules, "name: team-first", "name: gpt", 1)},
	}})
	must(t, err)
	if diff := cmp.Diff([]string{"gpt", "team-first", "embeddings"}, ruleNames(t, g)); diff != "" {
		t.Errorf("after %v:\n%s", ops(plan), diff)
	}
}

func TestRulesAreShownInTheirOrderAndTheirWords(t *testing.T) {
	g := applied(t)
	list, err := g.Rules(t.Context())
	must(t, err)
	if diff := cmp.Diff([]string{"team-first", "gpt", "embeddings"}, ruleNames(t, g)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	gpt := list.Items[1]
	if gpt.Position != 2 || gpt.Set != "default" || gpt.Order != 100 || !gpt.Enabled || gpt.Description != "everything of OpenAI's" {
		t.Errorf("rule is %+v", gpt)
	}
	if diff := cmp.Diff(map[string]any{"model": []any{"gpt-*"}}, gpt.Match); diff != "" {
		t.Errorf("match (-want +got):\n%s", diff)
	}
	want := map[string]any{"upstream": "openai", "headers": map[string]any{"set": map[string]any{"x-a": "b"}}}
	if diff := cmp.Diff(want, list.Items[0].Action); diff != "" {
		t.Errorf("action (-want +got):\n%s", diff)
	}
	shown, err := g.Rule(t.Context(), "gpt")
	must(t, err)
	if diff := cmp.Diff(gpt, shown); diff != "" {
		t.Errorf("shown (-listed +shown):\n%s", diff)
	}
	_, err = g.Rule(t.Context(), "nothing")
	refusedWith(t, err, api.CodeNotFound, 404, `no rule "nothing"`)

	// What is shown as YAML can be put back into a file.
	file := "version: 1\nrules:\n"
	for _, rule := range list.Items[1:] {
		file += rule.YAML
	}
	if plan := g.apply(t, file); len(plan.Changes) != 0 {
		t.Errorf("rules put together from what is shown differ: %v\n%s", ops(plan), file)
	}
}

func TestExportThenApplyChangesNothing(t *testing.T) {
	g := applied(t)
	export, err := g.ExportRules(t.Context(), nil)
	must(t, err)
	if plan := g.apply(t, export.YAML); len(plan.Changes) != 0 || plan.Applied || plan.Unchanged != 3 || plan.Revision != export.Revision {
		t.Errorf("plan of the export is %+v", plan)
	}
	team, err := g.ExportRules(t.Context(), []string{"team"})
	must(t, err)
	if strings.Contains(team.YAML, "gpt") || !strings.Contains(team.YAML, "team-first") {
		t.Errorf("export of a set is\n%s", team.YAML)
	}
	both, err := g.ExportRules(t.Context(), []string{"default", "team"})
	must(t, err)
	if !strings.Contains(both.YAML, "gpt") || !strings.Contains(both.YAML, "team-first") {
		t.Errorf("export of both sets is\n%s", both.YAML)
	}
	_, err = g.ExportRules(t.Context(), []string{"nothing"})
	refusedWith(t, err, api.CodeNotFound, 404, `no set "nothing"`)
}

func TestSingleRulesAreSwitchedAndDeleted(t *testing.T) {
	g := applied(t)
	start, err := g.Rules(t.Context())
	must(t, err)
	off, err := g.DisableRule(t.Context(), "gpt")
	must(t, err)
	if off.Enabled || off.Position != 2 {
		t.Errorf("disabled rule is %+v", off)
	}
	again, err := g.DisableRule(t.Context(), "gpt")
	must(t, err)
	if diff := cmp.Diff(off, again); diff != "" {
		t.Error(diff)
	}
	list, err := g.Rules(t.Context())
	must(t, err)
	if list.Revision != start.Revision+1 {
		t.Errorf("disabling a rule twice led from revision %d to %d", start.Revision, list.Revision)
	}
	on, err := g.EnableRule(t.Context(), "gpt")
	must(t, err)
	if diff := cmp.Diff(start.Items[1], on); diff != "" {
		t.Errorf("a rule switched off and on (-before +after):\n%s", diff)
	}
	must(t, g.DeleteRule(t.Context(), "gpt"))
	must(t, g.DeleteRule(t.Context(), "team-first"))
	if diff := cmp.Diff([]string{"embeddings"}, ruleNames(t, g)); diff != "" {
		t.Error(diff)
	}
	refusedWith(t, g.DeleteRule(t.Context(), "gpt"), api.CodeNotFound, 404, `no rule "gpt"`)
	_, err = g.EnableRule(t.Context(), "gpt")
	refusedWith(t, err, api.CodeNotFound, 404)
}
