package rules_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

// formatted formats, and checks what must hold of every format.
func formatted(t interface {
	Helper()
	Fatalf(string, ...any)
}, source string) string {
	t.Helper()
	text, problems := rules.Format("rules.yaml", []byte(source))
	if len(problems) > 0 {
		t.Fatalf("formatting: %v\n%s", problems, source)
	}
	again, problems := rules.Format("rules.yaml", text)
	if len(problems) > 0 || !bytes.Equal(again, text) {
		t.Fatalf("formatting twice: %v\n%s\nbecomes\n%s\nof\n%s", problems, text, again, source)
	}
	before, _ := rules.Decode("rules.yaml", []byte(source))
	after, problems := rules.Decode("rules.yaml", text)
	if diff := cmp.Diff(before, after, setsEqual); diff != "" || len(problems) > 0 {
		t.Fatalf("%v: sets differ (-before +after):\n%s\n%s", problems, diff, text)
	}
	return string(text)
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"fields come in the order of the canonical form", `
rules:
  - action: {respond: {message: no, status: 400}}
    name: a
    match: {model: [b], path: /c}
order: 5
version: 1
`, `
version: 1
order: 5
rules:
  - name: a
    match: {path: /c, model: [b]}
    action: {respond: {status: 400, message: no}}
`},
		{"names that somebody chose keep their order", `
version: 1
rules:
  - name: a
    match: {header: {x-b: "1", x-a: "2"}}
`, `
version: 1
rules:
  - name: a
    match: {header: {x-b: "1", x-a: "2"}}
`},
		{"indentation and quotes are those of Encode", `
version: 1
rules:
- name: "a"
  match:
          model:
          - "gpt-5"
          - '!gpt-5-pro'
  description: "true"
`, `
version: 1
rules:
  - name: a
    description: "true"
    match:
      model:
        - gpt-5
        - '!gpt-5-pro'
`},
		{"one blank line stays, more become one, and none begins a block", `

version: 1


rules:

  - name: a

    match: {}



  - name: b

`, `
version: 1

rules:
  - name: a

    match: {}

  - name: b
`},
		{"a comment goes where its field goes", `
version: 1
rules:
  - name: a
    # what it does
    # in two lines
    action:
      upstream: b # ours
    # what it takes
    match: {}
`, `
version: 1
rules:
  - name: a
    # what it takes
    match: {}
    # what it does
    # in two lines
    action:
      upstream: b # ours
`},
		{"a comment at the top stays there, whatever comes first", `
# yaml-language-server: $schema=./rules.schema.json

# Of team search.
set: search
version: 1
rules: []
`, `
# yaml-language-server: $schema=./rules.schema.json

# Of team search.
version: 1
set: search
rules: []
`},
		{"a comment behind a block stays with the block that it is indented like", `
version: 1
rules:
  - name: a
    action:
      upstream: b
      # model: c
    # of rule a
  # of the list
# of the document
`, `
version: 1
rules:
  - name: a
    action:
      upstream: b
      # model: c
    # of rule a
  # of the list
# of the document
`},
		{"a comment between two rules is about the second", `
version: 1
rules:
  - name: a
    match: {}
  # about b
  - name: b
`, `
version: 1
rules:
  - name: a
    match: {}
  # about b
  - name: b
`},
		{"a comment behind a dash goes above it", `
version: 1
rules:
  - # about a
    name: a
`, `
version: 1
rules:
  # about a
  - name: a
`},
		{"a comment within brackets opens them", `
version: 1
rules:
  - name: a
    match: {model: [ # these
        b, # first
        c
        # - d
      ]} # behind
`, `
version: 1
rules:
  - name: a
    match: # behind
      model: # these
        - b # first
        - c
        # - d
`},
		{"a comment behind a rule in brackets goes above it when they open", `
version: 1
rules:
  - {name: a, description: ` + strings.Repeat("long ", 30) + `, match: {}} # remark
`, `
version: 1
rules:
  # remark
  - name: a
    description: ` + strings.TrimSpace(strings.Repeat("long ", 30)) + `
    match: {}
`},
		{"brackets open where their line would be too long, outer ones first", `
version: 1
rules:
  - name: a
    match: {model: [` + strings.Repeat("a-model-with-a-name, ", 4) + `b], header: {x-tier: {in: [free, trial, and-others]}}}
`, `
version: 1
rules:
  - name: a
    match:
      header: {x-tier: {in: [free, trial, and-others]}}
      model: [` + strings.Repeat("a-model-with-a-name, ", 4) + `b]
`},
		{"brackets on several lines that fit on one are closed", `
version: 1
rules:
  - name: a
    match: {
      model: [
        b,
        c,
      ],
    }
`, `
version: 1
rules:
  - name: a
    match: {model: [b, c]}
`},
		{"comments of neighbouring lines stand in one column", `
version: 1   # one
set: search  # two
order: 5
rules: [] # three
`, `
version: 1  # one
set: search # two
order: 5
rules: [] # three
`},
		{"a # within a text is no comment", `
version: 1
rules:
  - name: a
    description: 'a # b'
    action:
      respond:
        status: 400
        body: |
          # not a comment
            # nor this

          a#b "
    # this is one
`, `
version: 1
rules:
  - name: a
    description: 'a # b'
    action:
      respond:
        status: 400
        body: "# not a comment\n  # nor this\n\na#b \"\n"
    # this is one
`},
		{"a text that its author folded stays folded", `
version: 1
rules:
  - name: a
    description: >- # why
      One of many
      words.

      And another.
`, `
version: 1
rules:
  - name: a
    description: >- # why
      One of many words.

      And another.
`},
		{"documents stay apart, with what stands between them", `
# first
version: 1
set: a
rules: []
# behind the first
---
# nothing here
---
version: 1
set: b
rules: []
...
# behind the second
`, `
# first
version: 1
set: a
rules: []
# behind the first
---
# nothing here
version: 1
set: b
rules: []
# behind the second
`},
		{"where there are anchors nothing changes places", `
rules:
  - name: a
    action: &to {upstream: b}
  - action: *to
    name: c
version: 1
`, `
rules:
  - name: a
    action: &to {upstream: b}
  - action: *to
    name: c
version: 1
`},
		{"anchors of blocks stay on their line", `
version: 1
rules:
  - name: a
    match: &m
      model: [b]
    action: {}
  - &r
    name: c
    match: *m
`, `
version: 1
rules:
  - name: a
    match: &m
      model: [b]
    action: {}
  - &r
    name: c
    match: *m
`},
		{"line ends of Windows become line feeds", "version: 1 # one\r\nrules:\r\n- name: a\r\n  # b\r\n  match: {}\r\n", `
version: 1 # one
rules:
  - name: a
    # b
    match: {}
`},
		{"a mark at the beginning goes", "\ufeff# top\nversion: 1\nrules: []\n", `
# top
version: 1
rules: []
`},
		{"tags that say nothing new go", `
!!map
version: !!int 1
rules: !!seq
  - name: !!str a
    description: !!str 5
    enabled: !!bool True
`, `
version: 1
rules:
  - name: a
    description: "5"
    enabled: true
`},
		{"JSON is YAML", `{"version": 1, "rules": [{"name": "a", "match": {"model": ["b"]}}, {"name": "c", "description": "` + strings.Repeat("x", 80) + `"}]}`, `
version: 1
rules:
  - {name: a, match: {model: [b]}}
  - {name: c, description: ` + strings.Repeat("x", 80) + `}
`},
		{"a very long name has a line for itself", `
version: 1
rules:
  - name: a
    match:
      query:
        ` + strings.Repeat("x", 200) + `: # one
          prefix: b # two
        ` + strings.Repeat("y", 200) + `: {prefix: b} # three
`, `
version: 1
rules:
  - name: a
    match:
      query:
        ? ` + strings.Repeat("x", 200) + ` # one
        :
          prefix: b # two
        ? ` + strings.Repeat("y", 200) + ` # three
        :
          prefix: b
`},
		{"a comment may stand close behind brackets and quotes", `
version: 1
rules:
  - name: a
    match: {model: [b]}# one
    description: "c"#two
`, `
version: 1
rules:
  - name: a
    description: c      #two
    match: {model: [b]} # one
`},
		{"a blank line behind the comments at the top stays", `

# what the file is about

version: 1
rules: []
`, `
# what the file is about

version: 1
rules: []
`},
		{"a field that comes to stand first brings its blank line along", `
#2
rules: []
#0
#1
#3

version: 1
set: default
order: 0
`, `
#2
#0
#1
#3

version: 1
set: default
order: 0
rules: []
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), formatted(t, c.source)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFileWithProblemsIsNotFormatted(t *testing.T) {
	source := []byte("version: 1\nrules: [{name: a, matsch: {}}]\n")
	_, want := rules.Decode("rules.yaml", source)
	text, problems := rules.Format("rules.yaml", source)
	if diff := cmp.Diff(want, problems); diff != "" || text != nil || len(problems) != 1 {
		t.Errorf("%q (-decoding +formatting):\n%s", text, diff)
	}
}

func TestOnlyUTF8IsFormatted(t *testing.T) {
	source := []byte{0xff, 0xfe} // a mark, and UTF-16 behind it
	for _, c := range []byte("version: 1\nrules: []\n") {
		source = append(source, c, 0)
	}
	if files, problems := rules.Decode("rules.yaml", source); len(files) != 1 || len(problems) > 0 {
		t.Fatalf("decoding: %v", problems)
	}
	text, problems := rules.Format("rules.yaml", source)
	if text != nil || problems.Error() != "rules.yaml:1:1: the file is not UTF-8" {
		t.Errorf("%q, %v", text, problems)
	}
}

func TestWhatEncodeWritesFormatLeavesAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := rules.Merge(nil, drawWritten(t))
		encoded := rules.Encode(files)
		if got := formatted(t, string(encoded)); len(got) == 0 {
			t.Fatalf("nothing is left of\n%s", encoded)
		}
	})
}

// drawStyled writes sets in one of several layouts.
func drawStyled(t *rapid.T) string {
	files := drawWritten(t)
	switch encoded := rules.Encode(files); rapid.IntRange(0, 2).Draw(t, "style") {
	case 0:
		return string(encoded)
	case 1:
		return shuffled(t, encoded)
	}
	var out strings.Builder
	for i, f := range files {
		if i > 0 {
			out.WriteString("---\n")
		}
		list, err := json.MarshalIndent(f.Rules, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if f.Rules == nil {
			list = []byte("[]")
		}
		fmt.Fprintf(&out, "{\"rules\": %s,\n  \"set\": %q, \"version\": 1, \"order\": %d}\n", list, f.Set, f.Order)
	}
	return out.String()
}

// shuffled brings the fields of every object into another order.
func shuffled(t *rapid.T, source []byte) string {
	var out bytes.Buffer
	decoder, encoder := yaml.NewDecoder(bytes.NewReader(source)), yaml.NewEncoder(&out)
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return out.String()
		} else if err != nil {
			t.Fatal(err)
		}
		var mappings []*yaml.Node
		collectMappings(document.Content[0], &mappings)
		for _, n := range mappings {
			if len(n.Content) < 4 {
				continue
			}
			turn := 2 * rapid.IntRange(0, len(n.Content)/2-1).Draw(t, "turn")
			n.Content = append(n.Content[turn:len(n.Content):len(n.Content)], n.Content[:turn]...)
		}
		if err := encoder.Encode(&document); err != nil {
			t.Fatal(err)
		}
	}
}

// noted puts comments and blank lines into a text, wherever they change nothing
// of what it says.
func noted(t *rapid.T, source string) (text string, comments []string) {
	before, problems := rules.Decode("rules.yaml", []byte(source))
	if len(problems) > 0 {
		t.Skip("JSON's escapes are not YAML's") // such as \/ or surrogate pairs
	}
	lines := strings.Split(strings.TrimSuffix(source, "\n"), "\n")
	for range rapid.IntRange(1, 6).Draw(t, "comments") {
		at := rapid.IntRange(0, len(lines)).Draw(t, "line")
		comment := fmt.Sprintf("#%d", len(comments))
		var changed []string
		switch {
		case rapid.Bool().Draw(t, "alone"):
			indent := strings.Repeat(" ", rapid.IntRange(0, 12).Draw(t, "indent"))
			changed = slices.Insert(slices.Clone(lines), at, indent+comment)
		case rapid.Bool().Draw(t, "blank"):
			changed, comment = slices.Insert(slices.Clone(lines), at, ""), ""
		case at < len(lines):
			changed = slices.Clone(lines)
			changed[at] += " " + comment
		default:
			continue
		}
		after, problems := rules.Decode("rules.yaml", []byte(strings.Join(changed, "\n")+"\n"))
		if len(problems) > 0 || !cmp.Equal(before, after, setsEqual) {
			continue // it stood in the middle of a text
		}
		if lines = changed; comment != "" {
			comments = append(comments, comment)
		}
	}
	return strings.Join(lines, "\n") + "\n", comments
}

func TestFormatKeepsEveryCommentAndWhatTheSetsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source, comments := noted(t, drawStyled(t))
		text := formatted(t, source)
		for _, comment := range comments {
			if strings.Count(text, comment) < 1 {
				t.Fatalf("comment %s is lost:\n%s\nbecame\n%s", comment, source, text)
			}
		}
	})
}

func TestLargeFilesAreFormattedInBoundedTime(t *testing.T) {
	const n = 20_000
	rule := func(i int) string { return fmt.Sprintf("  - name: r%d # c\n    match: {model: [m%d]}\n\n", i, i) }
	var many strings.Builder
	for i := range n / 4 {
		many.WriteString(rule(i))
	}
	for name, source := range map[string]string{
		"rules":                        "version: 1\nrules:\n" + many.String(),
		"one long line":                "version: 1\nrules:\n  - name: a\n    match: {model: [a" + strings.Repeat(", a", n) + "]}\n" + strings.Repeat("    # c\n", n),
		"comments behind a long line":  "version: 1\nrules:\n  - name: a\n    match: {model: [a" + strings.Repeat(", a", n) + "\n  ]} # c\n" + strings.Repeat("# c\n", n),
		"comments between documents":   "version: 1\nrules: []\n" + strings.Repeat("---\n# c\n", n) + "---\nversion: 1\nset: b\nrules: []\n",
		"comments within brackets":     "version: 1\nrules:\n  - name: a\n    match: {model: [a" + strings.Repeat(", # c\n a", n) + "]}\n",
		"blank lines":                  "version: 1\n" + strings.Repeat("\n", n) + "rules: []\n",
		"a text of many lines":         "version: 1\nrules:\n  - name: a\n    description: |\n" + strings.Repeat("      a # b\n", n),
		"a folded text of many words":  "version: 1\nrules:\n  - name: a\n    description: >\n" + strings.Repeat("      a # b\n", n),
		"a quoted text of many lines":  "version: 1\nrules:\n  - name: a\n    description: \"" + strings.Repeat("a # b\n      ", n) + "\"\n",
		"comments with trailing blank": "version: 1\nrules: []\n" + strings.Repeat("#   \n", n),
	} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			text, problems := rules.Format("rules.yaml", []byte(source))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if want, got := strings.Count(source, "# c"), strings.Count(string(text), "# c"); got != want {
				t.Errorf("%d comments of %d", got, want)
			}
		})
	}
}

func FuzzFormat(f *testing.F) {
	for _, seed := range []string{
		"version: 1\nrules: []\n", "# a\nversion: 1 # b\nrules:\n- name: a # c\n  # d\n  match: {model: [ # e\n b ]}\n# f\n",
		"rules: [{name: a, action: &x {upstream: b}}, {name: c, action: *x}]\nversion: 1\n---\nset: b\nversion: 1\nrules: []\n",
		"version: 1\nrules:\n  - name: a\n    description: |2-\n        b\n      # c\n    action: {respond: {status: 400, body: \"a\\\n      #b\"}}\n",
		"version: 1\nrules:\n  - name: a\n    description: >+\n      b\n\n\n      c # d\n\n  # e\n",
		"? version\n: 1\n? rules\n: - ? name\n    : a\n", everything, "--- # a\n{version: 1, rules: []} # b\n... # c\n", "%YAML 1.1\n---\nversion: 1\nrules: []\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		text, problems := rules.Format("rules.yaml", source)
		if len(problems) > 0 {
			if strings.Contains(problems.Error(), "cannot be laid out") {
				t.Fatalf("%v\n%s", problems, source)
			}
			return
		}
		formatted(t, string(source))
		if bytes.ContainsAny(text, "\r") {
			t.Fatalf("a carriage return in %q", text)
		}
	})
}
