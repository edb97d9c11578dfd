package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// logbook is a gateway that knows one login. Its refresh tokens are good for one
// use; one that is sent twice ends the login.
type logbook struct {
	mu        sync.Mutex
	n         int // of the tokens that are in force
	over      bool
	refreshes int
	calls     []string // the tokens that were sent
	refusing  bool     // refuses access tokens that are in force
	hold      chan struct{}
}

func (b *logbook) tokens() api.Tokens {
	return api.Tokens{
		Access: fmt.Sprintf("access-%d", b.n), Refresh: fmt.Sprintf("refresh-%d", b.n),
		ExpiresAt: time.Now().Add(15 * time.Minute), User: "dana", Role: "admin",
	}
}

func (b *logbook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.hold != nil && r.URL.Path == "/api/v1/refresh" {
		<-b.hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	denied := func() {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(api.Error{Code: api.CodeDenied, Status: 401, Detail: "this login has ended"})
	}
	if r.URL.Path != "/api/v1/refresh" {
		sent := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		b.calls = append(b.calls, sent)
		if b.over || b.refusing || sent != b.tokens().Access {
			denied()
			return
		}
		_ = json.NewEncoder(w).Encode(api.Me{User: "dana", Role: "admin", Via: "login"})
		return
	}
	var in api.Refresh
	_ = json.NewDecoder(r.Body).Decode(&in)
	b.refreshes++
	if b.over || in.Refresh != b.tokens().Refresh {
		b.over = true
		denied()
		return
	}
	b.n++
	_ = json.NewEncoder(w).Encode(b.tokens())
}

// loggedIn gives a directory that keeps a login at b, which ends after left.
func loggedIn(t *testing.T, b *logbook, left time.Duration) (keep, string) {
	t.Helper()
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	k := keep{filepath.Join(t.TempDir(), "llmgw")}
	tokens := b.tokens()
	tokens.ExpiresAt = time.Now().Add(left)
	if err := k.changeLogins(t.Context(), func(all logins) error {
		all["prod"] = loginOf(server.URL, tokens)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return k, server.URL
}

// accessTo is what one process has of a login.
func accessTo(k keep, server string) (*access, *api.Client) {
	a := &access{keep: k, place: place{Name: "prod", Server: server}, now: time.Now}
	a.plain = func() *api.Client { return api.NewClient(api.Options{BaseURL: server}) }
	return a, api.NewClient(api.Options{BaseURL: server, Bearer: a.bearer, Renew: a.renew})
}

func TestOfManyProcessesOneRefreshesALogin(t *testing.T) {
	for name, b := range map[string]*logbook{"before it ends": {}, "after it was refused": {n: 7}} {
		t.Run(name, func(t *testing.T) {
			left := time.Second
			if b.n > 0 {
				left = time.Hour
			}
			k, server := loggedIn(t, b, left)
			if b.n > 0 { // what is kept looks good and is not
				if err := k.changeLogins(t.Context(), func(all logins) error {
					l := all["prod"]
					l.Access = "stale"
					all["prod"] = l
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					_, client := accessTo(k, server)
					defer client.Close()
					if _, err := client.Me(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if b.refreshes != 1 || b.over {
				t.Errorf("the login was refreshed %d times; over: %v", b.refreshes, b.over)
			}
		})
	}
}

func TestALoginGoesToNoOtherServer(t *testing.T) {
	b, other := &logbook{}, &logbook{}
	k, _ := loggedIn(t, b, time.Hour)
	elsewhere := httptest.NewServer(other)
	defer elsewhere.Close()
	a, client := accessTo(k, elsewhere.URL)
	defer client.Close()
	_, err := client.Me(t.Context())
	if err == nil || len(other.calls) != 1 || other.calls[0] != "" {
		t.Errorf("it was sent %q, and says %v", other.calls, err)
	}
	if f := explain(a.explain(err)); f.exit != exitDenied || !strings.HasPrefix(f.message, "you are not logged in to "+elsewhere.URL) {
		t.Errorf("it ends with %d, %q", f.exit, f.message)
	}
}

func TestALoginThatIsOverIsForgottenAndSaidSo(t *testing.T) {
	b := &logbook{over: true}
	k, server := loggedIn(t, b, time.Second)
	a, client := accessTo(k, server)
	defer client.Close()
	_, err := client.Me(t.Context())
	if f := explain(a.explain(err)); f.exit != exitDenied || f.message != "your login to "+server+" has ended. Run: llmgw login --context prod" {
		t.Errorf("it ends with %d, %q", f.exit, f.message)
	}
	text, err := os.ReadFile(filepath.Join(k.dir, loginsName))
	if err != nil || strings.Contains(string(text), "access-") || strings.Contains(string(text), "refresh-") {
		t.Errorf("what is kept of it: %s, %v", text, err)
	}
	later := time.Now().Add(2*time.Hour + time.Minute)
	a.now = func() time.Time { return later }
	_, err = client.Me(t.Context())
	if f := explain(a.explain(err)); f.message != "your login to "+server+" ended 2 h ago. Run: llmgw login --context prod" {
		t.Errorf("later it says %q", f.message)
	}
	if b.refreshes != 1 {
		t.Errorf("it was refreshed %d times", b.refreshes)
	}
}

func TestACallThatIsRefusedIsRepeatedOnce(t *testing.T) {
	b := &logbook{refusing: true}
	k, server := loggedIn(t, b, time.Hour)
	_, client := accessTo(k, server)
	defer client.Close()
	var refusal *api.Error
	if _, err := client.Me(t.Context()); !errors.As(err, &refusal) || refusal.Status != 401 {
		t.Errorf("the call says %v", err)
	}
	if len(b.calls) != 2 || b.calls[0] == b.calls[1] || b.refreshes != 1 {
		t.Errorf("it was called with %q, refreshed %d times", b.calls, b.refreshes)
	}
}

func TestAGatewayThatIsAwayEndsNoLogin(t *testing.T) {
	b := &logbook{}
	k, _ := loggedIn(t, b, time.Second)
	away := httptest.NewServer(b)
	server := away.URL
	away.Close()
	if err := k.changeLogins(t.Context(), func(all logins) error {
		l := all["prod"]
		l.Server = server
		all["prod"] = l
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, client := accessTo(k, server)
	defer client.Close()
	var refusal *api.Error
	if _, err := client.Me(t.Context()); !errors.As(err, &refusal) || refusal.Code != api.CodeUnreachable {
		t.Errorf("the call says %v", err)
	}
	if l, err := k.login("prod", server); err != nil || l.Refresh != "refresh-0" {
		t.Errorf("the login is %v, %v", l, err)
	}
}

// TestWhoeverGivesUpKeepsTheLogin: the gateway has used the refresh token up by
// the time that nobody waits any more.
func TestWhoeverGivesUpKeepsTheLogin(t *testing.T) {
	b := &logbook{hold: make(chan struct{})}
	k, server := loggedIn(t, b, time.Second)
	a, client := accessTo(k, server)
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := a.bearer(ctx)
		done <- err
	}()
	cancel()
	close(b.hold)
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := client.Me(t.Context()); err != nil || b.over {
		t.Errorf("the next call says %v", err)
	}
}

func TestAPersonalAccessTokenIsNotRefreshed(t *testing.T) {
	b := &logbook{}
	k, server := loggedIn(t, b, time.Second)
	a, client := accessTo(k, server)
	defer client.Close()
	a.token, a.source = accounts.NewSecret("lgw_pat_x"), "LLMGW_TOKEN"
	_, err := client.Me(t.Context())
	if len(b.calls) != 1 || b.calls[0] != "lgw_pat_x" || b.refreshes != 0 {
		t.Errorf("it was called with %q, refreshed %d times", b.calls, b.refreshes)
	}
	if f := explain(a.explain(err)); f.message != "the token of LLMGW_TOKEN is not valid at "+server+", or it has ended" {
		t.Errorf("it says %q", f.message)
	}
}

func TestALoginIsNotPrinted(t *testing.T) {
	l := login{Server: "https://gw", User: "dana", Access: "canary", Refresh: "canary"}
	for _, verb := range []string{"%v", "%s", "%+v"} {
		if text := fmt.Sprintf(verb, l); strings.Contains(text, "canary") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestABrokenFileOfLoginsIsNotQuoted(t *testing.T) {
	k := keep{t.TempDir()}
	if err := os.WriteFile(filepath.Join(k.dir, loginsName), []byte("prod: {refresh_token: canary, what: canary}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := k.logins()
	if f := explain(err); err == nil || f.exit != exitInvalid || strings.Contains(f.message, "canary") {
		t.Errorf("it says %v", err)
	}
}

func TestTheLockOfAnotherIsWaitedFor(t *testing.T) {
	k := keep{t.TempDir()}
	unlock, err := k.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := k.lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the lock of another: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := k.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}
