package admin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/fleet"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is an admin server on a real socket, over a real store.
type gateway struct {
	*api.Client
	server *admin.Server
	store  *onStore
	socket string
	clock  *clock
	log    *lockedBuffer
	env    map[string]string // what env: references lead to
	ready  error

	inForce int64 // the revision that the node says of itself; 0: the store's
	reach   rules.Reach
	node    *node
	failed  func() map[string]string // see admin.Options.LastErrors
	flying  func() map[string]int    // see admin.Options.InFlight
	backup  admin.Backup             // see admin.Options.Backup
	fleet   fleet.Options            // see admin.Options.Fleet
	people  *people
	open    bool                           // see admin.Options.Open
	peer    func(*http.Request) netip.Addr // see admin.Options.Peer

	registry  *prometheus.Registry
	secretKey *accounts.SecretKey
}

// onStore adapts a store as the program does. Where broken is set, it stands
// for a store that cannot be reached.
type onStore struct {
	*store.Store
	people  *people   // who is in place of the users of the store, where there are any
	owners  *sync.Map // who owns a key, by its name
	broken  error
	unknown int64 // a revision from before there was a history
	dropped int64 // a revision whose rules are not kept any more
	beside  beside
	others  []accounts.Node // that run on the store, too
}

func (s *onStore) Nodes(ctx context.Context) ([]accounts.Node, error) {
	nodes, err := s.Store.Nodes(ctx)
	return append(nodes, s.others...), err
}

func (s *onStore) Look(ctx context.Context, f func(admin.State) error) error {
	if s.broken != nil {
		return s.broken
	}
	return s.Store.Look(ctx, func(st *store.State) error {
		if s.people == nil {
			return f(st)
		}
		return f(peopled{st, s.people, s.owners})
	})
}

func (s *onStore) Change(ctx context.Context, meta accounts.Meta, f func(admin.State) error) (accounts.Change, error) {
	if s.broken != nil {
		return accounts.Change{}, s.broken
	}
	return s.Store.Change(ctx, meta, func(st *store.State) error {
		if s.people == nil {
			return f(st)
		}
		return f(peopled{st, s.people, s.owners})
	})
}

func (s *onStore) Audit(ctx context.Context, q admin.AuditQuery) ([]accounts.Audit, error) {
	return s.Store.Audit(ctx, store.AuditQuery(q))
}

func (s *onStore) Users(ctx context.Context) ([]accounts.User, error) {
	if s.people == nil {
		return s.Store.Users(ctx)
	}
	return s.people.Users(ctx)
}

func (s *onStore) User(ctx context.Context, nameOrID string) (accounts.User, error) {
	if s.people == nil {
		return s.Store.User(ctx, nameOrID)
	}
	return s.people.User(ctx, nameOrID)
}

func (s *onStore) LastConfigChange(ctx context.Context) (accounts.Change, error) {
	if s.broken != nil {
		return accounts.Change{}, s.broken
	}
	return s.Store.LastConfigChange(ctx)
}

func (s *onStore) Load(ctx context.Context) (rules.Config, error) {
	if s.broken != nil {
		return rules.Config{}, s.broken
	}
	config, err := s.Store.Load(ctx)
	config.Bindings = append(config.Bindings, s.beside.bindings...)
	s.beside.disable(config.Upstreams)
	return config, err
}

func (s *onStore) Revision(ctx context.Context, number int64) (rules.Revision, error) {
	switch {
	case s.broken != nil:
		return rules.Revision{}, s.broken
	case number == s.unknown:
		return rules.Revision{}, accounts.ErrNotFound
	}
	return s.Store.Revision(ctx, number)
}

func (s *onStore) RulesAt(ctx context.Context, number int64) ([]rules.File, error) {
	if number == s.dropped {
		return nil, accounts.ErrNotFound
	}
	return s.Store.RulesAt(ctx, number)
}

func (s *onStore) Keys(ctx context.Context) ([]accounts.Key, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	keys, err := s.Store.Keys(ctx)
	for i := range keys {
		keys[i] = owned(s.owners, keys[i])
	}
	return keys, err
}

func (s *onStore) Key(ctx context.Context, name string) (accounts.Key, error) {
	key, err := s.Store.Key(ctx, name)
	return s.beside.alter(owned(s.owners, key)), err
}

// owned gives a key its owner.
func owned(owners *sync.Map, key accounts.Key) accounts.Key {
	if id, ok := owners.Load(key.Name); ok {
		key.UserID = id.(string)
	}
	return key
}

