package tui

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/llmgw/llmgw/admin/api"
)

// fake is a gateway without a network: the real client speaks to it, through its
// real encoding. It runs in a synctest bubble, where time passes only when
// everything waits.
type fake struct {
	t *testing.T

	mu     sync.Mutex
	routes map[string]func(*http.Request, []byte) (int, any)
	calls  []string // "POST /keys/ci-bot/revoke {…}", but not of reading
	reads  map[string]int
	away   bool
	asked  []string // what streams of events were opened with
	hangs  bool     // nothing is answered
	opened []string // the Last-Event-ID of every stream that was asked for
	events *io.PipeWriter
}

// newFake makes a gateway that knows what sample says.
func newFake(t *testing.T) *fake {
	f := &fake{t: t, routes: map[string]func(*http.Request, []byte) (int, any){}, reads: map[string]int{}}
	for route, value := range sample() {
		f.answer(route, value)
	}
	return f
}

// answer sets what a route says: "GET /keys".
func (f *fake) answer(route string, value any) {
	f.on(route, func(*http.Request, []byte) (int, any) { return http.StatusOK, value })
}

// refuse has a route refuse.
func (f *fake) refuse(route string, refusal api.Error) {
	f.on(route, func(*http.Request, []byte) (int, any) { return refusal.Status, refusal })
}

func (f *fake) on(route string, do func(*http.Request, []byte) (int, any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.routes[route] = do
}

// RoundTrip answers a call.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v1")
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.mu.Lock()
	do, known := f.routes[r.Method+" "+path]
	away, hangs := f.away, f.hangs
	if path == "/events" {
		f.opened = append(f.opened, r.Header.Get("Last-Event-ID"))
	}
	if r.Method == http.MethodGet {
		f.reads[path]++
	} else {
		f.calls = append(f.calls, strings.TrimSpace(r.Method+" "+path+" "+string(body)))
	}
	f.mu.Unlock()
	switch {
	case away:
		return nil, syscall.ECONNREFUSED
	case hangs:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case path == "/events" && !known:
		return f.open(r)
	case !known:
		do = func(*http.Request, []byte) (int, any) {
			return http.StatusNotFound, api.Error{Title: "Not Found", Status: 404, Code: api.CodeNotFound, Detail: "nothing at " + path}
		}
	}
	status, value := do(r, body)
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	if value != nil {
		if err := json.NewEncoder(w).Encode(value); err != nil {
			return nil, err
		}
	}
	return w.Result(), nil
}

// open begins a stream of events.
func (f *fake) open(r *http.Request) (*http.Response, error) {
	read, write := io.Pipe()
	f.mu.Lock()
	f.events = write
	f.asked = append(f.asked, r.URL.RawQuery)
	f.mu.Unlock()
	go func() {
		<-r.Context().Done()
		_ = read.CloseWithError(r.Context().Err())
	}()
	go func() {
		for r.Context().Err() == nil { // a sign of life, as the gateway gives it
			time.Sleep(10 * time.Second) //nolint:forbidigo // the bubble's time
			if _, err := io.WriteString(write, ": alive\n\n"); err != nil {
				return
			}
		}
	}()
	go f.send(api.Event{Hello: &api.Hello{Node: "a1", Seq: 41, Revision: 41}})
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: read, Request: r}, nil
}

// send sends an event.
func (f *fake) send(e api.Event) {
	f.mu.Lock()
	to := f.events
	f.mu.Unlock()
	text, err := json.Marshal(e)
	if err != nil {
		f.t.Error(err)
		return
	}
	var one map[string]json.RawMessage
	if err := json.Unmarshal(text, &one); err != nil {
		f.t.Error(err)
		return
	}
	var out bytes.Buffer
	for name, data := range one {
		fmt.Fprintf(&out, "event: %s\n", name)
		if e.ID != "" {
			fmt.Fprintf(&out, "id: %s\n", e.ID)
		}
		fmt.Fprintf(&out, "data: %s\n\n", data)
	}
	_, _ = to.Write(out.Bytes()) // whoever reads may be gone
}

// goAway ends the stream and refuses calls, until comeBack.
func (f *fake) goAway() {
	f.mu.Lock()
	f.away = true
	events := f.events
	f.mu.Unlock()
	_ = events.CloseWithError(syscall.ECONNRESET)
}

// hang has nothing answered from now on, while the stream stands, or everything.
func (f *fake) hang(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hangs = on
}

// read counts what was read, and streams that were opened, since the last time.
func (f *fake) read() (n int, of map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of, f.reads = f.reads, map[string]int{}
	for _, times := range of {
		n += times
	}
	return n, of
}

// streams gives where each stream that was asked for should have begun.
func (f *fake) streams() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.opened)
}

// forget takes a route away.
func (f *fake) forget(route string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.routes, route)
}

func (f *fake) comeBack() {
	f.mu.Lock()
	f.away = false
	f.mu.Unlock()
}

// called gives the calls that changed something, and forgets them.
func (f *fake) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.calls
	f.calls = nil
	return all
}

// stage is a console that is driven by a test.
type stage struct {
	t       *testing.T
	fake    *fake
	console *console
	out     *bytes.Buffer
	mail    chan tea.Msg
	quit    bool
	draws   int // how often a frame was made
}

