package rules_test

import (
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

// underTest is a set whose rules have one of everything that tests compare.
const underTest = `version: 1
rules:
  - name: marked
    continue: true
    match: {}
    action: {headers: {set: {x-source: "${key.name}"}}}
  - name: only-batch
    continue: true
    match: {key: [batch-*]}
    action: {headers: {set: {x-priority: low}}}
  - name: retired
    enabled: false
    match: {model: [gpt-3.5*]}
    action: {respond: {status: 400, message: gone}}
  - name: trial-keys
    match: {header: {x-tier: {in: [free, trial]}}, model: [gpt-5*]}
    action:
      upstreams: [{name: groq-a}, {name: groq-b}]
      model: openai/gpt-oss-120b
      headers: {remove: [x-tier]}
  - name: chat
    match: {model: [gpt-*]}
    action: {upstream: openai, path: {add_prefix: /api}}
  - name: gemini
    match: {path: "/v1beta/models/**", model: [gemini-*]}
    action: {upstream: google, model: gemini-3}
  - name: hidden-model
    match: {path: /hidden/**}
    action: {upstream: openai, model: secret}
  - name: broken-path
    match: {path: /broken/**, model: ["*"]}
    action: {upstream: openai, path: {replace: {regex: "^/broken", with: ""}}}
  - name: taken-path
    match: {path: "/taken/**", model: [gemini-*]}
    action: {upstream: google, model: gemini-3, path: {set: /v1/x}}
  - name: blocked
    match: {path: /v1/files/**}
    action: {respond: {status: 403, message: "no"}}
  - name: elsewhere
    match: {path: /else/**}
    action: {target: "https://models.internal.example:8443/api"}
  - name: bound
    match: {path: /bound/**}
    action: {headers: {set: {x-bound: "1"}}}
`

// run runs one test with a request and expectations, in brackets.
func run(t *testing.T, request, expect string) rules.Result {
	t.Helper()
	files, problems := rules.Decode("rules.yaml", []byte(underTest))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	tests, problems := rules.DecodeTests("a.test.yaml", []byte(oneTest("request: "+request+"\nexpect: "+expect)))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	report, problems := rules.RunTests(files, tests)
	if len(problems.Errors()) > 0 || len(report.Results) != 1 {
		t.Fatalf("%v: %+v", problems, report)
	}
	return report.Results[0]
}

func TestWhatTestsCompare(t *testing.T) {
	const chat, trial = "{path: /v1/chat/completions, model: gpt-4o, key: ci-bot}", "{path: /v1/chat/completions, model: gpt-5-mini, headers: {x-tier: trial}}"
	for _, c := range []struct{ name, request, expect, want string }{
		{"the rule that decides", chat, "{rule: chat}", ""},
		{"and another", chat, "{rule: blocked}", "-rule: blocked\n+rule: chat\nrule \"blocked\" was not asked: \"chat\" (position 5) took the request before"},
		{"the upstream", chat, "{upstream: openai}", ""},
		{"and another", chat, "{upstream: groq-a}", "-upstream: groq-a\n+upstream: openai"},
		{"one of several upstreams", trial, "{upstream: [groq-a, groq-b]}", ""},
		{"and none of them", chat, "{upstream: [groq-a, groq-b]}", "-upstream: groq-a or groq-b\n+upstream: openai"},
		{"a target by its host", "{path: /else/a}", "{upstream: 'models.internal.example:8443', path: /else/a, rule: elsewhere}", ""},
		{"the model as it is sent", trial, "{model: openai/gpt-oss-120b}", ""},
		{"or as it came", chat, "{model: gpt-4o}", ""},
		{"and another", trial, "{model: gpt-5-mini}", "-model: gpt-5-mini\n+model: openai/gpt-oss-120b"},
		{"a model in the path, where it is sent", "{path: '/v1beta/models/gemini-2.5:generateContent'}", "{model: gemini-3, path: '/v1beta/models/gemini-3:generateContent'}", ""},
		{"the path as it is sent", chat, "{path: /api/v1/chat/completions}", ""},
		{"and another", chat, "{path: /v1/chat/completions}", "-path: /v1/chat/completions\n+path: /api/v1/chat/completions"},
		{"headers as they are sent", trial, "{headers: {x-tier: {exists: false}, X-SOURCE: ''}}", ""},
		{"and others", chat, "{headers: {x-source: {prefix: prod-}, x-tier: gold}}", "-header x-source: one that begins with \"prod-\"\n+header x-source: \"ci-bot\"\n-header x-tier: \"gold\"\n+header x-tier: (none)"},
		{"headers of a key's own rule", "{path: /v1/chat/completions, model: gpt-4o, key: batch-1}", "{headers: {x-priority: low}}", ""},
		{"a header that may hold a credential is not shown", "{path: /v1/chat/completions, model: gpt-4o, headers: {x-session-token: abc}}", "{headers: {x-session-token: xyz}}", "-header x-session-token: ‹secret›\n+header x-session-token: ‹secret›"},
		{"a request that is sent has status 200", chat, "{status: 200}", ""},
		{"an answer has its own", "{path: /v1/files/x}", "{status: 403, rule: blocked}", ""},
		{"an answer goes nowhere", "{path: /v1/files/x}", "{upstream: openai, model: a, path: /v1/files/x}", "-upstream: openai\n+upstream: (none)\n-model: a\n+model: (none)\n-path: /v1/files/x\n+path: (none)"},
		{"a request that no rule takes has 400", "{path: /v1/chat/completions, model: llama}", "{status: 400, code: no_rule}", ""},
		{"and no rule", "{path: /v1/chat/completions, model: llama}", "{rule: chat}", "-rule: chat\n+rule: (none)\nrule \"chat\" did not match: model llama, wants gpt-*"},
		{"a base URL with too much", "{path: /v1/v1/chat/completions, model: llama}", "{status: 400, code: wrong_base_url}", ""},
		{"a rule that leaves the destination open", "{path: /bound/a}", "{rule: bound, status: 400, code: no_destination}", ""},
		{"a rule that rewrites a model it cannot see", "{path: /hidden/a}", "{rule: hidden-model, status: 400, code: model_unreadable}", ""},
		{"a rule that leaves no path", "{path: /broken, model: a}", "{rule: broken-path, status: 400, code: bad_path_rewrite}", ""},
		{"a rule that takes away the segment with the model", "{path: '/taken/models/gemini-2.5:generateContent'}", "{rule: taken-path, status: 400, code: bad_path_rewrite}", ""},
		{"a WebSocket, whose model is in the query", "{method: GET, path: '/v1/realtime?model=gpt-realtime', headers: {Connection: Upgrade, Upgrade: websocket}}", "{rule: chat, upstream: openai, model: gpt-realtime, status: 200}", ""},
		{"a WebSocket to a target", "{method: GET, path: /else/a, headers: {Connection: Upgrade, Upgrade: websocket}}", "{rule: elsewhere, status: 400, code: websocket_not_allowed}", ""},
		{"a status is not that of a request that is sent", chat, "{status: 400}", "-status: 400\n+status: 200"},
		{"the list of models is the gateway's own answer", "{method: GET, path: /v1/models}", "{status: 200}", ""},
		{"a disabled rule", "{path: /v1/chat/completions, model: gpt-3.5-turbo}", "{rule: retired}", "-rule: retired\n+rule: chat\nrule \"retired\" is disabled"},
		{"a rule that says continue", chat, "{rule: marked}", "-rule: marked\n+rule: chat\nrule \"marked\" matched, and says continue"},
		{"why a rule did not match", "{path: /v1/chat/completions, model: gpt-5, headers: {x-tier: paid}}", "{rule: trial-keys, status: 200}",
			"-rule: trial-keys\n+rule: chat\nrule \"trial-keys\" did not match: header x-tier = \"paid\", wants \"free\" or \"trial\""},
		{"a rule that is not there", chat, "{rule: cat}", "-rule: cat\n+rule: chat\nthere is no rule \"cat\"; did you mean \"chat\"?"},
		{"a rule that is not there, nor one like it", chat, "{rule: something-else}", "-rule: something-else\n+rule: chat\nthere is no rule \"something-else\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.request, c.expect)
			if diff := cmp.Diff(c.want, strings.Join(slices.Concat(r.Diff, r.Reasons), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if r.Passed() != (c.want == "") || r.Name != "one" || r.File != "a.test.yaml" || r.Line != 3 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRulesThatNoTestReachesAreListed(t *testing.T) {
	files, _ := rules.Decode("rules.yaml", []byte(underTest))
	tests, problems := rules.DecodeTests("a", []byte(`version: 1
tests:
  - {name: one, request: {path: /v1/chat/completions, model: gpt-4o}, expect: {rule: chat}}
  - {name: a failed test reaches a rule too, request: {path: /v1/files/x}, expect: {status: 200}}
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	report, _ := rules.RunTests(files, tests)
	want := []string{"only-batch", "trial-keys", "gemini", "hidden-model", "broken-path", "taken-path", "elsewhere", "bound"}
	if diff := cmp.Diff(want, report.Unreached); diff != "" || report.Failed() != 1 {
		t.Errorf("%d failed (-want +got):\n%s", report.Failed(), diff)
	}
}

func TestRulesWithErrorsAreNotTested(t *testing.T) {
	files := []rules.File{{Set: "a", Rules: []rules.Rule{{Name: "b", Match: rules.Match{Model: []string{""}}}}}}
	report, problems := rules.RunTests(files, []rules.Test{{Name: "c"}})
	if len(problems.Errors()) == 0 || len(report.Results) > 0 {
		t.Errorf("%+v, %v", report, problems)
	}
}

func TestWarningsComeWithTheReport(t *testing.T) {
	files, _ := rules.Decode("rules.yaml", []byte("version: 1\nrules:\n  - {name: a, action: {upstream: u}}\n  - {name: b, action: {upstream: u}}\n"))
	report, problems := rules.RunTests(files, nil)
	if len(problems) != 1 || len(problems.Warnings()) != 1 || len(report.Unreached) != 2 {
		t.Errorf("%v, %+v", problems, report)
	}
}

// What a test says of a request is what Decide says of it.
func TestAResultNamesTheRuleThatDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		set, problems := rules.Compile(rules.Config{Files: files})
		if set == nil {
			t.Fatal(problems)
		}
		q := drawRequest(t)
		report, _ := rules.RunTests(files, []rules.Test{{Name: "a", Request: *q, Expect: rules.Expectation{Rule: "no-such-rule", Status: 599}}})
		var d rules.Decision
		set.Decide(q, &d)
		want, status := "", "400"
		if d.Rule != nil {
			want = d.Rule.Name
		}
		if refusal, refused := set.Refusal(q, &d); !refused && d.Outcome == rules.Answer {
			status = strconv.Itoa(d.Rule.Respond.Status)
		} else if refused && refusal.Status != 400 {
			t.Fatalf("%+v", refusal)
		}
		got := report.Results[0]
		if got.Rule != want || got.Passed() || !slices.Contains(got.Diff, "+status: "+status) {
			t.Fatalf("%+v, want rule %q and status %s", got, want, status)
		}
		reached := len(set.Rules()) - len(report.Unreached)
		if want != "" && (reached != 1+len(d.Passed) || slices.Contains(report.Unreached, want)) {
			t.Fatalf("%d of %d rules reached, %v are not", reached, len(set.Rules()), report.Unreached)
		}
	})
}

func TestJUnit(t *testing.T) {
	report := rules.Report{
		Results: []rules.Result{
			{Name: "good", File: "a.test.yaml", Line: 3, Column: 5, Rule: "r"},
			{Name: `bad "<&>"`, File: "b.test.yaml", Line: 9, Column: 5, Diff: []string{"-rule: a", "+rule: b"}, Reasons: []string{"rule \"a\" is disabled"}},
			{Name: "good too\x00", File: "a.test.yaml", Line: 7, Column: 5},
		},
		Unreached: []string{"c", "d"},
	}
	const want = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1">
  <testsuite name="rules: a.test.yaml" file="a.test.yaml" tests="2" failures="0">
    <properties>
      <property name="unreached-rule" value="c"></property>
      <property name="unreached-rule" value="d"></property>
    </properties>
    <testcase name="good" classname="a.test.yaml" file="a.test.yaml" line="3"></testcase>
    <testcase name="good too` + "\ufffd" + `" classname="a.test.yaml" file="a.test.yaml" line="7"></testcase>
  </testsuite>
  <testsuite name="rules: b.test.yaml" file="b.test.yaml" tests="1" failures="1">
    <properties>
      <property name="unreached-rule" value="c"></property>
      <property name="unreached-rule" value="d"></property>
    </properties>
    <testcase name="bad &#34;&lt;&amp;&gt;&#34;" classname="b.test.yaml" file="b.test.yaml" line="9">
      <failure message="-rule: a; +rule: b; rule &#34;a&#34; is disabled">b.test.yaml:9:5&#xA;-rule: a&#xA;+rule: b&#xA;rule &#34;a&#34; is disabled&#xA;</failure>
    </testcase>
  </testsuite>
</testsuites>
`
	if diff := cmp.Diff(want, string(report.JUnit())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := xml.Unmarshal(report.JUnit(), new(struct{})); err != nil {
		t.Error(err)
	}
	empty := rules.Report{Unreached: []string{"c"}}
	if got := string(empty.JUnit()); !strings.Contains(got, `<testsuites tests="0" failures="0"></testsuites>`) {
		t.Error(got)
	}
}
