package rules_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
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
	tagNames   = []string{"plan", "team"}
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
	m := drawWireMatch(t)
	m.Key = drawSome(t, []string{"*", "ci-*", "ci-bot", "*-bot", "dana"}, "key")
	m.User = drawSome(t, []string{"*", "d*", "dana"}, "user")
	for _, name := range drawSome(t, tagNames, "tag") {
		if m.Tag == nil {
			m.Tag = map[string]string{}
		}
		m.Tag[name] = rapid.SampledFrom([]string{"*", "a", "a*", "", "*b"}).Draw(t, "tag value")
	}
	m.Source = drawSome(t, []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32", "::/0"}, "source")
	if rapid.IntRange(0, 3).Draw(t, "size?") == 0 {
		size := func(label string) *int64 {
			n := rapid.SampledFrom([]int64{0, 1, 10, 10_000, 1 << 20}).Draw(t, label)
			return &n
		}
		m.BodyBytes = rapid.SampledFrom([]*rules.Bounds{{GT: size("gt")}, {LT: size("lt")}, {GT: size("gt"), LT: size("lt")}}).Draw(t, "size")
		if b := m.BodyBytes; b.GT == nil && *b.LT == 0 || b.GT != nil && b.LT != nil && *b.GT+1 >= *b.LT {
			m.BodyBytes = nil // refused: it takes nothing
		}
	}
	return m
}

// drawBlock makes a Match, often with a block that must not hold.
func drawBlock(t *rapid.T) rules.Match {
	m := drawMatch(t)
	if rapid.IntRange(0, 2).Draw(t, "not?") == 0 {
		if not := drawMatch(t); !reflect.DeepEqual(not, rules.Match{}) {
			m.Not = &not
		}
		if deeper := drawMatch(t); m.Not != nil && rapid.Bool().Draw(t, "not not?") && !reflect.DeepEqual(deeper, rules.Match{}) {
			m.Not.Not = &deeper
		}
	}
	return m
}

func drawWireMatch(t *rapid.T) rules.Match {
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
				Match:    drawBlock(t),
				Action:   rules.Action{Respond: &rules.Respond{Status: status}},
			})
			if r := &f.Rules[len(f.Rules)-1]; rapid.IntRange(0, 3).Draw(t, "continue") == 0 {
				r.Continue, r.Action = true, rules.Action{Headers: rules.HeaderEdits{Remove: []string{"x-a"}}}
			}
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
	q.Key = rapid.SampledFrom([]string{"", "ci-bot", "ci-x", "dana"}).Draw(t, "key")
	q.User = rapid.SampledFrom([]string{"", "dana", "erin"}).Draw(t, "user")
	q.Tags = rapid.MapOfN(rapid.SampledFrom(tagNames), rapid.SampledFrom(values), 0, 2).Draw(t, "tags")
	q.UserTags = rapid.MapOfN(rapid.SampledFrom(tagNames), rapid.SampledFrom(values), 0, 2).Draw(t, "user's tags")
	if source := rapid.SampledFrom([]string{"", "10.1.2.3", "::ffff:10.1.2.3", "10.9.9.9", "192.0.2.1", "2001:db8::1", "fe80::1%eth0"}).Draw(t, "source"); source != "" {
		q.Source = netip.MustParseAddr(source)
	}
	q.BodyBytes = rapid.SampledFrom([]int64{-1, 0, 1, 2, 10, 11, 9_999, 10_001, 1 << 20}).Draw(t, "body")
	q.Random = rapid.Uint64().Draw(t, "random")
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

// naive is the rule language over again, as slow and plain as can be: the rule
// that decides, and those before it that go on.
func naive(files []rules.File, q *rules.Request) (decides string, passed []string) {
	sorted := slices.Clone(files)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		return a.Order < b.Order || a.Order == b.Order && a.Set < b.Set
	})
	for _, f := range sorted {
		for _, r := range f.Rules {
			if r.Disabled || slices.Contains(naiveHolds(&r.Match, q), false) {
				continue
			}
			if !r.Continue {
				return r.Name, passed
			}
			passed = append(passed, r.Name)
		}
	}
	return "", passed
}

