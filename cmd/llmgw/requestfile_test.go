package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func TestShellWords(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		want    []string
		err     string
	}{
		"words stand between blanks":             {"curl  -s\thttp://a", []string{"curl", "-s", "http://a"}, ""},
		"quotes hold blanks together":            {`a 'b c' "d e" f\ g`, []string{"a", "b c", "d e", "f g"}, ""},
		"quotes in a word belong to it":          {`-H'x: 1'"2"3`, []string{"-Hx: 123"}, ""},
		"an empty quote is a word":               {`a '' ""`, []string{"a", "", ""}, ""},
		"single quotes quote all":                {`'\n $(x) "'`, []string{`\n $(x) "`}, ""},
		"double quotes know four escapes":        {`"\"\\\$\x` + "\\`" + `"`, []string{`"\$\x` + "`"}, ""},
		"lines are continued":                    {"a \\\n b\\\r\nc \"d\\\ne\"", []string{"a", "bc", "de"}, ""},
		"a line end ends the command":            {"\n\na b\nc", []string{"a", "b"}, ""},
		"so do pipe, semicolon and redirection":  {"a b | jq .", []string{"a", "b"}, ""},
		"the number of a redirection is no word": {"a b 2>/dev/null", []string{"a", "b"}, ""},
		"a number before a pipe is a word":       {"a 2|b", []string{"a", "2"}, ""},
		"a quoted number is a word":              {"a '2'>b", []string{"a", "2"}, ""},
		"comments are left out":                  {"# first\na b#c # d", []string{"a", "b#c"}, ""},
		"variables stay as they are written":     {`"Bearer $KEY" $HOME`, []string{"Bearer $KEY", "$HOME"}, ""},
		"ANSI quotes as browsers write them":     {`$'it\'s\n\u00e9\x41\101\t\\\e'`, []string{"it's\né" + "A" + "A" + "\t\\\x1b"}, ""},
		"what is no ANSI escape stays":           {`$'\q\xzz\u'`, []string{`\q\xzz\u`}, ""},
		"a character beyond Unicode":             {`$'\UFFFFFFFF'`, []string{"\uFFFD"}, ""},
		"an open single quote":                   {`a 'b`, nil, "a quote is not closed"},
		"an open double quote":                   {`a "b`, nil, "a quote is not closed"},
		"an open ANSI quote":                     {`a $'b\'`, nil, "a quote is not closed"},
		"a command within":                       {`a "$(cat key)"`, nil, "not run here"},
		"a command within, the old way":          {"a `cat key`", nil, "not run here"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := shellWords(c.command)
			switch {
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error is %v, want one that tells of %q", err, c.err)
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err == "" && !cmp.Equal(got, c.want):
				t.Error(cmp.Diff(c.want, got))
			}
		})
	}
}

// asText writes a request in lines that are easy to compare.
func asText(q api.ExplainRequest) string {
	lines := []string{q.Method + " " + q.Path, "host: " + q.Host}
	text, err := json.Marshal(q.Headers)
	if err != nil {
		return err.Error()
	}
	return strings.Join(append(lines, string(text), string(q.Body)), "\n")
}

