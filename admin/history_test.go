package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func exported(t *testing.T, g *gateway) api.Export {
	t.Helper()
	export, err := g.ExportRules(t.Context(), nil)
	must(t, err)
	return export
}

func TestEveryChangeOfTheRulesIsInTheHistory(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	_, err := g.ApplyRules(t.Context(), api.ApplyRequest{Message: "the first ones", Files: []api.Source{{Name: "a", Content: twoRules}}})
	must(t, err)
	_, err = g.DisableRule(t.Context(), "gpt")
	must(t, err)
	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot"})
	must(t, err)
	must(t, g.DeleteRule(t.Context(), "embeddings"))

	past, err := g.History(t.Context(), 0)
	must(t, err)
	var lines []string
	for _, e := range past {
		line := fmt.Sprintf("%d %s %s %s %q", e.Revision, e.Actor, e.From, e.Kind, e.Message)
		for _, c := range e.Changes {
			line += fmt.Sprintf(" | %s %s %s", c.Op, c.Rule, strings.Join(c.Fields, ", "))
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	want := []string{
		`4 local socket rule.delete "" | delete embeddings`,
		`3 local socket rule.disable "" | change gpt enabled: (none) → false`,
		`2 local socket rule.apply "the first ones" | add gpt  | add embeddings`,
		`1 local socket upstream.create ""`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if past[0].YAML != "" || time.Since(past[0].Time) > time.Minute {
		t.Errorf("the newest is %+v", past[0])
	}
	newest, err := g.History(t.Context(), 2)
	must(t, err)
	if diff := cmp.Diff(past[:2], newest); diff != "" {
		t.Errorf("the newest two (-want +got):\n%s", diff)
	}
	_, err = g.History(t.Context(), -1)
	refusedWith(t, err, api.CodeInvalid, 422, "limit")
}

func TestARevisionIsShownWithItsRules(t *testing.T) {
	g := applied(t)
	then := exported(t, g)
	_, err := g.DisableRule(t.Context(), "gpt")
	must(t, err)
	entry, err := g.Revision(t.Context(), then.Revision)
	must(t, err)
	if entry.YAML != then.YAML || entry.Revision != then.Revision || entry.Kind != "rule.apply" || len(entry.Changes) != 1 {
		t.Errorf("revision is %+v\nwant the rules\n%s", entry, then.YAML)
	}
}

func TestRevisionsThatCannotBeShown(t *testing.T) {
	g := applied(t)
	for _, call := range []func(int64) error{
		func(n int64) error { _, err := g.Revision(t.Context(), n); return err },
		func(n int64) error {
			_, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: n})
			return err
		},
	} {
		refusal := refusedWith(t, call(50), api.CodeNotFound, 404, "no revision 50; the newest is 3")
		if refusal.Hint != "see which there are: llmgw rules history" {
			t.Errorf("hint is %q", refusal.Hint)
		}
		g.store.unknown = 2
		refusedWith(t, call(2), api.CodeNotFound, 404, "revision 2 is from before this gateway kept a history of its rules")
		g.store.unknown, g.store.dropped = 0, 2
		refusedWith(t, call(2), api.CodeNotFound, 404, "the rules of revision 2 are not kept any more")
		g.store.dropped = 0
		g.store.broken = accounts.ErrUnavailable
		refusedWith(t, call(2), api.CodeUnavailable, 503)
		g.store.broken = nil
	}
	_, err := g.Revision(t.Context(), 0)
	refusedWith(t, err, api.CodeInvalid, 422)
	_, err = g.Rollback(t.Context(), api.RollbackRequest{Revision: -1})
	refusedWith(t, err, api.CodeNotFound, 404, "no revision -1; the newest is 3")
}

func TestARollbackIsANewRevision(t *testing.T) {
	g := applied(t)
	then := exported(t, g)
	must(t, g.DeleteRule(t.Context(), "team-first"))
	must(t, g.DeleteRule(t.Context(), "gpt"))
	_, err := g.CreateRule(t.Context(), api.RuleText{YAML: "name: new\naction: {upstream: openai}", Set: "other"})
	must(t, err)
	now := exported(t, g)

	try, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: then.Revision, DryRun: true})
	must(t, err)
	if diff := cmp.Diff([]string{"add team/team-first", "add default/gpt", "delete other/new"}, ops(try)); diff != "" || try.Applied {
		t.Errorf("a dry run, applied %t (-want +got):\n%s", try.Applied, diff)
	}
	if after := exported(t, g); after != now {
		t.Errorf("a dry run changed the rules: %+v", after)
	}

	plan, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: then.Revision, Message: "it was better before"})
	must(t, err)
	if !plan.Applied || plan.Revision != now.Revision+1 {
		t.Errorf("plan is %+v", plan)
	}
	if diff := cmp.Diff(ops(try), ops(plan)); diff != "" {
		t.Errorf("the dry run said something else (-said +did):\n%s", diff)
	}
	if after := exported(t, g); after.YAML != then.YAML {
		t.Errorf("rules are\n%s\nwant\n%s", after.YAML, then.YAML)
	}
	entry, err := g.Revision(t.Context(), plan.Revision)
	must(t, err)
	if entry.Kind != "rule.rollback" || entry.Message != "it was better before" || entry.YAML != then.YAML {
		t.Errorf("the history says %+v", entry)
	}

	again, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: then.Revision})
	must(t, err)
	if again.Applied || again.Revision != plan.Revision || len(again.Changes) != 0 {
		t.Errorf("going back to where it is: %+v", again)
	}
	undone, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: now.Revision})
	must(t, err)
	if after := exported(t, g); after.YAML != now.YAML || after.Revision != undone.Revision {
		t.Errorf("a rollback undone gives\n%s\nwant\n%s", after.YAML, now.YAML)
	}
	if entry, err := g.Revision(t.Context(), undone.Revision); err != nil || entry.Message != fmt.Sprintf("back to revision %d", now.Revision) {
		t.Errorf("without a message the history says %+v, %v", entry, err)
	}
}

