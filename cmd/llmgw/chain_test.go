package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// witness is a provider that keeps every byte that it was sent, and the header
// of every request. A request for the model endless is streamed until it is cut,
// one for silent is not answered.
type witness struct {
	*httptest.Server
	mu      sync.Mutex
	raw     bytes.Buffer
	headers []http.Header
	held    atomic.Int64 // answers that have not ended
}

const endlessEvent = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(w.answer))
	w.Listener = &overheard{w.Listener, w}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

func (w *witness) answer(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever asked has gone
	}
	w.mu.Lock()
	w.headers = append(w.headers, r.Header)
	w.mu.Unlock()
	w.held.Add(1)
	defer w.held.Add(-1)
	switch {
	case bytes.Contains(body, []byte("endless")):
		out.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(out, endlessEvent)
		_ = http.NewResponseController(out).Flush()
		<-r.Context().Done()
	case bytes.Contains(body, []byte("silent")):
		<-r.Context().Done()
	default:
		out.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(out, `{"id":"x"}`)
	}
}

// last gives the header of the last request.
func (w *witness) last() http.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.headers[len(w.headers)-1]
}

func (w *witness) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.headers)
}

func (w *witness) bytes() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.raw.String()
}

// overheard and wiretap copy what connections bring.
type overheard struct {
	net.Listener
	to *witness
}

func (l *overheard) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &wiretap{c, l.to}, err
}

type wiretap struct {
	net.Conn
	to *witness
}

func (c *wiretap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	c.to.raw.Write(b[:n])
	return n, err
}

// chain is a gateway with two upstreams, each of a provider that keeps what it
// is sent, and what its operator does at its socket.
type chain struct {
	*served
	t        *testing.T
	client   *api.Client
	http     *http.Client
	proxy    string
	one, two *witness
}

// The credentials of the chain's upstreams: two of the first one, in Authorization,
// and one of the second, in a field of its own.
const (
	credentialOneDefault = "sk-one-default-0123456789"
	credentialOneBatch   = "sk-one-batch-0123456789"
	credentialTwo        = "two-0123456789abcdef"
)

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{served: serveAt(t, shortDir(t), "--no-detect", "--no-mock"), t: t, one: newWitness(t), two: newWitness(t)}
	c.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: 20 * time.Second}
	t.Cleanup(c.http.CloseIdleConnections)
	c.client = api.NewClient(api.Options{Socket: filepath.Join(c.data, socketName), Timeout: 20 * time.Second})
	t.Cleanup(c.client.Close)
	c.proxy = c.status(t).Proxy
	c.types("upstreams create one --provider generic --credential - --no-test --url "+c.one.URL, credentialOneDefault)
	c.types("upstreams credential set one --name batch --credential - --no-test", credentialOneBatch)
	c.types("upstreams create two --provider generic --auth header:X-Team-Key --credential - --no-test --url "+c.two.URL, credentialTwo)
	c.types("rules apply -f -", "version: 1\nrules:\n  - {name: ruled, match: {model: ['ruled-*']}, action: {upstream: one}}\n")
	return c
}

// types runs a command at the gateway's socket, which must do what it says, and
// gives what it prints.
func (c *chain) types(command, stdin string) string {
	c.t.Helper()
	code, out, text := typed(stdin, append(strings.Fields(command), "--data", c.data, "--yes")...)
	if code != exitDone {
		c.t.Fatalf("llmgw %s ends with %d: %s", command, code, text)
	}
	return strings.TrimSpace(out)
}

// ask sends a request for a model and gives the whole answer.
func (c *chain) ask(key, model string) (int, string) {
	response, err := c.begin(key, model)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, err.Error()
	}
	return response.StatusCode, string(text)
}

