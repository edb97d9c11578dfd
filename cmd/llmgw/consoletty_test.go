//go:build unix

package main

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The sequences by which a terminal goes to another screen and comes back.
const (
	otherScreen = "\x1b[?1049h"
	ownScreen   = "\x1b[?1049l"
)

// TestTheConsoleBeginsAndEndsWithoutAGateway looks at what is there before and
// after all that it shows.
func TestTheConsoleBeginsAndEndsWithoutAGateway(t *testing.T) {
	for name, end := range map[string]func(*typist) error{
		"by a key":         func(p *typist) error { _, err := p.keyboard.WriteString("q"); return err },
		"by ctrl-c":        func(p *typist) error { _, err := p.keyboard.WriteString("\x03"); return err },
		"by another's key": func(p *typist) error { _, err := p.keyboard.WriteString("Q"); return err },
		"by SIGTERM":       func(p *typist) error { return p.process.Signal(syscall.SIGTERM) },
		"by SIGTERM after a signal that was meant for an editor": func(p *typist) error {
			if err := p.process.Signal(os.Interrupt); err != nil {
				return err
			}
			return p.process.Signal(syscall.SIGTERM)
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := shortDir(t)
			p := onTerminal(t, home, io.Discard, "console", "--screen", "keys", "--key", "leave=q,Q", "--theme", "dark")
			p.shows(t, "5 Keys")
			p.shows(t, "not reachable")
			if err := end(p); err != nil {
				t.Fatal(err)
			}
			p.ends(t, exitDone)
			text := p.String()
			if there, back := strings.Index(text, otherScreen), strings.LastIndex(text, ownScreen); there < 0 || back < there {
				t.Errorf("the terminal is left as it was not: %q", text)
			}
			if _, err := os.Stat(home + "/.config"); err == nil {
				t.Error("looking has left something in the home directory")
			}
		})
	}
}

// longestStart is three times as long as it may take on a machine that does
// nothing else.
const longestStart = 3 * 150 * time.Millisecond

func TestTheConsoleIsThereAtOnce(t *testing.T) {
	data := shortDir(t)
	serveAt(t, data, "--no-detect")
	best := time.Hour
	for range 5 {
		began := time.Now()
		p := onTerminal(t, shortDir(t), io.Discard, "console", "--data", data, "--theme", "dark")
		p.shows(t, "1 Dashboard")
		best = min(best, time.Since(began))
		p.types(t, "q")
		p.ends(t, exitDone)
	}
	t.Logf("the first frame came after %v", best)
	if !underRace && best > longestStart {
		t.Errorf("the first frame came after %v, want %v", best, longestStart)
	}
}

// No command but the console may ask the terminal anything: what is typed
// meanwhile would be lost, and one that does not answer is waited for.
func TestCommandsAskTheTerminalNothing(t *testing.T) {
	began := time.Now()
	p := onTerminal(t, shortDir(t), io.Discard, "version")
	p.ends(t, exitDone)
	if text := p.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, version) {
		t.Errorf("it wrote %q", text)
	}
	if took := time.Since(began); took > 3*time.Second && !underRace {
		t.Errorf("it took %v", took)
	}
}