// play runs a test with a console of a size in front of a fake gateway, in a
// bubble where the clock stands at 21:04:13 and moves when everything waits.
func play(t *testing.T, w, h int, change func(*Options, *fake), do func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := &stage{t: t, fake: f, out: &bytes.Buffer{}, mail: make(chan tea.Msg, 4096)}
		start := time.Now()
		o := Options{
			Theme: "dark", Out: s.out, In: strings.NewReader(""), Getenv: func(string) string { return "" },
			Clock: func() time.Time { return sampleNow().Add(time.Since(start)) },
			Gateway: Gateway{
				Name: "prod", Where: "https://llm.example.com", Twin: "--context prod",
				Client: api.NewClient(api.Options{BaseURL: "http://llmgw", Transport: f}),
			},
		}
		if change != nil {
			change(&o, f)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c, err := newConsole(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		s.console = c
		defer func() {
			c.close()
			cancel()
			c.desk.log.kept(t)
			time.Sleep(time.Minute) //nolint:forbidigo // the bubble's time: what ticks and pauses has its end
		}()
		s.run(c.Init())
		s.send(tea.WindowSizeMsg{Width: w, Height: h})
		s.wait(time.Second)
		do(s)
	})
}

// run does what a command says, elsewhere, as the runtime does.
func (s *stage) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		switch m := cmd().(type) {
		case nil:
		case tea.BatchMsg:
			for _, one := range m {
				s.run(one)
			}
		default:
			s.mail <- m
		}
	}()
}

// send hands a message to the console, and what follows of it at once.
func (s *stage) send(msg tea.Msg) {
	s.take(msg)
	s.settle()
}

func (s *stage) take(msg tea.Msg) {
	if _, ok := msg.(tea.QuitMsg); ok {
		s.quit = true
		return
	}
	_, cmd := s.console.Update(msg)
	if s.console.dirty {
		s.draws++
	}
	s.run(cmd)
}

// settle takes messages until nothing moves any more, and then draws: what comes in
// one moment is one frame, as on a terminal.
func (s *stage) settle() {
	for {
		synctest.Wait()
		select {
		case m := <-s.mail:
			s.take(m)
		default:
			_ = s.console.View()
			return
		}
	}
}

// wait lets time pass.
func (s *stage) wait(d time.Duration) {
	for end := time.Now().Add(d); ; {
		s.settle()
		left := time.Until(end)
		if left <= 0 {
			return
		}
		time.Sleep(min(left, 50*time.Millisecond)) //nolint:forbidigo // the bubble's time
	}
}

// press types keys: "5", "ctrl+d", "enter", "tab".
func (s *stage) press(keys ...string) {
	for _, key := range keys {
		s.send(keyOf(key))
	}
	s.wait(200 * time.Millisecond)
}

// write types a text, letter by letter.
func (s *stage) write(text string) {
	for _, r := range text {
		s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
}

// pastes writes a text at once.
func (s *stage) pastes(text string) {
	s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(text), Paste: true})
}

func keyOf(name string) tea.KeyMsg {
	if name == " " {
		return tea.KeyMsg{Type: tea.KeySpace, Runes: []rune{' '}}
	}
	for t := tea.KeyType(-128); t < 128; t++ {
		if t != tea.KeyRunes && t != tea.KeySpace && t.String() == name {
			return tea.KeyMsg{Type: t}
		}
	}
	if rest, found := strings.CutPrefix(name, "alt+"); found {
		key := keyOf(rest)
		key.Alt = true
		return key
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(name)}
}

// frame is what is shown, colours and all; text is it without those.
func (s *stage) frame() string { return s.console.View() }
func (s *stage) text() string  { return ansi.Strip(s.frame()) }

// sees fails unless all texts are shown.
func (s *stage) sees(texts ...string) {
	s.t.Helper()
	shown := s.text()
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			s.t.Fatalf("not shown: %q\n%s", text, shown)
		}
	}
}

// seesNot fails where a text is shown.
func (s *stage) seesNot(texts ...string) {
	s.t.Helper()
	shown := s.text()
	for _, text := range texts {
		if strings.Contains(shown, text) {
			s.t.Fatalf("shown: %q\n%s", text, shown)
		}
	}
}

// did fails unless the gateway was asked for exactly these changes since the last
// time.
func (s *stage) did(want ...string) {
	s.t.Helper()
	got := s.fake.called()
	if len(got) != len(want) {
		s.t.Fatalf("changes: %q, and not %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			s.t.Fatalf("change %d: %q, and not %q", i, got[i], want[i])
		}
	}
}

// logs fails unless the newest entry of the command log is this one.
func (s *stage) logs(want string) {
	s.t.Helper()
	entries := s.console.desk.log.entries
	if len(entries) == 0 || entries[len(entries)-1].text != want {
		var got []string
		for _, e := range entries {
			got = append(got, e.text)
		}
		s.t.Fatalf("the log of commands ends otherwise than with %q: %q", want, got)
	}
}

// fits fails where a frame is not of exactly the size of the terminal.
func fits(t *testing.T, frame string, w, h int) {
	t.Helper()
	lines := strings.Split(frame, "\n")
	if len(lines) != h {
		t.Errorf("%d lines, and not %d:\n%s", len(lines), h, frame)
	}
	for i, line := range lines {
		if n := ansi.StringWidth(line); n > w {
			t.Errorf("line %d is %d wide, and not %d: %q", i+1, n, w, line)
		}
	}
}

// golden compares with a text that is kept in testdata/console; UPDATE_FRAMES=1
// writes that anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "../testdata/console/" + name
	if os.Getenv("UPDATE_FRAMES") != "" {
		if err := os.MkdirAll("../testdata/console", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; UPDATE_FRAMES=1 writes it", err)
	}
	if string(want) == got {
		return
	}
	section := ""
	a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if strings.HasPrefix(a[i], "-- ") {
			section = a[i]
		}
		if a[i] != b[i] {
			t.Fatalf("%s:%d: another in %s; UPDATE_FRAMES=1 writes it anew\n%s\n%s", name, i+1, section, a[i], b[i])
		}
	}
	t.Fatalf("%s has %d lines now, and not %d; UPDATE_FRAMES=1 writes it anew", name, len(b), len(a))
}
