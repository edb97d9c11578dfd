//go:build unix

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

// examined is what doctor found, by the check.
func examined(t *testing.T, g *served, args ...string) (int, map[string]finding) {
	t.Helper()
	var out bytes.Buffer
	code := run(t.Context(), shell{
		args: append([]string{"doctor", "--data", g.data, "-o", "json"}, args...),
		in:   strings.NewReader(""), out: &out, err: io.Discard, signals: make(chan os.Signal),
	})
	var report struct {
		Items              []finding
		Problems, Warnings int
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v:\n%s", err, out.String())
	}
	found := map[string]finding{}
	for _, f := range report.Items {
		found[f.Check] = f
	}
	return code, found
}

// inFront puts something between clients and a gateway.
func inFront(t *testing.T, g *served, change func(*http.Response) error) string {
	t.Helper()
	to, err := url.Parse(g.status(t).Proxy)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	p := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval:  -1,
		Transport:      transport,
		ModifyResponse: change,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return server.URL
}

// held keeps a body back until it is whole.
func held(r *http.Response) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	return nil
}

// zipped compresses a body, and flushes every event.
func zipped(r *http.Response) error {
	plain := r.Body
	read, write := io.Pipe()
	r.Header.Set("Content-Encoding", "gzip")
	r.Body = read
	go func() {
		z := gzip.NewWriter(write)
		buffer := make([]byte, 4<<10)
		for {
			n, err := plain.Read(buffer)
			if _, wrong := z.Write(buffer[:n]); wrong != nil || z.Flush() != nil {
				break
			}
			if err != nil {
				_ = z.Close()
				break
			}
		}
		_ = write.Close()
		_ = plain.Close()
	}()
	return nil
}

// impatient cuts a body when nothing came for a while.
func impatient(after time.Duration) func(*http.Response) error {
	return func(r *http.Response) error {
		r.Body = &cutWhenIdle{ReadCloser: r.Body, after: after}
		return nil
	}
}

type cutWhenIdle struct {
	io.ReadCloser
	after time.Duration
}

func (c *cutWhenIdle) Read(b []byte) (int, error) {
	timer := time.AfterFunc(c.after, func() { _ = c.Close() })
	defer timer.Stop()
	return c.ReadCloser.Read(b)
}

func TestDoctorSeesWhatStandsInFrontOfTheGateway(t *testing.T) {
	withoutProviders(t)
	g := serveAt(t, shortDir(t))
	for _, c := range []struct {
		name   string
		change func(*http.Response) error
		args   []string
		code   int
		check  string
		state  string
		text   string // AT is the address
		hint   string
	}{
		{"nothing that changes anything", func(*http.Response) error { return nil }, nil, exitDone,
			"stream path", stateOK, "separate chunks through AT (no buffering in front of the gateway)", ""},
		{"what buffers", held, nil, exitFailed,
			"stream path", stateProblem, "stream arrived in 1 piece through AT: something in front buffers",
			"nginx: proxy_buffering off; (the gateway sends X-Accel-Buffering: no)"},
		{"what compresses", zipped, nil, exitDone,
			"stream path", stateWarning, "compressed on the way (content-encoding: gzip)", "nginx: gzip off"},
		{"what compresses and buffers", func(r *http.Response) error {
			if err := zipped(r); err != nil {
				return err
			}
			return held(r)
		}, nil, exitFailed, "stream path", stateProblem, "stream arrived in 1 piece", "proxy_buffering off"},
		{"another clock", func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat))
			return nil
		}, nil, exitDone, "clock", stateWarning, "s ahead of the gateway", "sync time"},
		{"a clock of the future", func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
			return nil
		}, nil, exitDone, "clock", stateWarning, "s behind the gateway", "sync time"},
		{"what cuts silent streams", impatient(200 * time.Millisecond), []string{"--idle", "10s"}, exitFailed,
			"idle stream", stateProblem, "cut after 0.2 s of silence", "proxy_read_timeout"},
		{"what bears silence", impatient(time.Minute), []string{"--idle", "100ms"}, exitDone,
			"idle stream", stateOK, "0.1 s of silence did not end it", ""},
		{"what answers by itself", func(r *http.Response) error {
			r.StatusCode = http.StatusForbidden
			r.Header.Del("X-Llmgw-Request-Id")
			return nil
		}, nil, exitFailed, "stream path", stateProblem, "AT answered 403, and not as llmgw does", "is this the address of this gateway?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := inFront(t, g, c.change)
			code, found := examined(t, g, append([]string{"--url", at + "/"}, c.args...)...)
			if code != c.code {
				t.Errorf("it ends with %d, want %d: %v", code, c.code, found)
			}
			f := found[c.check]
			if f.State != c.state || !strings.Contains(f.Text, strings.ReplaceAll(c.text, "AT", at)) || !strings.Contains(f.Hint, c.hint) {
				t.Errorf("found %+v, want %s %q %q", f, c.state, c.text, c.hint)
			}
		})
	}
}

