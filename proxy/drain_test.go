package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const firstEvent = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"

// openStream starts a stream whose upstream goes on when told to.
func openStream(t *testing.T) (g *gateway, response *http.Response, goOn chan struct{}) {
	t.Helper()
	goOn = make(chan struct{})
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(firstEvent))
		select {
		case <-goOn:
			say(c, chunk("data: [DONE]\n\n"), "0\r\n\r\n")
		case <-r.gone:
		}
		return false
	})
	g = newGateway(t, up.url)
	response, err := client(t).Do(g.post("/v1/chat/completions", chatRequest))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	return g, response, goOn
}

func TestADrainLetsAStreamComeToItsEnd(t *testing.T) {
	g, response, goOn := openStream(t)
	done := make(chan struct{})
	go func() { defer close(done); g.server.Drain(context.Background(), 0, 0) }()
	g.notReady()
	waitFor(t, refused(t, g.addr))
	close(goOn)
	rest, err := io.ReadAll(response.Body)
	if err != nil || string(rest) != "data: [DONE]\n\n" {
		t.Errorf("%q %v", rest, err)
	}
	waitFor(t, done)
	if line := g.line(response); line["end_reason"] != "complete" {
		t.Errorf("log says %v", line["end_reason"])
	}
}

func TestADrainCutsWhatIsLeftWithTheProtocolsError(t *testing.T) {
	g, response, _ := openStream(t)
	ctx, second := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); g.server.Drain(ctx, time.Hour, 0) }()
	g.notReady()
	second() // the second signal
	rest, err := io.ReadAll(response.Body)
	if !strings.HasPrefix(string(rest), `data: {"error":{"message":"the gateway is stopping`) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q %v", rest, err)
	}
	waitFor(t, done)
	if line := g.line(response); line["end_reason"] != "drained" {
		t.Errorf("log says %v", line["end_reason"])
	}
}

func TestADrainHasALimit(t *testing.T) {
	g, response, _ := openStream(t)
	done := make(chan struct{})
	go func() { defer close(done); g.server.Drain(context.Background(), 0, 50*time.Millisecond) }()
	if _, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ends with %v", err)
	}
	waitFor(t, done)
}

func TestRequestsAreTakenDuringTheDrainsDelay(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	g := newGateway(t, up.url)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); g.server.Drain(ctx, time.Hour, 0) }()
	g.notReady()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.addr+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, _, _ := g.do(r); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", response.StatusCode)
	}
	response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
	if err != nil || string(body) != "ok" || !response.Close {
		t.Errorf("%q, close %v, %v", body, response.Close, err)
	}
	cancel()
	waitFor(t, done)
}

// notReady waits until the gateway says that it is draining.
func (g *gateway) notReady() {
	g.t.Helper()
	g.until("not ready", func() bool { return g.proxy.Ready() != nil })
}

// refused is closed when an address takes no more connections.
func refused(t *testing.T, addr string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return
			}
			_ = c.Close()
		}
		t.Error("still takes connections")
	}()
	return done
}
