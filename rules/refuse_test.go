package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

// head makes a fragment that begins with a rule's fields into a file. The
// fragment's first line is line 4 of it, indented by four.
func head(fragment string) string {
	lines := strings.Split(strings.TrimLeft(strings.TrimRight(fragment, "\n"), "\n"), "\n")
	return "version: 1\nrules:\n  - name: one\n    " + strings.Join(lines, "\n    ") + "\n"
}

// shown writes problems as the tests have them: place, field, message, hint.
func shown(problems rules.Problems) string {
	var out strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&out, "%d:%d %s: %s", p.Line, p.Column, p.Field, p.Message)
		if p.Hint != "" {
			fmt.Fprintf(&out, " | %s", p.Hint)
		}
		out.WriteString("\n")
	}
	return out.String()
}

func TestRefusedFiles(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"an empty file", "", "1:1 : the file is empty | the smallest rules file is: {version: 1, rules: []}"},
		{"a file of comments", "# nothing\n", "1:1 : the file is empty | the smallest rules file is: {version: 1, rules: []}"},
		{"a file that is a list", "- a\n", "1:1 : must be fields (name: value), found a list"},
		{"a file that is a text", "hello\n", "1:1 : must be fields (name: value), found text"},
		{"no version", "rules: []\n", "1:1 version: version is missing | write version: 1"},
		{"a version as text", "version: \"1\"\nrules: []\n", "1:10 version: unknown version of the rule language | write version: 1"},
		{"a later version", "version: 2\nrules: []\n", "1:10 version: unknown version of the rule language | write version: 1"},
		{"no rules", "version: 1\n", "1:1 rules: rules is missing | for a set without rules write rules: []"},
		{"rules without a value", "version: 1\nrules:\n", "2:7 rules: must be a list, found nothing"},
		{"an unknown field of the file", "version: 1\nrulez: []\nrules: []\n", `2:1 rulez: unknown field "rulez" | fields of a rules file are version, set, order, rules`},
		{"a field given twice", "version: 1\nrules: []\nversion: 1\n", `3:1 version: "version" is given twice`},
		{"a bad name of a set", "version: 1\nset: Team Search\nrules: []\n", `2:6 set: "Team Search" is not a name | names match [a-z0-9][a-z0-9._-]{0,62}`},
		{"an order below zero", "version: 1\norder: -1\nrules: []\n", "2:8 order: must be a whole number from 0 to 1000000, found -1"},
		{"an order as text", "version: 1\norder: first\nrules: []\n", "2:8 order: must be a whole number from 0 to 1000000, found text"},
		{"one set in two documents", "version: 1\nset: a\nrules: []\n---\nversion: 1\nset: a\nrules: []\n", `6:6 set: set "a" is given twice | one document is one set; write its rules into one`},
		{"two documents without a set's name", "version: 1\nrules: []\n---\nversion: 1\nrules: []\n", `4:1 set: set "default" is given twice | one document is one set; write its rules into one`},
		{"a rule that is a text", "version: 1\nrules: [one]\n", "2:9 rules[0]: must be fields (name: value), found text"},
		{"a rule without a name", "version: 1\nrules:\n  - match: {}\n", "3:5 rules[0].name: the rule has no name | names match [a-z0-9][a-z0-9._-]{0,62} and are unique among all sets"},
		{"a name that is a number", "version: 1\nrules:\n  - name: 5\n", `3:11 rules[0].name: must be text, found a number | quote it: "5"`},
		{"two rules of one name", "version: 1\nrules:\n  - {name: a}\n  - {name: a}\n", `4:12 rules[1].name: there is already a rule "a" | names are unique among all sets`},
		{"two rules of one name in two sets", "version: 1\nset: x\nrules:\n  - {name: a}\n---\nversion: 1\nset: y\nrules:\n  - {name: a}\n", `9:12 rules[0].name: there is already a rule "a" in set "x" | names are unique among all sets`},
		{"a merge key", "version: 1\nrules:\n  - &a {name: a}\n  - {<<: *a, name: b}\n", "4:6 rules[1].<<: merge keys are not supported | write the fields out"},
		{"a key that is a number", "version: 1\nrules: []\n5: x\n", "3:1 : a field's name must be text, found a number | if it is a name, quote it"},
		{"a custom tag", "version: 1\nrules:\n  - name: !env NAME\n", "3:11 rules[0].name: must be text, found a value tagged !env | quote it: \"NAME\""},
		{"an unknown anchor", "version: 1\nrules: *a\n", "2:9 : not YAML: unknown anchor 'a' referenced"},
		{"a tab", "version: 1\nrules:\n\t- name: a\n", "3:1 : not YAML: found character that cannot start any token"},
		{"wrong indentation", "version: 1\nrules:\n  - name: a\n   match: {}\n", "4:4 : not YAML: did not find expected '-' indicator"},
		{"a line that is no field", "version: 1\nrules: []\nfoo\nbar: x\n", "3:1 : not YAML: could not find expected ':'"},
		{"an open quote", "version: 1\nset: \"a\nrules: []\n", "2:6 : not YAML: found unexpected end of stream"},
		{"bytes that are no UTF-8", "version: 1\nset: \xff\n", "2:6 : not YAML: invalid leading UTF-8 octet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(c.source))
			if diff := cmp.Diff(c.want+"\n", shown(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusedMatchers(t *testing.T) {
	for _, c := range []struct{ name, rule, want string }{
		{"a misspelt field of a rule", "macth: {}", `4:5 rules[0].macth: unknown field "macth" | fields of a rule are name, description, enabled, continue, match, action`},
		{"match without a value", "match:", "4:11 rules[0].match: must be fields (name: value), found nothing"},
		{"enabled as text", "enabled: \"yes\"", "4:14 rules[0].enabled: must be true or false, found text"},
		{"a description that rings", `description: "a\ab"`, "4:18 rules[0].description: the text holds a control character"},
		{"a matcher of nobody", "match: {cookie: {a: b}}", `4:13 rules[0].match.cookie: unknown matcher "cookie" | matchers are path, method, host, header, query, model, stream, key, user, tag, source, body_bytes, not`},
		{"a path without a slash", "match: {path: v1/messages}", "4:19 rules[0].match.path: a path pattern begins with a slash"},
		{"an empty path", `match: {path: ""}`, "4:19 rules[0].match.path: the text is empty | leave the field out"},
		{"an empty list of paths", "match: {path: []}", "4:19 rules[0].match.path: the list is empty | leave the field out"},
		{"a path of no pattern", "match: {path: {}}", "4:19 rules[0].match.path: there is no pattern | leave the field out"},
		{"** inside a path", "match: {path: [/v1, /v1/**/messages]}", "4:25 rules[0].match.path[1]: ** stands for the rest of a path and must be its last segment | within a segment write *"},
		{"** as part of a segment", "match: {path: /v1/a**}", "4:19 rules[0].match.path: ** stands for the rest of a path and must be its last segment | within a segment write *"},
		{"a path with two slashes", "match: {path: /v1//a}", "4:19 rules[0].match.path: no path looks like this pattern: the path has an empty segment (//)"},
		{"a path with braces", `match: {path: "/v1/{id}"}`, "4:19 rules[0].match.path: in a pattern only * is special, and this one holds { | for more write path: {regex: '…'}"},
		{"a path that is not canonical", "match: {path: /v1/%66iles}", "4:19 rules[0].match.path: paths are matched in their canonical spelling, and this is another | decode the percent-escapes of letters, digits, -, ., _ and ~, and write the others in upper case"},
		{"a bad path expression", `match: {path: {regex: "/v1/[a"}}`, "4:27 rules[0].match.path.regex: not a regular expression: missing closing ] | the syntax is RE2's: https://github.com/google/re2/wiki/Syntax"},
		{"an unknown method", "match: {method: [GET, get]}", `4:27 rules[0].match.method[1]: unknown method "get" | methods are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS`},
		{"a method instead of a list", "match: {method: GET}", "4:21 rules[0].match.method: must be a list, found text | put it in brackets: [GET]"},
		{"a model instead of a list", "match: {model: claude-*}", `4:20 rules[0].match.model: must be a list, found text | put it in brackets: ["claude-*"]`},
		{"an empty list of models", "match: {model: []}", "4:20 rules[0].match.model: the list is empty | leave the field out"},
		{"an exclusion of nothing", `match: {model: ["!"]}`, "4:21 rules[0].match.model[0]: the pattern is empty"},
		{"a model with a class", `match: {model: ["gpt-[45]"]}`, "4:21 rules[0].match.model[0]: in a pattern only * is special, and this one holds ["},
		{"a model with a control character", `match: {model: ["gpt\n5"]}`, "4:21 rules[0].match.model[0]: the pattern holds a control character"},
		{"a model that is a number", "match: {model: [4]}", `4:21 rules[0].match.model[0]: must be text, found a number | quote it: "4"`},
		{"a host in upper case", "match: {host: [LLM.example.com]}", "4:20 rules[0].match.host[0]: hosts are matched in lower case | write llm.example.com"},
		{"a host with a port", `match: {host: ["llm.example.com:443"]}`, "4:20 rules[0].match.host[0]: hosts are matched without their port | leave the port out"},
		{"a star within a host", `match: {host: ["llm*.example.com"]}`, "4:20 rules[0].match.host[0]: * can only be the whole first label of a host | it looks like *.example.com"},
		{"a host that is none", `match: {host: ["a b"]}`, "4:20 rules[0].match.host[0]: not a host name | it looks like llm.example.com or *.example.com"},
		{"stream as text", `match: {stream: "true"}`, "4:21 rules[0].match.stream: must be true or false, found text"},
		{"an unknown operator", "match:\n  header:\n    x-tier:\n      contians: sonnet", `7:11 rules[0].match.header.x-tier.contians: unknown matcher operator "contians" | operators are equals, prefix, suffix, contains, regex, in, exists`},
		{"two operators", "match: {header: {x: {prefix: a, suffix: b}}}", "4:25 rules[0].match.header.x: more than one operator | give one; for several write one {regex: …}"},
		{"no operator", "match: {header: {x: {}}}", "4:25 rules[0].match.header.x: there is no operator | operators are equals, prefix, suffix, contains, regex, in, exists"},
		{"a list as a value", "match: {query: {x: [a, b]}}", "4:24 rules[0].match.query.x: must be text or an operator, found a list | write {in: […]}"},
		{"an empty prefix", `match: {query: {x: {prefix: ""}}}`, "4:33 rules[0].match.query.x.prefix: the text is empty | leave the field out"},
		{"an empty in", `match: {query: {x: {in: []}}}`, "4:29 rules[0].match.query.x.in: the list is empty | leave the field out"},
		{"exists as text", `match: {query: {x: {exists: "no"}}}`, "4:33 rules[0].match.query.x.exists: must be true or false, found text"},
		{"a bad expression for a header", `match: {header: {authorization: {regex: "(s3cret"}}}`, "4:45 rules[0].match.header.authorization.regex: not a regular expression: missing closing ) | the syntax is RE2's: https://github.com/google/re2/wiki/Syntax"},
		{"a header that is none", `match: {header: {"x y": a}}`, `4:22 rules[0].match.header.x y: "x y" is not the name of a header`},
		{"a header in two spellings", "match: {header: {X-A: a, x-a: b}}", `4:30 rules[0].match.header.x-a: "x-a" is given twice, also as "X-A" | names of headers do not differ by case`},
		{"the host as a header", "match: {header: {Host: a}}", "4:22 rules[0].match.header.Host: the host is not matched as a header | use match.host"},
		{"a value that is a number", "match: {header: {x-n: 1}}", `4:27 rules[0].match.header.x-n: must be text, found a number | quote it: "1"`},
		{"a secret that is a number", "match: {header: {x-api-key: 12345}}", "4:33 rules[0].match.header.x-api-key: must be text, found a number"},
		{"a value with a line feed", `match: {header: {x-n: "a\nb"}}`, "4:27 rules[0].match.header.x-n: the value holds a control character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(head(c.rule)))
			if diff := cmp.Diff(c.want+"\n", shown(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusedActions(t *testing.T) {
	const notURL = " | it looks like https://models.example.com/api"
	const metadata = "4:22 rules[0].action.target: the target is a link-local or cloud-metadata address | name a host that models run on"
	for _, c := range []struct{ name, rule, want string }{
		{"an action of nobody", "action: {mirror: a}", `4:14 rules[0].action.mirror: unknown action "mirror" | actions are upstream, upstreams, target, fallback, affinity, path, model, headers, response_headers, timeouts, retry, limits, on_client_gone, body_log, respond`},
		{"a bad name of an upstream", "action: {upstream: Open AI}", `4:24 rules[0].action.upstream: "Open AI" is not a name | names match [a-z0-9][a-z0-9._-]{0,62}`},
		{"two destinations", "action: {upstream: a, target: \"https://a.example\"}", "4:14 rules[0].action.upstream: more than one destination: target and upstream | a rule has one of upstream, upstreams, target and respond"},
		{"a destination and an answer", "action: {upstream: a, respond: {status: 400}}", "4:14 rules[0].action.upstream: more than one destination: respond and upstream | a rule has one of upstream, upstreams, target and respond"},
		{"a target without a scheme", "action: {target: models.example.com}", "4:22 rules[0].action.target: the target must begin with http:// or https://" + notURL},
		{"a target with a password", "action: {target: \"https://u:s3cret@a.example\"}", "4:22 rules[0].action.target: the target must not hold a user or password; use a credential" + notURL},
		{"a target with a query", "action: {target: \"https://a.example?x=1\"}", "4:22 rules[0].action.target: the target must not have a query or fragment" + notURL},
		{"a target in letters that stand for others", "action: {target: \"http://metadata.google。internal\"}", "4:22 rules[0].action.target: the target has a host that is not ASCII; write it as DNS does (xn--…)" + notURL},
		{"a target at no port", "action: {target: \"https://a.example:99999\"}", "4:22 rules[0].action.target: the target has no port from 1 to 65535" + notURL},
		{"a target at a link-local address", "action: {target: \"http://169.254.169.254/latest\"}", metadata},
		{"a target at a cloud's name for it", "action: {target: \"http://metadata.google.internal\"}", metadata},
		{"a target in numbers", "action: {target: \"http://2852039166\"}", metadata},
		{"a target over mapped IPv6", "action: {target: \"http://[::ffff:a9fe:a9fe]\"}", metadata},
		{"an empty model", `action: {model: ""}`, "4:21 rules[0].action.model: the text is empty | leave the field out"},
		{"a model with a line feed", `action: {model: "a\nb"}`, "4:21 rules[0].action.model: the value holds a control character"},
		{"set beside other path edits", "action: {path: {set: /a, strip_prefix: /b}}", "4:21 rules[0].action.path.set: set stands beside other path edits | set gives the whole path; leave the others out"},
		{"a path to set that is none", "action: {path: {set: a}}", "4:26 rules[0].action.path.set: the path does not begin with a slash"},
		{"a path to set with dots", "action: {path: {set: /a/../b}}", "4:26 rules[0].action.path.set: the path has a dot segment"},
		{"a path to set that is not canonical", "action: {path: {set: /%61}}", "4:26 rules[0].action.path.set: the path is not written as it is matched and sent | write /a"},
		{"a prefix that ends in a slash", "action: {path: {strip_prefix: /a/}}", "4:35 rules[0].action.path.strip_prefix: a prefix must not end in a slash | leave the last slash out"},
		{"replace without an expression", "action: {path: {replace: {with: a}}}", "4:30 rules[0].action.path.replace.regex: regex is missing"},
		{"replace with a bad expression", `action: {path: {replace: {regex: "*", with: a}}}`, "4:38 rules[0].action.path.replace.regex: not a regular expression: missing argument to repetition operator | the syntax is RE2's: https://github.com/google/re2/wiki/Syntax"},
		{"replace with a query", `action: {path: {replace: {regex: a, with: "b?c"}}}`, "4:47 rules[0].action.path.replace.with: the value holds what may not stand in a path"},
		{"an edit of a credential", "action: {headers: {set: {Authorization: Bearer s3cret}}}", `4:45 rules[0].action.headers.set.Authorization: "Authorization" carries credentials and cannot be edited | give the upstream a credential`},
		{"removal of a cookie", "action: {headers: {remove: [x-a, cookie]}}", `4:38 rules[0].action.headers.remove[1]: "cookie" carries credentials and cannot be edited | give the upstream a credential`},
		{"an edit of the host", "action: {headers: {set: {host: a}}}", "4:36 rules[0].action.headers.set.host: the host is not edited as a header | it is the upstream's"},
		{"an edit of a connection's header", "action: {response_headers: {add: {Connection: close}}}", `4:51 rules[0].action.response_headers.add.Connection: "Connection" is about one connection and cannot be edited`},
		{"an edit of the length", "action: {headers: {remove: [content-length]}}", `4:33 rules[0].action.headers.remove[0]: "content-length" says where the body ends and cannot be edited`},
		{"a header that is none", `action: {headers: {set: {"a:b": c}}}`, `4:30 rules[0].action.headers.set.a:b: "a:b" is not the name of a header`},
		{"a header in two spellings", "action: {headers: {set: {X-A: a, x-a: b}}}", `4:38 rules[0].action.headers.set.x-a: "x-a" is given twice, also as "X-A" | names of headers do not differ by case`},
		{"a header of two lines", `action: {headers: {set: {x-a: "s3cret\r\nx-b: c"}}}`, "4:35 rules[0].action.headers.set.x-a: the value holds a control character"},
		{"a header that begins with a blank", `action: {headers: {set: {x-a: " b"}}}`, "4:35 rules[0].action.headers.set.x-a: the value begins or ends with a blank"},
		{"a header that is a number", "action: {headers: {set: {x-a: 5}}}", "4:35 rules[0].action.headers.set.x-a: must be text, found a number"},
		{"an answer without a status", "action: {respond: {message: gone}}", "4:23 rules[0].action.respond.status: status is missing"},
		{"an answer with an interim status", "action: {respond: {status: 100}}", "4:32 rules[0].action.respond.status: must be a whole number from 200 to 599, found 100"},
		{"a message and a body", "action: {respond: {status: 400, message: a, body: b}}", "4:37 rules[0].action.respond.message: both a message in the caller's wire format and an answer as it stands | give message, or headers and body"},
		{"a body where none can be", "action: {respond: {status: 204, body: b}}", "4:32 rules[0].action.respond.status: an answer with status 204 has no body"},
		{"an answer with a connection's header", "action: {respond: {status: 200, headers: {upgrade: h2c}}}", `4:56 rules[0].action.respond.headers.upgrade: "upgrade" is about one connection and cannot be edited`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := rules.Decode("rules.yaml", []byte(head(c.rule)))
			if diff := cmp.Diff(c.want+"\n", shown(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if strings.Contains(problems.Error()+shown(problems), "s3cret") {
				t.Errorf("a problem repeats a secret: %v", problems)
			}
		})
	}
}

func TestEveryProblemIsReportedAtOnceInTheOrderOfTheText(t *testing.T) {
	_, problems := rules.Decode("rules.yaml", []byte(`version: 1
ordre: 3
rules:
  - name: A
    match: {path: v1, modle: [a]}
    action: {upstream: x, target: "ftp://a"}
  - name: b
    match: {method: POST}
    action: {respond: {status: 99}}
`))
	want := `2:1 ordre: unknown field "ordre" | fields of a rules file are version, set, order, rules
4:11 rules[0].name: "A" is not a name | names match [a-z0-9][a-z0-9._-]{0,62}
5:19 rules[0].match.path: a path pattern begins with a slash
5:23 rules[0].match.modle: unknown matcher "modle" | matchers are path, method, host, header, query, model, stream, key, user, tag, source, body_bytes, not
6:14 rules[0].action.upstream: more than one destination: target and upstream | a rule has one of upstream, upstreams, target and respond
6:35 rules[0].action.target: the target must begin with http:// or https:// | it looks like https://models.example.com/api
8:21 rules[1].match.method: must be a list, found text | put it in brackets: [POST]
9:32 rules[1].action.respond.status: must be a whole number from 200 to 599, found 99
`
	if diff := cmp.Diff(want, shown(problems)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if len(problems.Errors()) != 8 || len(problems.Warnings()) != 0 {
		t.Errorf("%d errors and %d warnings", len(problems.Errors()), len(problems.Warnings()))
	}
	if p := problems[7]; p.File != "rules.yaml" || p.Set != "default" || p.Rule != "b" {
		t.Errorf("file, set and rule of the last problem: %q, %q, %q", p.File, p.Set, p.Rule)
	}
	if p := problems[3]; p.Suggestion != "model" {
		t.Errorf("suggestion is %q", p.Suggestion)
	}
}

func TestProblemsBeyondWhatAnybodyReadsAreCounted(t *testing.T) {
	_, problems := rules.Decode("rules.yaml", []byte("version: 1\nrules:\n"+strings.Repeat("  - {name: UPPER}\n", 1000)))
	if len(problems) != 200 {
		t.Fatalf("%d problems", len(problems))
	}
	if last := problems[199].Message; last != "at least 801 more problems from here on" {
		t.Errorf("last problem: %s", last)
	}
}

func TestLargeFilesAreRefused(t *testing.T) {
	source := "version: 1\nrules: []\n#" + strings.Repeat("x", 4<<20)
	_, problems := rules.Decode("rules.yaml", []byte(source))
	want := "1:1 : the file is too large: 4194326 bytes | split it: a file may hold several sets, and a gateway several files, each up to 4 MiB\n"
	if diff := cmp.Diff(want, shown(problems)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestAliasesUnfoldWithinBounds(t *testing.T) {
	files, problems := rules.Decode("rules.yaml", []byte("version: 1\nrules:\n  - {name: a, match: &m {model: [x]}}\n  - {name: b, match: *m}\n"))
	if len(problems) > 0 || len(files[0].Rules[1].Match.Model) != 1 {
		t.Fatalf("an alias was not followed: %v", problems)
	}
	bomb := "version: 1\nrules:\n  - &a {name: a, match: {model: [" + strings.Repeat("x,", 5000) + "x]}}\n" + strings.Repeat("  - *a\n", 5000)
	_, problems = rules.Decode("rules.yaml", []byte(bomb))
	if last := problems[len(problems)-1].Message; last != "the file holds more than 1048576 values once its aliases are written out" {
		t.Errorf("last problem: %s", last)
	}
	_, problems = rules.Decode("rules.yaml", []byte("version: 1\nrules: &r\n  - *r\n"))
	if len(problems) == 0 {
		t.Error("a list that holds itself was taken")
	}
}