// clock is the time that the server sees.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// open starts a gateway with an empty store.
func open(t testing.TB) *gateway {
	t.Helper()
	dir, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	secretKey, err := accounts.NewSecretKey(bytes.Repeat([]byte{7}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "llmgw.db"), Secret: secretKey, Log: zerolog.Nop(), Version: "0.1.0-test", Node: store.Membership{Name: "a1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	folk := newPeople()
	g := &gateway{
		people: folk, store: &onStore{Store: opened, people: folk, owners: &sync.Map{}}, socket: filepath.Join(dir, "admin.sock"), log: &lockedBuffer{},
		clock: &clock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}, env: map[string]string{}, node: &node{},
	}
	g.secretKey = secretKey
	g.restart(t, nil)
	return g
}

// openStore is open, with the users and logins of the store.
func openStore(t testing.TB) *gateway {
	t.Helper()
	g := open(t)
	g.people, g.store.people = nil, nil
	g.restart(t, nil)
	return g
}

// accounts are the users and logins of the gateway.
func (g *gateway) accounts() admin.AccountStore {
	if g.people == nil {
		return g.store
	}
	return g.people
}

// restart serves anew, on a socket of its own; upstream tests go through client.
func (g *gateway) restart(t testing.TB, client *http.Client) {
	t.Helper()
	g.socket += "x"
	g.serve(t, client)
	g.Client = api.NewClient(api.Options{Socket: g.socket})
	t.Cleanup(g.Close)
}

func (g *gateway) serve(t testing.TB, client *http.Client) {
	t.Helper()
	registry := prometheus.NewRegistry()
	g.registry = registry
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "llmgw_config_revision", Help: "h"}, func() float64 { return 7 }))
	var err error
	g.server, err = admin.New(admin.Options{
		Version: "0.1.0-test", Accounts: g.accounts(), Open: g.open, Peer: g.peer, Store: g.store, Issuer: g.store.Issuer,
		Vault: accounts.Vault{Key: g.secretKey, References: accounts.References{
			"env": func(_ context.Context, name string) (accounts.Secret, error) {
				text, ok := g.env[name]
				if !ok {
					return accounts.Secret{}, errors.New("it is not set")
				}
				return accounts.NewSecret(text), nil
			},
		}},
		Status: func(context.Context) api.Status {
			return api.Status{Version: "0.1.0-test", Node: "a1", InFlight: 3, Admin: "http://127.0.0.1:4101", Rules: api.RulesStatus{Revision: g.inForce}, ConfigAgeS: 90 * 60}
		},
		Ready:    func() error { return g.ready },
		Gatherer: registry, Node: g.node, Fleet: g.fleet, LastErrors: g.failed, InFlight: g.flying, UnderWay: func() int64 { return 6 }, Backup: g.backup, Client: client, Reach: g.reach, Log: zerolog.New(g.log), Now: g.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(g.server.Collector())
	listener, err := net.Listen("unix", g.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: g.server.API(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// raw sends a request as it stands and gives the answer with its whole text.
func (g *gateway) raw(t testing.TB, method, path, contentType, body string) (*http.Response, string) {
	t.Helper()
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return g.request(t, method, path, body, header)
}

// sent sends JSON to an operation, and gives the answer without its text.
func (g *gateway) sent(t testing.TB, method, path, body string, header http.Header) *http.Response {
	t.Helper()
	header.Set("Content-Type", "application/json")
	response, _ := g.request(t, method, "/api/v1"+path, body, header)
	return response
}

func (g *gateway) request(t testing.TB, method, path, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", g.socket)
		},
	}}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://llmgw"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

// upstreamAt creates an upstream that needs no credential.
func (g *gateway) upstreamAt(t testing.TB, name, url string) {
	t.Helper()
	_, err := g.CreateUpstream(t.Context(), api.NewUpstream{Name: name, Provider: "generic", Auth: "none", URL: url})
	must(t, err)
}

// apply applies one file and wants it to work.
func (g *gateway) apply(t testing.TB, content string) api.Plan {
	t.Helper()
	plan, err := g.ApplyRules(t.Context(), api.ApplyRequest{Files: []api.Source{{Name: "rules.yaml", Content: content}}})
	must(t, err)
	return plan
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusedWith wants an *api.Error with a code, its status, and texts in its
// detail.
func refusedWith(t *testing.T, err error, code string, status int, texts ...string) *api.Error {
	t.Helper()
	var refusal *api.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want an *api.Error %s", err, code)
	}
	if refusal.Code != code || refusal.Status != status {
		t.Errorf("refused with %s %d (%s), want %s %d", refusal.Code, refusal.Status, refusal.Detail, code, status)
	}
	for _, text := range texts {
		if !strings.Contains(refusal.Detail, text) {
			t.Errorf("detail is %q, want %q in it", refusal.Detail, text)
		}
	}
	wellSaid(t, refusal)
	return refusal
}

// wellSaid holds a refusal against the style of every message.
func wellSaid(t *testing.T, e *api.Error) {
	t.Helper()
	texts := []string{e.Detail, e.Hint}
	for _, p := range e.Problems {
		texts = append(texts, p.Message, p.Hint)
	}
	for _, text := range texts {
		if strings.HasSuffix(text, ".") || strings.HasPrefix(text, "failed") || text != "" && text[0] >= 'A' && text[0] <= 'Z' && !strings.HasPrefix(text, "TLS") {
			t.Errorf("%q is not in the style of a message", text)
		}
	}
	if e.Detail == "" || e.Title == "" {
		t.Errorf("a refusal without a detail or title: %+v", e)
	}
}

// onLoopback serves h for the time of the test.
func onLoopback(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
