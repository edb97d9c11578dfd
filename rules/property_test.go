package rules_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

var setsEqual = cmp.Options{cmpopts.IgnoreUnexported(rules.File{}), cmpopts.EquateEmpty()}

// The words that random rules and requests are made of: few, so that they meet.
var (
	pathGlobs  = []string{"/", "/**", "/v1", "/v1/**", "/v1/*", "/v1/a", "/v1/a*", "/v1/*/b", "/v1/a/**", "/v1/*/**", "/v2/a/b", "/v1/ab/*c"}
	paths      = []string{"/", "/v1", "/v1/", "/v1/a", "/v1/ab", "/v1/a/b", "/v1/ab/c", "/v1/ab/bc", "/v2/a/b", "/v10", "/x/y/z"}
	modelGlobs = []string{"*", "gpt-*", "gpt-5", "gpt-5*", "*-mini", "gpt-*-mini", "claude-*", "a*a", "!gpt-5*", "!*-mini", "!claude-x", "!*", "g*"}
	modelNames = []string{"", "gpt-5", "gpt-5-mini", "gpt-4o", "gpt-4o-mini", "claude-x", "claude-y", "a", "aa", "aba", "g", "gp"}
	values     = []string{"", "a", "ab", "abc", "b", "cab"}
	names      = []string{"x-a", "X-B", "x-c"}
)

func drawSome(t *rapid.T, from []string, label string) []string {
	if rapid.IntRange(0, 2).Draw(t, label+"?") > 0 {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 3, rapid.ID[string]).Draw(t, label)
}

func drawTests(t *rapid.T, label string) map[string]rules.Text {
	tests := map[string]rules.Text{}
	for _, name := range drawSome(t, names, label) {
		value := rapid.SampledFrom(values[1:]).Draw(t, label+" value")
		yes := rapid.Bool().Draw(t, label+" exists")
		tests[name] = rapid.SampledFrom([]rules.Text{
			{Equals: value}, {}, {Prefix: value}, {Suffix: value}, {Contains: value}, {Regex: "^" + value + ".$"}, {In: []string{value, "b"}}, {Exists: &yes},
		}).Draw(t, label+" test")
	}
	if len(tests) == 0 {
		return nil
	}
	return tests
}

func drawMatch(t *rapid.T) rules.Match {
	m := rules.Match{
		Path:   rules.Paths{Globs: drawSome(t, pathGlobs, "path")},
		Method: drawSome(t, []string{"GET", "POST", "PUT"}, "method"),
		Host:   drawSome(t, []string{"a.example", "*.example", "b.a.example"}, "host"),
		Header: drawTests(t, "header"),
		Query:  drawTests(t, "query"),
		Model:  drawSome(t, modelGlobs, "model"),
	}
	if m.Path.Globs == nil && rapid.IntRange(0, 5).Draw(t, "regex?") == 0 {
		m.Path.Regex = rapid.SampledFrom([]string{"^/v1", "a", "b$"}).Draw(t, "regex")
	}
	if rapid.IntRange(0, 3).Draw(t, "stream?") == 0 {
		stream := rapid.Bool().Draw(t, "stream")
		m.Stream = &stream
	}
	return m
}

// drawFiles makes sets whose rules answer with a status of their own.
func drawFiles(t *rapid.T) []rules.File {
	var files []rules.File
	status := 200
	for _, set := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"default", "alpha", "zulu"}), 1, 3, rapid.ID[string]).Draw(t, "sets") {
		f := rules.File{Set: set, Order: rapid.IntRange(0, 2).Draw(t, "order")}
		for range rapid.IntRange(0, 12).Draw(t, "rules") {
			status++
			f.Rules = append(f.Rules, rules.Rule{
				Name:     fmt.Sprintf("r%d", status),
				Disabled: rapid.IntRange(0, 5).Draw(t, "disabled") == 0,
				Match:    drawMatch(t),
				Action:   rules.Action{Respond: &rules.Respond{Status: status}},
			})
		}
		files = append(files, f)
	}
	return files
}

func drawRequest(t *rapid.T) *rules.Request {
	q := &rules.Request{
		Method: rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE"}).Draw(t, "method"),
		Host:   rapid.SampledFrom([]string{"", "a.example", "A.Example:80", "b.a.example", "example"}).Draw(t, "host"),
		Path:   rapid.SampledFrom(paths).Draw(t, "path"),
		Header: map[string][]string{},
		Model:  rapid.SampledFrom(modelNames).Draw(t, "model"),
		Stream: rapid.Bool().Draw(t, "stream"),
	}
	q.HasModel = q.Model != "" || rapid.Bool().Draw(t, "has model")
	query := url.Values{}
	for _, name := range names {
		for range rapid.IntRange(0, 2).Draw(t, "values") {
			value := rapid.SampledFrom(values).Draw(t, "value")
			q.Header[textproto.CanonicalMIMEHeaderKey(name)] = append(q.Header[textproto.CanonicalMIMEHeaderKey(name)], value)
			query.Add(name, value)
		}
	}
	q.RawQuery = query.Encode()
	return q
}

