package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for a state before it calls it missing.
const patience = 20 * time.Second

// credentialCanary is what every test upstream's credential contains; the end
// of the test run looks for it where it must not be.
const credentialCanary = "sk-canary-credential-6c1f"

// gateway is a proxy on a real listener with what a test wants to know of it.
type gateway struct {
	t      testing.TB
	proxy  *Proxy
	server *Server
	addr   string
	keys   *keyring
	key    string
	log    *logLines
	served chan error
}

// keyring is a Source of keys that a test makes. It can be told to fail.
type keyring struct {
	mu     sync.Mutex
	issuer *accounts.Issuer
	known  map[accounts.KeyHash]*accounts.Identity
	err    error
	asked  int
	age    atomic.Int64 // nanoseconds; see AgeAt
}

func (k *keyring) issuers() *accounts.Issuer { return k.issuer }

func newKeyring(t testing.TB) *keyring {
	t.Helper()
	secret := sha256.Sum256([]byte("test issuer"))
	issuer, err := accounts.NewIssuer(secret[:])
	if err != nil {
		t.Fatal(err)
	}
	return &keyring{issuer: issuer, known: map[accounts.KeyHash]*accounts.Identity{}}
}

func (k *keyring) Identify(_ context.Context, hash accounts.KeyHash) (*accounts.Identity, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.err != nil {
		return nil, k.err
	}
	if who := k.known[hash]; who != nil {
		return who, nil
	}
	return nil, fmt.Errorf("key: %w", accounts.ErrNotFound)
}

func (k *keyring) AgeAt(time.Time) time.Duration { return time.Duration(k.age.Load()) }

func (k *keyring) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// issue makes a key of a name, in the state that change gives it.
func (k *keyring) issue(t testing.TB, name string, change func(*accounts.Identity)) string {
	t.Helper()
	secret, err := k.issuer.Issue()
	if err != nil {
		t.Fatal(err)
	}
	who := &accounts.Identity{KeyID: accounts.NewID("key", time.Now()), KeyName: name}
	if change != nil {
		change(who)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[accounts.HashKey(secret.Reveal())] = who
	return secret.Reveal()
}

// logLines keeps what the gateway logs.
type logLines struct {
	mu   sync.Mutex
	all  bytes.Buffer
	more chan struct{}
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.all.Write(b)
}

func (l *logLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// find waits for the access line of a request.
func (l *logLines) find(t testing.TB, id string) map[string]any {
	t.Helper()
	return l.wait(t, "the access line of "+id, func(line map[string]any) bool {
		return line["message"] == "request" && line["request_id"] == id
	})
}

// wait waits for a line.
func (l *logLines) wait(t testing.TB, what string, is func(map[string]any) bool) map[string]any {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		text, more := l.all.String(), l.more
		l.mu.Unlock()
		for line := range strings.SplitSeq(text, "\n") {
			if line == "" {
				continue
			}
			var parsed map[string]any
			if err := json.Unmarshal([]byte(line), &parsed); err != nil {
				t.Fatalf("log line %q: %v", line, err)
			}
			if is(parsed) {
				return parsed
			}
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no log line: %s", what)
		}
	}
}

// setup is what a test changes of a gateway before it starts.
type setup struct {
	options      Options
	config       rules.Config
	certificates []tls.Certificate
}

// newGateway starts a gateway whose one rule sends everything to an upstream at
// url.
func newGateway(t testing.TB, url string, changes ...func(*setup)) *gateway {
	t.Helper()
	keys := newKeyring(t)
	log := &logLines{more: make(chan struct{})}
	s := &setup{
		options: Options{
			Source: keys, Issuer: keys.issuers, Log: zerolog.New(log), Node: "test",
			Vault: accounts.Vault{References: accounts.References{
				"test": func(context.Context, string) (accounts.Secret, error) {
					return accounts.NewSecret(credentialCanary), nil
				},
			}},
		},
		config: rules.Config{Revision: 7, Upstreams: []accounts.Upstream{upstreamAt("up", url)}, Files: []rules.File{{
			Set: "default", Order: 100,
			Rules: []rules.Rule{{Name: "everything", Action: rules.Action{Upstream: "up"}}},
		}}},
	}
	for _, change := range changes {
		change(s)
	}
	p, err := New(s.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(t.Context(), s.config); err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, proxy: p, keys: keys, log: log, server: NewServer(p, s.certificates...), served: make(chan error, 1)}
	g.key = keys.issue(t, "ci-bot", nil)
	g.addr = g.listen()
	t.Cleanup(g.stop)
	return g
}

func upstreamAt(name, url string) accounts.Upstream {
	return accounts.Upstream{
		ID: "up_" + name, Name: name, Provider: accounts.ProviderGeneric, URL: url, Auth: accounts.AuthBearer, Enabled: true,
		Credentials: []accounts.Credential{{ID: "cred", Name: "default", Reference: "test:" + name, Enabled: true}},
	}
}

func (g *gateway) listen() string {
	g.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		g.t.Fatal(err)
	}
	go func() { g.served <- g.server.Serve(l) }()
	return l.Addr().String()
}