// naiveHolds says of every matcher that is given whether it holds.
func naiveHolds(m *rules.Match, q *rules.Request) (holds []bool) {
	say := func(given, held bool) {
		if given {
			holds = append(holds, held)
		}
	}
	query, _ := url.ParseQuery(q.RawQuery)
	host, _, _ := strings.Cut(strings.ToLower(q.Host), ":")
	oneOf := func(patterns []string, text string, translate func(string) string) bool {
		for _, p := range patterns {
			if regexp.MustCompile("(?s)^" + translate(p) + "$").MatchString(text) {
				return true
			}
		}
		return false
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
	say(m.Path.Globs != nil, oneOf(m.Path.Globs, q.Path, path))
	say(m.Path.Regex != "", regexp.MustCompile(m.Path.Regex).MatchString(q.Path))
	say(m.Method != nil, slices.Contains(m.Method, q.Method))
	say(m.Host != nil, oneOf(m.Host, host, star(`[^.]+`)))
	for name, text := range m.Header {
		say(true, naiveText(text, q.Header[textproto.CanonicalMIMEHeaderKey(name)]))
	}
	for name, text := range m.Query {
		say(true, naiveText(text, query[name]))
	}
	say(m.Model != nil, q.HasModel && (take == nil || oneOf(take, q.Model, star(".*"))) && !oneOf(except, q.Model, star(".*")))
	say(m.Stream != nil, m.Stream != nil && *m.Stream == q.Stream)
	say(m.Key != nil, q.Key != "" && oneOf(m.Key, q.Key, star(".*")))
	say(m.User != nil, q.User != "" && oneOf(m.User, q.User, star(".*")))
	for name, glob := range m.Tag {
		value, ok := q.Tags[name]
		if !ok {
			value, ok = q.UserTags[name]
		}
		say(true, ok && oneOf([]string{glob}, value, star(".*")))
	}
	say(m.Source != nil, slices.ContainsFunc(m.Source, func(cidr string) bool {
		_, network, _ := net.ParseCIDR(cidr)
		ip := net.IP(nil)
		if q.Source.IsValid() {
			ip = net.IP(q.Source.WithZone("").AsSlice())
		}
		return ip != nil && network.Contains(ip)
	}))
	if b := m.BodyBytes; b != nil {
		say(true, q.BodyBytes >= 0 && (b.GT == nil || q.BodyBytes > *b.GT) && (b.LT == nil || q.BodyBytes < *b.LT))
	}
	say(m.Not != nil, m.Not == nil || !slices.Contains(naiveHolds(m.Not, q), true))
	return holds
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
		var d rules.Decision // used again and again
		for range 20 {
			q := drawRequest(t)
			want, wantPassed := naive(files, q)
			set.Decide(q, &d)
			if got := ruleName(d.Rule); got != want {
				t.Fatalf("%+v is taken by %q, not by %q", q, got, want)
			}
			if got := ruleNames(d.Passed); !slices.Equal(got, wantPassed) {
				t.Fatalf("%+v passes %q, not %q", q, got, wantPassed)
			}
		}
	})
}

func ruleName(r *rules.Compiled) string {
	if r == nil {
		return ""
	}
	return r.Name
}

func ruleNames(passed []*rules.Compiled) (names []string) {
	for _, r := range passed {
		names = append(names, r.Name)
	}
	return names
}

func TestExplainAgreesWithDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		set, problems := rules.Compile(rules.Config{Files: files})
		if set == nil {
			t.Fatalf("compiling: %v", problems)
		}
		for range 10 {
			q := drawRequest(t)
			d := decide(set, q)
			reasons := set.Explain(q)
			if len(reasons) != len(set.All()) {
				t.Fatalf("%d reasons for %d rules", len(reasons), len(set.All()))
			}
			decides, passed := "", []string(nil)
			for i, r := range reasons {
				name := r.Listed.Rule.Name
				holds := !slices.Contains(naiveHolds(&r.Listed.Rule.Match, q), false)
				switch {
				case r.Listed.Position != i+1:
					t.Fatalf("rule %s stands at %d of the reasons", name, i)
				case (r.Verdict == rules.Disabled) != r.Listed.Rule.Disabled:
					t.Fatalf("rule %s: %s", name, r.Verdict)
				case r.Verdict == rules.Unreached && decides == "":
					t.Fatalf("rule %s is unreached before one decides", name)
				case r.Verdict != rules.Disabled && (r.Matcher == "") != holds, (r.String() == "") != (r.Matcher == ""):
					t.Fatalf("rule %s: %s, %+v", name, r.Verdict, r)
				}
				switch r.Verdict {
				case rules.Yes:
					decides = name
				case rules.Continue:
					passed = append(passed, name)
				}
			}
			if decides != ruleName(d.Rule) || !slices.Equal(passed, ruleNames(d.Passed)) {
				t.Fatalf("explained as %q behind %q, decided as %q behind %q", decides, passed, ruleName(d.Rule), ruleNames(d.Passed))
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
			d := decide(set, drawRequest(t))
			for _, r := range append(d.Passed, d.Rule) {
				if dead[ruleName(r)] {
					t.Fatalf("rule %s takes a request", r.Name)
				}
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

func drawTimeouts(t *rapid.T) accounts.Timeouts {
	span := rapid.SampledFrom([]time.Duration{0, 0, accounts.NoTimeout, time.Nanosecond, 1500 * time.Millisecond, 90 * time.Second, time.Hour})
	return accounts.Timeouts{Connect: span.Draw(t, "connect"), FirstToken: span.Draw(t, "first token"), Total: span.Draw(t, "total")}
}

func drawLimits(t *rapid.T) (limits []accounts.Limit) {
	for range rapid.IntRange(0, 2).Draw(t, "limits") {
		l := accounts.Limit{
			Amount: rapid.SampledFrom([]int64{1, 600, 10_000, 12_345, 2_000_000, 3_000_000_000, 37_100_000}).Draw(t, "amount"),
			Unit:   rapid.SampledFrom([]accounts.LimitUnit{accounts.Requests, accounts.Tokens, accounts.USD, accounts.Concurrent}).Draw(t, "unit"),
			Window: rapid.SampledFrom([]accounts.LimitWindow{accounts.PerSecond, accounts.PerMinute, accounts.PerHour, accounts.PerDay, accounts.PerMonth}).Draw(t, "window"),
			Per:    rapid.SampledFrom([]accounts.LimitScope{accounts.ByKey, accounts.ByUser, accounts.ByRule, "tag:team"}).Draw(t, "per"),
		}
		if l.Unit == accounts.Concurrent {
			l.Window = accounts.WindowNone
		}
		limits = append(limits, l)
	}
	return limits
}

func drawEntries(t *rapid.T, label string, least int) (entries []rules.Entry) {
	for range rapid.IntRange(least, 3).Draw(t, label) {
		entries = append(entries, rules.Entry{
			Name:     rapid.SampledFrom([]string{"a", "b", "5", "true"}).Draw(t, "name"),
			Weight:   rapid.IntRange(0, 3).Draw(t, "weight"),
			Model:    rapid.SampledFrom([]string{"", "m", "org/${model}", "5"}).Draw(t, "model"),
			Path:     rapid.SampledFrom([]*rules.PathEdit{nil, nil, {Set: "/x/${tag.team}"}, {StripPrefix: "/a"}}).Draw(t, "path"),
			Timeouts: drawTimeouts(t),
		})
	}
	return entries
}

// drawAttempts adds to an action what is said of how requests are sent.
func drawAttempts(t *rapid.T, a *rules.Action) {
	a.Timeouts, a.Limits = drawTimeouts(t), drawLimits(t)
	a.BodyLog = rapid.Bool().Draw(t, "body log")
	a.OnClientGone = rapid.SampledFrom([]string{"", "cancel", "finish"}).Draw(t, "client gone")
	a.Retry = rapid.SampledFrom([]*rules.Retry{
		nil, {On: rules.RetryWhen(rules.OnReset|rules.OnTimeout, 429, 500, 529, 599)}, {Attempts: 3}, {Within: 1500 * time.Millisecond, On: rules.RetryWhen(rules.OnConnect)},
	}).Draw(t, "retry")
	if a.Upstream != "" && rapid.Bool().Draw(t, "several") {
		a.Upstream, a.Upstreams = "", drawEntries(t, "upstreams", 1)
		a.Affinity = rapid.SampledFrom([]string{"", "key", "none", "header:X-Team"}).Draw(t, "affinity")
	}
	if a.Respond == nil {
		a.Fallback = drawEntries(t, "fallback", 0)
	}
}

func drawWritten(t *rapid.T) []rules.File {
	files := drawFiles(t)
	for i := range files {
		for j := range files[i].Rules {
			r := &files[i].Rules[j]
			if !r.Continue {
				r.Action = drawAction(t)
				drawAttempts(t, &r.Action)
			}
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

// Two teams apply their files in either order and get the same total order.
func TestWhoAppliesFirstDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		forwards, backwards := []rules.File(nil), []rules.File(nil)
		for i := range files {
			forwards = rules.Merge(forwards, files[i:i+1])
			backwards = rules.Merge(backwards, files[len(files)-1-i:len(files)-i])
		}
		a, problems := rules.Compile(rules.Config{Files: forwards})
		if a == nil {
			t.Fatalf("compiling: %v", problems)
		}
		b, _ := rules.Compile(rules.Config{Files: backwards})
		order := func(s *rules.Set) (names []string) {
			for _, l := range s.All() {
				names = append(names, fmt.Sprintf("%d %s/%s", l.Position, l.Set, l.Rule.Name))
			}
			return names
		}
		if diff := cmp.Diff(order(a), order(b)); diff != "" {
			t.Fatalf("(-one way +the other):\n%s", diff)
		}
		if !bytes.Equal(rules.Encode(forwards), rules.Encode(backwards)) {
			t.Fatal("written differently")
		}
	})
}
