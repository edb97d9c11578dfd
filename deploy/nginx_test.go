package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// findNginx looks where Debian keeps it, too.
func findNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("LLMGW_TEST_REQUIRE_SERVICES") == "1" {
		t.Fatal("nginx is not on this machine: apt-get install nginx-light, dnf install nginx-core, apk add nginx, or brew install nginx")
	}
	t.Skip("NOT TESTED HERE: the load balancer of the compose file; get it with apt-get install nginx-light, dnf install nginx-core, apk add nginx, or brew install nginx")
	return ""
}

// render makes the configuration one for this machine: other addresses, other
// places, all else as it is.
func render(t *testing.T, dir, listen string, gateways [2]string) string {
	t.Helper()
	text := read(t, "nginx.conf")
	for _, change := range [][2]string{
		{"listen 8080 ", "listen " + listen + " "},
		{"server gateway:4100 ", "server " + gateways[0] + " "},
		{"server gateway-2:4100 ", "server " + gateways[1] + " "},
	} {
		if strings.Count(text, change[0]) != 1 {
			t.Fatalf("nginx.conf does not have %q once", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	text = strings.ReplaceAll(text, " /tmp/", " "+dir+"/")
	file := filepath.Join(dir, "nginx.conf")
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// balance starts nginx in front of two gateways and gives its URL.
func balance(t *testing.T, nginx string, gateways [2]string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	listen := l.Addr().String()
	must(t, l.Close())
	dir := place(t)
	file := render(t, dir, listen, gateways)
	var said bytes.Buffer
	c := exec.CommandContext(context.WithoutCancel(t.Context()), nginx, "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log"), "-g", "daemon off;")
	c.Stdout, c.Stderr, c.WaitDelay = &said, &said, patience
	must(t, c.Start())
	t.Cleanup(func() {
		must(t, c.Process.Signal(os.Interrupt)) // nginx: end at once, with the workers
		if err := c.Wait(); err != nil {
			t.Errorf("nginx: %v\n%s", err, said.String())
		}
	})
	await(t, "nginx answers", func() bool {
		conn, err := net.DialTimeout("tcp", listen, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return "http://" + listen
}

// stepper is an upstream that says an event when a test lets it.
type stepper struct {
	*httptest.Server
	next   chan string
	pieces chan string // of request bodies, as they came
	gone   chan struct{}
}

func newStepper(t *testing.T) *stepper {
	t.Helper()
	s := &stepper{next: make(chan string), pieces: make(chan string, 16), gone: make(chan struct{}, 16)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/files") {
			s.take(w, r)
			return
		}
		s.stream(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stepper) stream(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.(http.Flusher).Flush() // the head comes before any event
	for {
		select {
		case event := <-s.next:
			if event == "" {
				return
			}
			fmt.Fprintf(w, "data: %s\n\n", event)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			s.gone <- struct{}{}
			return
		}
	}
}

func (s *stepper) take(w http.ResponseWriter, r *http.Request) {
	for b := make([]byte, 1<<10); ; {
		n, err := r.Body.Read(b)
		if n > 0 {
			s.pieces <- string(b[:n])
		}
		if err != nil {
			fmt.Fprint(w, "{}")
			return
		}
	}
}

func (s *stepper) say(t *testing.T, event string) {
	t.Helper()
	select {
	case s.next <- event:
	case <-time.After(patience):
		t.Fatalf("nobody waits for %q", event)
	}
}

// twoGateways are two processes with the same keys and rules.
func twoGateways(t *testing.T, upstream string) (gateways [2]*gateway, key string) {
	t.Helper()
	binary := program(t)
	first := &gateway{binary: binary, data: filepath.Join(place(t), "data")}
	first.start(t)
	first.do(t, "upstreams", "create", "stepper", "--provider", "openai", "--url", upstream+"/v1", "--auth", "none", "--no-test")
	key = first.do(t, "keys", "create", "me")
	first.do(t, "bindings", "create", "--key", "me", "--upstream", "stepper")
	first.end(os.Interrupt)
	second := &gateway{binary: binary, data: filepath.Join(place(t), "data")}
	must(t, os.CopyFS(second.data, os.DirFS(first.data)))
	must(t, os.Chmod(second.data, 0o700))
	first.start(t)
	second.start(t)
	return [2]*gateway{first, second}, key
}

func post(ctx context.Context, t *testing.T, url, key, kind string, body io.Reader) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", kind)
	return http.DefaultClient.Do(r)
}

func TestTheLoadBalancerHoldsNothingBackAndLeavesOutWhoIsGone(t *testing.T) {
	nginx := findNginx(t)
	upstream := newStepper(t)
	gateways, key := twoGateways(t, upstream.URL)
	front := balance(t, nginx, [2]string{gateways[0].address, gateways[1].address})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)

	stream := func(ctx context.Context) (*http.Response, error) {
		return post(ctx, t, front+"/v1/chat/completions", key, "application/json", strings.NewReader(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	}

	t.Run("an event arrives before the next one is said", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		response, err := stream(ctx)
		must(t, err)
		defer response.Body.Close()
		lines := bufio.NewReader(response.Body)
		for i := range 5 {
			upstream.say(t, fmt.Sprint(i))
			line, err := lines.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
				t.Fatalf("read %q, %v; want %q", line, err, want)
			}
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		upstream.say(t, "")
		if _, err := io.Copy(io.Discard, lines); err != nil {
			t.Errorf("at its end: %v", err)
		}
	})

	t.Run("a piece of a body arrives before the next one is sent", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		read, write := io.Pipe()
		answered := make(chan error, 1)
		go func() {
			response, err := post(ctx, t, front+"/v1/files", key, "application/octet-stream", read)
			if err == nil {
				err = response.Body.Close()
			}
			answered <- err
		}()
		for _, piece := range []string{"one", "two", "three"} {
			_, err := io.WriteString(write, piece)
			must(t, err)
			select {
			case got := <-upstream.pieces:
				if got != piece {
					t.Fatalf("the upstream got %q", got)
				}
			case <-ctx.Done():
				t.Fatalf("%q was held back", piece)
			}
		}
		must(t, write.Close())
		must(t, <-answered)
	})

	t.Run("two streams are on two gateways, and end when their clients go", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for range 2 {
			response, err := stream(ctx)
			must(t, err)
			defer response.Body.Close()
		}
		if a, b := gateways[0].inFlight(t), gateways[1].inFlight(t); a != 1 || b != 1 {
			t.Errorf("%d and %d streams are in flight", a, b)
		}
		cancel()
		for range 2 {
			select {
			case <-upstream.gone:
			case <-time.After(patience):
				t.Fatal("the upstream goes on for nobody")
			}
		}
	})

	t.Run("a WebSocket passes", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, _, err := websocket.Dial(ctx, front+"/v1/realtime?model=mock", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
		must(t, err)
		defer func() { _ = c.CloseNow() }() // the test is over
		if _, event, err := c.Read(ctx); err != nil || !bytes.Contains(event, []byte("session.created")) {
			t.Errorf("the first event is %s, %v", event, err)
		}
	})

	t.Run("who is gone is left out, and no request fails", func(t *testing.T) {
		gateways[0].end(os.Kill)
		for i := range 20 {
			response, err := post(t.Context(), t, front+"/v1/chat/completions", key, "application/json", strings.NewReader(`{"model":"mock","messages":[{"role":"user","content":"hi"}]}`))
			must(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			if err = errors.Join(err, response.Body.Close()); response.StatusCode != 200 || err != nil {
				t.Fatalf("request %d: %d, %v", i, response.StatusCode, err)
			}
		}
	})
}
