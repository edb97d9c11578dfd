package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// Bounds of a start while the store is away, and of what follows when it is back.
const (
	readyWithin   = 2 * time.Second
	regainsWithin = 5 * time.Second
)

// patient is a bound as it holds for a binary that looks for races.
func patient(d time.Duration) time.Duration {
	if underRace {
		return 4 * d
	}
	return d
}

// lonely is a gateway in a process of its own, whose store may be away.
type lonely struct {
	t       *testing.T
	data    string
	addr    string
	env     []string
	flags   []string
	logs    string
	client  *api.Client
	process *exec.Cmd
}

// newLonely gives a gateway that was not started yet, at a store and perhaps a bus.
func newLonely(t *testing.T, env ...string) *lonely {
	t.Helper()
	g := &lonely{
		t: t, data: shortDir(t), addr: keptAddr(t), logs: filepath.Join(t.TempDir(), "log"),
		env: append(os.Environ(), append([]string{"LLMGW_SECRET_KEY=" + sharedKey("a")}, env...)...),
	}
	g.client = api.NewClient(api.Options{Socket: filepath.Join(g.data, socketName), Timeout: 20 * time.Second})
	t.Cleanup(g.client.Close)
	t.Cleanup(func() {
		if g.process != nil {
			_ = g.process.Process.Kill()
			_ = g.process.Wait()
		}
	})
	return g
}

