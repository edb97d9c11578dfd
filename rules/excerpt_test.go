package rules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

func TestExcerptsShowTheLineAndTheWord(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"an operator", head("match:\n  header:\n    x-tier:\n      contians: sonnet"), "" +
			"    7 |           contians: sonnet\n" +
			"      |           ^^^^^^^^ did you mean \"contains\"?\n"},
		{"a word in a flow", head("match: {ttl: {a: b}, model: [a]}"), "" +
			"    4 |     match: {ttl: {a: b}, model: [a]}\n" +
			"      |             ^^^\n"},
		{"a quoted text", head(`match: {model: ["gpt-[45]", a]}`), "" +
			"    4 |     match: {model: [\"gpt-[45]\", a]}\n" +
			"      |                     ^^^^^^^^^^\n"},
		{"a list", head("match: {method: []}"), "" +
			"    4 |     match: {method: []}\n" +
			"      |                     ^\n"},
		{"behind other letters", head(`description: é` + "\nmatch: {host: [é, A.b]}"), "" +
			"    5 |     match: {host: [é, A.b]}\n" +
			"      |                    ^\n"},
		{"a line that ends in a return", strings.ReplaceAll(head("match: {modle: [a]}"), "\n", "\r\n"), "" +
			"    4 |     match: {modle: [a]}\n" +
			"      |             ^^^^^ did you mean \"model\"?\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(c.source))
			if len(problems) == 0 {
				t.Fatal("no problem")
			}
			if diff := cmp.Diff(c.want, problems[0].Excerpt([]byte(c.source))); diff != "" {
				t.Errorf("%v (-want +got):\n%s", problems, diff)
			}
		})
	}
}

func TestExcerptsAreNotMadeWhereASecretCouldStand(t *testing.T) {
	for _, c := range []struct{ name, source string }{
		{"a value of a header edit", head("action: {headers: {set: {x-internal: \"s3cret\\n\"}}}")},
		{"an unknown edit", head("action:\n  headers:\n    sett: {x-internal: s3cret}")},
		{"a target", head("action: {target: \"https://u:s3cret@a.example\"}")},
		{"an answer", head("action: {respond: {status: 99, body: s3cret}}")},
		{"a matcher of a credential", head("match: {header: {authorization: {prefx: Bearer s3cret}}}")},
		{"a misspelt credential in a flow", head("match: {modle: [a], header: {x-api-key: s3cret}}")},
		{"a text that is not YAML", head("description: \"s3cret")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(c.source))
			if len(problems) == 0 {
				t.Fatal("no problem")
			}
			for _, p := range problems {
				if shown := p.Excerpt([]byte(c.source)); shown != "" {
					t.Errorf("%v:\n%s", &p, shown)
				}
				if strings.Contains(p.String()+p.Hint+p.Suggestion, "s3cret") {
					t.Errorf("the problem itself shows it: %v (%s)", &p, p.Hint)
				}
			}
		})
	}
}

func TestExcerptsOfWhatIsNotThereAreEmpty(t *testing.T) {
	source := "version: 1\nmodel: [a]\n"
	for _, c := range []struct {
		name    string
		problem rules.Problem
		source  string
	}{
		{"no position", rules.Problem{Field: "model"}, source},
		{"a line beyond the end", rules.Problem{Field: "model", Line: 9, Column: 1}, source},
		{"a column beyond the end", rules.Problem{Field: "model", Line: 2, Column: 99}, source},
		{"no column", rules.Problem{Field: "model", Line: 2}, source},
		{"a source that is no text", rules.Problem{Field: "model", Line: 1, Column: 1}, "\xff\xfe"},
		{"a line that moves the cursor", rules.Problem{Field: "model", Line: 1, Column: 1}, "model: \x1b[2J\n"},
		{"an endless line", rules.Problem{Field: "model", Line: 1, Column: 1}, "model: " + strings.Repeat("a", 200)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if shown := c.problem.Excerpt([]byte(c.source)); shown != "" {
				t.Errorf("shown:\n%s", shown)
			}
		})
	}
	last := rules.Problem{Field: "model", Line: 2, Column: 11}
	if got, want := last.Excerpt([]byte(source)), "    2 | model: [a]\n      |           ^\n"; got != want {
		t.Errorf("at the end of a line:\n%s", got)
	}
}

func TestProblemsInOneLine(t *testing.T) {
	for _, c := range []struct {
		problem rules.Problem
		want    string
	}{
		{rules.Problem{File: "rules.yaml", Line: 14, Column: 7, Rule: "a", Field: "match.x", Message: `unknown matcher "x"`}, `rules.yaml:14:7: unknown matcher "x"`},
		{rules.Problem{Rule: "claude", Field: "match.path", Message: "missing ]"}, `rule "claude": match.path: missing ]`},
		{rules.Problem{Field: "match.path", Message: "missing ]"}, "match.path: missing ]"},
		{rules.Problem{Message: "not JSON"}, "not JSON"},
	} {
		if got := c.problem.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
