package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

// Fields that other gateways have, or that this one may come to have, are told
// apart from those there are: nothing is taken and then not done.
func TestNothingIsTakenThatWouldNotBeDone(t *testing.T) {
	const list = " | matchers are path, method, host, header, query, model, stream"
	for field, value := range map[string]string{
		"tag": "{plan: trial}", "key": "[ci-*]", "user": "[dana]", "source": "[10.0.0.0/8]", "body_bytes": "{gt: 5}", "not": "{model: [a]}",
	} {
		t.Run("matcher "+field, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(head("match: {"+field+": "+value+"}")))
			want := fmt.Sprintf("4:13 rules[0].match.%s: unknown matcher %q%s\n", field, field, list)
			if diff := cmp.Diff(want, shown(problems)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	const actions = " | actions are upstream, target, path, model, headers, response_headers, respond"
	for field, value := range map[string]string{
		"upstreams": "[{name: a}]", "fallback": "[{name: a}]", "retry": "{on: [connect]}", "timeouts": "{idle: 60s}",
		"limits": "[600/min]", "on_client_gone": "finish", "affinity": "key",
	} {
		t.Run("action "+field, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(head("action: {"+field+": "+value+"}")))
			want := fmt.Sprintf("4:14 rules[0].action.%s: unknown action %q%s\n", field, field, actions)
			if diff := cmp.Diff(want, shown(problems)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryHeaderThatRulesMayNotTouchIsRefusedInAnySpelling(t *testing.T) {
	edit := func(action, name string) string {
		_, problems := rules.Decode("rules.yaml", []byte(head("action: {upstream: a, "+action+": {remove: ["+name+"]}}")))
		return shown(problems)
	}
	for _, name := range []string{
		"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authenticate", "content-length", "expect",
	} {
		for _, spelt := range []string{name, strings.ToUpper(name)} {
			for _, action := range []string{"headers", "response_headers"} {
				if got := edit(action, spelt); !strings.Contains(got, "cannot be edited") {
					t.Errorf("%s in %s: %q", spelt, action, got)
				}
			}
		}
	}
	for _, name := range []string{"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"} {
		for _, spelt := range []string{name, strings.ToUpper(name)} {
			if got := edit("headers", spelt); !strings.Contains(got, "carries credentials and cannot be edited") {
				t.Errorf("%s: %q", spelt, got)
			}
		}
	}
	for _, name := range []string{"set-cookie", "x-request-id", "cache-control", "host"} {
		if got := edit("response_headers", name); got != "" {
			t.Errorf("%s in an answer: %q", name, got)
		}
	}
	for _, name := range []string{"x-tier", "anthropic-beta", "user-agent", "\"accept\""} {
		if got := edit("headers", name); got != "" {
			t.Errorf("%s in a request: %q", name, got)
		}
	}
}

func TestSyntaxErrorsInLargeFilesKeepTheLibrarysLine(t *testing.T) {
	source := "version: 1\nrules: []\n" + strings.Repeat("# a comment that fills the file up\n", 10_000) + "a: b: c\n"
	_, problems := rules.Decode("rules.yaml", []byte(source))
	if want := "10003:1 : not YAML: mapping values are not allowed in this context\n"; shown(problems) != want {
		t.Errorf("got %s", shown(problems))
	}
	_, problems = rules.Decode("rules.yaml", []byte("a: b: c\n"+source))
	if want := "1:1 : not YAML: mapping values are not allowed in this context\n"; shown(problems) != want {
		t.Errorf("got %s", shown(problems))
	}
}

func TestTheKindsOfValuesAreNamed(t *testing.T) {
	for value, kind := range map[string]string{
		"5": "a number", "1.5": "a number", "true": "true or false", "null": "nothing", "~": "nothing", "": "nothing",
		"2026-01-01": "a date", "[a]": "a list", "{a: b}": "fields", "!x y": "a value tagged !x", "!!binary aGk=": "a value tagged !!binary",
	} {
		_, problems := rules.Decode("rules.yaml", []byte(head("description: "+value)))
		if len(problems) != 1 || problems[0].Message != "must be text, found "+kind {
			t.Errorf("%s: %v", value, problems)
		}
	}
	files, problems := rules.Decode("rules.yaml", []byte(head("description: !!str 5\nenabled: false")))
	if len(problems) > 0 || files[0].Rules[0].Description != "5" || !files[0].Rules[0].Disabled {
		t.Errorf("a tagged text: %v, %v", files, problems)
	}
}

func TestWhatAFileLeavesOutHasItsDefault(t *testing.T) {
	files, problems := rules.Decode("rules.yaml", []byte("\ufeffversion: 1\nrules:\n  - {name: a}\n---\n# nothing\n---\nversion: 1\nset: b\norder: 0\nrules: []\n"))
	if len(problems) > 0 || len(files) != 2 {
		t.Fatalf("%d files, %v", len(files), problems)
	}
	if f := files[0]; f.Set != rules.DefaultSet || f.Order != rules.DefaultOrder || len(f.Rules) != 1 || f.Rules[0].Disabled {
		t.Errorf("the first set is %+v", f)
	}
	if f := files[1]; f.Set != "b" || f.Order != 0 || len(f.Rules) != 0 {
		t.Errorf("the second set is %+v", f)
	}
}

func TestRulesMadeInCodeAreCheckedAsThoseFromFiles(t *testing.T) {
	yes := true
	for _, c := range []struct {
		name string
		rule rules.Rule
		want string
	}{
		{"patterns beside an expression", rules.Rule{Match: rules.Match{Path: rules.Paths{Globs: []string{"/a"}, Regex: "a"}}}, `rule "a": match.path: both patterns and a regular expression`},
		{"two operators", rules.Rule{Match: rules.Match{Header: map[string]rules.Text{"x": {Prefix: "a", Exists: &yes}}}}, `rule "a": match.header.x: more than one operator`},
		{"a parameter without a name", rules.Rule{Match: rules.Match{Query: map[string]rules.Text{"": {Prefix: "a"}}}}, `rule "a": match.query.: a parameter's name is empty`},
		{"a header of one connection", rules.Rule{Match: rules.Match{Header: map[string]rules.Text{"Transfer-Encoding": {Prefix: "a"}}}}, `rule "a": match.header.Transfer-Encoding: "Transfer-Encoding" is about one connection and cannot be matched`},
		{"removal of what is no header", rules.Rule{Action: rules.Action{Headers: rules.HeaderEdits{Remove: []string{"a b"}}}}, `rule "a": action.headers.remove[0]: "a b" is not the name of a header`},
		{"a value that is no UTF-8", rules.Rule{Action: rules.Action{Model: "a\xff"}}, `rule "a": action.model: the value holds a control character`},
		{"an expression beyond all bounds", rules.Rule{Match: rules.Match{Path: rules.Paths{Regex: "(((a{1000}){1000}){1000})"}}}, `rule "a": match.path.regex: not a regular expression: invalid repeat count`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rule.Name = "a"
			set, problems := rules.Compile(rules.Config{Files: []rules.File{{Set: "s", Rules: []rules.Rule{c.rule}}}})
			if set != nil || problems.Error() != c.want {
				t.Errorf("got  %v\nwant %s", problems, c.want)
			}
		})
	}
}

func TestTheHintAboutUnknownUpstreamsIsOfABearableLength(t *testing.T) {
	files, _ := rules.Decode("rules.yaml", []byte(head("action: {upstream: x}")))
	_, problems := rules.Compile(rules.Config{Files: files})
	if problems[0].Hint != "there is no upstream yet" {
		t.Errorf("hint is %q", problems[0].Hint)
	}
	var c rules.Config
	c.Files = files
	for i := range 30 {
		c.Upstreams = append(c.Upstreams, upstream(fmt.Sprintf("u%d", i)))
	}
	_, problems = rules.Compile(c)
	if problems[0].Hint != "there are 30 upstreams" {
		t.Errorf("hint is %q", problems[0].Hint)
	}
}
