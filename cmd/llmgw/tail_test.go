package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

// followed is a `llmgw tail` that runs in this process.
type followed struct {
	*terminal
	notes *terminal
	exit  chan int
	ended bool
}

func follow(t *testing.T, args ...string) *followed {
	t.Helper()
	f := &followed{terminal: &terminal{signals: make(chan os.Signal, 2)}, notes: &terminal{}, exit: make(chan int, 1)}
	go func() {
		f.exit <- run(context.Background(), shell{
			args: append([]string{"tail"}, args...), in: strings.NewReader(""), out: f, err: f.notes, signals: f.signals,
		})
	}()
	t.Cleanup(func() {
		if !f.ended {
			f.stop(t, os.Interrupt)
		}
	})
	return f
}

// stop sends a signal and gives the exit code.
func (f *followed) stop(t *testing.T, s os.Signal) int {
	t.Helper()
	f.signals <- s
	return f.wait(t)
}

func (f *followed) wait(t *testing.T) int {
	t.Helper()
	f.ended = true
	select {
	case code := <-f.exit:
		return code
	case <-time.After(20 * time.Second):
		t.Fatalf("tail goes on:\n%s%s", f, f.notes)
	}
	return -1
}

func (f *followed) shows(t *testing.T, text string) {
	t.Helper()
	until(t, text, func() bool { return strings.Contains(f.String()+f.notes.String(), text) })
}

func TestTailGoesOnWhenTheGatewayComesBack(t *testing.T) {
	data := shortDir(t)
	g := serveAt(t, data)
	f := follow(t, "--data", data, "--model", "mock*")
	say := func(model string) {
		t.Helper()
		if code, shown := types(t, "", "chat", "--data", data, "--model", model, "hello"); code != 0 {
			t.Fatal(shown)
		}
	}
	// Whether tail has begun to listen shows in what it shows.
	until(t, "a first request", func() bool { say("mock"); return strings.Contains(f.String(), "  mock  ") })
	g.end(t)
	f.shows(t, "lost the gateway: ")
	serveAt(t, data)
	f.shows(t, "connected again\n")
	say("mock-mini")
	f.shows(t, "mock-mini")
	if notes := f.notes.String(); strings.Count(notes, "\n") != 2 {
		t.Errorf("noted was\n%s", notes)
	}
	if code := f.stop(t, os.Interrupt); code != exitInterrupted {
		t.Errorf("exit code is %d", code)
	}
	if notes := f.notes.String(); !strings.HasSuffix(notes, " dropped\n") || strings.Contains(notes, "error:") {
		t.Errorf("last words were\n%s", notes)
	}
}

func TestAStopIsNotHeldByTail(t *testing.T) {
	data := shortDir(t)
	g := serveAt(t, data)
	f := follow(t, "--data", data)
	metrics := g.status(t).Admin + "/metrics"
	until(t, "the stream", func() bool {
		_, text := fetched(t, metrics)
		return strings.Contains(text, "\nllmgw_event_streams 1\n")
	})
	begun := time.Now()
	g.end(t)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if code := f.stop(t, syscall.SIGTERM); code != exitTerminated {
		t.Errorf("exit code is %d", code)
	}
}

