package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// rotationRate is how many requests are sent in a second while the key is
// exchanged.
const rotationRate = 200

// rotationSize is how often the gateway is killed, and how many credentials of
// one upstream, which are used in turn, are sealed anew each time.
func rotationSize() (kills, credentials int) {
	if underRace {
		return 8, 50
	}
	return 20, 150
}

// TestARotationUnderLoadThatIsKilled exchanges the secret key of a gateway that
// is a process of its own, again and again, while 200 requests a second go
// through it that each need one of the sealed credentials. First it is left in
// peace, then it is killed at random moments of the rotation, and of the start
// that goes on with it, and started again.
//
// The claim: whatever a living gateway takes, it answers well. A request fails
// only where its connection was refused or broken off because the process was
// dead, or died, at some moment between its beginning and its end; any answer is
// a 200 that the provider gave for one of the credentials. And after every start
// all that is sealed is readable, and sealed with one key: what was cut off has
// gone on and come to its end.
func TestARotationUnderLoadThatIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	v := newVictim(t)
	wantKills, credentials := rotationSize()
	v.start()
	key := v.equip(credentials)
	load := v.load(key)

	shortest := time.Hour
	for load.answered.Load() < 2*rotationRate {
		took, err := v.rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		shortest = min(shortest, took)
	}
	peaceful := load.answered.Load()
	if load.broken.Load() != 0 || peaceful == 0 {
		t.Errorf("%d of %d requests failed though nobody was killed", load.broken.Load(), peaceful)
	}

	resumed := 0
	for kills := 0; kills < wantKills; kills++ {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = v.rotate(t.Context()) // it fails where the gateway dies first
		}()
		if kills%3 == 0 { // as soon as the new key is kept, so that not all depends on luck
			until(t, "the rotation to begin", func() bool { return v.rotating() || isClosed(ended) })
			v.kill()
		} else {
			v.killWithin(shortest)
		}
		<-ended
		if kills%4 == 1 { // it dies in the start, too
			v.launch()
			v.killWithin(shortest)
			kills++
		}
		v.start()
		resumed += v.allReadable()
	}
	until(t, "requests after the last start", func() bool { return load.answered.Load() > peaceful+100 })
	load.stop()
	t.Logf("a rotation took %s or more; of %d kills %d starts had to go on with one; %d requests answered, %d cut off by a kill, %d not sent in time",
		shortest, wantKills, resumed, load.answered.Load(), load.cutOff.Load(), load.missed.Load())
	if load.failed.Load() != nil {
		t.Errorf("%d requests failed, the first: %v", load.broken.Load(), load.failed.Load())
	}
	if resumed == 0 {
		t.Error("no rotation was cut off in the middle, so this shows nothing")
	}
	v.kill()
	if log := v.log(); strings.Contains(log, "sk-canary") {
		t.Error("the log has a credential in it")
	}
}

// victim is a gateway in a process of its own, at an address that it keeps.
type victim struct {
	t        *testing.T
	program  string
	data     string
	addr     string
	provider *httptest.Server
	client   *api.Client
	process  *exec.Cmd
	logs     *os.File
	seen     int // bytes of the log before the last start

	credentials int // that are sealed

	// life is odd while the process is dead, or may not answer yet.
	life atomic.Int64
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	program, err := exec.LookPath("llmgw")
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, program: program, data: shortDir(t), addr: keptAddr(t)}
	v.life.Store(1)
	v.provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer sk-canary-credential-") {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(v.provider.Close)
	if v.logs, err = os.Create(filepath.Join(t.TempDir(), "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if v.process != nil {
			v.kill()
		}
		_ = v.logs.Close()
	})
	v.client = api.NewClient(api.Options{Socket: filepath.Join(v.data, socketName), Timeout: 20 * time.Second})
	t.Cleanup(v.client.Close)
	return v
}

