//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/term"

	"github.com/llmgw/llmgw/admin/api"
)

// typist is a program on a terminal of its own, 80 columns wide.
type typist struct {
	terminal
	keyboard *os.File
	process  *os.Process
	exit     chan int
}

// onTerminal starts a command in a home directory and reads what it shows.
// stderr may be something else than the terminal.
func onTerminal(t *testing.T, home string, stderr io.Writer, args ...string) *typist {
	t.Helper()
	program, err := exec.LookPath("llmgw") // TestMain has put this program there
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	c.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=", "TERM=xterm", "NO_COLOR=1")
	c.Dir = home
	c.Stderr = stderr
	p := &typist{exit: make(chan int, 1)}
	if p.keyboard, err = pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: bannerWidth}); err != nil {
		t.Fatal(err)
	}
	p.process = c.Process
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, err := io.Copy(p, p.keyboard)
		if err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, os.ErrClosed) { // EIO: the other side is closed
			t.Errorf("reading the terminal: %v", err)
		}
	}()
	go func() {
		err := c.Wait()
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) {
			t.Errorf("waiting for llmgw: %v", err)
		}
		<-read
		p.exit <- c.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = p.process.Kill() // it has ended where the test went well
		_ = p.keyboard.Close()
		<-read
	})
	return p
}

// text is what was shown, without the carriage returns of a terminal.
func (p *typist) text() string { return strings.ReplaceAll(p.String(), "\r\n", "\n") }

