package rules_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

// canonical is a set with every field of the language, as Encode writes it.
const canonical = `version: 1
set: team-search
order: 200
rules:
  - name: claude
    description: Claude Code and the Anthropic SDKs
    match:
      path: /v1/messages/**
      model: [claude-*]
    action:
      upstream: anthropic
      model: claude-sonnet-5
  - name: attempts
    match:
      key: [ci-*, dana]
      user: ['*']
      tag: {plan: trial, team: '*'}
      source: [10.0.0.0/8, '2001:db8::/32']
      body_bytes: {gt: 100, lt: 2MiB}
      not:
        header:
          x-tier: paid
        source: [10.1.0.0/16]
        not:
          model: [gpt-*]
    action:
      upstreams:
        - {name: groq-a, weight: 80, model: 'openai/${model}', timeouts: {first_token: 20s}}
        - name: groq-b
          weight: 20
          path:
            strip_prefix: /x
      fallback:
        - {name: openai}
      affinity: header:x-session
      timeouts: {connect: 500ms, first_token: 10s, idle: 0, total: 90s}
      retry: {on: [connect, reset, timeout, 429, 502, 529], attempts: 3, within: 10s}
      limits: [600 requests/min, 2M tokens/day per user, '$37.10/month per tag:team', 20 concurrent per rule]
      on_client_gone: finish
      body_log: true
  - name: everything
    enabled: false
    match:
      path: [/a, /b/**]
      method: [GET, POST]
      host: ['*.example.com']
      header:
        x-any: {exists: true}
        x-empty: ""
        x-tier: {in: [free, trial]}
      query:
        beta: "true"
        q: {regex: ^a.*}
      model: [gpt-5*, '!gpt-5-pro*']
      stream: true
    action:
      target: https://models.internal.example/api
      path:
        strip_prefix: /legacy
        add_prefix: /v1
        replace:
          regex: ^/v1/(.*)$
          with: /v2/$1
      headers:
        set:
          x-source: llmgw
        add:
          via: 1.1 llmgw
        remove: [x-tier]
      response_headers:
        set:
          x-served-by: legacy
  - name: marks
    continue: true
    match: {}
    action:
      headers:
        set:
          x-request-source: llmgw ${key.name}
      limits: [$50/month]
  - name: retired
    match:
      path: {regex: ^/v1/(chat|responses)}
    action:
      respond:
        status: 400
        message: gpt-3.5 was retired here; use gpt-5-mini
  - name: static
    match: {}
    action:
      respond:
        status: 200
        headers:
          content-type: text/plain
        body: |
          one
          two
---
version: 1
set: empty
order: 300
rules: []
`

