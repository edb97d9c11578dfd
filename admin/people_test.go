package admin_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/argon2"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store"
)

// people keeps users and sessions in memory, as admin.AccountStore says.
type people struct {
	mu       sync.Mutex
	users    map[string]accounts.User // by ID
	sessions map[string]accounts.Session
	spent    map[accounts.KeyHash]string // refresh tokens that were used, by session
	sealed   map[string][]byte
	asked    int    // how often it was asked
	broken   error  // nobody can reach it
	meantime func() // happens once, right before a session is put
}

func newPeople() *people {
	return &people{
		users: map[string]accounts.User{}, sessions: map[string]accounts.Session{},
		spent: map[accounts.KeyHash]string{}, sealed: map[string][]byte{},
	}
}

// enter locks, counts, and fails where nothing can be reached.
func (p *people) enter() (func(), error) {
	p.mu.Lock()
	p.asked++
	return p.mu.Unlock, p.broken
}

func (p *people) questions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *people) Users(context.Context) ([]accounts.User, error) {
	leave, err := p.enter()
	defer leave()
	var list []accounts.User
	for _, u := range p.users {
		list = append(list, u)
	}
	return list, err
}

func (p *people) User(_ context.Context, nameOrID string) (accounts.User, error) {
	leave, err := p.enter()
	defer leave()
	if err != nil {
		return accounts.User{}, err
	}
	return p.find(nameOrID)
}

func (p *people) find(nameOrID string) (accounts.User, error) {
	for _, u := range p.users {
		if u.ID == nameOrID || u.Name == nameOrID {
			return u, nil
		}
	}
	return accounts.User{}, accounts.ErrNotFound
}

// put stores a user and ends the sessions that must not outlive the change.
func (p *people) put(u accounts.User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if was, there := p.users[u.ID]; there && (u.Disabled || !was.Password.Equal(u.Password)) {
		p.end(func(s accounts.Session) bool { return s.UserID == u.ID })
	}
	p.users[u.ID] = u
}

func (p *people) end(which func(accounts.Session) bool) {
	for id, s := range p.sessions {
		if which(s) {
			delete(p.sessions, id)
		}
	}
}

func (p *people) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.users, id)
	p.end(func(s accounts.Session) bool { return s.UserID == id })
}

func (p *people) NoteLogin(_ context.Context, userID string, at time.Time) error {
	leave, err := p.enter()
	defer leave()
	u := p.users[userID]
	u.LastLogin = at
	p.users[userID] = u
	return err
}

func (p *people) PutSession(_ context.Context, s accounts.Session) error {
	if happens := p.meantime; happens != nil {
		p.meantime = nil
		happens()
	}
	leave, err := p.enter()
	defer leave()
	if u, there := p.users[s.UserID]; err == nil && (!there || u.Disabled) {
		return accounts.ErrNotFound
	}
	if err == nil {
		p.sessions[s.ID] = s
	}
	return err
}

func (p *people) Session(_ context.Context, id string) (accounts.Session, error) {
	return p.session(func(s accounts.Session) bool { return s.ID == id })
}

func (p *people) SessionByHash(_ context.Context, hash accounts.KeyHash) (accounts.Session, error) {
	return p.session(func(s accounts.Session) bool { return s.Hash == hash })
}

func (p *people) session(which func(accounts.Session) bool) (accounts.Session, error) {
	leave, err := p.enter()
	defer leave()
	if err != nil {
		return accounts.Session{}, err
	}
	for _, s := range p.sessions {
		if which(s) {
			return s, nil
		}
	}
	return accounts.Session{}, accounts.ErrNotFound
}

func (p *people) Sessions(_ context.Context, userID string) ([]accounts.Session, error) {
	leave, err := p.enter()
	defer leave()
	var list []accounts.Session
	for _, s := range p.sessions {
		if userID == "" || s.UserID == userID {
			list = append(list, s)
		}
	}
	return list, err
}

func (p *people) RenewSession(_ context.Context, old, renewed accounts.KeyHash, now, expires time.Time) (accounts.Session, error) {
	leave, err := p.enter()
	defer leave()
	if err != nil {
		return accounts.Session{}, err
	}
	if id, used := p.spent[old]; used {
		delete(p.sessions, id)
		return accounts.Session{}, accounts.ErrNotFound
	}
	for id, s := range p.sessions {
		if s.Name != "" || s.Hash != old || !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt) {
			continue
		}
		p.spent[old] = id
		s.Hash, s.ExpiresAt = renewed, expires
		p.sessions[id] = s
		return s, nil
	}
	return accounts.Session{}, accounts.ErrNotFound
}

func (p *people) DeleteSession(_ context.Context, id string) error {
	leave, err := p.enter()
	defer leave()
	if _, there := p.sessions[id]; err == nil && !there {
		return accounts.ErrNotFound
	}
	delete(p.sessions, id)
	return err
}

