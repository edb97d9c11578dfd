//go:build unix

package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// keyOf gives the key that a program on the terminal printed.
func (p *typist) keyOf(t *testing.T) string {
	t.Helper()
	until(t, "the program's key", func() bool { return anyKey.MatchString(p.text()) })
	return anyKey.FindString(p.text())
}

// refused says whether the gateway takes a key no longer.
func refused(t *testing.T, g *served, key string) bool {
	t.Helper()
	code, shown := types(t, "", "chat", "--data", g.data, "--key", key, "--color", "never", "hello")
	return code == exitFailed && strings.Contains(shown, "expired on")
}

func TestAProgramHasTheTerminalToItself(t *testing.T) {
	g := serveAt(t, shortDir(t))
	const program = `trap 'echo got INT; exit 7' INT; test -t 0 && test -t 1 && test -t 2 && echo on a terminal
		stty size; echo $OPENAI_API_KEY; read line; echo "read $line"; read line`
	p := onTerminal(t, shortDir(t), nil, "run", "--data", g.data, "--", "sh", "-c", program)
	p.shows(t, "on a terminal\n24 80\n")
	key := p.keyOf(t)
	p.types(t, "hello\n")
	p.shows(t, "read hello\n")
	p.types(t, "\x03") // for the program; run stays until it has ended
	p.ends(t, 7)
	if !strings.Contains(p.text(), "got INT") {
		t.Errorf("Ctrl-C did not reach the program:\n%s", p.text())
	}
	if !refused(t, g, key) {
		t.Error("the key outlives its program")
	}
}

func TestASignalForRunIsForItsProgram(t *testing.T) {
	g := serveAt(t, shortDir(t))
	for name, c := range map[string]struct {
		signal syscall.Signal
		trap   string
		code   int
	}{
		"SIGTERM that it handles":      {syscall.SIGTERM, "trap 'echo got it; exit 5' TERM", 5},
		"SIGTERM that it does not":     {syscall.SIGTERM, "", exitTerminated},
		"SIGHUP, as a terminal closes": {syscall.SIGHUP, "trap 'echo got it; exit 6' HUP", 6},
	} {
		t.Run(name, func(t *testing.T) {
			program := c.trap + "\necho $OPENAI_API_KEY; while :; do read line; done"
			p := onTerminal(t, shortDir(t), nil, "run", "--data", g.data, "--", "sh", "-c", program)
			key := p.keyOf(t)
			if err := p.process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			p.ends(t, c.code)
			if !refused(t, g, key) {
				t.Error("the key outlives its program")
			}
		})
	}
}

func TestCtrlCLeavesTheGatewayOfARunStanding(t *testing.T) {
	withoutProviders(t)
	home := shortDir(t)
	t.Setenv("LLMGW_DATA", filepath.Join(home, "data"))
	p := onTerminal(t, home, nil, "run", "--serve", "--", "sh", "-c",
		`trap 'llmgw chat --key $OPENAI_API_KEY hello; exit 9' INT; echo waiting; read line`)
	p.shows(t, "waiting\n")
	p.types(t, "\x03")
	p.ends(t, 9)
	if !strings.Contains(p.text(), "built-in mock") {
		t.Errorf("after Ctrl-C the gateway was gone before its program:\n%s", p.text())
	}
	if _, err := statusAt(t.Context(), filepath.Join(home, "data", socketName)); err == nil {
		t.Error("the gateway outlives its program")
	}
}

// listenSilently takes connections and never answers; it tells of the first.
func listenSilently(t *testing.T, socket string) <-chan struct{} {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	asked, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return // the test is over
		}
		close(asked)
		_, _ = io.Copy(io.Discard, c) // until the other side has enough
		_ = c.Close()
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return asked
}

func TestASignalBeforeTheProgramStartsEndsTheRun(t *testing.T) {
	silent := filepath.Join(shortDir(t), socketName)
	asked := listenSilently(t, silent)
	p := onTerminal(t, shortDir(t), nil, "run", "--server", "unix://"+silent, "--timeout", "20s", "--", "sh", "-c", "echo ran")
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Fatal("run does not ask the gateway")
	}
	if err := p.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.ends(t, exitTerminated)
	if strings.Contains(p.text(), "ran\n") {
		t.Errorf("the program was run:\n%s", p.text())
	}
}

func TestWhatARunPrintsIsNoSecret(t *testing.T) {
	g := serveAt(t, shortDir(t))
	out := &terminal{}
	code := run(t.Context(), shell{
		args: []string{"run", "--data", g.data, "--", "sh", "-c", "echo done"},
		in:   strings.NewReader(""), out: out, err: out, errIsTerm: true, signals: make(chan os.Signal),
	})
	if code != exitDone || !strings.Contains(out.String(), "done\n") || anyKey.MatchString(out.String()) {
		t.Errorf("run ends with %d and shows\n%s", code, out)
	}
}