func TestCurlCommandsAreReadAsCurlSendsThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, []byte("{\"model\":\n\"a\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ command, want string }{
		"a plain GET": {"curl http://127.0.0.1:4100/v1/models", "GET /v1/models\nhost: 127.0.0.1:4100\n{}\n"},
		"no scheme, no path": {
			"curl localhost:4100?a=1", "GET /?a=1\nhost: localhost:4100\n{}\n"},
		"data makes a POST of a form": {
			"curl -d a=1 -d b=2 http://h/x", "POST /x\nhost: h\n{\"Content-Type\":[\"application/x-www-form-urlencoded\"]}\na=1&b=2"},
		"a header wins over curl's own": {
			`curl http://h/x -H 'Content-Type: application/json' --data-raw '{"model":"a"}'`,
			"POST /x\nhost: h\n{\"Content-Type\":[\"application/json\"]}\n{\"model\":\"a\"}"},
		"--json brings its headers, and joins": {
			`$ curl --json '{"a":' --json '1}' http://h/x`,
			"POST /x\nhost: h\n{\"Accept\":[\"application/json\"],\"Content-Type\":[\"application/json\"]}\n{\"a\":1}"},
		"flags in one word": {
			"curl -sSXput -N http://h/x -o/dev/null", "PUT /x\nhost: h\n{}\n"},
		"long flags with =": {
			"curl --request=DELETE --url=http://h/x --max-time=3", "DELETE /x\nhost: h\n{}\n"},
		"-G puts data into the query": {
			"curl -G http://h/x?a=1 -d b=2 --data-urlencode 'c=d e' --data-urlencode f", "GET /x?a=1&b=2&c=d+e&f\nhost: h\n{}\n"},
		"-I asks for the head": {"curl -I http://h/x", "HEAD /x\nhost: h\n{}\n"},
		"headers: repeated, empty, taken away, Host": {
			"curl http://h/x -H 'x-a: 1' -H 'X-A: 2' -H 'x-b;' -H 'Accept:' -H 'Host: other'",
			"GET /x\nhost: other\n{\"X-A\":[\"1\",\"2\"],\"X-B\":[\"\"]}\n"},
		"user, agent, referer, cookie": {
			"curl -u a:b -A me -e r -b c=d http://h/x",
			"GET /x\nhost: h\n{\"Authorization\":[\"Basic YTpi\"],\"Cookie\":[\"c=d\"],\"Referer\":[\"r\"],\"User-Agent\":[\"me\"]}\n"},
		"data from a file loses its line ends": {
			"curl http://h/x -H 'content-type: application/json' -d @" + file,
			"POST /x\nhost: h\n{\"Content-Type\":[\"application/json\"]}\n{\"model\":\"a\"}"},
		"binary data keeps them": {
			"curl http://h/x -H 'content-type: application/json' --data-binary @" + file,
			"POST /x\nhost: h\n{\"Content-Type\":[\"application/json\"]}\n{\"model\":\n\"a\"}\n"},
		"as a browser copies it": {
			"curl 'https://llm.example.com/v1/chat/completions' \\\n  -H 'accept: */*' \\\n  -H 'x-tier: paid' \\\n  --data-raw $'{\"model\":\"gpt-5\",\"messages\":[{\"content\":\"it\\'s\"}]}' \\\n  --compressed",
			"POST /v1/chat/completions\nhost: llm.example.com\n{\"Accept\":[\"*/*\"],\"Content-Type\":[\"application/x-www-form-urlencoded\"],\"X-Tier\":[\"paid\"]}\n{\"model\":\"gpt-5\",\"messages\":[{\"content\":\"it's\"}]}"},
		"a variable as the base URL": {
			`curl "$BASE/v1/models" -H "Authorization: Bearer $KEY"`, "GET /v1/models\nhost: \n{\"Authorization\":[\"Bearer $KEY\"]}\n"},
		"user and password in the URL": {"curl http://a:b@h/x#part", "GET /x\nhost: h\n{}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := requestFromCurl(c.command)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, asText(q)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFormsOfCurlShowTheirFields(t *testing.T) {
	q, err := requestFromCurl(`curl http://h/v1/audio/transcriptions -F model=whisper-1 -F file=@voice.mp3 -F 'prompt=a;type=text/plain' --form-string 'at=@x'`)
	if err != nil {
		t.Fatal(err)
	}
	body, err := rules.ScanMultipart(q.Headers["Content-Type"][0], q.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body.Model != "whisper-1" {
		t.Errorf("model is %q, want whisper-1", body.Model)
	}
	for _, want := range []string{`filename="voice.mp3"`, "\r\n\r\na\r\n", "\r\n\r\n@x\r\n"} {
		if !strings.Contains(string(q.Body), want) {
			t.Errorf("the form lacks %q:\n%s", want, q.Body)
		}
	}
}

func TestCurlCommandsThatCannotBeReadSayWhy(t *testing.T) {
	for command, want := range map[string]string{
		"curl":                                "there is no URL",
		"curl http://a http://b":              "two URLs",
		"curl http://a --frobnicate":          "--frobnicate is not known here",
		"curl --frobnicate x http://a":        "--frobnicate is not known here",
		"curl http://a -X":                    "-X has no value",
		"curl http://a -H @headers":           "are not read",
		"curl http://a -H nonsense":           "is not NAME: VALUE",
		"curl http://a -F nonsense":           "wants NAME=CONTENT",
		"curl http://a -d @-":                 "data from stdin",
		"curl http://a -d @/nowhere/at/all":   "no such file",
		`curl http://a -d "$(cat body.json)"`: "not run here",
	} {
		if _, err := requestFromCurl(command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one that tells of %q", command, err, want)
		}
	}
}

func TestMessagesAreReadAsTheyStand(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"from the wire": {
			"request.txt", "POST /v1/messages?beta=1 HTTP/1.1\r\nHost: h:4100\r\nx-a: 1\r\nX-A:2\r\nContent-Length: 999\r\n\r\n{\"model\":\r\n\"a\"}",
			"POST /v1/messages?beta=1\nhost: h:4100\n{\"Content-Length\":[\"999\"],\"X-A\":[\"1\",\"2\"]}\n{\"model\":\r\n\"a\"}"},
		"by hand, without a version": {"stdin", "GET /v1/models\n", "GET /v1/models\nhost: \n{}\n"},
		"with a whole URL":           {"stdin", "GET https://h/v1/models HTTP/1.1\n\n", "GET /v1/models\nhost: h\n{}\n"},
		"from an editor's .http file": {
			"a.http", "### chat\n# a comment\n// another\n\nPOST http://h/x\nx-a: 1\n\n{}\n\n### next\nGET http://h/y\n",
			"POST /x\nhost: h\n{\"X-A\":[\"1\"]}\n{}\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			source := api.Source{Name: c.file, Content: c.text}
			if kindOf(source) != httpFile {
				t.Fatalf("kind is %d", kindOf(source))
			}
			q, err := requestFromMessage(source)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, asText(q)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := requestFromMessage(api.Source{Content: "GET /x\nx-a: 1\nno header\n"}); err == nil || err.Error() != "header 2 is not NAME: VALUE" {
		t.Errorf("error is %v", err)
	}
}

func TestKindsOfFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       fileKind
	}{
		{"rules.yaml", "curl http://a", rulesFile},
		{"a/b.yml", "", rulesFile},
		{"stdin", "# team search\nversion: 1\n", rulesFile},
		{"stdin", "---\n", rulesFile},
		{"stdin", "rules:\n", rulesFile},
		{"stdin", "rules.txt", unknownFile},
		{"stdin", "\n  curl -s http://a", curlFile},
		{"stdin", "$ curl\\\n http://a", curlFile},
		{"stdin", "curlew", unknownFile},
		{"stdin", "# note\nGET /v1/models", httpFile},
		{"stdin", "get /v1/models", unknownFile},
		{"stdin", "GET v1/models", unknownFile},
		{"stdin", "", unknownFile},
	} {
		if got := kindOf(api.Source{Name: c.name, Content: c.text}); got != c.want {
			t.Errorf("%s %q: kind is %d, want %d", c.name, c.text, got, c.want)
		}
	}
}

// FuzzRequestFiles: any text is a request or is refused, and what curl would
// send has a path.
func FuzzRequestFiles(f *testing.F) {
	for _, seed := range []string{
		"curl -sS http://a/b -d '{}' | jq .", `curl $'http://a\n' -F a=b -G`, "POST /x HTTP/1.1\r\nHost: h\r\n\r\nbody", "### a\nGET http://h\n###\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		source := api.Source{Name: "stdin", Content: text}
		kind := kindOf(source)
		if kind != curlFile && kind != httpFile || strings.Contains(text, "@") {
			return // not a request, or one that may read files
		}
		q, err := readRequest(kind, source)
		if err == nil && (!strings.HasPrefix(q.Path, "/") || q.Method == "") {
			t.Errorf("%q became %q %q", text, q.Method, q.Path)
		}
	})
}

// TestTheShellAgrees compares with the shell itself where there is one.
func TestTheShellAgrees(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	for _, command := range []string{
		`a 'b c' "d \"e\" \$f \g" h\ i`, "a \\\n b \"c\\\nd\"", `$'it\'s\n\x41\101' ''`, `a"b"'c'$'d' # e`, `a 2>/dev/null`,
	} {
		out, err := exec.CommandContext(t.Context(), shell, "-c", "show() { for w; do printf '%s\\0' \"$w\"; done; }; f=; show "+command).Output()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if strings.Contains(command, ">") { // what is shown went there
			want = []string{"a"}
		}
		got, err := shellWords(command)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", command, diff)
		}
	}
}
