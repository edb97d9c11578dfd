//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
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

// TestTheConsoleTellsAfterwardsWhatIsNotApplied quits at once, which asks nothing.
func TestTheConsoleTellsAfterwardsWhatIsNotApplied(t *testing.T) {
	data := shortDir(t)
	serveAt(t, data, "--no-detect")
	rules := filepath.Join(data, "rules.yaml")
	if err := os.WriteFile(rules, []byte(consoleRules), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, problem := typed("", "rules", "apply", "-f", rules, "--yes", "--data", data); code != exitDone {
		t.Fatal(problem)
	}
	editor := filepath.Join(data, "editor.sh")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\nsed -i.old 's/status: 418/status: none/' \"$1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func(*typist){
		func(p *typist) { p.types(t, "\x03") },
		func(p *typist) {
			if err := p.process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Setenv("VISUAL", editor)
		var told bytes.Buffer
		p := onTerminal(t, shortDir(t), &told, "console", "--data", data, "--theme", "dark", "--screen", "rules")
		p.shows(t, "teapot")
		p.types(t, "e")
		p.shows(t, "1 problem in rule teapot")
		end(p)
		p.ends(t, exitDone)
		_, path, _ := strings.Cut(told.String(), "It is kept in ")
		content, err := os.ReadFile(strings.TrimSpace(path))
		if err != nil || !strings.Contains(string(content), "status: none") {
			t.Errorf("what was written cannot be found by what is told: %v: %q", err, told.String())
		}
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