// stop drains the gateway and looks for what must never have got out.
func (g *gateway) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g.server.Drain(ctx, 0, 5*time.Second)
	if err := <-g.served; err != nil {
		g.t.Errorf("serving: %v", err)
	}
	g.proxy.Close()
	shown := g.log.text() + g.metrics()
	for _, canary := range []string{accounts.KeyPrefix, credentialCanary} {
		if strings.Contains(shown, canary) {
			g.t.Errorf("log or metrics contain %s…", canary)
		}
	}
}

// metrics gives what /metrics would show.
func (g *gateway) metrics() string {
	g.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(g.proxy.Collector()); err != nil {
		g.t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			g.t.Fatal(err)
		}
	}
	return text.String()
}

// client is an HTTP client that changes nothing and keeps nothing.
func client(t testing.TB) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post makes a request with the gateway's key.
func (g *gateway) post(path, body string) *http.Request {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, "http://"+g.addr+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+g.key)
	return r
}

// do sends a request and reads the whole answer; err is that of the body.
func (g *gateway) do(r *http.Request) (*http.Response, []byte, error) {
	g.t.Helper()
	response, err := client(g.t).Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if strings.Contains(fmt.Sprint(response.Header)+string(body), credentialCanary) {
		g.t.Error("the answer holds the upstream's credential")
	}
	return response, body, err
}

// line waits for the access line of an answer.
func (g *gateway) line(response *http.Response) map[string]any {
	g.t.Helper()
	return g.log.find(g.t, response.Header.Get("X-Llmgw-Request-Id"))
}

// wireUpstream is an upstream below HTTP: it reads requests, and what it
// answers is bytes.
type wireUpstream struct {
	t        testing.TB
	listener net.Listener
	url      string
	mu       sync.Mutex
	heads    bytes.Buffer // everything that ever arrived
	odd      int          // what arrived and was no request
	open     sync.WaitGroup
	conns    map[net.Conn]struct{}
}

// sent is a request as it arrived.
type sent struct {
	*http.Request
	body []byte
	gone <-chan struct{} // closed when the connection ended while it was answered
}

// newWireUpstream starts an upstream that answers each request by handle. The
// connection goes on after it where handle says so.
func newWireUpstream(t testing.TB, handle func(c net.Conn, r *sent) (goOn bool)) *wireUpstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &wireUpstream{t: t, listener: l, url: "http://" + l.Addr().String(), conns: map[net.Conn]struct{}{}}
	u.open.Add(1)
	go func() {
		defer u.open.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u.open.Add(1)
			go u.serve(c, handle)
		}
	}()
	t.Cleanup(u.close)
	return u
}

func (u *wireUpstream) close() {
	_ = u.listener.Close()
	u.mu.Lock()
	for c := range u.conns {
		_ = c.Close()
	}
	u.mu.Unlock()
	u.open.Wait()
	if strings.Contains(u.arrived(), accounts.KeyPrefix) {
		u.t.Error("an upstream saw a gateway key")
	}
}

func (u *wireUpstream) arrived() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.heads.String()
}

func (u *wireUpstream) serve(c net.Conn, handle func(net.Conn, *sent) bool) {
	defer u.open.Done()
	u.mu.Lock()
	u.conns[c] = struct{}{}
	u.mu.Unlock()
	defer func() {
		_ = c.Close()
		u.mu.Lock()
		delete(u.conns, c)
		u.mu.Unlock()
	}()
	in := bufio.NewReader(io.TeeReader(c, lockedWriter{u}))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			u.unreadable(err)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		gone, ahead := make(chan struct{}), make(chan struct{})
		u.open.Add(1)
		go func() { // reads ahead, as servers do, to notice the other side leave
			defer u.open.Done()
			defer close(ahead)
			if _, err := in.Peek(1); err != nil {
				close(gone)
			}
		}()
		if !handle(c, &sent{Request: r, body: body, gone: gone}) {
			return
		}
		<-ahead
	}
}

// unreadable counts what cannot be read as a request and is no mere end.
func (u *wireUpstream) unreadable(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isConnectionError(err) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.odd++
}

// forget lets go of what has arrived, and tells how much of it was no request.
func (u *wireUpstream) forget() (odd int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.heads.Reset()
	return u.odd
}

type lockedWriter struct{ u *wireUpstream }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.u.mu.Lock()
	defer w.u.mu.Unlock()
	return w.u.heads.Write(b)
}

// answerText is a whole answer of a kind.
func answerText(contentType, body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(body), body)
}

// streamHead begins an event stream in chunks.
const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

// chunk frames one chunk.
func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// say writes to a connection; one that is gone is what the test is about.
func say(c net.Conn, parts ...string) {
	for _, part := range parts {
		if _, err := io.WriteString(c, part); err != nil {
			return
		}
	}
}

// revoke revokes a key as a change in the store would: the identity that is
// found from now on says so.
func (k *keyring) revoke(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	who := *k.known[accounts.HashKey(key)]
	who.RevokedAt = time.Now()
	k.known[accounts.HashKey(key)] = &who
}

func prefixes(t testing.TB, list string) (all []netip.Prefix) {
	t.Helper()
	for text := range strings.SplitSeq(list, ",") {
		if text != "" {
			all = append(all, netip.MustParsePrefix(text))
		}
	}
	return all
}