func (c *chain) begin(key, model string) (*http.Response, error) {
	body := fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[]}`, model, strings.HasSuffix(model, "endless"))
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, c.proxy+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	return c.http.Do(r)
}

// TestEveryCallerReachesItsUpstreamWithItsCredential goes the whole way: a user,
// keys, upstreams with credentials, bindings by key, user and tag, a request.
func TestEveryCallerReachesItsUpstreamWithItsCredential(t *testing.T) {
	c := newChain(t)
	c.types("users create dana --tag team=search", "")
	c.types("users create lee", "")
	c.types("users create kim --tag floor=2", "")
	keys := map[string]string{
		"by-key":      c.types("keys create by-key --user dana --tag plan=gold", ""), // everything says something else; the key decides
		"by-user":     c.types("keys create by-user --user dana --tag plan=gold", ""),
		"by-tag":      c.types("keys create by-tag --user lee --tag plan=gold", ""),
		"by-user-tag": c.types("keys create by-user-tag --user kim --tag plan=none", ""),
		"unbound":     c.types("keys create unbound", ""),
	}
	c.types("bindings create --key by-key --upstream one/batch", "")
	c.types("bindings create --user dana --upstream two", "")
	c.types("bindings create --tag plan=gold --upstream one/default", "")
	c.types("bindings create --tag floor=2 --upstream two", "")

	one := func(credential string) map[string]string {
		return map[string]string{"Authorization": "Bearer " + credential}
	}
	two := map[string]string{"X-Team-Key": credentialTwo}
	for _, x := range []struct {
		key, model string
		at         *witness
		carries    map[string]string // of the carriers of credentials, exactly these
	}{
		{"by-key", "any", c.one, one(credentialOneBatch)},
		{"by-key", "ruled-1", c.one, one(credentialOneBatch)},
		{"by-user", "any", c.two, two},
		{"by-tag", "any", c.one, one(credentialOneDefault)},
		{"by-tag", "ruled-1", c.one, one(credentialOneDefault)},
		{"by-user-tag", "any", c.two, two},
		{"unbound", "any", nil, nil},
	} {
		t.Run(x.key+" asks for "+x.model, func(t *testing.T) {
			before := map[*witness]int{c.one: c.one.requests(), c.two: c.two.requests()}
			status, text := c.ask(keys[x.key], x.model)
			for w, n := range before {
				if w == x.at {
					n++
				}
				if w.requests() != n {
					t.Errorf("a provider has %d requests, want %d", w.requests(), n)
				}
			}
			if x.at == nil {
				if status != http.StatusBadRequest || !strings.Contains(text, "no_rule") {
					t.Errorf("%d %s", status, text)
				}
				return
			}
			if status != http.StatusOK {
				t.Fatalf("%d %s", status, text)
			}
			header := x.at.last()
			for _, name := range []string{"Authorization", "X-Team-Key", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Cookie", "Proxy-Authorization"} {
				if header.Get(name) != x.carries[name] {
					t.Errorf("%s is %q, want %q", name, header.Get(name), x.carries[name])
				}
			}
		})
	}
	status, text := c.ask(keys["unbound"], "ruled-1")
	if header := c.one.last(); status != http.StatusOK || header.Get("Authorization") != "Bearer "+credentialOneDefault && header.Get("Authorization") != "Bearer "+credentialOneBatch {
		t.Errorf("%d %s, with %v", status, text, header)
	}
	c.neverSent(accounts.KeyPrefix)
	c.one.neverSent(t, credentialTwo)
	c.two.neverSent(t, credentialOneDefault, credentialOneBatch)
}

// neverSent looks through every byte that the providers were sent.
func (c *chain) neverSent(texts ...string) {
	c.t.Helper()
	if c.one.requests()+c.two.requests() == 0 {
		c.t.Error("nothing was sent, so this proves nothing")
	}
	c.one.neverSent(c.t, texts...)
	c.two.neverSent(c.t, texts...)
}

func (w *witness) neverSent(t *testing.T, texts ...string) {
	t.Helper()
	sent := w.bytes()
	if n := strings.Count(sent, " HTTP/1.1\r\n"); n < w.requests() {
		t.Errorf("of %d requests, %d were overheard", w.requests(), n)
	}
	for _, text := range texts {
		if strings.Contains(sent, text) {
			t.Errorf("%s… was sent to a provider that is not to see it", text[:7])
		}
	}
}

// TestAKeyIsRotatedWithAGrace: both secrets are good until the grace has ended,
// and from then on the new one only, also after a new start.
func TestAKeyIsRotatedWithAGrace(t *testing.T) {
	const grace = 2 * time.Second
	c := newChain(t)
	old := c.types("keys create ci", "")
	c.types("bindings create --key ci --upstream two", "")
	begun := time.Now()
	fresh := c.types("keys rotate ci --grace "+grace.String(), "")
	if fresh == old || !strings.HasPrefix(fresh, accounts.KeyPrefix) {
		t.Fatal("the key has no new secret")
	}
	within := 0
	until(t, "the end of the grace", func() bool {
		status, text := c.ask(old, "any")
		early := time.Since(begun) < grace // the grace began later than begun
		switch {
		case status == http.StatusOK && early:
			within++
		case status != http.StatusOK && early:
			t.Fatalf("within its grace: %d %s", status, text)
		}
		if status, text := c.ask(fresh, "any"); status != http.StatusOK {
			t.Fatalf("the new secret: %d %s", status, text)
		}
		return status == http.StatusUnauthorized
	})
	if within == 0 {
		t.Error("the old secret was not tried within its grace")
	}
	for range 50 {
		if status, text := c.ask(old, "any"); status != http.StatusUnauthorized || !strings.Contains(text, "expired") {
			t.Fatalf("after its grace: %d %s", status, text)
		}
	}
	none := c.types("keys rotate ci --grace 0s", "")
	if status, _ := c.ask(fresh, "any"); status != http.StatusUnauthorized {
		t.Errorf("without a grace the old secret is answered with %d", status)
	}
	if status, text := c.ask(none, "any"); status != http.StatusOK {
		t.Errorf("the newest secret: %d %s", status, text)
	}
	c.restart()
	for key, want := range map[string]int{old: http.StatusUnauthorized, fresh: http.StatusUnauthorized, none: http.StatusOK} {
		if status, text := c.ask(key, "any"); status != want {
			t.Errorf("after a new start: %d %s, want %d", status, text, want)
		}
	}
	c.neverSent(accounts.KeyPrefix)
}

// restart ends the gateway and starts another on its data.
func (c *chain) restart() {
	c.t.Helper()
	c.end(c.t)
	c.client.Close()
	c.served = serveAt(c.t, c.data, "--no-detect", "--no-mock")
	c.proxy = c.status(c.t).Proxy
}

// inFlight is how many requests are under way when a key ends: half of them
// streams, half waiting for an answer.
const inFlight = 200

// askedAfter is how often is asked with a key that has ended, one after the other.
func askedAfter() int {
	if underRace {
		return 100
	}
	return 500
}

// TestAKeyThatEndsTakesItsRequestsAlong: with 200 of them in flight, and others
// that ask without pause. What the command has acknowledged holds for every
// request that begins after it.
func TestAKeyThatEndsTakesItsRequestsAlong(t *testing.T) {
	for name, x := range map[string]struct{ ends, says, back string }{
		"it is revoked":        {"keys revoke bot", `API key \"bot\" was revoked`, ""},
		"it is disabled":       {"keys disable bot", `API key \"bot\" is disabled`, "keys enable bot"},
		"its user is disabled": {"users disable dana", `API key \"bot\" belongs to a user who is disabled`, "users enable dana"},
		"it is deleted":        {"keys delete bot", "API key is not valid", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain(t)
			c.types("users create dana", "")
			key, other := c.types("keys create bot --user dana", ""), c.types("keys create other", "")
			c.types("bindings create --key bot --upstream one", "")
			c.types("bindings create --key other --upstream one", "")
			spared, err := c.begin(other, "endless")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = spared.Body.Close() }()
			ended := c.fill(key, x.says)
			until(t, "the requests to be under way", func() bool { return c.one.held.Load() == inFlight+1 })
			others := c.insist(key)
			c.types(x.ends, "")
			others.ended.Store(true)
			ended.Wait()
			for range askedAfter() {
				if status, text := c.ask(key, "any"); status != http.StatusUnauthorized || !strings.Contains(text, x.says) {
					t.Fatalf("once it has ended: %d %s", status, text)
				}
			}
			c.types("rules apply -f -", "version: 1\nrules:\n  - {name: other, match: {model: [x]}, action: {upstream: one}}\n  - {name: ruled, match: {model: ['ruled-*']}, action: {upstream: one}}\n")
			before, after := others.stop()
			t.Logf("%d requests of others began before, %d after", before, after)
			if accepted := others.late.Load(); accepted != 0 || before == 0 || after == 0 {
				t.Errorf("%d requests that began after the acknowledgement were accepted", accepted)
			}
			if _, err := io.ReadFull(spared.Body, make([]byte, len(endlessEvent))); err != nil {
				t.Errorf("the stream of another key: %v", err)
			}
			if flights, err := c.client.Streams(t.Context()); err != nil || len(flights.Items) != 1 || flights.Items[0].Key != "other" {
				t.Errorf("in flight are %+v, %v", flights, err)
			}
			_ = spared.Body.Close()
			c.restart()
			if status, text := c.ask(key, "any"); status != http.StatusUnauthorized || !strings.Contains(text, x.says) {
				t.Errorf("after a new start: %d %s", status, text)
			}
			if x.back != "" {
				c.types(x.back, "")
				if status, text := c.ask(key, "any"); status != http.StatusOK {
					t.Errorf("once it is put to use again: %d %s", status, text)
				}
			}
			c.neverSent(accounts.KeyPrefix)
		})
	}
}