// naive is the rule language over again, as slow and plain as can be.
func naive(files []rules.File, q *rules.Request) string {
	sorted := slices.Clone(files)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		return a.Order < b.Order || a.Order == b.Order && a.Set < b.Set
	})
	for _, f := range sorted {
		for _, r := range f.Rules {
			if !r.Disabled && naiveMatch(&r.Match, q) {
				return r.Name
			}
		}
	}
	return ""
}

func naiveMatch(m *rules.Match, q *rules.Request) bool {
	query, _ := url.ParseQuery(q.RawQuery)
	host, _, _ := strings.Cut(strings.ToLower(q.Host), ":")
	oneOf := func(patterns []string, text string, translate func(string) string) bool {
		for _, p := range patterns {
			if regexp.MustCompile("(?s)^" + translate(p) + "$").MatchString(text) {
				return true
			}
		}
		return len(patterns) == 0
	}
	star := func(within string) func(string) string {
		return func(p string) string { return strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, within) }
	}
	path := func(p string) string {
		if tree, ok := strings.CutSuffix(p, "/**"); ok {
			return star("[^/]*")(tree) + "(/.*)?"
		}
		return star("[^/]*")(p)
	}
	var take, except []string
	for _, p := range m.Model {
		if p[0] == '!' {
			except = append(except, p[1:])
		} else {
			take = append(take, p)
		}
	}
	model := m.Model == nil || q.HasModel && oneOf(take, q.Model, star(".*")) && (except == nil || !oneOf(except, q.Model, star(".*")))
	for name, text := range m.Header {
		if !naiveText(text, q.Header[textproto.CanonicalMIMEHeaderKey(name)]) {
			return false
		}
	}
	for name, text := range m.Query {
		if !naiveText(text, query[name]) {
			return false
		}
	}
	return model && oneOf(m.Path.Globs, q.Path, path) && regexp.MustCompile(m.Path.Regex).MatchString(q.Path) &&
		(m.Method == nil || slices.Contains(m.Method, q.Method)) && oneOf(m.Host, host, star(`[^.]+`)) &&
		(m.Stream == nil || *m.Stream == q.Stream)
}

func naiveText(t rules.Text, values []string) bool {
	if t.Exists != nil {
		return *t.Exists == (len(values) > 0)
	}
	for _, v := range values {
		switch {
		case t.Prefix != "" && strings.HasPrefix(v, t.Prefix), t.Suffix != "" && strings.HasSuffix(v, t.Suffix),
			t.Contains != "" && strings.Contains(v, t.Contains), t.Regex != "" && regexp.MustCompile(t.Regex).MatchString(v),
			slices.Contains(t.In, v):
			return true
		case t.Prefix+t.Suffix+t.Contains+t.Regex == "" && t.In == nil && v == t.Equals:
			return true
		}
	}
	return false
}

func TestDecideAgreesWithANaiveMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		set, problems := rules.Compile(rules.Config{Files: files})
		if set == nil {
			t.Fatalf("compiling: %v", problems)
		}
		for range 20 {
			q := drawRequest(t)
			got, want := "", naive(files, q)
			if d := set.Decide(q); d.Rule != nil {
				got = d.Rule.Name
			}
			if got != want {
				t.Fatalf("%+v is taken by %q, not by %q", q, got, want)
			}
		}
	})
}

func TestARuleThatIsSaidNeverToMatchNeverDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		set, problems := rules.Compile(rules.Config{Files: files})
		dead := map[string]bool{}
		for _, p := range problems {
			if strings.Contains(p.Message, "can never match") {
				dead[p.Rule] = true
			}
		}
		for range 20 {
			if d := set.Decide(drawRequest(t)); d.Rule != nil && dead[d.Rule.Name] {
				t.Fatalf("rule %s decides", d.Rule.Name)
			}
		}
	})
}