// played is a gateway that says what a test wants to each stream of events that
// is opened, the last of it to all that come after.
func played(t *testing.T, streams ...string) (url string, asked *atomic.Pointer[http.Request]) {
	t.Helper()
	asked = &atomic.Pointer[http.Request]{}
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		at := min(int(n.Add(1)), len(streams)) - 1
		text, stays := strings.CutSuffix(streams[at], "STAY")
		if status, body, ok := strings.Cut(text, " {"); ok && len(status) == 3 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(503)
			fmt.Fprint(w, "{"+body)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, text)
		_ = http.NewResponseController(w).Flush()
		if stays {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

const playedHello = "event: hello\nid: a-0\ndata: {}\n\n"

func playedExchange(id int, model string) string {
	return fmt.Sprintf("event: exchange\nid: a-%d\ndata: {\"request_id\":\"req_%d\",\"status\":200,\"end_reason\":\"complete\",\"model\":%q}\n\n", id, id, model)
}

func playedTally(filtered, dropped int) string {
	return fmt.Sprintf("event: tally\ndata: {\"shown\":9,\"filtered\":%d,\"dropped\":%d}\n\n", filtered, dropped)
}

func TestTailTellsWhatItDidNotShow(t *testing.T) {
	url, asked := played(t,
		playedHello+playedExchange(1, "a")+playedTally(400, 7),
		playedHello+playedExchange(2, "b")+playedTally(10, 0)+playedTally(1018, 0)+playedExchange(3, "c")+"STAY")
	f := follow(t, "--server", url)
	f.shows(t, "req_3")
	if got := asked.Load().Header.Get("Last-Event-ID"); got != "a-1" {
		t.Errorf("it went on after %q", got)
	}
	if code := f.stop(t, os.Interrupt); code != exitInterrupted {
		t.Errorf("exit code is %d", code)
	}
	if diff := cmp.Diff("3 shown, 1,418 filtered out, 7 dropped\n", f.notes.String()); diff != "" {
		t.Errorf("a stream that ended in its time is taken up silently:\n%s", diff)
	}
}

func TestTailAsksForWhatItsFlagsSay(t *testing.T) {
	url, asked := played(t, playedHello+playedExchange(1, "a"))
	f := follow(t, "--server", url, "--model", "claude-*,gpt-5", "--status", "4xx,5xx", "--slow", "2s", "--key", "ci-bot",
		"--user", "dana", "--rule", "r", "--upstream", "u", "--since", "10m", "--until-first", "-o", "jsonl")
	if code := f.wait(t); code != exitDone {
		t.Errorf("exit code is %d: %s", code, f.notes)
	}
	want := map[string][]string{
		"kind": {"exchange"}, "model": {"claude-*", "gpt-5"}, "status": {"4xx", "5xx"}, "slower": {"2s"}, "key": {"ci-bot"},
		"user": {"dana"}, "rule": {"r"}, "upstream": {"u"}, "since": {"10m0s"},
	}
	if diff := cmp.Diff(want, map[string][]string(asked.Load().URL.Query())); diff != "" {
		t.Error(diff)
	}
	if shown := f.String(); strings.Count(shown, "\n") != 1 || !strings.HasPrefix(shown, `{"request_id":"req_1"`) {
		t.Errorf("shown is %s", shown)
	}
}

func TestTailEndsAtItsLimit(t *testing.T) {
	url, _ := played(t, playedHello+playedExchange(1, "a")+playedExchange(2, "b")+playedExchange(3, "c")+"STAY")
	f := follow(t, "--server", url, "--limit", "2", "--columns", "request")
	if code := f.wait(t); code != exitDone || f.String() != "req_1\nreq_2\n" || f.notes.String() != "" {
		t.Errorf("ended with %d:\n%s%s", code, f, f.notes)
	}
}

func TestWhatTailDoesNotWaitFor(t *testing.T) {
	const full = `503 {"title":"x","status":503,"code":"unavailable","detail":"64 streams of events are open already"}`
	const denied = `503 {"title":"x","status":403,"code":"denied","detail":"this needs the role viewer"}`
	for name, test := range map[string]struct {
		streams []string
		code    int
		says    string
	}{
		"no stream to begin with":    {[]string{full}, exitFailed, "error: 64 streams of events are open already\n"},
		"a login that has ended":     {[]string{playedHello, denied}, exitDenied, "error: this needs the role viewer\n"},
		"something else than events": {[]string{"event: exchange\ndata: nonsense\n\n"}, exitFailed, "not as the admin API of llmgw does"},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := played(t, test.streams...)
			f := follow(t, "--server", url)
			if code := f.wait(t); code != test.code || !strings.Contains(f.notes.String(), test.says) {
				t.Errorf("ended with %d:\n%s", code, f.notes)
			}
		})
	}
}

func TestWhatALineOfTailSays(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	for name, test := range map[string]struct {
		x    api.Exchange
		sign string
		what string
	}{
		"a stream that was whole": {
			api.Exchange{Status: 200, EndReason: "complete", FirstTokenMS: 612, DurationMS: 9800, InputTokens: n(1204), OutputTokens: n(388)},
			"200", "ttft  612ms  total  9.8s   1,204→388 tok",
		},
		"an answer without tokens": {
			api.Exchange{Status: 200, EndReason: "complete", DurationMS: 3.25}, "200", "             total 3.2ms",
		},
		"a provider that counted half": {
			api.Exchange{Status: 200, EndReason: "complete", DurationMS: 125_000, OutputTokens: n(5)}, "200", "             total 2m05s   -→5 tok",
		},
		"a refusal of the upstream's": {
			api.Exchange{Status: 429, EndReason: "complete", Upstream: "openai", Attempts: 1, DurationMS: 88}, "429", "upstream answered 429 after 88ms",
		},
		"a rule's own answer": {
			api.Exchange{Status: 403, EndReason: "complete", Error: "rule"}, "403", "answered by the gateway: rule",
		},
		"a refusal of the gateway's": {
			api.Exchange{Status: 400, EndReason: "rejected", Error: "model_not_allowed"}, "400", "refused: model_not_allowed",
		},
		"a client that left": {
			api.Exchange{Status: 200, EndReason: "client_gone", DurationMS: 3100, OutputTokens: n(212)}, "---", "client left after 3.1s, 212 tok sent",
		},
		"a client that left uncounted": {
			api.Exchange{Status: 200, EndReason: "client_gone", DurationMS: 3100, ResponseBytes: 2048}, "---", "client left after 3.1s, 2.0 KiB sent",
		},
		"an upstream that was not there": {
			api.Exchange{Status: 502, EndReason: "connect_error", Error: "upstream_unreachable"}, "502", "upstream not reached: upstream_unreachable",
		},
		"a stream that was cut": {
			api.Exchange{Status: 200, EndReason: "revoked", DurationMS: 900}, "200", "key ended or operator cut it, after 900ms",
		},
		"an end of a newer gateway": {
			api.Exchange{Status: 200, EndReason: "eclipsed", DurationMS: 900}, "200", "eclipsed after 900ms",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := statusSign(style{}, &test.x); got != test.sign {
				t.Errorf("sign is %q", got)
			}
			if diff := cmp.Diff(test.what, whatBecame(&test.x)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLinesOfTailStandBelowEachOther(t *testing.T) {
	l := &exchangeLines{columns: exchangeColumns(style{})[1:5]}
	var got strings.Builder
	for _, model := range []string{"gpt-5", strings.Repeat("m", 20), "o3", "evil\x1b[2Jmodel\n"} {
		got.WriteString(l.line(&api.Exchange{Status: 200, EndReason: "complete", Model: model, Upstream: "mock", Key: "ci"}) + "\n")
	}
	want := `200  gpt-5             mock       ci
200  mmmmmmmmmmmmmmmmmmmm  mock       ci
200  o3                    mock       ci
200  evil [2Jmodel         mock       ci
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}
