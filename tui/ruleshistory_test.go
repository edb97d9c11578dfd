package tui

import (
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

func TestTheHistoryTellsWhoChangedWhatAndWhy(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "H")
		s.sees("History", "REV", "41", "dana", "rule.apply", "~openai", "more to the EU", "+anthropic", "b roll back")
		fits(t, s.frame(), 120, 30)
		s.press("esc")
		s.sees("Rules [4/5]")
	})
}

func TestTheHistoryOfOneRuleAlone(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "j", "H", "H")
		s.sees("History of anthropic", "first rules", "1 of 1")
		s.seesNot("more to the EU")
		s.press("H")
		s.sees("more to the EU")
		s.press("esc", "k", "H", "H")
		s.sees("No revision changed it.")
	})
}

func TestARevisionIsShownBesideTheOneBefore(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		entry := sampleHistory()[0]
		entry.YAML = "rules:\n  - name: openai\n    weight: 80\n"
		s.fake.answer("GET /history/41", entry)
		s.fake.answer("GET /history/40", api.HistoryEntry{Revision: 40, YAML: "rules:\n  - name: openai\n    weight: 50\n"})
		s.press("3", "H", "enter")
		s.sees("Revision 41", "rule.apply by dana from 10.0.0.4", "-    weight: 50", "+    weight: 80")
		s.logs("llmgw rules history 41 --context prod")
		s.fake.answer("GET /history/40", api.HistoryEntry{Revision: 40, Kind: "rule.disable"})
		s.press("esc", "j", "enter") // revision 39 is not there
		s.sees("are not kept, so that there is no diff")
	})
}

func TestARevisionWhoseForerunnerIsNotKeptIsShownAlone(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("GET /history/41", sampleHistory()[0])
		s.press("3", "H", "enter")
		s.sees("~ openai  action.upstreams[0].weight: 50 → 80", "are not kept, so that there is no diff")
	})
}

func TestARollbackShowsWhatItChangesAndIsBoundToThat(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		answer := api.Plan{Changes: []api.PlanChange{{Op: "delete", Set: "default", Rule: "openai"}}, Warnings: []api.Problem{{Message: "no rule is left"}}, Revision: 41}
		s.fake.on("POST /rollback", func(_ *http.Request, body []byte) (int, any) {
			if !strings.Contains(string(body), "dry_run") {
				answer.Revision, answer.Applied = 42, true
			}
			return 200, answer
		})
		s.press("3", "H", "j", "j", "b")
		s.did(`POST /rollback {"revision":39,"dry_run":true}`)
		s.sees("Roll back to revision 39?", "- openai", "▲ no rule is left", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.press("b", "tab", "enter")
		s.did(`POST /rollback {"revision":39,"dry_run":true}`, `POST /rollback {"revision":39,"if_revision":41}`)
		s.sees("back to the rules of revision 39, as revision 42")
		s.logs("llmgw rules rollback 39 --yes --context prod")
	})
}

func TestARollbackThatChangesNothingIsNotAsked(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("POST /rollback", api.Plan{Revision: 41})
		s.press("3", "H", "b")
		s.sees("the rules are those of revision 41")
		s.seesNot("Roll back to")
	})
}

func TestARollbackThatIsRefusedSaysWhy(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.fake.refuse("POST /rollback", api.Error{Status: 409, Code: api.CodeConflict, Detail: `revision 40 needs upstream "old"`, Hint: "create it first"})
		s.press("3", "H", "j", "b")
		s.sees(`revision 40 needs upstream "old". create it first`)
	})
}

func TestARevisionThatIsNotKeptSaysSo(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("3", "H", "enter")
		s.sees("nothing at /history/41")
	})
}

func TestAFilterLooksAtTheFieldsOfARevision(t *testing.T) {
	for filter, want := range map[string]string{
		"rev>=40": "41 40", "who:lee": "40", "kind:rule.apply": "41 39", "message:first*": "39", "rule:old-embed": "40", "nothing:x": "",
	} {
		f, err := parseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range sampleHistory() {
			if f.takes(func(name string) (string, bool) { return historyField(&e, name) }, func() []string { return nil }) {
				got = append(got, revisionOf(&e))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, and not %s", filter, got, want)
		}
	}
	play(t, 100, 30, nil, func(s *stage) {
		s.press("3", "H", "/")
		s.write("who:lee")
		s.sees("1 of 3", "old-embed")
		s.press("enter", "esc")
		s.sees("2 of 3", "more to the EU")
	})
}
