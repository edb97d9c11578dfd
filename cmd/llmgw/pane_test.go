//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pane is a real terminal, kept by tmux, with a shell in it.
type pane struct {
	t      *testing.T
	socket string
	look   time.Duration // how long a state is waited for
}

// paneBound is how long a state of the terminal is waited for: the machine may be
// busy with other tests.
const paneBound = 30 * time.Second

// openPane starts tmux with a terminal of a size, in which a shell script runs.
func openPane(t *testing.T, w, h int, script string, env ...string) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("LLMGW_TEST_REQUIRE_SERVICES") == "1" {
			t.Fatal("tmux is missing; make test installs it where it may")
		}
		t.Skip("tmux is missing: the console is not tested in a real terminal; make test installs it where it may")
	}
	dir := shortDir(t)
	p := &pane{t: t, socket: filepath.Join(dir, "tmux"), look: paneBound}
	file := filepath.Join(dir, "script.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h)}
	for _, e := range env {
		args = append(args, "-e", e)
	}
	p.tmux(append(args, "sh "+file)...)
	t.Cleanup(func() { _ = p.command("kill-server").Run() }) // it has ended where the script has
	p.tmux("set-option", "-g", "window-size", "manual")
	return p
}

func (p *pane) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 10*time.Second)
	p.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, "tmux", append([]string{"-S", p.socket, "-u"}, args...)...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	return c
}

func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %s: %v: %s", args[0], err, out)
	}
	return string(out)
}

// text is what the terminal shows.
func (p *pane) text() string {
	p.t.Helper()
	return p.tmux("capture-pane", "-p")
}

// press sends keys by the names that tmux has for them: Enter, Escape, C-d.
func (p *pane) press(keys ...string) {
	p.t.Helper()
	p.tmux(append([]string{"send-keys"}, keys...)...)
}

// write sends a text as it is.
func (p *pane) write(text string) {
	p.t.Helper()
	p.tmux("send-keys", "-l", text)
}

func (p *pane) resize(w, h int) {
	p.t.Helper()
	p.tmux("resize-window", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h))
}

// sees waits until all texts are shown at once, and gives the frame.
func (p *pane) sees(texts ...string) string {
	p.t.Helper()
	return p.reaches(fmt.Sprintf("%q", texts), func(shown string) bool {
		for _, text := range texts {
			if !strings.Contains(shown, text) {
				return false
			}
		}
		return true
	})
}

// loses waits until a text is shown no more.
func (p *pane) loses(text string) {
	p.t.Helper()
	p.reaches("the end of "+text, func(shown string) bool { return !strings.Contains(shown, text) })
}

func (p *pane) reaches(what string, reached func(string) bool) string {
	p.t.Helper()
	deadline, tick := time.Now().Add(p.look), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		shown := p.text()
		if reached(shown) {
			return shown
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s; the terminal shows\n%s", what, shown)
		}
		<-tick.C
	}
}
