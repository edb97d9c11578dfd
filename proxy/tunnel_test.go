package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/llmgw/llmgw/proxy/mock"
)

func TestEveryByteOfTenThousandFramesPassesBothWays(t *testing.T) {
	up := newSocketUpstream(t, echoBytes)
	g := newGateway(t, up.url, allowed)
	s := g.handshake("/v1/anything", "")
	if response := s.answered(t); response.StatusCode != 101 {
		t.Fatal(response.Status)
	}
	sent, total := sha256.New(), make(chan int64, 1)
	go func() {
		out := bufio.NewWriterSize(io.MultiWriter(s.Conn, sent), 64<<10)
		n := writeFrames(out, rand.New(rand.NewPCG(1, 2)), 10_000)
		_ = out.Flush()
		total <- n
	}()
	received, got := sha256.New(), int64(0)
	end := frame(0x88, "\x03\xe8")
	var tail []byte
	for buf := make([]byte, 64<<10); !bytes.HasSuffix(tail, []byte(end)); {
		n, err := s.in.Read(buf)
		received.Write(buf[:n])
		got += int64(n)
		tail = append(tail, buf[:n]...)
		tail = tail[max(0, len(tail)-len(end)):]
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
	if want := waitFor(t, total); got != want || !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		t.Errorf("sent %d bytes, got %d; same: %v", want, got, bytes.Equal(sent.Sum(nil), received.Sum(nil)))
	}
	_ = s.Close()
	line := g.line(s.response)
	if line["end_reason"] != "complete" || line["request_bytes"] != float64(got) || line["response_bytes"] != float64(got) {
		t.Errorf("log %v", line)
	}
}

// writeFrames writes n frames of all kinds and sizes, and a Close.
func writeFrames(out io.Writer, random *rand.Rand, n int) (total int64) {
	write := func(b []byte) {
		_, _ = out.Write(b)
		total += int64(len(b))
	}
	mask := func() []byte { return binary.BigEndian.AppendUint32(nil, random.Uint32()) }
	noise := make([]byte, 200<<10)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	open := false
	for range n {
		size := random.IntN(1 << random.IntN(12))
		if random.IntN(200) == 0 {
			size = random.IntN(len(noise))
		}
		switch random.IntN(5) {
		case 0:
			write(rawFrame(0x80|byte(9+random.IntN(2)), noise[:size%126], mask()))
		default:
			first := byte(0x80 * random.IntN(2))
			if !open {
				first |= byte(1 + random.IntN(2))
			}
			open = first&0x80 == 0
			write(rawFrame(first, noise[:size], mask()))
		}
	}
	write([]byte(frame(0x88, "\x03\xe8")))
	return total
}