func TestARollbackThatNeedsWhatIsGone(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	g.upstreamAt(t, "groq", "http://127.0.0.1:2")
	then := g.apply(t, "version: 1\nrules:\n- {name: a, action: {upstream: groq}}\n- {name: b, action: {upstream: openai}}\n")
	g.apply(t, "version: 1\nrules:\n- {name: a, action: {upstream: openai}}\n- {name: b, action: {upstream: openai}}\n")
	must(t, g.DeleteUpstream(t.Context(), "groq"))
	before := exported(t, g)

	_, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: then.Revision})
	refusal := refusedWith(t, err, api.CodeConflict, 409,
		fmt.Sprintf(`revision %d needs upstream "groq", which the gateway does not have any more`, then.Revision))
	if refusal.Hint != "create what is missing first: llmgw upstreams create groq" {
		t.Errorf("hint is %q", refusal.Hint)
	}
	if diff := cmp.Diff([]api.Problem{{Set: "default", Rule: "a", Message: `sends to upstream "groq", which is gone`}}, refusal.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if after := exported(t, g); after != before {
		t.Errorf("a refused rollback changed the rules: %+v", after)
	}
	g.upstreamAt(t, "groq", "http://127.0.0.1:2")
	plan, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: then.Revision})
	must(t, err)
	if !plan.Applied {
		t.Errorf("plan is %+v", plan)
	}
}

func TestChangesAgainstARevisionThatIsPast(t *testing.T) {
	g := applied(t)
	last, err := g.store.LastConfigChange(t.Context())
	must(t, err)
	g.clock.Pass(last.At.Add(2*time.Minute + time.Second).Sub(g.clock.Now()))
	old := last.Revision - 1
	for kind, call := range map[string]func(base *int64) error{
		"history": func(base *int64) error {
			_, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: 2, IfRevision: base})
			return err
		},
		"list": func(base *int64) error {
			_, err := g.CreateRule(t.Context(), api.RuleText{YAML: "name: new\naction: {upstream: openai}", IfRevision: base})
			return err
		},
		"list ": func(base *int64) error {
			_, err := g.EditRule(t.Context(), "gpt", api.RuleText{YAML: "name: gpt\naction: {upstream: openai}", IfRevision: base})
			return err
		},
		"list  ": func(base *int64) error {
			_, err := g.MoveRule(t.Context(), "gpt", api.MoveRule{After: "embeddings", IfRevision: base})
			return err
		},
	} {
		refusal := refusedWith(t, call(&old), api.CodeConflict, 409,
			"rules changed since you read them (you have revision 2, now 3 by local 2 min ago)")
		want := "see: llmgw rules " + strings.TrimSpace(kind) + "; apply anyway: --if-revision 3"
		if refusal.Hint != want {
			t.Errorf("hint is %q, want %q", refusal.Hint, want)
		}
	}
}

// TestRollbackToEveryRevision makes a random history through the API and goes
// back to each of its revisions.
func TestRollbackToEveryRevision(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	rapid.Check(t, func(r *rapid.T) {
		then := map[int64]string{}
		var order []int64
		for range rapid.IntRange(2, 5).Draw(r, "changes") {
			_, err := g.ApplyRules(t.Context(), api.ApplyRequest{Prune: true, Files: []api.Source{{Name: "r.yaml", Content: randomFile(r)}}})
			if err != nil && !refused(err) {
				r.Fatal(err)
			}
			now := exported(t, g)
			then[now.Revision] = now.YAML
			order = append(order, now.Revision)
		}
		for _, n := range rapid.Permutation(order).Draw(r, "order") {
			before := exported(t, g)
			plan, err := g.Rollback(t.Context(), api.RollbackRequest{Revision: n})
			if err != nil {
				r.Fatal(err)
			}
			after := exported(t, g)
			if after.YAML != then[n] {
				r.Fatalf("back at %d the rules are\n%s\nwant\n%s", n, after.YAML, then[n])
			}
			if same := before.YAML == after.YAML; same == plan.Applied || same != (before.Revision == after.Revision) {
				r.Fatalf("from %d to %d: applied %t", before.Revision, after.Revision, plan.Applied)
			}
		}
	})
}

