package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

// written decodes a file of one-line rules.
func written(t *testing.T, set string, lines ...string) rules.File {
	t.Helper()
	source := "version: 1\nset: " + set + "\nrules:\n"
	if len(lines) == 0 {
		source = "version: 1\nset: " + set + "\nrules: []\n"
	}
	for _, line := range lines {
		source += "  - {" + line + "}\n"
	}
	files, problems := rules.Decode("rules.yaml", []byte(source))
	if len(problems) > 0 {
		t.Fatalf("decoding: %v", problems)
	}
	return files[0]
}

func TestPlan(t *testing.T) {
	file := func(lines ...string) []rules.File { return []rules.File{written(t, "s", lines...)} }
	ordered := func(order int, lines ...string) []rules.File {
		f := written(t, "s", lines...)
		f.Order = order
		return []rules.File{f}
	}
	for _, c := range []struct {
		name          string
		before, after []rules.File
		want          string
		unchanged     int
	}{
		{"nothing differs", file("name: a", "name: b"), file("name: a", "name: b"), "", 2},
		{"a new set", nil, file("name: a"), "add s/a 1", 0},
		{"a set that is gone", file("name: a"), nil, "delete s/a 0", 0},
		{"a rule in the middle", file("name: a", "name: b"), file("name: a", "name: x", "name: b"), "add s/x 2", 2},
		{"a rule that is gone", file("name: a", "name: b"), file("name: b"), "delete s/a 0", 1},
		{"the first moves to the end", file("name: a", "name: b", "name: c"), file("name: b", "name: c", "name: a"), "move s/a 3 [position: 1 → 3]", 2},
		{"the last moves to the front", file("name: a", "name: b", "name: c"), file("name: c", "name: a", "name: b"), "move s/c 1 [position: 3 → 1]", 2},
		{"a model changes", file("name: a, action: {upstream: u, model: gpt-oss-20b}"), file("name: a, action: {upstream: u, model: gpt-oss-120b}"), "change s/a 1 [action.model: gpt-oss-20b → gpt-oss-120b]", 0},
		{"fields come and go", file("name: a, match: {path: /a}, action: {upstream: u}"), file("name: a, match: {model: [b, c]}, enabled: false, action: {upstream: u}"),
			"change s/a 1 [match.path: /a → (none) · enabled: (none) → false · match.model: (none) → [b, c]]", 0},
		{"a header changes", file("name: a, action: {headers: {set: {x: \"1\"}}}"), file("name: a, action: {headers: {set: {x: \"\"}}}"), `change s/a 1 [action.headers.set.x: 1 → ""]`, 0},
		{"a weight changes", file("name: a, action: {upstreams: [{name: u, weight: 1}, {name: v, weight: 2}]}"), file("name: a, action: {upstreams: [{name: u, weight: 1}, {name: v, weight: 3}]}"),
			"change s/a 1 [action.upstreams: [{name: u, weight: 1}, {name: v, weight: 2}] → [{name: u, weight: 1}, {name: v, weight: 3}]]", 0},
		{"one text that looks like two", file(`name: a, match: {header: {x: {in: ["b, c"]}}}`), file("name: a, match: {header: {x: {in: [b, c]}}}"), `change s/a 1 [match.header.x.in: ["b, c"] → [b, c]]`, 0},
		{"a text that looks like none", file("name: a, action: {headers: {set: {x: \"\"}}}"), file(`name: a, action: {headers: {set: {x: '""'}}}`), `change s/a 1 [action.headers.set.x: "" → "\"\""]`, 0},
		{"text of several lines", file(`name: a, description: "x\ny"`), file("name: a, description: z"), `change s/a 1 [description: "x\ny" → z]`, 0},
		{"a rule changes and moves", file("name: a", "name: b", "name: c"), file("name: b", "name: c", "name: a, enabled: false"), "change s/a 3 [enabled: (none) → false · position: 1 → 3]", 2},
		{"a rule changes sets", []rules.File{written(t, "s", "name: a"), written(t, "t")}, []rules.File{written(t, "s"), written(t, "t", "name: a")}, "move t/a 1 [set: s → t]", 0},
		{"a set's order", ordered(100, "name: a"), ordered(200, "name: a"), "change s/ 0 [order: 100 → 200]", 1},
		{"rules come and go in several sets", []rules.File{written(t, "s", "name: a", "name: b"), written(t, "t", "name: c")},
			[]rules.File{written(t, "s", "name: b", "name: d"), written(t, "u", "name: e")}, "add s/d 2\ndelete s/a 0\nadd u/e 1\ndelete t/c 0", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes, unchanged := rules.Plan(c.before, c.after)
			var got []string
			for _, p := range changes {
				line := fmt.Sprintf("%s %s/%s %d", p.Op, p.Set, p.Rule, p.Position)
				if len(p.Fields) > 0 {
					line += " [" + strings.Join(p.Fields, " · ") + "]"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if unchanged != c.unchanged {
				t.Errorf("%d unchanged", unchanged)
			}
		})
	}
}

func TestMovesAreAsFewAsCanBe(t *testing.T) {
	var before, after []string
	for i := range 200 {
		before = append(before, fmt.Sprintf("name: r%d", i))
	}
	after = append(after, before[150])
	after = append(after, before[:50]...)
	after = append(after, before[51:150]...)
	after = append(after, before[151:]...)
	after = append(after, before[50])
	changes, unchanged := rules.Plan([]rules.File{written(t, "s", before...)}, []rules.File{written(t, "s", after...)})
	if len(changes) != 2 || unchanged != 198 || changes[0].Rule != "r150" || changes[1].Rule != "r50" {
		t.Errorf("%v, %d unchanged", changes, unchanged)
	}
}

func TestMergeReplacesWholeSetsAndKeepsTheOthers(t *testing.T) {
	before := []rules.File{written(t, "builtin", "name: mock"), written(t, "b", "name: x", "name: y")}
	before[0].Order = 1000
	merged := rules.Merge(before, []rules.File{written(t, "b", "name: y"), written(t, "a", "name: z")})
	var got []string
	for _, f := range merged {
		for _, r := range f.Rules {
			got = append(got, f.Set+"/"+r.Name)
		}
	}
	if diff := cmp.Diff([]string{"a/z", "b/y", "builtin/mock"}, got); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
}