func TestAWebSocketLibraryTalksThroughTheGateway(t *testing.T) {
	const messages = 10_000
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"realtime"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.CloseNow() }()
		for {
			kind, message, err := c.Read(t.Context())
			if err != nil {
				return
			}
			if err := c.Write(t.Context(), kind, message); err != nil {
				t.Error(err)
				return
			}
		}
	}))
	t.Cleanup(up.Close)
	g := newGateway(t, up.URL, allowed)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, response, err := websocket.Dial(ctx, "ws://"+g.addr+realtime, &websocket.DialOptions{
		Subprotocols: []string{"realtime", keyProtocol + g.key},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	if c.Subprotocol() != "realtime" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	go func() {
		random := rand.New(rand.NewPCG(3, 4))
		for i := range messages {
			if err := c.Write(ctx, websocket.MessageBinary, append(binary.BigEndian.AppendUint32(nil, uint32(i)), make([]byte, random.IntN(600))...)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i := range messages {
		kind, message, err := c.Read(ctx)
		if err != nil || kind != websocket.MessageBinary || binary.BigEndian.Uint32(message) != uint32(i) {
			t.Fatalf("message %d: %v, %d bytes, %v", i, kind, len(message), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Error(err)
	}
	if line := g.line(response); line["end_reason"] != "complete" || line["status"] != 101.0 || line["stream"] != true || line["model"] != "gpt-realtime" {
		t.Errorf("log %v", line)
	}
}

func TestEarlyBytesOfBothSidesArrive(t *testing.T) {
	hello, early := frame(0x81, "session.created"), frame(0x81, strings.Repeat("early", 3000))
	asked := make(chan struct{})
	up := newSocketUpstream(t, func(c net.Conn, in *bufio.Reader, _ *http.Request) {
		<-asked // the client's first frames are there before it is answered
		say(c, switched+hello)
		_, _ = io.Copy(c, in)
	})
	g := newGateway(t, up.url, allowed)
	s := g.handshake("/v1/anything", early)
	g.until("the handshake is on its way", func() bool { return len(up.asked()) > 0 })
	close(asked)
	if response := s.answered(t); response.Header.Get("Sec-WebSocket-Accept") != "up-says-so" ||
		response.Header.Get("Connection") != "Upgrade" || response.Header.Get("Upgrade") != "websocket" {
		t.Errorf("head %v", response.Header)
	}
	s.expect(t, hello+early)
	say(s, frame(0x81, "later"))
	s.expect(t, frame(0x81, "later"))
}

func TestTheUsageOfAllResponsesOfASessionAddsUp(t *testing.T) {
	script := realtimeEvent("session.created") +
		realtimeEvent(responseCreated, `,"response":{"usage":null}`) + responseDoneEvent(10, 20, 3) +
		frame(0x89, "ping") + realtimeEvent("rate_limits.updated", `,"response":{"usage":{"input_tokens":1000}}`) +
		responseDoneEvent(5, 7, 0)[:60]
	rest := responseDoneEvent(5, 7, 0)[60:] + frame(0xc1, "compressed") + frame(0x88, "\x03\xe8")
	up := newSocketUpstream(t, holdOpen(script, rest))
	g := newGateway(t, up.url, allowed)
	s := g.handshake(realtime, "")
	s.answered(t)
	s.expect(t, script+rest)
	_ = s.Close()
	line := g.ended(s, "complete")
	for name, want := range map[string]any{"input_tokens": 15.0, "output_tokens": 27.0, "cached_input_tokens": 3.0, "wire": "openai-realtime"} {
		if line[name] != want {
			t.Errorf("%s: %v, want %v", name, line[name], want)
		}
	}
	for _, want := range []string{
		`llmgw_tokens_total{kind="output_tokens",model="other",upstream="up"} 27`,
		`llmgw_streams_ended_total{reason="complete",rule="everything",upstream="up"} 1`,
		`llmgw_requests_total{code="101",method="GET",rule="everything",upstream="up"} 1`,
		"llmgw_in_flight_streams 0", "llmgw_in_flight_requests 0",
	} {
		if !strings.Contains(g.metrics(), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestASessionPassesOverTLS(t *testing.T) {
	cert := certificate(t, time.Now().Add(time.Hour))
	up := newSocketUpstream(t, echoBytes)
	g := newGateway(t, up.url, allowed, func(s *setup) { s.certificates = []tls.Certificate{cert} })
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	for _, reason := range []endReason{endDrained, endComplete, endClientGone} {
		c, err := tls.Dial("tcp", g.addr, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		early, closing := frame(0x82, strings.Repeat("early", 5000)), frame(0x88, "")
		s := g.handshakeOn(c, "/v1/anything", early)
		s.answered(t)
		s.expect(t, early)
		switch reason {
		case endDrained:
			g.proxy.flights.cut(reason)
			if rest, err := s.rest(); rest != farewell(1001, "the gateway is stopping") || err != nil {
				t.Errorf("%q %v", rest, err)
			}
		case endComplete:
			say(c, closing)
			s.expect(t, closing)
			_ = c.Close()
		default:
			_ = c.NetConn().Close()
		}
		g.ended(s, string(reason))
	}
}

func TestALiveSessionWithTheMockIsCounted(t *testing.T) {
	up := httptest.NewServer(mock.New(mock.Options{TTFT: -1, TokensPerSecond: -1}))
	t.Cleanup(up.Close)
	g := newGateway(t, up.URL, allowed)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, response, err := websocket.Dial(ctx, "ws://"+g.addr+realtime, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + g.key}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	var input, output float64
	for range 3 {
		if err := c.Write(ctx, websocket.MessageText, []byte(`{"type":"response.create"}`)); err != nil {
			t.Fatal(err)
		}
		for event := new(doneEvent); event.Type != responseDone; {
			_, message, err := c.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			event = new(doneEvent)
			if err := json.Unmarshal(message, event); err != nil {
				t.Fatal(err)
			}
			input, output = input+event.Response.Usage.Input, output+event.Response.Usage.Output
		}
	}
	_ = c.CloseNow()
	line := g.line(response)
	if line["input_tokens"] != input && input > 0 || line["output_tokens"] != output || output == 0 || line["end_reason"] != "client_gone" {
		t.Errorf("log %v; events said %v and %v", line, input, output)
	}
}

type doneEvent struct {
	Type     string
	Response struct {
		Usage struct {
			Input  float64 `json:"input_tokens"`
			Output float64 `json:"output_tokens"`
		}
	}
}