func refused(err error) bool {
	var refusal *api.Error
	return errors.As(err, &refusal) && refusal.Code == api.CodeInvalid
}

// randomFile writes a rules file with one or two sets, and now and then one
// that is refused because two sets have the same rule.
func randomFile(r *rapid.T) string {
	var text strings.Builder
	for _, set := range []string{"default", "team"} {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4, rapid.ID[string]).Draw(r, set)
		fmt.Fprintf(&text, "---\nversion: 1\nset: %s\norder: %d\nrules:\n", set, rapid.IntRange(1, 3).Draw(r, "order"))
		for _, name := range names {
			fmt.Fprintf(&text, "- {name: %s-%s, match: {model: [%s]}, action: {upstream: openai}}\n",
				rapid.SampledFrom([]string{set, set, set, "both"}).Draw(r, "prefix"), name, rapid.SampledFrom([]string{"x", "y"}).Draw(r, "model"))
		}
		if len(names) == 0 {
			text.WriteString("  []\n")
		}
	}
	return text.String()
}

// TestBadChangesNeverDisturbTheRulesInForce applies a thousand files, half of
// them bad, while a reader loads what is in force.
func TestBadChangesNeverDisturbTheRulesInForce(t *testing.T) {
	applies := 1000
	if testing.Short() {
		applies = 100
	}
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	good := func(n int) string {
		return fmt.Sprintf("version: 1\nrules:\n- {name: first, match: {model: [m-%d]}, action: {upstream: openai}}\n- {name: second, match: {model: [n-%d]}, action: {upstream: openai}}\n", n, n)
	}
	bad := []string{
		"version: 1\nrules:\n- {name: first, action: {upstream: nowhere}}\n",
		"version: 1\nrules:\n- {name: first, action: {upstream: openai, target: http://x}}\n",
		"version: 1\nrules:\n- {name: first\n",
		"version: 1\nrules: []\n", // would delete
	}
	g.apply(t, good(-1))

	stop, looked := make(chan struct{}), make(chan error, 1)
	go func() { looked <- lookUntil(t, g, stop) }()
	for n := range applies {
		content := good(n)
		if n%2 == 1 {
			content = bad[n/2%len(bad)]
		}
		_, err := g.ApplyRules(t.Context(), api.ApplyRequest{Files: []api.Source{{Name: "r.yaml", Content: content}}})
		if (err != nil) != (n%2 == 1) {
			t.Fatalf("apply %d: %v", n, err)
		}
	}
	close(stop)
	must(t, <-looked)
	if now := exported(t, g); now.Revision != int64(applies/2)+2 || !strings.Contains(now.YAML, fmt.Sprintf("m-%d", applies-2)) {
		t.Errorf("in the end, at revision %d:\n%s", now.Revision, now.YAML)
	}
}

// lookUntil loads what is in force until stop, and wants it whole, compiling,
// and never older than before.
func lookUntil(t *testing.T, g *gateway, stop <-chan struct{}) error {
	newest := int64(0)
	for looks := 0; ; looks++ {
		select {
		case <-stop:
			if looks < 10 {
				return fmt.Errorf("looked only %d times", looks)
			}
			return nil
		default:
		}
		config, err := g.store.Load(t.Context())
		if err != nil {
			return err
		}
		if _, problems := rules.Compile(config); len(problems.Errors()) > 0 {
			return fmt.Errorf("revision %d does not compile: %w", config.Revision, problems)
		}
		list := config.Files[0].Rules
		if len(list) != 2 || strings.TrimPrefix(list[0].Match.Model[0], "m") != strings.TrimPrefix(list[1].Match.Model[0], "n") {
			return fmt.Errorf("revision %d is put together from two: %+v", config.Revision, list)
		}
		if config.Revision < newest {
			return fmt.Errorf("revision %d came after %d", config.Revision, newest)
		}
		newest = config.Revision
	}
}

func TestAnExportChangesNothingWhenItIsApplied(t *testing.T) {
	g := applied(t)
	_, err := g.CreateRule(t.Context(), api.RuleText{YAML: "name: new\naction: {respond: {status: 400, message: no}}", Set: "builtin"})
	must(t, err)
	export := exported(t, g)
	plan, err := g.ApplyRules(t.Context(), api.ApplyRequest{DryRun: true, Prune: true, Files: []api.Source{{Name: "-", Content: export.YAML}}})
	must(t, err)
	if len(plan.Changes) != 0 || plan.Unchanged != 4 {
		t.Errorf("plan is %+v", plan)
	}
}
