package tui

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/teatest"

	"github.com/llmgw/llmgw/admin/api"
)

// programWait bounds the wait for a text on a machine with much else to do.
const programWait = 20 * time.Second

// The runtime of the real console: its loop, its reader of keys and its renderer.
func TestTheRealProgramGoesThroughAllScreensAndQuits(t *testing.T) {
	f := newFake(t)
	c, err := newConsole(t.Context(), Options{
		Theme: "dark", Out: io.Discard, Clock: sampleNow,
		Gateway: Gateway{Name: "prod", Where: "https://llm.example.com", Client: api.NewClient(api.Options{BaseURL: "http://llmgw", Transport: f})},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := teatest.NewTestModel(t, c, teatest.WithInitialTermSize(80, 24))
	shows := func(text string) {
		t.Helper()
		teatest.WaitFor(t, p.Output(), func(out []byte) bool { return bytes.Contains([]byte(ansi.Strip(string(out))), []byte(text)) },
			teatest.WithDuration(programWait), teatest.WithCheckInterval(10*time.Millisecond))
	}
	shows("live")
	for i := range 9 {
		title := c.screens[(i+1)%9].title()
		p.Type(string(rune('1' + (i+1)%9)))
		shows(title)
	}
	p.Type("5")
	shows("ci-bot")
	p.Send(tea.WindowSizeMsg{Width: 40, Height: 10})
	shows("60x16 needed")
	p.Send(tea.WindowSizeMsg{Width: 120, Height: 32})
	shows("5 Keys")
	p.Type("q")
	p.WaitFinished(t, teatest.WithFinalTimeout(programWait))
	final, ok := p.FinalModel(t).(*console)
	if !ok {
		t.Fatal("another model came back")
	}
	final.close()
	final.quitting = false
	frame := final.draw()
	fits(t, frame, 120, 32)
	if text := ansi.Strip(frame); !strings.Contains(text, "▸ci-bot") || !strings.Contains(text, "dana (admin)") || !strings.Contains(text, "● live") {
		t.Errorf("the last frame:\n%s", text)
	}
}

// Run itself ends when it is left, and gives the terminal back.
func TestRunEndsWhenItIsLeft(t *testing.T) {
	f := newFake(t)
	out := &bytes.Buffer{}
	keys, typed := io.Pipe()
	t.Cleanup(func() { _ = typed.Close() })
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), Options{
			Theme: "dark", In: keys, Out: out, Mouse: true, Start: "keys", Clock: sampleNow,
			Gateway: Gateway{Name: "prod", Client: api.NewClient(api.Options{BaseURL: "http://llmgw", Transport: f})},
		})
	}()
	if _, err := typed.Write([]byte("\x03")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(programWait):
		t.Fatal("it goes on")
	}
	for _, sequence := range []string{"\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h", "\x1b[?1002l"} {
		if !strings.Contains(out.String(), sequence) {
			t.Errorf("%q was not written: %q", sequence, out.String())
		}
	}
}

func TestRunRefusesKeysThatItDoesNotKnow(t *testing.T) {
	err := Run(t.Context(), Options{Theme: "dark", In: strings.NewReader(""), Out: io.Discard, Keys: map[string][]string{"fly": {"f"}}})
	if err == nil || !strings.Contains(err.Error(), `there is no action "fly"`) {
		t.Errorf("%v", err)
	}
}