func TestCanonicalYAMLStaysAsItIs(t *testing.T) {
	files, problems := rules.Decode("rules.yaml", []byte(canonical))
	if len(problems) > 0 {
		t.Fatalf("decoding: %v", problems)
	}
	if diff := cmp.Diff(canonical, string(rules.Encode(files))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := rules.Encode(nil); len(got) != 0 {
		t.Errorf("no set is written as %q", got)
	}
}

func TestOneRuleIsWrittenAsInItsSet(t *testing.T) {
	files, _ := rules.Decode("rules.yaml", []byte(canonical))
	want := "- name: claude\n  description: Claude Code and the Anthropic SDKs\n  match:\n    path: /v1/messages/**\n    model: [claude-*]\n  action:\n    upstream: anthropic\n    model: claude-sonnet-5\n"
	if diff := cmp.Diff(want, string(files[0].Rules[0].YAML())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJSONHasTheNamesAndTheOrderOfYAML(t *testing.T) {
	files, _ := rules.Decode("rules.yaml", []byte(canonical))
	want := `{"name":"everything","enabled":false,"match":{"path":["/a","/b/**"],"method":["GET","POST"],"host":["*.example.com"],` +
		`"header":{"x-any":{"exists":true},"x-empty":"","x-tier":{"in":["free","trial"]}},"query":{"beta":"true","q":{"regex":"^a.*"}},` +
		`"model":["gpt-5*","!gpt-5-pro*"],"stream":true},"action":{"target":"https://models.internal.example/api",` +
		`"path":{"strip_prefix":"/legacy","add_prefix":"/v1","replace":{"regex":"^/v1/(.*)$","with":"/v2/$1"}},` +
		`"headers":{"set":{"x-source":"llmgw"},"add":{"via":"1.1 llmgw"},"remove":["x-tier"]},"response_headers":{"set":{"x-served-by":"legacy"}}}}`
	got, err := json.Marshal(files[0].Rules[2])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want = `{"name":"attempts","match":{"key":["ci-*","dana"],"user":["*"],"tag":{"plan":"trial","team":"*"},"source":["10.0.0.0/8","2001:db8::/32"],` +
		`"body_bytes":{"gt":100,"lt":"2MiB"},"not":{"header":{"x-tier":"paid"},"source":["10.1.0.0/16"],"not":{"model":["gpt-*"]}}},` +
		`"action":{"upstreams":[{"name":"groq-a","weight":80,"model":"openai/${model}","timeouts":{"first_token":"20s"}},{"name":"groq-b","weight":20,"path":{"strip_prefix":"/x"}}],` +
		`"fallback":[{"name":"openai"}],"affinity":"header:x-session","timeouts":{"connect":"500ms","first_token":"10s","idle":0,"total":"90s"},` +
		`"retry":{"on":["connect","reset","timeout",429,502,529],"attempts":3,"within":"10s"},` +
		`"limits":["600 requests/min","2M tokens/day per user","$37.10/month per tag:team","20 concurrent per rule"],"on_client_gone":"finish","body_log":true}}`
	if got, err = json.Marshal(files[0].Rules[1]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, err = json.Marshal(&rules.Rule{Name: "a"})
	if want := `{"name":"a","match":{},"action":{}}`; err != nil || string(got) != want {
		t.Errorf("an empty rule is %s, %v", got, err)
	}
}

func TestJSONIsReadAsStrictlyAsYAML(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"an unknown field", `{"name":"a","match":{"modle":["x"]}}`, `rule "a": match.modle: unknown matcher "modle"`},
		{"a field given twice", `{"name":"a","name":"b"}`, `rule "a": name: "name" is given twice`},
		{"no name", `{"match":{}}`, "name: the rule has no name"},
		{"a wrong type", `{"name":"a","match":{"model":"x","stream":null}}`, "rule \"a\": match.model: must be a list, found text\nrule \"a\": match.stream: must be true or false, found nothing"},
		{"a fraction", `{"name":"a","action":{"respond":{"status":400.5}}}`, `rule "a": action.respond.status: must be a whole number from 200 to 599, found a number`},
		{"a bad value", `{"name":"a","match":{"method":["FETCH"]},"action":{"headers":{"remove":["host"]}}}`, "rule \"a\": match.method[0]: unknown method \"FETCH\"\nrule \"a\": action.headers.remove[0]: the host is not edited as a header"},
		{"a list", `["a"]`, "must be fields (name: value), found a list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rules.Rule{Name: "before"}
			err := json.Unmarshal([]byte(c.source), &r)
			var problems rules.Problems
			if !errors.As(err, &problems) || problems.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if r.Name != "before" {
				t.Errorf("the rule was changed to %+v", r)
			}
		})
	}
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, source := range []string{"", "{", `{"name":"a"} 1`, `{"name":"a","match":` + deep + `}`} {
		var r rules.Rule
		if err := r.UnmarshalJSON([]byte(source)); err == nil || !strings.HasPrefix(err.Error(), "not JSON: ") {
			t.Errorf("%.20s: %v", source, err)
		}
	}
}

func TestJSONTakesSurrogatePairs(t *testing.T) {
	var r rules.Rule
	if err := json.Unmarshal([]byte(`{"name":"a","description":"\ud83d\ude00 \u003c\/"}`), &r); err != nil || r.Description != "😀 </" {
		t.Errorf("%q, %v", r.Description, err)
	}
}

func TestRulesAreEqualWhereverTheyStand(t *testing.T) {
	a, _ := rules.Decode("a.yaml", []byte("version: 1\nrules:\n  - name: x\n    match: {model: [m]}\n"))
	b, _ := rules.Decode("b.yaml", []byte("version: 1\n\nrules: [{match: {model: [m], header: {}}, name: x, action: {headers: {}}}]\n"))
	if !a[0].Rules[0].Equal(b[0].Rules[0]) {
		t.Error("two ways of writing one rule differ")
	}
	b[0].Rules[0].Match.Model[0] = "n"
	if a[0].Rules[0].Equal(b[0].Rules[0]) {
		t.Error("two rules are equal")
	}
}