// fill begins inFlight requests, each of which must end as a key's end says.
func (c *chain) fill(key, says string) *sync.WaitGroup {
	var all sync.WaitGroup
	for i := range inFlight {
		all.Go(func() {
			if i%2 == 0 {
				if status, text := c.ask(key, "silent"); status != http.StatusUnauthorized || !strings.Contains(text, says) {
					c.t.Errorf("a request that waited: %d %s", status, text)
				}
				return
			}
			response, err := c.begin(key, "endless")
			if err != nil {
				c.t.Error(err)
				return
			}
			defer func() { _ = response.Body.Close() }()
			text, err := io.ReadAll(response.Body)
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(string(text), endlessEvent) || !strings.Contains(string(text), says) {
				c.t.Errorf("a stream ended with %q, %v", text, err)
			}
		})
	}
	return &all
}

// insistence asks with a key without pause, and counts what was accepted that
// began after a moment.
type insistence struct {
	all           sync.WaitGroup
	done, ended   atomic.Bool // ended: it has been acknowledged that the key ended
	before, after atomic.Int64
	late          atomic.Int64
}

func (c *chain) insist(key string) *insistence {
	s := &insistence{}
	for range 4 {
		s.all.Go(func() {
			for !s.done.Load() {
				count := &s.before
				ended := s.ended.Load()
				if ended {
					count = &s.after
				}
				if status, _ := c.ask(key, "any"); status == http.StatusOK && ended {
					s.late.Add(1)
				}
				count.Add(1)
			}
		})
	}
	until(c.t, "requests beside", func() bool { return s.before.Load() > 20 })
	return s
}

func (s *insistence) stop() (before, after int64) {
	s.done.Store(true)
	s.all.Wait()
	return s.before.Load(), s.after.Load()
}