func TestDoctorWaitsForNobodyForEver(t *testing.T) {
	withoutProviders(t)
	g := serveAt(t, shortDir(t))
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	begun := time.Now()
	code, found := examined(t, g, "--url", "http://"+silent.Addr().String(), "--timeout", "300ms")
	if f := found["stream path"]; code != exitFailed || f.State != stateProblem || !strings.Contains(f.Text, "no answer in time") {
		t.Errorf("it ends with %d and found %+v", code, f)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestDoctorGivesUpOnASignal(t *testing.T) {
	withoutProviders(t)
	g := serveAt(t, shortDir(t))
	signals := make(chan os.Signal, 1)
	tty := &terminal{}
	ended := make(chan int, 1)
	go func() {
		ended <- run(context.Background(), shell{
			args: []string{"doctor", "--data", g.data, "--idle", "100s", "--timeout", "100s"}, in: strings.NewReader(""),
			out: tty, err: io.Discard, signals: signals,
		})
	}()
	until(t, "the last check but one", func() bool { return strings.Contains(tty.String(), "clock") })
	signals <- os.Interrupt
	select {
	case code := <-ended:
		if code != exitInterrupted || strings.Contains(tty.String(), "idle stream") {
			t.Errorf("it ends with %d, want %d:\n%s", code, exitInterrupted, tty)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

func TestWhatATestOfAnUpstreamMeans(t *testing.T) {
	u := api.Upstream{Name: "eu", Provider: "openai", Credentials: []api.Credential{{Reference: "env:K", Last4: "x4Qd", Enabled: true, Usable: true}}}
	bedrock := u
	bedrock.Provider = "bedrock"
	for name, c := range map[string]struct {
		upstream api.Upstream
		test     api.UpstreamTest
		want     finding
	}{
		"it is well": {u, api.UpstreamTest{OK: true, Status: 200, DurationMS: 142, Models: 61},
			finding{"eu", stateOK, "200 in 142 ms, 61 models", ""}},
		"its credential was refused": {u, api.UpstreamTest{Status: 401, URL: "https://a/v1/models", Error: "refused"},
			finding{"eu", stateProblem, "401 from https://a/v1/models", "credential env:K …x4Qd was refused. Set a new one: llmgw upstreams credential set eu"}},
		"it has nothing there": {u, api.UpstreamTest{Status: 404, URL: "https://a/v1/models", Error: "nothing at this path"},
			finding{"eu", stateProblem, "404 from https://a/v1/models", "nothing at this path"}},
		"it cannot be reached": {u, api.UpstreamTest{Error: "cannot reach it"},
			finding{"eu", stateProblem, "cannot reach it", "try it alone: llmgw upstreams test eu"}},
		"it cannot be tested": {bedrock, api.UpstreamTest{Error: "signed one by one"},
			finding{"eu", stateSkipped, "signed one by one", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, judged(c.upstream, c.test)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDoctorOnAGatewayThatIsNotWell(t *testing.T) {
	well := api.Status{Version: version, Store: api.StoreStatus{Kind: "sqlite", OK: true}, Bus: "in-process"}
	for _, c := range []struct {
		name   string
		ready  int
		change func(*api.Status)
		check  string
		state  string
		text   string
	}{
		{"of another version", 200, func(s *api.Status) { s.Version = "9.9.9" }, "gateway", stateWarning, "ready, runs llmgw 9.9.9"},
		{"that is stopping", 200, func(s *api.Status) { s.Draining = true }, "gateway", stateWarning, "is stopping"},
		{"that is not ready", 503, func(*api.Status) {}, "gateway", stateProblem, "503"},
		{"without its store", 200, func(s *api.Status) { s.Store.OK, s.Store.Error = false, "disk full" }, "store", stateProblem, "sqlite not reachable: disk full"},
		{"that has no upstreams", 200, func(*api.Status) {}, "upstreams", stateWarning, "none yet"},
		{"that makes no keys", 200, func(*api.Status) {}, "stream path", stateProblem, "store unreachable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			port := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.ready) }))
			defer port.Close()
			status := well
			status.Proxy, status.Data = port.URL, shortDir(t)
			c.change(&status)
			g := &served{terminal: &terminal{}, data: shortDir(t)}
			l, err := net.Listen("unix", filepath.Join(g.data, socketName))
			if err != nil {
				t.Fatal(err)
			}
			admin := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/api/v1/status":
					_ = json.NewEncoder(w).Encode(status)
				case "/api/v1/upstreams":
					_, _ = fmt.Fprint(w, `{"items":[]}`)
				default:
					w.WriteHeader(http.StatusServiceUnavailable)
					_, _ = fmt.Fprint(w, `{"code":"unavailable","detail":"store unreachable"}`)
				}
			})}
			go func() { _ = admin.Serve(l) }()
			defer admin.Close()
			_, found := examined(t, g)
			if f := found[c.check]; f.State != c.state || !strings.Contains(f.Text, c.text) {
				t.Errorf("found %+v, want %s %q", f, c.state, c.text)
			}
		})
	}
}

func TestWhatOthersMayLookAtIsTold(t *testing.T) {
	dir := shortDir(t)
	key := filepath.Join(dir, secretKeyName)
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, file os.FileMode
		want      string
	}{
		{0o700, 0o600, ""}, {0o750, 0o600, "chmod 700 " + dir}, {0o700, 0o640, "chmod 600 " + key}, {0o755, 0o644, "chmod 700 " + dir},
	} {
		if err := os.Chmod(key, c.file); err != nil {
			t.Fatal(err)
		}
		if got := tooOpen(dir, c.dir); got != c.want {
			t.Errorf("%04o %04o: %q, want %q", c.dir, c.file, got, c.want)
		}
	}
}

func TestTheConclusionCounts(t *testing.T) {
	for _, c := range []struct {
		problems, warnings int
		want               string
	}{
		{0, 0, "no problems"}, {0, 1, "no problems, 1 warning"}, {1, 1, "1 problem, 1 warning"}, {2, 0, "2 problems"}, {3, 2, "3 problems, 2 warnings"},
	} {
		if got := conclusion(c.problems, c.warnings); got != c.want {
			t.Errorf("conclusion(%d, %d) = %q, want %q", c.problems, c.warnings, got, c.want)
		}
	}
	d := &doctor{findings: slices.Repeat([]finding{{State: stateWarning}}, 2)}
	if d.count(stateWarning) != 2 || d.count(stateProblem) != 0 {
		t.Error("it counts wrongly")
	}
}
