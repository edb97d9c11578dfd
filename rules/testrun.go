package rules

import (
	"maps"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// Report is what came of tests.
type Report struct {
	Results   []Result // in the order of the tests
	Unreached []string // enabled rules that took no test's request, in their total order
}

// Result is what came of one test.
type Result struct {
	Name         string
	File         string
	Line, Column int
	Rule         string   // that decided; empty where none did
	Diff         []string // "-rule: trial-keys", "+rule: claude", what was expected first; empty where the test passed
	Reasons      []string // why the expected rule did not decide
}

// Passed says whether everything that the test states was so.
func (r *Result) Passed() bool { return len(r.Diff) == 0 }

// Failed is the number of tests that did not pass.
func (r *Report) Failed() int {
	failed := 0
	for i := range r.Results {
		if !r.Results[i].Passed() {
			failed++
		}
	}
	return failed
}

// RunTests decides the request of every test under the rules of files and
// compares what is expected. Upstreams are taken to exist: enabled, with a
// credential, and speaking every wire format. The problems are those of
// Compile; where there is an error among them, no test was run.
func RunTests(files []File, tests []Test) (Report, Problems) {
	set, problems := Compile(Config{Files: files, Upstreams: imagined(files)})
	if set == nil {
		return Report{}, problems
	}
	run := testRun{set: set, reached: map[string]bool{}}
	var report Report
	for i := range tests {
		report.Results = append(report.Results, run.one(&tests[i]))
	}
	for _, r := range set.Rules() {
		if !run.reached[r.Name] {
			report.Unreached = append(report.Unreached, r.Name)
		}
	}
	return report, problems
}

// imagined makes the upstreams that rules name. Generic ones take every wire
// format; nothing is sent, so any URL will do.
func imagined(files []File) []accounts.Upstream {
	names := map[string]bool{}
	for i := range files {
		for j := range files[i].Rules {
			for _, name := range files[i].Rules[j].Upstreams() {
				names[name] = true
			}
		}
	}
	var upstreams []accounts.Upstream
	for _, name := range slices.Sorted(maps.Keys(names)) {
		upstreams = append(upstreams, accounts.Upstream{
			Name: name, Provider: accounts.ProviderGeneric, URL: "https://upstream.invalid", Websocket: true, Enabled: true,
			Credentials: []accounts.Credential{{Name: "default", Reference: "env:UPSTREAM_KEY", Enabled: true}},
		})
	}
	return upstreams
}

// testRun runs tests one after the other.
type testRun struct {
	set      *Set
	decision Decision
	reached  map[string]bool
}

func (r *testRun) one(t *Test) Result {
	r.decision = Decision{}
	got := r.fateOf(&t.Request)
	for _, passed := range r.decision.Passed {
		r.reached[passed.Name] = true
	}
	if got.rule != "" {
		r.reached[got.rule] = true
	}
	result := Result{Name: t.Name, File: t.File, Line: t.Line, Column: t.Column, Rule: got.rule, Diff: got.differs(&t.Expect)}
	if t.Expect.Rule != "" && t.Expect.Rule != got.rule {
		result.Reasons = r.reasons(t)
	}
	return result
}

// reasons says why the expected rule did not decide.
func (r *testRun) reasons(t *Test) []string {
	var names []string
	for _, reason := range r.set.Explain(&t.Request) {
		if reason.Listed.Rule.Name == t.Expect.Rule {
			return []string{r.reason(&reason)}
		}
		names = append(names, reason.Listed.Rule.Name)
	}
	said := "there is no rule " + strconv.Quote(t.Expect.Rule)
	if near := nearestWord(t.Expect.Rule, names); near != "" {
		said += "; did you mean " + strconv.Quote(near) + "?"
	}
	return []string{said}
}

func (r *testRun) reason(reason *Reason) string {
	rule := "rule " + strconv.Quote(reason.Listed.Rule.Name)
	switch reason.Verdict {
	case Disabled:
		return rule + " is disabled"
	case Continue:
		return rule + " matched, and says continue"
	case Unreached:
		by := r.decision.Rule
		return rule + " was not asked: " + strconv.Quote(by.Name) + " (position " + strconv.Itoa(by.Position) + ") took the request before"
	}
	return rule + " did not match: " + reason.String()
}

// fate is what becomes of a request, as tests speak of it.
type fate struct {
	rule, upstream, model, code, path string
	status                            int
	headers                           map[string][]string
}

// forwardedStatus is that of a request that is sent upstream: the gateway does
// its part, and what the upstream answers no test of rules can know.
const forwardedStatus = 200

// testCodes are the codes of the refusals that can come of a test, whose
// upstreams lack nothing and whose request can be read.
func testCodes() []string {
	return []string{CodeNoRule, CodeWrongBaseURL, CodeNoDestination, CodeModelUnreadable, CodeBadRewrite, CodeNoWebsocket}
}

// fateOf writes out what the proxy would do first.
func (r *testRun) fateOf(q *Request) fate {
	if q.AsksForModels() {
		return fate{status: forwardedStatus} // which the gateway answers by itself, and asks no rule
	}
	d := &r.decision
	r.set.Decide(q, d)
	var f fate
	if d.Rule != nil {
		f.rule = d.Rule.Name
	}
	if refusal, refused := r.set.Refusal(q, d); refused {
		f.status, f.code = refusal.Status, refusal.Code
		return f
	}
	if d.Outcome == Answer {
		f.status = d.Rule.Respond.Status
		return f
	}
	f.forward(d, q)
	return f
}

// forward fills in what the first candidate gets.
func (f *fate) forward(d *Decision, q *Request) {
	c := d.Candidates[0]
	model, rewritten := d.Model(q, c)
	path, err := d.Path(q, c)
	if err == nil && rewritten && ReadPath(q.Path).HasModel {
		path, err = withModel(path, model)
	}
	if err != nil {
		refusal := RefuseRewrite(f.rule)
		f.status, f.code = refusal.Status, refusal.Code
		return
	}
	f.status, f.upstream, f.model, f.path = forwardedStatus, c.Name(), model, path
	f.headers = map[string][]string{}
	maps.Copy(f.headers, q.Header)
	d.EditHeaders(q, c, f.headers)
}

// differs lists what is not as it was expected, as a diff.
func (f *fate) differs(e *Expectation) (lines []string) {
	compare := func(what, want, got string, same bool) {
		if want != "" && !same {
			lines = append(lines, "-"+what+": "+want, "+"+what+": "+orNone(got))
		}
	}
	compare("rule", e.Rule, f.rule, e.Rule == f.rule)
	compare("upstream", strings.Join(e.Upstream, " or "), f.upstream, slices.Contains(e.Upstream, f.upstream))
	compare("model", e.Model, f.model, e.Model == f.model)
	if e.Status != 0 {
		compare("status", strconv.Itoa(e.Status), strconv.Itoa(f.status), e.Status == f.status)
	}
	compare("code", e.Code, f.code, e.Code == f.code)
	compare("path", e.Path, f.path, e.Path == f.path)
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		test, values := newTest(e.Headers[name]), f.headers[textproto.CanonicalMIMEHeaderKey(name)]
		compare("header "+name, test.wants(name), quotedValues(name, values), test.takesAny(values))
	}
	return lines
}
