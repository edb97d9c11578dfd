package rules_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// oneTest makes a fragment that begins with a test's fields into a file. The
// fragment's first line is line 4 of it, indented by four.
func oneTest(fragment string) string {
	lines := strings.Split(strings.Trim(fragment, "\n"), "\n")
	return "version: 1\ntests:\n  - name: one\n    " + strings.Join(lines, "\n    ") + "\n"
}

func TestRefusedTestFiles(t *testing.T) {
	const ask, expect = "request: {path: /v1/a}\n", "\nexpect: {status: 400}"
	for _, c := range []struct{ name, source, want string }{
		{"an empty file", "", "1:1 : the file is empty | the smallest test file is: {version: 1, tests: []}"},
		{"a file that is a list", "- a\n", "1:1 : must be fields (name: value), found a list"},
		{"what is not YAML", "version: 1\ntests: [\n", "2:8 : not YAML: did not find expected node content"},
		{"no version", "tests: []\n", "1:1 version: version is missing | write version: 1"},
		{"a later version", "version: 2\ntests: []\n", "1:10 version: unknown version of rule tests | write version: 1"},
		{"a rules file", "version: 1\nrules: []\n", "1:1 tests: tests is missing | a file of rules begins with version and rules\n" +
			`2:1 rules: unknown field "rules" | fields of a test file are version, tests`},
		{"tests without a value", "version: 1\ntests:\n", "2:7 tests: must be a list, found nothing"},
		{"a test that is a text", "version: 1\ntests: [a]\n", "2:9 tests[0]: must be fields (name: value), found text"},
		{"an empty test", "version: 1\ntests: [{}]\n", "2:9 tests[0].name: name is missing | say in a sentence what is to happen\n" +
			"2:9 tests[0].request: request is missing | the smallest one is {path: /v1/chat/completions}\n" +
			"2:9 tests[0].expect: expect is missing | say what is to become of the request: rule, upstream, model, status, code, path, headers"},
		{"an unknown field of a test", oneTest(ask + "expect: {status: 400}\nskip: true"), `6:5 tests[0].skip: unknown field "skip" | fields of a test are name, request, expect`},
		{"two tests of one name", "version: 1\ntests:\n  - {name: a, request: {path: /b}, expect: {status: 400}}\n  - {name: a, request: {path: /b}, expect: {status: 400}}\n",
			`4:5 : there is already a test "a" in line 3`},
		{"no path", oneTest("request: {}" + expect), "4:14 tests[0].request.path: path is missing | it looks like /v1/chat/completions"},
		{"an unknown field of a request", oneTest("request: {path: /a, header: {}}" + expect),
			`4:25 tests[0].request.header: unknown field "header" | fields of a request are method, path, host, model, stream, headers, query, key, user, tags, source, body_bytes, body`},
		{"a method in lower case", oneTest("request: {path: /a, method: post}" + expect), `4:33 tests[0].request.method: unknown method "post" | methods are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS`},
		{"a path that the gateway refuses", oneTest("request: {path: /a//b}" + expect), "4:21 tests[0].request.path: the path has an empty segment (//)"},
		{"a path without a slash", oneTest("request: {path: a}" + expect), "4:21 tests[0].request.path: the path does not begin with a slash"},
		{"the host as a header", oneTest("request: {path: /a, headers: {Host: b}}" + expect), "4:35 tests[0].request.headers.Host: the host is not among the headers | use request.host"},
		{"what is no header", oneTest("request: {path: /a, headers: {a b: c}}" + expect), `4:35 tests[0].request.headers.a b: "a b" is not the name of a header`},
		{"a header given twice", oneTest("request: {path: /a, headers: {x-a: b, X-A: c}}" + expect), `4:43 tests[0].request.headers.X-A: "X-A" is given twice | give several values as a list`},
		{"a header that breaks out of its line", oneTest("request: {path: /a, headers: {x-a: \"b\\nc\"}}" + expect), "4:40 tests[0].request.headers.x-a: the value holds a control character"},
		{"a network for an address", oneTest("request: {path: /a, source: 10.0.0.0/8}" + expect), "4:33 tests[0].request.source: not an address | it looks like 10.1.2.3"},
		{"a body and its size", oneTest("request: {path: /a, body: b, body_bytes: 1}" + expect), "4:46 tests[0].request.body_bytes: the body is written out, so its size is known | leave it out"},
		{"a size below zero", oneTest("request: {path: /a, body_bytes: -1}" + expect), "4:37 tests[0].request.body_bytes: must be a whole number from 0 to 1099511627776, found -1"},
		{"two models in one body", oneTest(`request: {path: /v1/embeddings, body: '{"model":"a","model":"b"}'}` + expect),
			`4:43 tests[0].request.body: the request body has "model" twice | the gateway answers it with a 400 before any rule is asked`},
		{"a model beside the body's", oneTest("request: {path: /v1/embeddings, model: b, body: {model: a}}" + expect), `4:44 tests[0].request.model: the request names another model already: "a" | leave one of them out`},
		{"a model beside the path's", oneTest("request: {path: '/v1beta/models/g:generateContent', model: b}" + expect), `4:64 tests[0].request.model: the request names another model already: "g" | leave one of them out`},
		{"no stream beside a path that streams", oneTest("request: {path: '/v1beta/models/g:streamGenerateContent', stream: false}" + expect),
			"4:71 tests[0].request.stream: the request asks for a stream already | leave one of them out"},
		{"a body of what JSON has not", oneTest("request: {path: /a, body: {a: .nan}}" + expect), "4:31 tests[0].request.body: the fields cannot be written as JSON | write it as text"},
		{"a body with fields that have no names", oneTest("request: {path: /a, body: {a: {1: b}}}" + expect), "4:31 tests[0].request.body: the fields cannot be written as JSON | write it as text"},
		{"nothing expected", oneTest(ask + "expect: {}"), "5:13 tests[0].expect: nothing is expected | say at least one of rule, upstream, model, status, code, path, headers"},
		{"an unknown expectation", oneTest(ask + "expect: {rules: a}"), `5:14 tests[0].expect.rules: unknown field "rules" | fields of expect are rule, upstream, model, status, code, path, headers`},
		{"what is no rule's name", oneTest(ask + "expect: {rule: A B}"), `5:20 tests[0].expect.rule: "A B" is not a name | names match [a-z0-9][a-z0-9._-]{0,62}`},
		{"no upstream", oneTest(ask + "expect: {upstream: []}"), "5:24 tests[0].expect.upstream: the list is empty | leave the field out"},
		{"two models in a query", oneTest("request: {path: '/v1/realtime?model=a&model=b'}\nexpect: {status: 400}"), `4:21 tests[0].request.path: the query names model twice | the gateway answers it with a 400 before any rule is asked`},
		{"an unknown code", oneTest(ask + "expect: {code: no_rules}"), `5:20 tests[0].expect.code: unknown code "no_rules" | codes are no_rule, wrong_base_url, no_destination, model_unreadable, bad_path_rewrite, websocket_not_allowed`},
		{"a path that is never sent", oneTest(ask + "expect: {path: /a%62}"), "5:20 tests[0].expect.path: the path is not written as it is sent | write /ab"},
		{"a path with its query", oneTest(ask + "expect: {path: '/a?b'}"), "5:20 tests[0].expect.path: the path has a character that must be percent-escaped"},
		{"an invalid expression", oneTest(ask + "expect: {headers: {x-a: {regex: '('}}}"), "5:37 tests[0].expect.headers.x-a.regex: not a regular expression: missing closing ) | the syntax is RE2's: https://github.com/google/re2/wiki/Syntax"},
		{"an expected header given twice", oneTest(ask + "expect: {headers: {x-a: b, X-A: b}}"), `5:24 tests[0].expect.headers.x-a: "x-a" is given twice, also as "X-A" | names of headers do not differ by case`},
		{"several problems, in the order of the text", oneTest("request: {path: a, method: b}\nexpect: {status: 1}"), "4:21 tests[0].request.path: the path does not begin with a slash\n" +
			`4:32 tests[0].request.method: unknown method "b" | methods are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS` + "\n" +
			"5:22 tests[0].expect.status: must be a whole number from 200 to 599, found 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := rules.DecodeTests("a.test.yaml", []byte(c.source))
			if diff := cmp.Diff(c.want+"\n", shown(problems)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, p := range problems {
				if p.File != "a.test.yaml" || p.Warning {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}

func TestAnUnknownCodeIsCorrected(t *testing.T) {
	_, problems := rules.DecodeTests("a", []byte(oneTest("request: {path: /a}\nexpect: {code: no_rules}")))
	if len(problems) != 1 || problems[0].Suggestion != "no_rule" {
		t.Errorf("%+v", problems)
	}
}

func TestTheRequestsOfTests(t *testing.T) {
	const id = rules.TestRequestID
	for _, c := range []struct {
		name, request string
		want          rules.Request
	}{
		{"a path is enough", "{path: /a}", rules.Request{ID: id, Method: "POST", Path: "/a"}},
		{"the path is made canonical", "{path: /%61%2e}", rules.Request{ID: id, Method: "POST", Path: "/a."}},
		{"a query may stand in the path", "{method: GET, path: '/a?b=c&d'}", rules.Request{ID: id, Method: "GET", Path: "/a", RawQuery: "b=c&d"}},
		{"or beside it, or both", "{query: {x: [a b, c], y: ''}, path: '/a?b=c'}", rules.Request{ID: id, Method: "POST", Path: "/a", RawQuery: "b=c&x=a+b&x=c&y="}},
		{"the path tells the wire format", "{path: /v1/chat/completions, model: gpt-5}",
			rules.Request{ID: id, Method: "POST", Path: "/v1/chat/completions", Wire: accounts.WireOpenAIChat, Model: "gpt-5", HasModel: true, BodyBytes: -1}},
		{"and for some formats the model", "{path: '/v1beta/models/gemini-2.5-pro:streamGenerateContent'}",
			rules.Request{ID: id, Method: "POST", Path: "/v1beta/models/gemini-2.5-pro:streamGenerateContent", Wire: accounts.WireGoogleGenerate, Model: "gemini-2.5-pro", HasModel: true, Stream: true, BodyBytes: -1}},
		{"the body tells model, stream and size", `{path: /v1/messages, body: '{"model":"c","stream":true}'}`,
			rules.Request{ID: id, Method: "POST", Path: "/v1/messages", Wire: accounts.WireAnthropicMessages, Model: "c", HasModel: true, Stream: true, BodyBytes: 27}},
		{"a body may be written as fields", `{path: /v1/messages, body: {stream: true, model: c, n: [1, {a: null}]}}`,
			rules.Request{ID: id, Method: "POST", Path: "/v1/messages", Wire: accounts.WireAnthropicMessages, Model: "c", HasModel: true, Stream: true, BodyBytes: 46}},
		{"a form is read as one", `{path: /v1/audio/transcriptions, headers: {content-type: multipart/form-data; boundary=b}, body: "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n"}`,
			rules.Request{ID: id, Method: "POST", Path: "/v1/audio/transcriptions", Wire: accounts.WireOpenAIAudio, Model: "whisper-1", HasModel: true, BodyBytes: 71,
				Header: map[string][]string{"Content-Type": {"multipart/form-data; boundary=b"}}}},
		{"a body of another type is not looked into", `{path: /a, headers: {content-type: text/plain}, body: {model: c}}`,
			rules.Request{ID: id, Method: "POST", Path: "/a", BodyBytes: 13, Header: map[string][]string{"Content-Type": {"text/plain"}}}},
		{"in chunks it has no size then", `{path: /a, headers: {content-type: text/plain, transfer-encoding: chunked}, body: abc}`,
			rules.Request{ID: id, Method: "POST", Path: "/a", BodyBytes: -1, Header: map[string][]string{"Content-Type": {"text/plain"}, "Transfer-Encoding": {"chunked"}}}},
		{"a model and the body's may be the same", "{path: /v1/messages, model: c, stream: true, body: {model: c}}",
			rules.Request{ID: id, Method: "POST", Path: "/v1/messages", Wire: accounts.WireAnthropicMessages, Model: "c", HasModel: true, Stream: true, BodyBytes: 13}},
		{"a size stands for a body", "{path: /a, model: c, body_bytes: 5}", rules.Request{ID: id, Method: "POST", Path: "/a", Model: "c", HasModel: true, BodyBytes: 5}},
		{"headers get their canonical names", "{path: /a, headers: {x-A: b, x-c: [d, e]}}",
			rules.Request{ID: id, Method: "POST", Path: "/a", Header: map[string][]string{"X-A": {"b"}, "X-C": {"d", "e"}}}},
		{"who is calling, from where", "{path: /a, host: h, key: k, user: u, tags: {t: v}, source: '::ffff:10.1.2.3'}",
			rules.Request{ID: id, Method: "POST", Path: "/a", Host: "h", Key: "k", User: "u", Tags: map[string]string{"t": "v"}, Source: netip.MustParseAddr("10.1.2.3")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tests, problems := rules.DecodeTests("a", []byte(oneTest("request: "+c.request+"\nexpect: {status: 400}")))
			if len(problems) > 0 || len(tests) != 1 {
				t.Fatalf("%d tests, %v", len(tests), problems)
			}
			if diff := cmp.Diff(c.want, tests[0].Request, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTestsKnowWhereTheyStand(t *testing.T) {
	tests, problems := rules.DecodeTests("a.test.yaml", []byte("version: 1\ntests:\n- {name: one, request: {path: /a}, expect: {rule: r}}\n---\nversion: 1\ntests:\n  - expect: {upstream: u}\n    request: {path: /b}\n    name: two\n"))
	if len(problems) > 0 || len(tests) != 2 {
		t.Fatalf("%d tests, %v", len(tests), problems)
	}
	for i, want := range []string{"a.test.yaml:3:3 one", "a.test.yaml:7:5 two"} {
		if got := fmt.Sprintf("%s:%d:%d %s", tests[i].File, tests[i].Line, tests[i].Column, tests[i].Name); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzDecodeTests(f *testing.F) {
	for _, seed := range []string{
		"version: 1\ntests: []\n", oneTest("request: {path: /v1/messages, body: {model: a}}\nexpect: {rule: a}"),
		oneTest("request: {path: /a?b, query: {c: [d]}, headers: {e: f}, source: ::1, body_bytes: 5}\nexpect: {headers: {a: {in: [b]}}, upstream: [c, d]}"),
		oneTest("request: &r {path: /a, body: &b {c: *b}}\nexpect: *r"), "version: 1\ntests: [{name: a}, 5, [], *x]\n",
	} {
		f.Add([]byte(seed))
	}
	files, problems := rules.Decode("rules.yaml", []byte(everything))
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		tests, problems := rules.DecodeTests("a", source)
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Fatalf("a problem without a place: %+v", p)
			}
		}
		if len(problems) > 0 {
			return
		}
		report, problems := rules.RunTests(files, tests)
		if len(problems.Errors()) > 0 || len(report.Results) != len(tests) {
			t.Fatalf("%d results of %d tests, %v", len(report.Results), len(tests), problems)
		}
		report.JUnit()
	})
}