// drawText makes text that YAML has trouble with.
func drawText(label string) *rapid.Generator[string] {
	odd := []string{
		"true", "no", "~", "null", "5", "1e3", "0x10", "2026-01-01", "- a", "a: b", "a #b", "#", "'", `"`, "*a", "&a", "!a", "@", "`", "%", "{", "[", "? ", "|", ">", "---", "...", "=", "<<", "a\nb", "a\nb\n", " a\n b", "a\n\n\nb", "\na", "a\n", "a \nb", "é", "日本", "😀", "\u2028", "\u00a0", "\ufeff", "tab\tin", " lead", "trail ", "a,b", "a]", ".inf", "y", "on",
	}
	return rapid.OneOf(rapid.SampledFrom(odd), rapid.StringMatching(`[a-z :#,'"\-]{1,12}`), rapid.String())
}

func drawAction(t *rapid.T) rules.Action {
	text := drawText("text")
	var a rules.Action
	edits := func(label string) (e rules.HeaderEdits) {
		value := strings.Trim(strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return 'c'
			}
			return r
		}, text.Draw(t, label)), " \t")
		if strings.Contains(value, "${") {
			value = ""
		}
		switch rapid.IntRange(0, 3).Draw(t, label+" kind") {
		case 0:
			e.Set = map[string]string{"x-set": value, "true": value}
		case 1:
			e.Add, e.Remove = map[string]string{"5": value}, []string{"x-a", "null"}
		}
		return e
	}
	switch rapid.IntRange(0, 3).Draw(t, "action") {
	case 0:
		a.Upstream = rapid.SampledFrom([]string{"a", "5", "0x10", "true"}).Draw(t, "upstream")
		a.Path = rapid.SampledFrom([]*rules.PathEdit{nil, {Set: "/x"}, {StripPrefix: "/a", AddPrefix: "/b"}, {Replace: &rules.Replace{Regex: "a+", With: "$1"}}, {Replace: &rules.Replace{Regex: "a"}}}).Draw(t, "path")
	case 1:
		a.Target, a.Model = "https://a.example/x", rapid.SampledFrom([]string{"", "5", "gpt-5", "*", "a b"}).Draw(t, "model")
	case 2:
		a.Respond = &rules.Respond{Status: 400, Message: text.Draw(t, "message")}
	case 3:
		a.Respond = &rules.Respond{Status: 200, Body: text.Draw(t, "body")}
		if rapid.Bool().Draw(t, "answer's headers") {
			a.Respond.Headers = map[string]string{"content-type": "text/plain"}
		}
	}
	a.Headers, a.ResponseHeaders = edits("headers"), edits("response headers")
	return a
}

func drawWritten(t *rapid.T) []rules.File {
	files := drawFiles(t)
	for i := range files {
		for j := range files[i].Rules {
			r := &files[i].Rules[j]
			r.Action = drawAction(t)
			if d := drawText("description").Draw(t, "description"); !strings.ContainsFunc(d, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
				r.Description = d
			}
		}
	}
	return files
}

func TestWhatIsEncodedIsDecodedTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawWritten(t)
		encoded := rules.Encode(files)
		decoded, problems := rules.Decode("encoded", encoded)
		if len(problems) > 0 {
			t.Fatalf("decoding: %v\n%s", problems, encoded)
		}
		if diff := cmp.Diff(rules.Merge(nil, files), decoded, setsEqual); diff != "" {
			t.Fatalf("(-written +decoded):\n%s\n%s", diff, encoded)
		}
		if again := rules.Encode(decoded); !bytes.Equal(again, encoded) {
			t.Fatalf("encoded twice:\n%s\nand\n%s", encoded, again)
		}
	})
}

func TestARuleGoesThroughJSONUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, f := range drawWritten(t) {
			for _, r := range f.Rules {
				encoded, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				var decoded rules.Rule
				if err := json.Unmarshal(encoded, &decoded); err != nil {
					t.Fatalf("%v: %s", err, encoded)
				}
				if diff := cmp.Diff(r, decoded); diff != "" {
					t.Fatalf("(-written +decoded):\n%s\n%s", diff, encoded)
				}
			}
		}
	})
}

func TestAPlanOfNothingIsEmptyAndAnyOtherNamesWhatDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawWritten(t), drawWritten(t)
		total := 0
		for _, f := range after {
			total += len(f.Rules)
		}
		if changes, unchanged := rules.Plan(after, after); len(changes) > 0 || unchanged != total {
			t.Fatalf("a plan of nothing: %v, %d unchanged", changes, unchanged)
		}
		changes, unchanged := rules.Plan(before, after)
		named := 0
		for _, c := range changes {
			if c.Rule != "" && c.Op != "delete" {
				named++
			}
		}
		if named+unchanged != total {
			t.Fatalf("%d changes and %d unchanged of %d", named, unchanged, total)
		}
	})
}
