package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/llmgw/llmgw/admin/api"
)

func TestASettingComesFromTheStrongestPlaceThatNamesIt(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Chdir(home)
	file := filepath.Join(home, "llmgw.yaml")
	for _, c := range []struct {
		name, file, env, flag string
		want, origin          string
	}{
		{"nothing is said", "", "", "", "10m", fromDefault},
		{"the file is stronger than the default", "1m", "", "", "1m", fromFile},
		{"a variable is stronger than the file", "1m", "2m", "", "2m", fromEnv},
		{"a flag is stronger than a variable", "1m", "2m", "3m", "3m", fromFlag},
		{"an empty variable says nothing", "1m", "", "", "1m", fromFile},
		{"a flag that repeats the default is still a flag", "1m", "", "10m", "10m", fromFlag},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "# nothing\n"
			if c.file != "" {
				text = "drain: " + c.file + "\n"
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("LLMGW_DRAIN", c.env)
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			addFlags(flags, serveOnly|anyCommand)
			if c.flag != "" {
				if err := flags.Parse([]string{"--drain", c.flag}); err != nil {
					t.Fatal(err)
				}
			}
			s, err := loadSettings(flags)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.text("drain"); got != c.want || s.originOf("drain") != c.origin {
				t.Errorf("drain is %s from %s, want %s from %s", got, s.originOf("drain"), c.want, c.origin)
			}
		})
	}
}

func TestEverySettingOfServeIsAFlagAVariableAndAKey(t *testing.T) {
	flags := newServe(&app{}).Flags()
	for _, s := range settingsTable() {
		if s.is(serveOnly) && (flags.Lookup(s.name) == nil || !s.is(inFile) || !s.is(inEnv)) {
			t.Errorf("%s is not all three", s.name)
		}
		if s.check != nil && s.def != "" && s.check(s.def) != nil {
			t.Errorf("the default of %s is refused: %v", s.name, s.check(s.def))
		}
	}
}

