//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// gatewayProcess is a gateway that can be killed, and started again where it was.
type gatewayProcess struct {
	t          *testing.T
	data, addr string
	command    *exec.Cmd
}

func startGatewayProcess(t *testing.T) *gatewayProcess {
	t.Helper()
	withoutProviders(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gatewayProcess{t: t, data: shortDir(t), addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	g.start()
	t.Cleanup(g.kill)
	return g
}

func (g *gatewayProcess) start() {
	g.t.Helper()
	g.command = exec.CommandContext(context.WithoutCancel(g.t.Context()), "llmgw", "serve", "--data", g.data, "--listen", g.addr, "--admin-listen", "127.0.0.1:0", "--log-level", "error")
	if err := g.command.Start(); err != nil {
		g.t.Fatal(err)
	}
	until(g.t, "the gateway", func() bool {
		s, err := statusAt(context.Background(), filepath.Join(g.data, socketName))
		return err == nil && s.Ready
	})
}

func (g *gatewayProcess) kill() {
	_ = g.command.Process.Kill()
	_ = g.command.Wait() // it was killed, and says so
}

func (g *gatewayProcess) types(args ...string) string {
	g.t.Helper()
	code, out, err := typed("", append(args, "--data", g.data)...)
	if code != exitDone {
		g.t.Fatalf("%s: exit %d: %s", strings.Join(args, " "), code, err)
	}
	return out
}

// ask asks for a chat, and gives the status.
func (g *gatewayProcess) ask(key, model string) int {
	body := fmt.Sprintf(`{"model":%q,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]}`, model)
	request, err := http.NewRequestWithContext(context.WithoutCancel(g.t.Context()), http.MethodPost, "http://"+g.addr+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode
}

// load asks without end, four at a time, until stop is called.
func (g *gatewayProcess) load(key string, models ...string) (stop func()) {
	done := make(chan struct{})
	var asking sync.WaitGroup
	for n := range 4 {
		asking.Go(func() {
			tick := time.NewTicker(40 * time.Millisecond)
			defer tick.Stop()
			for i := n; ; i++ {
				select {
				case <-done:
					return
				case <-tick.C:
					g.ask(key, models[i%len(models)])
				}
			}
		})
	}
	return func() { close(done); asking.Wait() }
}

const consoleRules = `version: 1
rules:
  - name: teapot
    match:
      model: [teapot]
    action:
      respond:
        status: 418
        body: short and stout
  - name: chat
    match:
      model: [mock*]
    action:
      upstream: mock
`

// consoleScript runs the console, and shows how it ended and whether the terminal
// is as it was.
const consoleScript = `stty -a >%[1]s/before
echo ready to begin
llmgw console --data %[2]s
echo "ended with $?"
stty -a >%[1]s/after
cat
`

// TestTheConsoleInARealTerminal goes the way of a person through a gateway under
// load.
func TestTheConsoleInARealTerminal(t *testing.T) {
	g := startGatewayProcess(t)
	key := strings.TrimSpace(g.types("keys", "create", "visitor"))
	dir := shortDir(t)
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte(consoleRules), 0o600); err != nil {
		t.Fatal(err)
	}
	g.types("rules", "apply", "-f", rules, "--yes")
	editor := filepath.Join(dir, "editor.sh")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\nsed -i.old 's/status: 418/status: 410/' \"$1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	defer g.load(key, "mock", "mock-echo", "nothing-like-this", "mock", "mock-long")()
	defer g.load(strings.TrimSpace(g.types("keys", "create", "ci-bot")), "mock-slow", "mock", "mock-429", "mock-split-utf8", "mock-echo", "mock")()

	p := openPane(t, 120, 32, fmt.Sprintf(consoleScript, dir, g.data), "EDITOR="+editor, "PATH="+os.Getenv("PATH"), "TERM=tmux-256color", "COLORTERM=")
	frames := map[string]string{}
	p.sees("Requests/s", "● live", "visitor", "mock", "Last problems")
	if os.Getenv(keepFramesIn) != "" {
		p.press("t", "t", "t")        // 1h, 1m, 5m
		<-time.After(4 * time.Minute) // so that there is something to look at
	}
	frames["dashboard"] = p.sees("TTFT", "ci-bot")

	for number, text := range []string{"Requests/s", "UPSTREAM", "teapot", "mock.llmgw.internal", "visitor", "No users yet", "No bindings yet", "By key", "sqlite"} {
		p.press(fmt.Sprint(number + 1))
		p.sees(text)
	}
	consoleFilters(p, frames)
	consoleEditsARule(p, g, key, frames)
	consoleSwitchesAnUpstream(p, g, key)
	consoleMakesAKey(p, g)
	consoleOutlivesTheGateway(p, g, frames)

	p.resize(50, 12)
	p.sees("60x16 needed, have 50x12")
	p.resize(120, 32)
	p.sees("● live", "1 Dashboard")
	p.press("1")
	p.press("q")
	p.sees("ready to begin", "ended with 0")
	sameTerminal(t, dir)
	keepFrames(t, frames)
	readmeShowsThese(t, frames)
}

func consoleFilters(p *pane, frames map[string]string) {
	p.t.Helper()
	p.press("2")
	p.sees("mock", "nothing-like-this")
	p.press("/")
	p.write("status>=400")
	p.press("Enter")
	p.reaches("only what failed", func(shown string) bool {
		return strings.Contains(shown, "status>=400") && strings.Contains(shown, "nothing-like-this") && !strings.Contains(shown, " 200 ")
	})
	p.press("Escape")
	p.reaches("everything again", func(shown string) bool { return strings.Contains(shown, " 200 ") })
	frames["traffic"] = p.text()
	p.press("/")
	p.write("model:mock-slow status=200")
	p.press("Enter")
	p.reaches("a slow stream that has ended", func(shown string) bool { return strings.Contains(shown, " 200  mock-slow ") })
	p.press("Space") // so that the row stays where it is
	p.press("Enter")
	frames["exchange"] = p.sees("req_", "waiting", "first token", "chunk gaps")
	p.press("Escape")
	p.sees("Traffic")
	p.press("Escape")
}

func consoleEditsARule(p *pane, g *gatewayProcess, key string, frames map[string]string) {
	p.t.Helper()
	if status := g.ask(key, "teapot"); status != http.StatusTeapot {
		p.t.Fatalf("the rule answers %d before it is edited", status)
	}
	p.press("3")
	p.sees("teapot", "chat")
	frames["rules"] = p.text()
	p.press("g", "e")
	frames["edit"] = p.sees("status: 418", "status: 410", "Apply")
	p.press("Tab", "Enter")
	until(p.t, "the rule as it was edited", func() bool { return g.ask(key, "teapot") == http.StatusGone })
	p.sees("teapot", "rev")
	p.loses("Cancel")
}

func consoleSwitchesAnUpstream(p *pane, g *gatewayProcess, key string) {
	p.t.Helper()
	p.press("4")
	p.sees("mock", "enabled")
	p.press("Space")
	p.sees("Cancel") // it has traffic: this is asked first
	p.press("Tab", "Enter")
	until(p.t, "the upstream to be off", func() bool { return g.ask(key, "mock") >= http.StatusBadRequest })
	p.loses("Cancel")
	p.sees("off")
	p.press("Space")
	until(p.t, "the upstream to be on again", func() bool { return g.ask(key, "mock") == http.StatusOK })
}

func consoleMakesAKey(p *pane, g *gatewayProcess) {
	p.t.Helper()
	p.press("5")
	p.sees("visitor")
	p.press("n")
	p.sees("New key")
	p.write("robot")
	p.press("C-s")
	secret := anyKey.FindString(p.sees("sk-lgw-", "not be shown again"))
	if status := g.ask(secret, "mock"); status != http.StatusOK {
		p.t.Fatalf("the key %s is answered with %d", "that was made", status)
	}
	p.press("Escape")
	p.loses("sk-lgw-")
	p.press("/")
	p.write("name:robot")
	p.press("Enter")
	p.sees("robot")
	p.press("C-d")
	p.sees("Revoke", "Cancel")
	p.press("Tab", "Enter")
	until(p.t, "the key to be refused", func() bool { return g.ask(secret, "mock") == http.StatusUnauthorized })
	p.sees("revoked")
	p.press("Escape")
	p.press("!")
	p.sees("llmgw keys create robot", "llmgw keys revoke robot")
	p.press("Escape")
}

func consoleOutlivesTheGateway(p *pane, g *gatewayProcess, frames map[string]string) {
	p.t.Helper()
	p.press("1")
	p.sees("Requests/s", "● live")
	g.kill()
	frames["lost"] = p.sees("gateway not reachable since")
	g.start()
	p.sees("● live")
	p.loses("not reachable")
}

// sameTerminal fails where the console left the terminal otherwise than it was.
func sameTerminal(t *testing.T, dir string) {
	t.Helper()
	var states [2][]byte
	until(t, "what the terminal is like afterwards", func() bool {
		for i, name := range []string{"before", "after"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || len(text) == 0 {
				return false
			}
			states[i] = text
		}
		return true
	})
	if !bytes.Equal(states[0], states[1]) {
		t.Errorf("the terminal was\n%s\nand is\n%s", states[0], states[1])
	}
}

var (
	readmeFrame = regexp.MustCompile("(?s)<!-- console: ([a-z]+) -->\n```text\n(.*?)```")
	frameTitle  = regexp.MustCompile(`(?m)[╭╰]─ (?:▸ )?([A-Za-z/:?]+(?: [A-Za-z/:?]+)*)|(waiting|first token|stream|chunk gaps|gateway's own share|Cancel|Edit again) `)
)

// readmeShowsThese fails where a frame in the README has another box, or another
// line of keys, than the one that was just seen.
func readmeShowsThese(t *testing.T, frames map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := readmeFrame.FindAllStringSubmatch(string(text), -1)
	if len(shown) < 3 {
		t.Errorf("the README shows %d frames", len(shown))
	}
	for _, one := range shown {
		titles := frameTitle.FindAllStringSubmatch(one[2], -1)
		if len(titles) == 0 {
			t.Errorf("the frame %s of the README has no titles", one[1])
		}
		for _, title := range titles {
			if word := title[1] + title[2]; !strings.HasPrefix(word, "req") && !strings.Contains(frames[one[1]], word) {
				t.Errorf("the README shows %q in %s; the console shows\n%s\nLLMGW_KEEP_FRAMES=DIR keeps frames for it", word, one[1], frames[one[1]])
			}
		}
	}
}

// keepFramesIn names a directory for the frames, from which the README has its own.
const keepFramesIn = "LLMGW_KEEP_FRAMES"

func keepFrames(t *testing.T, frames map[string]string) {
	t.Helper()
	dir := os.Getenv(keepFramesIn)
	if dir == "" {
		return
	}
	for name, frame := range frames {
		if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(frame), 0o600); err != nil {
			t.Error(err)
		}
	}
}
