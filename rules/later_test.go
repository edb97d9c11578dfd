package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// Fields that other gateways have are told apart from those there are: nothing
// is taken and then not done.
func TestNothingIsTakenThatWouldNotBeDone(t *testing.T) {
	const list = " | matchers are path, method, host, header, query, model, stream, key, user, tag, source, body_bytes, not"
	for field, value := range map[string]string{
		"protocol": "https", "remote_ip": "[10.0.0.0/8]", "expression": "true", "any": "[{model: [a]}]",
	} {
		t.Run("matcher "+field, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(head("match: {"+field+": "+value+"}")))
			want := fmt.Sprintf("4:13 rules[0].match.%s: unknown matcher %q%s\n", field, field, list)
			if diff := cmp.Diff(want, shown(problems)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	const actions = " | actions are upstream, upstreams, target, fallback, affinity, path, model, headers, response_headers, timeouts, retry, limits, on_client_gone, body_log, respond"
	for field, value := range map[string]string{
		"redirect": "/x", "mirror": "a", "rewrite": "/x", "cache": "60s", "credential": "a/batch",
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
	yes, below := true, int64(-1)
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("\nrule \"a\": action.fallback[%d].name: \"a b\" is not a name", i)
	}
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
		{"a not within its bounds and beyond", rules.Rule{Match: deepNot(6)}, `rule "a": match.not.not.not.not.not: not is nested deeper than 4`},
		{"a not of nothing", rules.Rule{Match: rules.Match{Not: &rules.Match{}}}, `rule "a": match.not: there is no matcher`},
		{"bounds of nothing", rules.Rule{Match: rules.Match{BodyBytes: &rules.Bounds{}}}, `rule "a": match.body_bytes: there is no size`},
		{"a size below zero", rules.Rule{Match: rules.Match{BodyBytes: &rules.Bounds{GT: &below}}}, `rule "a": match.body_bytes: not a size`},
		{"a limit of nothing", rules.Rule{Action: rules.Action{Limits: []accounts.Limit{{}}}}, `rule "a": action.limits[0]: the amount must be more than zero`},
		{"a retry without end", rules.Rule{Action: rules.Action{Retry: &rules.Retry{Attempts: -1}}}, `rule "a": action.retry: attempts are from 1 to 20, within 1h`},
		{"an entry without a name", rules.Rule{Action: rules.Action{Upstreams: []rules.Entry{{Weight: 1}}}}, `rule "a": action.upstreams[0].name: "" is not a name`},
		{"an entry of no weight", rules.Rule{Action: rules.Action{Upstreams: []rules.Entry{{Name: "u", Weight: -1}}}}, `rule "a": action.upstreams[0].name: unknown upstream "u"
rule "a": action.upstreams[0].weight: must be a whole number from 1 to 1000000, found -1`},
		{"too many upstreams", rules.Rule{Action: rules.Action{Target: "https://a.example", Fallback: slices.Repeat([]rules.Entry{{Name: "a b"}}, 65)}}, `rule "a": action.fallback: more than 64 upstreams` + strings.Join(many, "")},
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

// deepNot nests so many blocks that must not hold.
func deepNot(depth int) rules.Match {
	m := rules.Match{Model: []string{"a"}}
	for range depth {
		m = rules.Match{Not: &m}
	}
	return m
}

func TestWordsThatWereProbablyMeantAreSuggested(t *testing.T) {
	for rule, want := range map[string]string{
		`action: {headers: {set: {x-a: "${kye.name}"}}}`:                        "${key.name}",
		`action: {headers: {set: {x-a: "${request_id}"}}}`:                      "${request.id}",
		`action: {model: "${mdoel}"}`:                                           "${model}",
		`action: {model: "${tga.plan}"}`:                                        "${tag.plan}",
		`action: {model: "${headers.x-a}"}`:                                     "${header.x-a}",
		`action: {model: "${zzzzzz}"}`:                                          "",
		`action: {retry: {on: [conect]}}`:                                       "connect",
		`action: {timeouts: {frist_token: 1s}}`:                                 "first_token",
		`action: {upstreams: [{name: a, wieght: 1}]}`:                           "weight",
		`action: {upstreams: [{name: a}, {name: b}], affinity: kye}`:            "key",
		`match: {tags: {a: b}}`:                                                 "tag",
		`action: {on_client_gone: finish, upstream: a, fallbacks: [{name: b}]}`: "fallback",
		`match: {not: {modle: [a]}}`:                                            "model",
		`match: {body_bytes: {gt: 1, le: 2}}`:                                   "lt",
		`continue: true` + "\n" + `action: {limit: [5/min]}`:                    "limits",
	} {
		_, problems := rules.Decode("rules.yaml", []byte(head(rule)))
		if len(problems) != 1 || problems[0].Suggestion != want {
			t.Errorf("%s: %+v", rule, problems)
		}
	}
}

func TestUnknownUpstreamsOfEntriesAreNamedWhereTheyStand(t *testing.T) {
	files, problems := rules.Decode("rules.yaml", []byte(head("action: {upstreams: [{name: a}, {name: opnai}], fallback: [{name: c}]}")))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	_, problems = rules.Compile(rules.Config{Files: files, Upstreams: []accounts.Upstream{upstream("a"), upstream("openai")}})
	want := `4:44 rules[0].action.upstreams[1].name: unknown upstream "opnai" | upstreams are a, openai
4:71 rules[0].action.fallback[0].name: unknown upstream "c" | upstreams are a, openai
`
	if diff := cmp.Diff(want, shown(problems)); diff != "" || problems[0].Suggestion != "openai" {
		t.Errorf("(-want +got):\n%s", diff)
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