func (p *people) NoteSessionUse(_ context.Context, uses map[string]time.Time) error {
	leave, err := p.enter()
	defer leave()
	for id, at := range uses {
		if s, there := p.sessions[id]; there {
			s.UsedAt = at.Truncate(time.Minute)
			p.sessions[id] = s
		}
	}
	return err
}

func (p *people) Sealed(_ context.Context, name string, make func() ([]byte, error)) ([]byte, error) {
	leave, err := p.enter()
	defer leave()
	if secret, there := p.sealed[name]; there || err != nil {
		return secret, err
	}
	secret, err := make()
	p.sealed[name] = secret
	return secret, err
}

// peopled is a state that has users, too.
type peopled struct {
	*store.State
	people *people
	owners *sync.Map
}

func (s peopled) Key(nameOrID string) (accounts.Key, error) {
	key, err := s.State.Key(nameOrID)
	return owned(s.owners, key), err
}

// PutKey leaves the owner out, of whom the store may know nothing.
func (s peopled) PutKey(key accounts.Key) error {
	if _, ok := s.owners.Load(key.Name); ok {
		key.UserID = ""
	}
	return s.State.PutKey(key)
}

func (s peopled) User(nameOrID string) (accounts.User, error) {
	s.people.mu.Lock()
	defer s.people.mu.Unlock()
	return s.people.find(nameOrID)
}

func (s peopled) PutUser(u accounts.User) error {
	s.people.put(u)
	return nil
}

func (s peopled) Users() ([]accounts.User, error) { return s.people.Users(context.Background()) }

func (s peopled) Session(id string) (accounts.Session, error) {
	return s.people.Session(context.Background(), id)
}

func (s peopled) Sessions(userID string) ([]accounts.Session, error) {
	return s.people.Sessions(context.Background(), userID)
}

func (s peopled) PutSession(session accounts.Session) error {
	return s.people.PutSession(context.Background(), session)
}

func (s peopled) DeleteSession(id string) error {
	return s.people.DeleteSession(context.Background(), id)
}

var (
	_ admin.AccountStore = (*people)(nil)
	_ admin.UserState    = peopled{}
)

// rightPassword is everybody's in these tests.
const rightPassword = "correct horse battery"

// user makes a user with that password, or without one.
func (g *gateway) user(t testing.TB, name string, role accounts.Role, password string) accounts.User {
	t.Helper()
	u := accounts.User{ID: accounts.NewID("user", g.clock.Now()), Name: name, Role: role, CreatedAt: g.clock.Now()}
	if g.people != nil {
		g.people.put(u)
	} else {
		_, err := g.store.Change(t.Context(), accounts.Meta{Kind: "user.create"}, func(st admin.State) error { return st.PutUser(u) })
		must(t, err)
	}
	if password != "" {
		must(t, g.SetPassword(t.Context(), name, api.SetPassword{Password: password}))
	}
	u, err := g.store.User(t.Context(), name)
	must(t, err)
	return u
}

// listen serves the admin listener and gives its address.
func (g *gateway) listen(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: g.server.Public(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// as gives a client of the listener at base that sends a token; "" for none.
func as(t testing.TB, base, token string) *api.Client {
	t.Helper()
	c := api.NewClient(api.Options{BaseURL: base, Bearer: func(context.Context) (accounts.Secret, error) {
		return accounts.NewSecret(token), nil
	}})
	t.Cleanup(c.Close)
	return c
}

// login logs somebody in who has rightPassword.
func login(t testing.TB, base, name string) api.Tokens {
	t.Helper()
	tokens, err := as(t, base, "").Login(t.Context(), api.Login{User: name, Password: rightPassword})
	must(t, err)
	return tokens
}

// everybody makes a user of each role, called like it, and gives what each of
// them sends.
func (g *gateway) everybody(t testing.TB, base string) map[accounts.Role]string {
	t.Helper()
	tokens := map[accounts.Role]string{}
	for _, role := range accounts.Roles() {
		g.user(t, string(role), role, rightPassword)
		tokens[role] = login(t, base, string(role)).Access
	}
	return tokens
}

// sessionNames lists what sessions of a user there are.
func (p *people) sessionNames(userID string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, s := range p.sessions {
		if s.UserID == userID {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}

// giveKey makes a key somebody's.
func (g *gateway) giveKey(t testing.TB, name, userID string) {
	t.Helper()
	g.store.owners.Store(name, userID)
}

// hashed is rightPassword at a cost that is not that of today, and small.
func hashed(t testing.TB) string {
	t.Helper()
	salt := []byte("a salt of sixteen")
	key := argon2.IDKey([]byte(rightPassword), salt, 1, 64, 1, 32)
	b64 := base64.RawStdEncoding
	return "$argon2id$v=19$m=64,t=1,p=1$" + b64.EncodeToString(salt) + "$" + b64.EncodeToString(key)
}

// metric gives the values of a counter by its only label.
func (g *gateway) metric(t testing.TB, name string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	must(t, registry.Register(g.server.Collector()))
	families, err := registry.Gather()
	must(t, err)
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				values[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return values
}