func (p *typist) types(t *testing.T, text string) {
	t.Helper()
	if _, err := p.keyboard.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func (p *typist) ends(t *testing.T, want int) {
	t.Helper()
	select {
	case code := <-p.exit:
		p.exit <- code
		if code != want {
			t.Errorf("it ended with %d, want %d:\n%s", code, want, p.text())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not end:\n%s", p.text())
	}
}

func (p *typist) shows(t *testing.T, text string) {
	t.Helper()
	until(t, text, func() bool { return strings.Contains(p.text(), text) })
}

// withoutProviders empties the variables that a first start looks for.
func withoutProviders(t *testing.T) {
	t.Helper()
	for _, k := range knownProviders() {
		for _, name := range k.variables {
			t.Setenv(name, "")
		}
	}
}

func fitsTheTerminal(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > bannerWidth {
			t.Errorf("%d columns: %s", width, line)
		}
	}
}

func statusIn(t *testing.T, home string) api.Status {
	t.Helper()
	s, err := statusAt(t.Context(), filepath.Join(home, ".local", "share", "llmgw", socketName))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheFirstStartOnATerminalShowsTheKeyOnceAndWhatToTypeNext(t *testing.T) {
	withoutProviders(t)
	t.Setenv("OPENAI_API_KEY", "sk-proj-0123456789x4Qd")
	home := shortDir(t)
	serve := []string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}
	var log bytes.Buffer
	g := onTerminal(t, home, &log, serve...)
	g.shows(t, "Ctrl-C stops\n")
	fitsTheTerminal(t, g.text())
	s := statusIn(t, home)

	key := anyKey.FindString(g.text())
	plain := strings.NewReplacer(s.Proxy, "PROXY", s.Admin, "ADMIN", key, "KEY", version, "VERSION").Replace(g.text())
	plain = regexp.MustCompile(`(PROXY|ADMIN) {2,}`).ReplaceAllString(plain, "$1  ")
	plain = regexp.MustCompile(`\d\.\d s`).ReplaceAllString(plain, "N s")
	want := `llmgw VERSION

  proxy     PROXY  point your clients here
  admin     ADMIN  admin API, /metrics, /healthz
  data      ~/.local/share/llmgw      SQLite; nothing else to install

  upstreams
    mock       built in, needs no account
    openai     key from OPENAI_API_KEY (…x4Qd)     gpt-*, o*, chatgpt-*, …

  first start: shown once, store it now
    api key    KEY

  try it
    KEY=KEY
    curl -N PROXY/v1/chat/completions \
      -H "Authorization: Bearer $KEY" \
      --json '{"model":"mock","stream":true,
               "messages":[{"role":"user","content":"hello"}]}'

    llmgw chat hello         the same without the typing
    llmgw run -- claude      Claude Code through this gateway (also: codex, …)
    llmgw status             what it does now
    llmgw admin link         a first password for the admin API

ready in N s, Ctrl-C stops
`
	if plain != want {
		t.Errorf("the banner is\n%s\nwant\n%s", plain, want)
	}
	chat := onTerminal(t, home, nil, "chat", "--key", key, "hello")
	chat.ends(t, exitDone)
	if !strings.Contains(chat.text(), "built-in mock") {
		t.Errorf("chat with the shown key says %s", chat.text())
	}
	g.types(t, "\x03")
	g.ends(t, exitDone)
	if anyKey.Match(log.Bytes()) {
		t.Errorf("the key is in the log:\n%s", log.String())
	}

	again := onTerminal(t, home, io.Discard, serve...)
	again.shows(t, "ready in ")
	again.shows(t, " s\n")
	fitsTheTerminal(t, again.text())
	if lines := strings.Count(again.text(), "\n"); lines != 4 {
		t.Errorf("the second start prints %d lines, want 4:\n%s", lines, again.text())
	}
	if !strings.Contains(again.text(), "2 rules, 2 upstreams, 1 key; ready in ") || anyKey.MatchString(again.text()) {
		t.Errorf("the second start says\n%s", again.text())
	}
	again.types(t, "\x03")
	again.ends(t, exitDone)
}

func TestAStartThatFoundEveryProviderStillFitsTheTerminal(t *testing.T) {
	withoutProviders(t)
	for _, k := range knownProviders() {
		t.Setenv(k.variables[0], "sk-0123456789abcdef")
	}
	g := onTerminal(t, shortDir(t), io.Discard, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	g.shows(t, "Ctrl-C stops\n")
	fitsTheTerminal(t, g.text())
	for _, want := range []string{"claude-*\n", "gemini-*, gemma-*, …\n", "groq       key from GROQ_API_KEY (…cdef)"} {
		if !strings.Contains(g.text(), want) {
			t.Errorf("%q is not in\n%s", want, g.text())
		}
	}
	g.types(t, "\x03")
	g.ends(t, exitDone)
}

func TestAKeyIsMadeOnceSomebodyIsThereToSeeIt(t *testing.T) {
	data := shortDir(t)
	log := &terminal{signals: make(chan os.Signal, 1)}
	exit := make(chan int, 1)
	go func() {
		exit <- run(context.Background(), shell{
			args: []string{"serve", "--no-detect", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"},
			in:   strings.NewReader(""), out: io.Discard, err: log, inIsTerm: true, errIsTerm: true, signals: log.signals,
		})
	}()
	until(t, "the ready line", func() bool { return strings.Contains(log.String(), "ready") })
	s, err := statusAt(t.Context(), filepath.Join(data, socketName))
	if err != nil || s.Keys != 0 {
		t.Errorf("there are %d keys that nobody saw (%v)", s.Keys, err)
	}
	log.signals <- os.Interrupt
	if code := <-exit; code != exitDone {
		t.Errorf("serve ended with %d", code)
	}

	g := serveAt(t, data)
	if keys := g.status(t).Keys; keys != 1 || !anyKey.MatchString(g.String()) {
		t.Errorf("there are %d keys, and the terminal shows\n%s", keys, g)
	}
}

// modes is how the terminal is set: whether it echoes, and more.
func (p *typist) modes(t *testing.T) *term.State {
	t.Helper()
	raw, err := p.keyboard.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var state *term.State
	failed := raw.Control(func(fd uintptr) { state, err = term.GetState(int(fd)) })
	if err := errors.Join(failed, err); err != nil {
		t.Fatal(err)
	}
	return state
}

func TestAPasswordIsTypedTwiceAndNeverShown(t *testing.T) {
	for _, c := range []struct {
		name  string
		typed []string // one for each prompt
		code  int
		calls []string
		shows string
	}{
		{"the same twice", []string{"correct horse", "correct horse"}, exitDone,
			[]string{`PUT /users/dana/password {"password":"correct horse"}`}, "set the password of user dana"},
		{"two that differ", []string{"correct horse", "correct house"}, exitUsage, nil, "the two passwords differ, nothing was changed"},
		{"nothing", []string{""}, exitUsage, nil, "the secret from the prompt is empty"},
		{"both pasted at once", []string{"correct horse\rcorrect horse"}, exitDone,
			[]string{`PUT /users/dana/password {"password":"correct horse"}`}, "set the password of user dana"},
		{"Ctrl-C at the second", []string{"correct horse", "\x03"}, exitInterrupted, nil, "interrupted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAPI(t, answersOfAGateway())
			p := onTerminal(t, shortDir(t), nil, "users", "password", "dana", "--server", f.URL)
			for i, prompt := range []string{"new password for dana: ", "once more: "}[:len(c.typed)] {
				p.shows(t, prompt)
				p.types(t, c.typed[i]+"\r")
			}
			p.ends(t, c.code)
			if !strings.Contains(p.text(), c.shows) {
				t.Errorf("it does not show %q:\n%s", c.shows, p.text())
			}
			if strings.Contains(p.text(), "correct") {
				t.Errorf("it was echoed:\n%s", p.text())
			}
			if diff := cmp.Diff(c.calls, f.changes()); len(c.calls)+len(f.changes()) > 0 && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACredentialTypedAtThePromptIsNeverShown(t *testing.T) {
	withoutProviders(t)
	const secret = "sk-typed-0123456789wxyz"
	home := shortDir(t)
	g := onTerminal(t, home, io.Discard, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	g.shows(t, "Ctrl-C stops\n")
	fresh := g.modes(t)
	for i, c := range []struct {
		name, typed string
		signal      syscall.Signal
		code        int
		shows       string
	}{
		{"a line is taken", secret + "\r", 0, exitDone, "credential sealed, ends …wxyz"},
		{"a slip is corrected", "sk-wrong\x15" + secret + "!\x7f\r", 0, exitDone, "ends …wxyz"},
		{"Ctrl-C gives up", secret + "\x03", 0, exitInterrupted, "interrupted"},
		{"Ctrl-D gives up", "\x04", 0, exitInterrupted, "interrupted"},
		{"a signal from elsewhere gives up", "", syscall.SIGTERM, exitTerminated, "interrupted"},
		{"nothing is no credential", "\r", 0, exitUsage, "the secret from the prompt is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "team-" + strconv.Itoa(i)
			p := onTerminal(t, home, nil, "upstreams", "create", name, "--provider", "openai", "--credential", "-", "--no-test")
			p.shows(t, "credential for "+name+": ")
			if reflect.DeepEqual(p.modes(t), fresh) {
				t.Error("the terminal still echoes")
			}
			p.types(t, c.typed)
			if c.signal != 0 {
				if err := p.process.Signal(c.signal); err != nil {
					t.Fatal(err)
				}
			}
			p.ends(t, c.code)
			if !strings.Contains(p.text(), c.shows) {
				t.Errorf("it does not show %q:\n%s", c.shows, p.text())
			}
			if strings.Contains(p.text(), "sk-") || strings.Contains(p.text(), "0123456789") {
				t.Errorf("it was echoed:\n%s", p.text())
			}
			if diff := cmp.Diff(fresh, p.modes(t), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("the terminal is not as it was: %s", diff)
			}
		})
	}
	g.types(t, "\x03")
	g.ends(t, exitDone)
}