func TestASecretSettingIsNeverShown(t *testing.T) {
	for _, c := range []struct {
		name, value, want string
		secret            bool
	}{
		{"a secret", "hunter2", "***", true},
		{"no secret", "", "", true},
		{"a password in a URL", "postgres://llmgw:hunter2@db/llmgw", "postgres://llmgw:***@db/llmgw", false},
		{"a path", "/var/lib/llmgw", "/var/lib/llmgw", false},
	} {
		if got := masked(setting{secret: c.secret}, c.value); got != c.want {
			t.Errorf("%s is shown as %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEveryProblemOfAConfigurationIsToldAtOnceWithItsPlace(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         []string
	}{
		{"nothing", "", nil},
		{"comments only", "# nothing\n---\n# here\n", nil},
		{"a file that begins with the mark of an editor", "\ufeffdrain: 1m\n", nil},
		{"values of every spelling", "drain: '1m'\nno_mock: true\nlisten: :4100\nmax_body: \"1MiB\"\n", nil},
		{"several kinds of mistakes", "drain: soon\nport: 1\ndata:\nlog_level: [info]\ndrain: 1m\n", []string{
			`1:8 drain: "soon" is not a duration; write 500ms, 30s or 10m`, `2:1 unknown key "port"`,
			"3:1 data must be one value", "4:1 log_level must be one value", "5:1 drain is set twice; the first is on line 1",
		}},
		{"a key set in two documents", "drain: 1m\n---\ndrain: 2m\n", []string{"3:1 drain is set twice; the first is on line 1"}},
		{"columns count characters", "{data: ünï, drain: x}", []string{`1:20 drain: "x" is not a duration; write 500ms, 30s or 10m`}},
		{"a list", "- drain\n", []string{"1:1 the file must be a list of keys and values"}},
		{"a text", "hunter2", []string{"1:1 the file must be a list of keys and values"}},
		{"a key that is a list", "[drain]: 1m\n", []string{`1:1 unknown key ""`}},
		{"an alias", "a: &x 1m\ndrain: *x\n", []string{`1:1 unknown key "a"`, "2:1 drain must be one value"}},
		{"a merge key", "<<: {drain: 1m}\n", []string{`1:1 unknown key "<<"`}},
		{"a tab", "drain: 1m\n\tdata: x\n", []string{"2:1 not YAML: found a tab character that violates indentation"}},
		{"a value that looks like an alias", "drain: 1m\ndata: *hunter2\n", []string{
			"2:14 not YAML: unknown anchor; put a value that begins with * in quotes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			values, problems := decodeConfig("f.yaml", []byte(c.source))
			var got []string
			for _, p := range problems {
				got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Message))
				if p.File != "f.yaml" {
					t.Errorf("a problem with %q", p.File)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s; values %v", diff, values)
			}
		})
	}
}

func FuzzDecodeConfigLetsOnlyCheckedValuesThrough(f *testing.F) {
	f.Add("listen: 127.0.0.1:4100\n")
	f.Add("a: &x [1, *x]\n? b\n: c\n")
	f.Add("drain: 1m\n---\nstore: sqlite://x\n")
	f.Add("\"")
	f.Fuzz(func(t *testing.T, source string) {
		values, problems := decodeConfig("f.yaml", []byte(source))
		for key, value := range values {
			s, ok := fileSetting(key)
			if !ok || s.check != nil && s.check(fmt.Sprint(value)) != nil {
				t.Errorf("%s=%v was let through", key, value)
			}
		}
		for _, p := range problems {
			if p.Message == "" {
				t.Error("a problem without a message")
			}
		}
	})
}

func TestATableIsAsWideAsItsCells(t *testing.T) {
	type row struct{ name, value string }
	columns := []column[row]{
		{name: "NAME", text: func(r row) string { return r.name }},
		{name: "ON", wide: true, text: func(row) string { return "●" }},
		{name: "VALUE", text: func(r row) string { return r.value }},
	}
	rows := []row{{"a", "x\ny\x1b[31m"}, {"longer", "→ z"}}
	for _, c := range []struct {
		name   string
		output output
		want   string
	}{
		{"as it is", output{format: formatTable, headers: true}, "NAME    VALUE\na       x y [31m\nlonger  → z\n2 rows · all\n"},
		{"wide", output{format: formatWide, headers: true}, "NAME    ON  VALUE\na       ●   x y [31m\nlonger  ●   → z\n2 rows · all\n"},
		{"without headings", output{format: formatTable}, "a       x y [31m\nlonger  → z\n"},
		{"in ASCII", output{format: formatTable, headers: true, look: style{ascii: true}}, "NAME    VALUE\na       x y [31m\nlonger  -> z\n2 rows | all\n"},
		{"some columns", output{format: formatTable, columns: []string{"on", "NAME"}}, "●   a\n●   longer\n"},
		{"in colour", output{format: formatTable, headers: true, columns: []string{"name"}, look: style{colour: true}, quiet: true}, "\x1b[2mNAME\x1b[0m\na\nlonger\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			c.output.w = &b
			if err := writeList(context.Background(), &c.output, rows, rows, columns, "2 rows · all"); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(c.want, "●   a", "●  a")
			want = strings.ReplaceAll(want, "●   longer", "●  longer")
			if diff := cmp.Diff(want, b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEveryCodeOfTheAPIHasItsExitCode(t *testing.T) {
	for code, want := range map[string]int{
		api.CodeInvalid: exitInvalid, api.CodeUsage: exitUsage, api.CodeDenied: exitDenied, api.CodeNotFound: exitNotFound,
		api.CodeConflict: exitConflict, api.CodeInUse: exitConflict, api.CodeWouldDelete: exitConflict,
		api.CodeUnavailable: exitFailed, api.CodeUnreachable: exitUnreachable, api.CodeInternal: exitFailed,
	} {
		if got := explain(fmt.Errorf("doing: %w", &api.Error{Code: code, Detail: "x"})).exit; got != want {
			t.Errorf("%s exits with %d, want %d", code, got, want)
		}
	}
}

func TestASignalHasItsExitCode(t *testing.T) {
	for s, want := range map[os.Signal]int{os.Interrupt: exitInterrupted, syscall.SIGTERM: exitTerminated} {
		signals := make(chan os.Signal, 1)
		signals <- s
		code := run(context.Background(), shell{
			args: []string{"mock", "--listen", "127.0.0.1:0"}, in: strings.NewReader(""), out: io.Discard, err: io.Discard, signals: signals,
		})
		if code != want {
			t.Errorf("%s exits with %d, want %d", s, code, want)
		}
	}
}

func TestTheNearestWordIsFoundAndAFarOneIsNot(t *testing.T) {
	words := []string{"rules list", "rules get", "status", "serve", "keys list"}
	for typed, want := range map[string]string{
		"rule list": "rules list", "rulse list": "rules list", "stauts": "status", "server": "serve",
		"frobnicate": "", "x": "", "": "",
	} {
		if got := nearest(typed, words); got != want {
			t.Errorf("nearest to %q is %q, want %q", typed, got, want)
		}
	}
}

func TestAMomentIsReadAsPeopleWriteIt(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"90d": "2027-02-20T12:00:00Z", "12h": "2026-11-23T00:00:00Z", "2027-02-20": "2027-02-20T00:00:00Z",
		"2027-02-20T10:00:00+02:00": "2027-02-20T08:00:00Z",
	} {
		got, err := moment(text, now)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s is %s (%v), want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "0d", "-3h", "2026-11-22", "99999999d", "soon"} {
		if at, err := moment(text, now); err == nil {
			t.Errorf("%q was taken for %s", text, at)
		}
	}
}

func TestATimeThatWasIsReadAsPeopleWriteIt(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"7d": "2026-11-15T12:00:00Z", "90m": "2026-11-22T10:30:00Z", "0s": "2026-11-22T12:00:00Z", "2026-11-01": "2026-11-01T00:00:00Z",
		"2026-11-01T10:00:00+02:00": "2026-11-01T08:00:00Z",
	} {
		got, err := pastMoment(text, now)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s is %s (%v), want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-3h", "yesterday"} {
		if at, err := pastMoment(text, now); err == nil {
			t.Errorf("%q was taken for %s", text, at)
		}
	}
}

func TestAnAddressToListenAtBecomesOneToConnectTo(t *testing.T) {
	for listen, want := range map[string]string{
		":4100": "127.0.0.1:4100", "0.0.0.0:4100": "127.0.0.1:4100", "[::]:4100": "[::1]:4100",
		"127.0.0.1:4100": "127.0.0.1:4100", "10.1.2.3:80": "10.1.2.3:80", "llm.internal:80": "llm.internal:80",
	} {
		if got := reachable(listen); got != want {
			t.Errorf("%s is reached at %s, want %s", listen, got, want)
		}
	}
	for at, want := range map[string]string{"127.0.0.1:4100": "127.0.0.1:4200", ":65500": "127.0.0.1:0", "x": "127.0.0.1:0"} {
		if got := another(at); got != want {
			t.Errorf("another address than %s is %s, want %s", at, got, want)
		}
	}
}

func TestAGatewayWhoseCertificateIsNotBelievedIsNotTakenForOneThatIsAway(t *testing.T) {
	for want, cause := range map[string]error{
		"its certificate is of no authority that this machine trusts": x509.UnknownAuthorityError{},
		"its certificate is not for 127.0.0.1":                        x509.HostnameError{Certificate: &x509.Certificate{}, Host: "127.0.0.1"},
	} {
		err := &url.Error{Op: "Post", URL: "https://127.0.0.1:1", Err: &tls.CertificateVerificationError{Err: cause}}
		f := unanswered("https://127.0.0.1:1", err)
		if f.message != "https://127.0.0.1:1: "+want || f.hint != nameTheCertificate || f.exit != exitUnreachable {
			t.Errorf("%v is told as %q, hint %q, exit %d", cause, f.message, f.hint, f.exit)
		}
	}
}

// slowPipe is a log that nobody reads.
type slowPipe struct{ open chan struct{} }

func (p slowPipe) Write(b []byte) (int, error) { <-p.open; return len(b), nil }

func TestALogThatNobodyReadsHoldsNobody(t *testing.T) {
	pipe := slowPipe{make(chan struct{})}
	q := newLogQueue(pipe)
	for range 2 * logLines {
		if _, err := q.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
	}
	if n := q.dropped.Load(); n < logLines-1-logBatch/int64(len("line\n")) || n > logLines {
		t.Errorf("%d lines were dropped, want about %d", n, logLines)
	}
	close(pipe.open)
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Write([]byte("late\n")); err != nil {
		t.Errorf("a line after the end: %v", err)
	}
}

// logPipe holds the first write until it is opened, and keeps all of them.
type logPipe struct {
	reached, open chan struct{}
	writes        []string
}

func (p *logPipe) Write(b []byte) (int, error) {
	if len(p.writes) == 0 {
		close(p.reached)
		<-p.open
	}
	p.writes = append(p.writes, string(b))
	return len(b), nil
}

func TestLogLinesThatWaitAreWrittenTogether(t *testing.T) {
	pipe := &logPipe{reached: make(chan struct{}), open: make(chan struct{})}
	q := newLogQueue(pipe)
	var want strings.Builder
	put := func(line string) {
		want.WriteString(line)
		if _, err := q.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	put("first\n")
	<-pipe.reached
	put(strings.Repeat("x", 2*logBatch) + "\n") // longer than a batch: it goes alone, and whole
	for n := range 1000 {
		put(fmt.Sprintf(`{"n":%d}`+"\n", n))
	}
	close(pipe.open)
	if err := q.close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(pipe.writes, ""); got != want.String() {
		t.Errorf("%d bytes were written, want the %d that were logged, in their order", len(got), want.Len())
	}
	if n := len(pipe.writes); n > 10 {
		t.Errorf("%d writes for 1,002 lines", n)
	}
	for _, w := range pipe.writes {
		if !strings.HasSuffix(w, "\n") || len(w) > logBatch && strings.Count(w, "\n") > 1 {
			t.Errorf("a write of %d bytes ends %q", len(w), w[max(0, len(w)-20):])
		}
	}
	if n := q.dropped.Load(); n != 0 {
		t.Errorf("%d lines were dropped", n)
	}
}

func TestLogLinesForPeople(t *testing.T) {
	t.Setenv("TZ", "UTC")
	for line, want := range map[string]string{
		`{"level":"info","time":"2026-11-22T21:04:11.000Z","msg":"request","status":200,"model":"mock","path":"/v1/chat/completions","upstream":"mock","key":"default","first_token_ms":21.4,"duration_ms":402,"input_tokens":9,"output_tokens":31,"end_reason":"complete","request_id":"req_1"}`: "200  mock  /v1/chat/completions  mock  default  ttft 21 ms  402 ms  9→31 tok  req_1",
		`{"level":"info","time":"2026-11-22T21:04:11.000Z","msg":"request","status":400,"duration_ms":0.2,"end_reason":"rejected","error":"no_rule","request_id":"req_2"}`:                                                                                                                        "400  0 ms  rejected  no_rule  req_2",
		`{"level":"warn","time":"2026-11-22T21:04:11.000Z","msg":"open to other users","path":"/x\u001b[31m","mode":"-rw-r--r--"}`:                                                                                                                                                                "warn open to other users mode=-rw-r--r-- path=/x [31m",
	} {
		var b bytes.Buffer
		if _, err := (prettyLog{w: &b}).Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); len(got) < 10 || got[10:] != want+"\n" {
			t.Errorf("it is shown as %q, want %q", got, want)
		}
	}
	var b bytes.Buffer
	if _, err := (prettyLog{w: &b}).Write([]byte(`{"level":"info","msg":"one"}` + "\n" + `{"level":"info","msg":"two"}` + "\nthree\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "--:--:--  info one\n--:--:--  info two\nthree\n"; got != want {
		t.Errorf("three lines are shown as %q, want %q", got, want)
	}
}

// TestEveryCommandExplainsItself walks the command tree and refuses help that does
// not look like the rest.
func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Name() == "completion" || sub.Name() == "help" {
				continue
			}
			if sub.Short == "" || strings.ToLower(sub.Short[:1]) != sub.Short[:1] || strings.HasSuffix(sub.Short, ".") {
				t.Errorf("%s explains itself as %q", sub.CommandPath(), sub.Short)
			}
			if !sub.HasSubCommands() && sub.Runnable() && sub.Args == nil && !strings.Contains(sub.Use, "…") {
				t.Errorf("%s takes any arguments", sub.CommandPath())
			}
			walk(sub)
		}
	}
	walk(newRoot(&app{shell: shell{in: strings.NewReader(""), out: io.Discard, err: io.Discard}}))
}

func TestThePublicWordsOfAStreamAreReadInEveryFormat(t *testing.T) {
	for _, c := range []struct {
		name, wire, data string
		want             chatEvent
	}{
		{"openai text", "openai", `{"choices":[{"delta":{"content":"hi"}}]}`, chatEvent{text: "hi"}},
		{"openai usage", "openai", `{"choices":[],"usage":{"completion_tokens":3}}`, chatEvent{tokens: 3}},
		{"openai end", "openai", ` [DONE]`, chatEvent{ended: true}},
		{"openai error", "openai", `{"error":{"message":"cut"}}`, chatEvent{failed: "cut"}},
		{"anthropic text", "anthropic", `{"type":"content_block_delta","delta":{"type":"text_delta","text":"hi"}}`, chatEvent{text: "hi"}},
		{"anthropic usage", "anthropic", `{"type":"message_delta","usage":{"output_tokens":3}}`, chatEvent{tokens: 3}},
		{"anthropic end", "anthropic", `{"type":"message_stop"}`, chatEvent{ended: true}},
		{"anthropic error", "anthropic", `{"type":"error","error":{"message":"cut"}}`, chatEvent{failed: "cut"}},
		{"responses text", "responses", `{"type":"response.output_text.delta","delta":"hi"}`, chatEvent{text: "hi"}},
		{"responses end", "responses", `{"type":"response.completed","response":{"usage":{"output_tokens":3}}}`, chatEvent{ended: true, tokens: 3}},
		{"responses failure", "responses", `{"type":"response.failed","response":{"error":{"message":"cut"}}}`, chatEvent{failed: "cut"}},
		{"responses error", "responses", `{"type":"error","message":"cut"}`, chatEvent{failed: "cut"}},
		{"gemini", "gemini", `{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":3}}`, chatEvent{text: "hi", ended: true, tokens: 3}},
		{"gemini error", "gemini", `{"error":{"code":500,"message":"cut"}}`, chatEvent{failed: "cut"}},
	} {
		got, err := chatWires()[c.wire].decoded([]byte(c.data))
		if err != nil || got != c.want {
			t.Errorf("%s is read as %+v (%v), want %+v", c.name, got, err, c.want)
		}
	}
	for name, wire := range chatWires() {
		if _, err := wire.decoded([]byte("{")); !errors.Is(err, errNotJSON) {
			t.Errorf("%s takes what is not JSON: %v", name, err)
		}
		h := http.Header{}
		wire.keyed(h, "sk-lgw-x")
		if !strings.Contains(fmt.Sprint(h), "sk-lgw-x") {
			t.Errorf("%s sends no key", name)
		}
	}
}

func TestADirectoryThatOthersMayWriteToStillHasAPrivateSocket(t *testing.T) {
	data := shortDir(t)
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	defer syscall.Umask(syscall.Umask(0))
	l, err := listenSocket(context.Background(), data)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stat, err := os.Stat(filepath.Join(data, socketName))
	if err != nil || stat.Mode().Perm() != 0o600 || stat.Mode().Type() != fs.ModeSocket {
		t.Errorf("the socket is %v, %v", stat, err)
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
	if _, err := listenSocket(context.Background(), filepath.Join(data, strings.Repeat("x", 200))); err == nil {
		t.Error("a socket with too long a path was opened")
	}
}

func TestOnlyTheGatewaysOwnVariablesAreNoCredentials(t *testing.T) {
	t.Setenv("LLMGW_SECRET_KEY", "k")
	t.Setenv("TEAM_KEY", " sk-team \n")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("sk-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{
		"env:TEAM_KEY": "sk-team", "file:" + file: "sk-file",
		"env:LLMGW_SECRET_KEY": "", "env:NOT_SET_ANYWHERE": "", "file:/nowhere": "", "vault:x": "",
	} {
		secret, err := references().Read(context.Background(), reference)
		if secret.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%s leads to %q, %v", reference, secret.Reveal(), err)
		}
		if err != nil && regexp.MustCompile(`sk-|\bk\b`).MatchString(err.Error()) {
			t.Errorf("%s: the error repeats a secret: %v", reference, err)
		}
	}
}
