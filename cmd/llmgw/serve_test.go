package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/admin/api"
)

// terminal is an operator's terminal: what is typed, and what is shown.
type terminal struct {
	mu      sync.Mutex
	shown   bytes.Buffer
	signals chan os.Signal
}

func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown.Write(b)
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown.String()
}

// types runs a command as if it had been typed at a terminal.
func types(t *testing.T, typed string, args ...string) (int, string) {
	t.Helper()
	tty := &terminal{}
	code := run(context.Background(), shell{
		args: args, in: strings.NewReader(typed), out: tty, err: tty, inIsTerm: true, outIsTerm: true, errIsTerm: true,
	})
	return code, tty.String()
}

// served is a gateway that runs in this process.
type served struct {
	*terminal
	data string
	exit chan int
	stop sync.Once
}

func serveAt(t *testing.T, data string, args ...string) *served {
	t.Helper()
	g := &served{terminal: &terminal{signals: make(chan os.Signal, 2)}, data: data, exit: make(chan int, 1)}
	args = append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--color", "never"}, args...)
	go func() {
		g.exit <- run(context.Background(), shell{
			args: args, in: strings.NewReader(""), out: g, err: io.Discard, outIsTerm: true, signals: g.signals,
		})
	}()
	t.Cleanup(func() { g.end(t) })
	until(t, "the banner", func() bool { return strings.Contains(g.String(), "ready in") })
	return g
}

func (g *served) end(t *testing.T) {
	t.Helper()
	g.stop.Do(func() {
		g.signals <- os.Interrupt
		if code := <-g.exit; code != exitDone {
			t.Errorf("serve ended with %d, want %d", code, exitDone)
		}
	})
}

func (g *served) status(t *testing.T) api.Status {
	t.Helper()
	s, err := statusAt(context.Background(), filepath.Join(g.data, socketName))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// until waits for a state.
func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-tick.C
	}
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lgw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

var anyKey = regexp.MustCompile(`sk-lgw-\w{43}-\w{6}`)

func TestAStreamUnderWayEndsBeforeServeDoesAndASecondSignalCutsIt(t *testing.T) {
	for name, signals := range map[string][]os.Signal{
		"one signal lets it end": {syscall.SIGINT},
		"a second one cuts it":   {syscall.SIGTERM, syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			g := serveAt(t, shortDir(t), "--no-detect")
			body := `{"model":"mock","stream":true,"messages":[{"role":"user","content":"hello"}]}`
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.status(t).Proxy+"/v1/chat/completions", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+anyKey.FindString(g.String()))
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if _, err := response.Body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			for _, s := range signals {
				g.signals <- s
			}
			rest, _ := io.ReadAll(response.Body) // a cut stream ends with an error
			if whole := bytes.Contains(rest, []byte("[DONE]")); whole != (len(signals) == 1) {
				t.Errorf("the stream ended whole: %v; its end is %q", whole, rest[max(0, len(rest)-200):])
			}
			g.stop.Do(func() {
				if code := <-g.exit; code != exitDone {
					t.Errorf("serve ended with %d", code)
				}
			})
		})
	}
}

func TestAFailedStartLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	data := shortDir(t)
	code, shown := types(t, "", "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--tls-cert", "nothing.pem", "--tls-key", "nothing.pem", "--color", "never")
	if code != exitInvalid || !strings.Contains(shown, "error: reading the certificate: ") {
		t.Errorf("serve ended with %d: %s", code, shown)
	}
	if _, err := os.Stat(filepath.Join(data, socketName)); err == nil {
		t.Error("the admin socket is still there")
	}
}

func TestMetricsCanHaveAPortOfTheirOwn(t *testing.T) {
	log := &terminal{signals: make(chan os.Signal, 1)}
	exit := make(chan int, 1)
	data := shortDir(t)
	go func() {
		exit <- run(context.Background(), shell{
			args: []string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"},
			in:   strings.NewReader(""), out: io.Discard, err: log, signals: log.signals,
		})
	}()
	metrics := regexp.MustCompile(`"metrics":"([^"]+)"`)
	until(t, "the ready line", func() bool { return metrics.MatchString(log.String()) })
	at := "http://" + metrics.FindStringSubmatch(log.String())[1]
	for path, want := range map[string]string{"/metrics": "llmgw_log_dropped_total 0", "/readyz": "ok", "/api/v1/status": "not_found"} {
		if _, text := fetched(t, at+path); !strings.Contains(text, want) {
			t.Errorf("%s answers %.200q, want %q in it", path, text, want)
		}
	}
	log.signals <- os.Interrupt
	if code := <-exit; code != exitDone {
		t.Errorf("serve ended with %d", code)
	}
}

func fetched(t *testing.T, at string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestTheMockAnswersOnItsOwn(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	tty := &terminal{signals: make(chan os.Signal, 1)}
	exit := make(chan int, 1)
	go func() {
		exit <- run(context.Background(), shell{
			args: []string{"mock", "--listen", "127.0.0.1:0", "--wire", "openai", "--ttft", "0s", "--tokens", "3"},
			in:   strings.NewReader(""), out: tty, err: io.Discard, signals: tty.signals,
		})
	}()
	where := regexp.MustCompile(`mock provider at (http://\S+), Ctrl-C stops`)
	until(t, "the mock", func() bool { return where.MatchString(tty.String()) })
	if status, text := fetched(t, where.FindStringSubmatch(tty.String())[1]+"/v1/models"); status != http.StatusOK || !strings.Contains(text, `"mock"`) {
		t.Errorf("it answers %d %s", status, text)
	}
	tty.signals <- os.Interrupt
	if code := <-exit; code != exitInterrupted {
		t.Errorf("it ended with %d", code)
	}
}

func TestQuestionsAreAskedOnATerminal(t *testing.T) {
	data := shortDir(t)
	serveAt(t, data, "--no-detect")
	file := filepath.Join(data, "rules.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nrules:\n  - {name: r, match: {model: [m]}, action: {upstream: mock}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, typed string
		args        []string
		code        int
		shows       []string
	}{
		{"no to a plan applies nothing", "n\n", []string{"rules", "apply", "-f", file}, exitFailed,
			[]string{"+ r  (position 1)", "Apply 1 change? [y/N] ", "error: cancelled, nothing was changed"}},
		{"the end of input is no", "", []string{"rules", "apply", "-f", file}, exitFailed, []string{"cancelled"}},
		{"yes applies it", "y\n", []string{"rules", "apply", "-f", file}, exitDone, []string{"applied revision 2"}},
		{"nothing to do asks nothing", "", []string{"rules", "apply", "-f", file}, exitDone, []string{"nothing to do, revision 2"}},
		{"JSON is not mixed with the question", "", []string{"rules", "apply", "-f", file, "--jq", ".applied"}, exitDone, []string{"false\n"}},
		{"no to a deletion deletes nothing", "\n", []string{"rules", "delete", "r"}, exitFailed, []string{"delete rule r? [y/N] ", "cancelled"}},
		{"--no-input is nobody to ask", "y\n", []string{"rules", "delete", "r", "--no-input"}, exitUsage, []string{"needs --yes"}},
		{"yes deletes it", "yes\n", []string{"rules", "delete", "r"}, exitDone, []string{"deleted rule r"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, shown := types(t, c.typed, append(c.args, "--data", data, "--color", "never")...)
			if code != c.code {
				t.Errorf("it ended with %d, want %d", code, c.code)
			}
			for _, want := range c.shows {
				if !strings.Contains(shown, want) {
					t.Errorf("it does not show %q:\n%s", want, shown)
				}
			}
		})
	}
}