// keptAddr finds a free port that stays free while nobody listens there: below
// those that systems give to connections, of which one could even connect to
// itself.
func keptAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprint("127.0.0.1:", 20_000+mrand.IntN(10_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// launch starts the process and waits for nothing.
func (v *victim) launch() {
	v.t.Helper()
	v.seen = len(v.log())
	v.process = exec.Command(v.program, "serve", "--data", v.data, "--listen", v.addr, "--admin-listen", "127.0.0.1:0", "--no-detect", "--no-mock")
	v.process.Stderr = v.logs
	if err := v.process.Start(); err != nil {
		v.t.Fatal(err)
	}
}

// start launches and waits until it takes requests.
func (v *victim) start() {
	v.t.Helper()
	v.launch()
	until(v.t, "the gateway to be ready", func() bool {
		s, err := statusAt(context.Background(), filepath.Join(v.data, socketName))
		return err == nil && s.Ready && s.Proxy != ""
	})
	v.life.Add(1)
}

// kill ends the process without warning.
func (v *victim) kill() {
	if v.life.Load()%2 == 0 {
		v.life.Add(1)
	}
	_ = v.process.Process.Kill() // where it has ended by itself, its log says why
	_ = v.process.Wait()
	v.process = nil
}

// killWithin kills at a random moment of the next d.
func (v *victim) killWithin(d time.Duration) {
	<-time.After(time.Duration(mrand.Int64N(int64(d))))
	v.kill()
}

func (v *victim) log() string {
	text, err := os.ReadFile(v.logs.Name())
	if err != nil {
		v.t.Fatal(err)
	}
	return string(text)
}

// equip gives the gateway its sealed credentials and a key.
func (v *victim) equip(credentials int) (key string) {
	v.t.Helper()
	ctx := v.t.Context()
	if _, err := v.client.CreateUpstream(ctx, api.NewUpstream{Name: "one", Provider: "generic", URL: v.provider.URL}); err != nil {
		v.t.Fatal(err)
	}
	v.credentials = credentials
	for n := range credentials {
		c := api.NewCredential{Name: fmt.Sprint("c", n), Secret: fmt.Sprintf("sk-canary-credential-%04d", n)}
		if _, err := v.client.SetCredential(ctx, "one", c); err != nil {
			v.t.Fatal(err)
		}
	}
	rules := "version: 1\nrules:\n  - {name: one, action: {upstream: one, affinity: none}}\n"
	if _, err := v.client.ApplyRules(ctx, api.ApplyRequest{Files: []api.Source{{Name: "rules.yaml", Content: rules}}}); err != nil {
		v.t.Fatal(err)
	}
	created, err := v.client.CreateKey(ctx, api.NewKey{Name: "load"})
	if err != nil {
		v.t.Fatal(err)
	}
	return created.Secret
}

// rotate exchanges the key for a new one, as an operator does.
func (v *victim) rotate(ctx context.Context) (time.Duration, error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	begun := time.Now()
	var out, text strings.Builder
	code := run(ctx, shell{
		args: []string{"secret", "rotate", "--new-file", "-", "--data", v.data},
		in:   strings.NewReader(base64.StdEncoding.EncodeToString(raw)), out: &out, err: &text,
	})
	if code != exitDone {
		return 0, fmt.Errorf("secret rotate ended with %d: %s", code, text.String())
	}
	return time.Since(begun), nil
}

// allReadable looks at what is sealed after a start, and gives 1 where the start
// went on with a rotation.
func (v *victim) allReadable() (resumed int) {
	v.t.Helper()
	report, err := v.client.SecretReport(v.t.Context())
	if err != nil || report.Readable != report.Sealed || report.Sealed < v.credentials || report.ByKey[report.Fingerprint] != report.Sealed {
		v.t.Fatalf("after a start the report is %+v, %v", report, err)
	}
	if v.rotating() {
		v.t.Errorf("after a start %s is there", nextKeyName)
	}
	return strings.Count(v.log()[v.seen:], "going on with the rotation of the secret key")
}

// rotating says whether there is a new key that is not in its place.
func (v *victim) rotating() bool {
	_, err := os.Stat(filepath.Join(v.data, nextKeyName))
	return err == nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pacedLoad is what came of requests that are sent at a fixed rate, however long
// answers take.
type pacedLoad struct {
	answered, broken atomic.Int64
	cutOff           atomic.Int64 // connections that a kill refused or broke off
	missed           atomic.Int64 // not sent: the machine, or a start, was too slow
	failed           atomic.Value // the first failure, a text
	stop             func()
}

func (v *victim) load(key string) *pacedLoad {
	l := &pacedLoad{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 20 * time.Second}
	ctx, cancel := context.WithCancel(v.t.Context())
	room := make(chan struct{}, rotationRate) // a second's worth may wait
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(time.Second / rotationRate)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case room <- struct{}{}:
				all.Go(func() { defer func() { <-room }(); l.ask(v, client, key) })
			default:
				l.missed.Add(1)
			}
		}
	})
	l.stop = sync.OnceFunc(func() { cancel(); all.Wait(); client.CloseIdleConnections() })
	v.t.Cleanup(l.stop)
	return l
}

func (l *pacedLoad) ask(v *victim, client *http.Client, key string) {
	life := v.life.Load()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+v.addr+"/v1/chat/completions", strings.NewReader(`{"model":"m"}`))
	if err != nil {
		l.fail(err.Error())
		return
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	var text []byte
	if err == nil {
		text, err = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
	}
	switch {
	case err != nil && (life%2 == 1 || v.life.Load() != life):
		l.cutOff.Add(1)
	case err != nil:
		l.fail(err.Error())
	case answer.StatusCode != http.StatusOK || string(text) != "{}":
		l.fail(fmt.Sprintf("%d %s", answer.StatusCode, text))
	default:
		l.answered.Add(1)
	}
}

func (l *pacedLoad) fail(what string) {
	l.broken.Add(1)
	l.failed.CompareAndSwap(nil, what)
}
