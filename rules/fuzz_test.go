package rules_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

// FuzzDecode: any text ends in sets that can be written and read again, or in
// problems that stand in the text.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		canonical, "", "---\n---\n", "version: 1\nrules: []\n", "version: 1\nrules: [&a {name: a}, *a, {<<: *a}]",
		head("match: {header: {x: {contians: a}}}"), head("action: {respond: {status: 99}, upstream: a}"),
		"rules: &r [*r]", "? [a]\n: b", "!!binary x", "a: |\n\n\n b", "\xff", "\ufeffversion: 1\nrules: []", "version: 1\nrules:\n  - name: ! a\n    match: {path: *b}",
		head(`match: &m {key: [a], tag: {a: "*"}, source: [10.0.0.0/8], body_bytes: {gt: 1KB, lt: 9999999999999}, not: {not: *m}}`),
		head("continue: true\naction: {limits: [$1.5/day, 2M tokens/min per tag:a], timeouts: {idle: 0, total: 1h1m}}"),
		head(`action: {upstreams: [{name: a, weight: 3, model: "${model}", path: {set: "/${tag.a}"}}], fallback: [{name: b}], affinity: header:x, retry: {on: [connect, 429, 599], within: 1ms}, on_client_gone: finish}`),
		head("match: {path: {regex: (}, model: ['!', '']}"), head(`action: {path: {set: "/%zz", replace: {regex: a, with: "${x}"}}}`),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		files, problems := rules.Decode("fuzz.yaml", source)
		lines := strings.Count(string(source), "\n") + strings.Count(string(source), "\r") + strings.Count(string(source), "\u2028") + strings.Count(string(source), "\u2029") + strings.Count(string(source), "\u0085") + 1
		utf16 := bytes.HasPrefix(source, []byte("\xff\xfe")) || bytes.HasPrefix(source, []byte("\xfe\xff"))
		for _, p := range problems {
			if p.File != "fuzz.yaml" || p.Line < 1 || p.Column < 1 || p.Line > lines && !utf16 || p.Message == "" || p.Warning {
				t.Fatalf("a problem without a place: %+v", p)
			}
			_ = p.Excerpt(source)
		}
		if len(problems) > 0 {
			return
		}
		encoded := rules.Encode(files)
		again, problems := rules.Decode("again.yaml", encoded)
		if len(problems) > 0 {
			t.Fatalf("what was written cannot be read: %v\n%s", problems, encoded)
		}
		if !bytes.Equal(rules.Encode(again), encoded) {
			t.Fatalf("written differently:\n%s\n%s", encoded, rules.Encode(again))
		}
		if diff := cmp.Diff(rules.Merge(nil, files), again, setsEqual); diff != "" {
			t.Fatalf("read differently:\n%s", diff)
		}
		_ = rules.Check(files) // must come to an end
	})
}

// FuzzRuleJSON: any JSON ends in a rule that is written and read again, or in
// an error.
func FuzzRuleJSON(f *testing.F) {
	f.Add([]byte(`{"name":"a","match":{"path":"/a","header":{"x":{"in":["b"]}}},"action":{"respond":{"status":400}}}`))
	f.Add([]byte(`{"name":1.5,"match":[null]}`))
	f.Fuzz(func(t *testing.T, source []byte) {
		var r, again rules.Rule
		if err := json.Unmarshal(source, &r); err != nil {
			return
		}
		if string(source) == "null" {
			return
		}
		encoded, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &again); err != nil || !r.Equal(again) {
			t.Fatalf("%s: %v", encoded, err)
		}
	})
}

// What costs other readers of YAML minutes is read or refused at once.
func TestHostileFilesAreReadInBoundedTime(t *testing.T) {
	const n = 100_000
	for name, source := range map[string]string{
		"nested lists":       strings.Repeat("- ", n),
		"nested flows":       strings.Repeat("[", n),
		"nested keys":        strings.Repeat("? ", n),
		"a line of colons":   strings.Repeat(":", n),
		"blank lines":        "version: |\n" + strings.Repeat("\n", n),
		"documents":          strings.Repeat("---\na: b\n", n/10),
		"comments":           strings.Repeat("- a # b\n# c\n\n", n/10),
		"anchors":            strings.Repeat("- &a b\n", n),
		"an open quote":      "version: \"" + strings.Repeat("a\n", n),
		"many unknown names": strings.Repeat("aaaaaaaaaaaaaaaa", 8) + ": 1\n" + manyKeys(n/10),
		"one long name":      strings.Repeat("a", n) + ": 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			if _, problems := rules.Decode("rules.yaml", []byte(source)); len(problems) == 0 {
				t.Error("there is no problem")
			}
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k")
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteByte(byte('a' + i%26))
		b.WriteString(": 1\n")
	}
	return b.String()
}