func (g *lonely) launch() {
	g.t.Helper()
	program, err := exec.LookPath("llmgw")
	if err != nil {
		g.t.Fatal(err)
	}
	log, err := os.OpenFile(g.logs, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	args := append([]string{"serve", "--data", g.data, "--listen", g.addr, "--admin-listen", "127.0.0.1:0", "--no-detect", "--drain-delay", "0s"}, g.flags...)
	g.process = exec.Command(program, args...)
	g.process.Env, g.process.Stderr, g.process.Stdout = g.env, log, log
	if err := g.process.Start(); err != nil {
		g.t.Fatal(err)
	}
	if err := log.Close(); err != nil { // the process has its own
		g.t.Error(err)
	}
}

// start launches, and says after how long /readyz said so.
func (g *lonely) start() time.Duration {
	g.t.Helper()
	begun := time.Now()
	g.launch()
	until(g.t, "the gateway to be ready", func() bool { return g.probe("/readyz") == http.StatusOK })
	return time.Since(begun)
}

// end stops the gateway as an operator does, and gives its exit code.
func (g *lonely) end() int {
	g.t.Helper()
	if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	return g.ended()
}

// ended waits for the process.
func (g *lonely) ended() int {
	_ = g.process.Wait() // the state says it
	code := g.process.ProcessState.ExitCode()
	g.process = nil
	return code
}

func (g *lonely) log() string {
	g.t.Helper()
	text, err := os.ReadFile(g.logs)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// probe is 0 where nobody listens.
func (g *lonely) probe(path string) int {
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+g.addr+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   string
}

func (g *lonely) ask(path, key string) reply {
	g.t.Helper()
	body := strings.NewReader(`{"model":"mock","max_tokens":8,"messages":[{"role":"user","content":"hello"}]}`)
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, "http://"+g.addr+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		g.t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(text)}
}

func (g *lonely) chat(key string) reply { g.t.Helper(); return g.ask("/v1/chat/completions", key) }

func (g *lonely) makeKey(name string) string {
	g.t.Helper()
	created, err := g.client.CreateKey(g.t.Context(), api.NewKey{Name: name})
	if err != nil {
		g.t.Fatal(err)
	}
	return created.Secret
}

func (g *lonely) revoke(name string) {
	g.t.Helper()
	if _, err := g.client.RevokeKey(g.t.Context(), name, api.RevokeKey{}); err != nil {
		g.t.Fatal(err)
	}
}

func (g *lonely) expect(what string, got reply, status int, words string) {
	g.t.Helper()
	if got.status != status || !strings.Contains(got.body, words) {
		g.t.Errorf("%s: answered %d %s, want %d with %q", what, got.status, got.body, status, words)
	}
	if status == http.StatusServiceUnavailable && got.header.Get("Retry-After") == "" {
		g.t.Errorf("%s: it does not say when to try again", what)
	}
}

func (g *lonely) status() api.Status {
	g.t.Helper()
	s, err := g.client.Status(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

func TestAStartWithEverythingAwayServesTheSealedCopy(t *testing.T) {
	database := servers.PrivatePostgres(t, servers.PostgresOptions{})
	bus := servers.PrivateRedis(t, servers.RedisOptions{})
	g := newLonely(t, "LLMGW_STORE="+database.URL(), "LLMGW_BUS="+bus.URL())
	g.start()
	const credential = "sk-canary-of-a-provider-0001"
	if _, err := g.client.CreateUpstream(t.Context(), api.NewUpstream{Name: "secretive", Provider: "openai", URL: "https://provider.example"}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.client.SetCredential(t.Context(), "secretive", api.NewCredential{Name: "c", Secret: credential}); err != nil {
		t.Fatal(err)
	}
	known, unasked, revoked := g.makeKey("canary-known"), g.makeKey("canary-unasked"), g.makeKey("canary-revoked")
	g.expect("a key", g.chat(known), http.StatusOK, "")
	g.expect("a key", g.chat(revoked), http.StatusOK, "")
	g.revoke("canary-revoked")
	g.expect("a revoked key", g.chat(revoked), http.StatusUnauthorized, "was revoked")
	if code := g.end(); code != exitDone {
		t.Fatalf("serve ended with %d: %s", code, g.log())
	}
	sealed, err := os.ReadFile(filepath.Join(g.data, copyFileName))
	if err != nil {
		t.Fatal(err)
	}
	hash := accounts.HashKey(known)
	for _, clear := range []string{credential, known, "canary", "secretive", "mock", string(hash[:])} {
		if bytes.Contains(sealed, []byte(clear)) {
			t.Errorf("the copy has %q in clear", clear)
		}
	}
	if err := database.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := bus.Stop(); err != nil {
		t.Fatal(err)
	}

	took := g.start()
	t.Logf("with PostgreSQL and Redis down, ready after %s", took)
	if took > patient(readyWithin) {
		t.Errorf("ready after %s, want %s", took, readyWithin)
	}
	g.expect("a key of the copy", g.chat(known), http.StatusOK, "")
	g.expect("a key that the copy does not name", g.chat(unasked), http.StatusServiceUnavailable, "")
	g.expect("a key that was revoked before", g.chat(revoked), http.StatusUnauthorized, "was revoked")
	g.expect("a text that is no key of this installation", g.chat(known[:len(known)-1]+"?"), http.StatusUnauthorized, "malformed")
	s := g.status()
	if s.Store.OK || s.Store.Since == nil || s.Store.Reason != "connection refused" || s.Store.CopyOf == nil || !s.Ready || s.ConfigAgeS < time.Since(*s.Store.CopyOf).Seconds()-2 {
		t.Errorf("status says %+v, and an age of %v s", s.Store, s.ConfigAgeS)
	}
	_, err = g.client.CreateKey(t.Context(), api.NewKey{Name: "late"})
	if err == nil || !strings.Contains(err.Error(), "store unreachable since ") || !strings.Contains(err.Error(), "; traffic continues with revision ") {
		t.Errorf("a change: %v", err)
	}
	for doing, do := range map[string]func() error{
		"a login": func() error {
			_, err := g.client.Login(t.Context(), api.Login{User: "dana", Password: "not the one"})
			return err
		},
		"a list of keys": func() error { _, err := g.client.Keys(t.Context()); return err },
	} {
		var refused *api.Error
		if err := do(); !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || refused.Code != api.CodeUnavailable {
			t.Errorf("%s: %v", doing, err)
		}
	}
	if want := "cannot reach Postgres at " + database.Address() + " (connection refused), trying again in "; !strings.Contains(g.log(), want) {
		t.Errorf("the log does not say %q: %s", want, g.log())
	}

	if err := database.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	until(t, "a key that only the database knows", func() bool { return g.chat(unasked).status == http.StatusOK })
	took = time.Since(begun)
	t.Logf("with PostgreSQL back, in step after %s", took)
	if took > patient(regainsWithin) {
		t.Errorf("recovered after %s, want %s", took, regainsWithin)
	}
	until(t, "status to say so", func() bool { s := g.status(); return s.Store.OK && s.Store.Since == nil && s.ConfigAgeS < 10 })
	g.makeKey("after")
	if code := g.end(); code != exitDone {
		t.Errorf("serve ended with %d", code)
	}
	for _, secret := range []string{known, credential, "throw-away-postgres-password"} {
		if strings.Contains(g.log(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestAStartWithoutDatabaseAndCopyWaits(t *testing.T) {
	database := servers.PrivatePostgres(t, servers.PostgresOptions{})
	if err := database.Stop(); err != nil {
		t.Fatal(err)
	}
	g := newLonely(t, "LLMGW_STORE="+database.URL())
	g.launch()
	until(t, "the gateway to live", func() bool { return g.probe("/healthz") == http.StatusOK })
	if status := g.probe("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", status)
	}
	key := "sk-lgw-" + strings.Repeat("0", 43) + "-000000"
	g.expect("a request", g.chat(key), http.StatusServiceUnavailable, `"code":"not_ready"`)
	g.expect("a request without a key", g.chat(""), http.StatusServiceUnavailable, `"code":"not_ready"`)
	g.expect("a request in the format of Anthropic", g.ask("/v1/messages", key), http.StatusServiceUnavailable, `"type":"overloaded_error"`)
	if s := g.status(); s.Ready || s.NotReady == "" || s.Store.Since == nil || s.Store.CopyOf != nil {
		t.Errorf("status says %+v, ready %v (%s)", s.Store, s.Ready, s.NotReady)
	}
	_, err := g.client.CreateKey(t.Context(), api.NewKey{Name: "early"})
	if err == nil || !strings.Contains(err.Error(), "; no traffic is served until it is back, changes are refused") {
		t.Errorf("a change: %v", err)
	}
	if _, err := os.Stat(filepath.Join(g.data, copyFileName)); err == nil {
		t.Error("there is a copy of nothing")
	}
	if err := database.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	until(t, "the gateway to be ready", func() bool { return g.probe("/readyz") == http.StatusOK })
	took := time.Since(begun)
	t.Logf("with PostgreSQL there, ready after %s", took)
	if took > patient(regainsWithin) {
		t.Errorf("ready after %s, want %s", took, regainsWithin)
	}
	fresh := g.makeKey("fresh")
	until(t, "the rules of a first start", func() bool { return g.chat(fresh).status == http.StatusOK })
	g.expect("a key that is none", g.chat(key), http.StatusUnauthorized, "malformed")
	if code := g.end(); code != exitDone {
		t.Errorf("serve ended with %d", code)
	}

	t.Run("and ends as a start would have, where it turns out to have another secret key", func(t *testing.T) {
		if err := database.Stop(); err != nil {
			t.Fatal(err)
		}
		g := newLonely(t, "LLMGW_STORE="+database.URL(), "LLMGW_SECRET_KEY="+sharedKey("b"))
		g.launch()
		until(t, "the gateway to live", func() bool { return g.probe("/healthz") == http.StatusOK })
		if err := database.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if code := g.ended(); code != exitInvalid || !strings.Contains(g.log(), "the store cannot be read: it was encrypted with key") {
			t.Errorf("serve ended with %d: %s", code, g.log())
		}
	})
}

func TestADatabaseThatComesBackOlderThanTheCopy(t *testing.T) {
	database := servers.PrivatePostgres(t, servers.PostgresOptions{})
	g := newLonely(t, "LLMGW_STORE="+database.URL())
	g.start()
	kept := g.makeKey("kept")
	if err := database.Stop(); err != nil {
		t.Fatal(err)
	}
	before, err := database.CopyData(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := database.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "changes again", func() bool {
		_, err := g.client.CreateUpstream(t.Context(), api.NewUpstream{Name: "lost", Provider: "openai", URL: "https://lost.example"})
		return err == nil
	})
	lost := g.makeKey("lost")
	g.expect("a key", g.chat(kept), http.StatusOK, "")
	g.expect("a key", g.chat(lost), http.StatusOK, "")
	g.revoke("kept")
	g.expect("a revoked key", g.chat(kept), http.StatusUnauthorized, "was revoked")
	if code := g.end(); code != exitDone {
		t.Fatalf("serve ended with %d", code)
	}
	if err := database.Stop(); err != nil {
		t.Fatal(err)
	}
	g.start()
	g.expect("what the copy says", g.chat(lost), http.StatusOK, "")
	if err := database.RestoreData(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	if err := database.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "what is true now", func() bool { return g.chat(lost).status == http.StatusUnauthorized })
	g.expect("a key whose revocation was lost", g.chat(kept), http.StatusOK, "")
	if s := g.status(); !strings.Contains(s.Problem, "the store's log did not continue") {
		t.Errorf("no alarm: %q", s.Problem)
	}
	if !strings.Contains(g.log(), "dropping and loading everything") {
		t.Errorf("the log does not say so: %s", g.log())
	}
	upstreams, err := g.client.Upstreams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range g.status().Upstreams {
		if u.Name == "lost" {
			t.Errorf("an upstream is in force that is not stored: %v", upstreams)
		}
	}
}

func TestACopyThatIsTooOldForMaxStaleness(t *testing.T) {
	database := servers.PrivatePostgres(t, servers.PostgresOptions{})
	g := newLonely(t, "LLMGW_STORE="+database.URL())
	g.flags = []string{"--max-staleness", "6s"} // three polls
	g.start()
	known := g.makeKey("known")
	g.expect("a key", g.chat(known), http.StatusOK, "")
	if code := g.end(); code != exitDone {
		t.Fatalf("serve ended with %d", code)
	}
	if err := database.Stop(); err != nil {
		t.Fatal(err)
	}
	g.launch()
	until(t, "the copy to be too old", func() bool { return g.probe("/readyz") == http.StatusServiceUnavailable && g.probe("/healthz") == http.StatusOK })
	until(t, "requests to be refused for that", func() bool { return strings.Contains(g.chat(known).body, "for too long") })
	g.expect("a key of the copy", g.chat(known), http.StatusServiceUnavailable, "")
	if err := database.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	until(t, "requests again", func() bool { return g.chat(known).status == http.StatusOK })
}

func TestTheBannerOfAStartWhileTheStoreIsAway(t *testing.T) {
	t.Setenv("LLMGW_STORE", "postgres://gw@127.0.0.1:1/llmgw")
	t.Setenv("LLMGW_SECRET_KEY", sharedKey("a"))
	g := &served{terminal: &terminal{signals: make(chan os.Signal, 2)}, data: shortDir(t), exit: make(chan int, 1)}
	go func() {
		g.exit <- run(context.Background(), shell{
			args: []string{"serve", "--data", g.data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--color", "never"},
			in:   strings.NewReader(""), out: g, err: io.Discard, outIsTerm: true, signals: g.signals,
		})
	}()
	t.Cleanup(func() { g.end(t) })
	until(t, "the banner", func() bool { return strings.Contains(g.String(), "Ctrl-C stops") })
	for _, want := range []string{
		"cannot reach Postgres at 127.0.0.1:1 (connection refused), trying again in 2 s. Check LLMGW_STORE (from env), or start without it: llmgw serve --store sqlite",
		"not ready: every request is answered with 503 until it is back",
	} {
		if !strings.Contains(g.String(), want) {
			t.Errorf("it does not say %q: %s", want, g)
		}
	}
	code, shown := types(t, "", "status", "--data", g.data, "--color", "never")
	if code != exitDone || !strings.Contains(shown, "not reachable since ") || !strings.Contains(shown, "(connection refused)") {
		t.Errorf("status: exit %d: %s", code, shown)
	}
}
