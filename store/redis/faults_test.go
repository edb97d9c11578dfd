package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/storetest/faults"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// longestWait is what no request may take while Redis is ill: the 50 ms that it
// waits once, the database, and a machine that is very busy.
const longestWait = time.Second

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for: %s", patience, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// gateway is a store that follows, with keys to ask for.
type gateway struct {
	*store.Store
	log  *lines
	next int // the next key that it was not asked for
}

const manyKeys = 2000 // more than are asked for while the longest wait for a probe goes by

// begin opens a store at a Redis, with many keys in it.
func begin(t *testing.T, path, url string) *gateway {
	t.Helper()
	g := &gateway{log: &lines{}}
	g.Store = openStore(t, path, connect(t, url), zerolog.New(g.log))
	if err := g.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("following: %v", err)
		}
	})
	return g
}

func makeKeys(t *testing.T, s *store.Store) {
	t.Helper()
	const atOnce = 100 // a change has ten seconds, and machines may be slow
	for from := 0; from < manyKeys; from += atOnce {
		_, err := s.Change(t.Context(), accounts.Meta{Kind: "test"}, func(st *store.State) error {
			for i := from; i < min(from+atOnce, manyKeys); i++ {
				if err := st.PutKey(keyNumber(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func keyNumber(i int) accounts.Key {
	name := fmt.Sprintf("k%d", i)
	return accounts.Key{ID: "key_" + name, Name: name, Secrets: []accounts.KeySecret{{Hash: accounts.HashKey(name)}}}
}

// askNew asks for keys that are not in this node's memory, and gives how long each
// took, in order of length.
func (g *gateway) askNew(t *testing.T, n int) []time.Duration {
	t.Helper()
	var took []time.Duration
	for range n {
		start := time.Now()
		if _, err := g.Identify(t.Context(), keyNumber(g.next).Secrets[0].Hash); err != nil {
			t.Fatalf("key %d: %v", g.next, err)
		}
		took = append(took, time.Since(start))
		g.next++
	}
	slices.Sort(took)
	return took
}

// figure reads a metric.
func (g *gateway) figure(t *testing.T, name, outcome string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	if err := r.Register(g.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (outcome == "" || m.GetLabel()[0].GetValue() == outcome) {
				return value(m)
			}
		}
	}
	t.Fatalf("there is no %s %s", name, outcome)
	return 0
}

func value(m *dto.Metric) float64 { return m.GetGauge().GetValue() + m.GetCounter().GetValue() }

func (g *gateway) hears(t *testing.T) bool {
	t.Helper()
	return g.figure(t, "llmgw_bus_connected", "") == 1
}

// shelves says whether the shelf is of use: a key that another node has read is
// taken from there.
func (g *gateway) shelves(t *testing.T) bool {
	t.Helper()
	skipped := g.figure(t, "llmgw_shelf_total", "skipped")
	g.askNew(t, 1)
	return g.figure(t, "llmgw_shelf_total", "skipped") == skipped
}

func TestRedisThatIsIllIsInNobodysWay(t *testing.T) {
	for name, fault := range map[string]func(t *testing.T, r *servers.Redis) (heal func() error){
		"frozen": func(_ *testing.T, r *servers.Redis) func() error {
			if err := r.Freeze(); err != nil {
				t.Fatal(err)
			}
			return r.Thaw
		},
		"killed": func(t *testing.T, r *servers.Redis) func() error {
			if err := r.Kill(); err != nil {
				t.Fatal(err)
			}
			return func() error { return r.Start(t.Context()) }
		},
		"stopped in good order": func(t *testing.T, r *servers.Redis) func() error {
			if err := r.Stop(); err != nil {
				t.Fatal(err)
			}
			return func() error { return r.Start(t.Context()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, path := servers.PrivateRedis(t, servers.RedisOptions{}), filepath.Join(t.TempDir(), "llmgw.db")
			a, b := begin(t, path, r.URL()), begin(t, path, r.URL())
			makeKeys(t, a.Store)
			eventually(t, "all is well", func() bool { return a.hears(t) && b.hears(t) && a.shelves(t) && b.shelves(t) })

			unanswered := a.figure(t, "llmgw_shelf_total", "unanswered")
			heal := fault(t, r)
			took := a.askNew(t, 100)
			t.Logf("%s: the longest of 100 took %s, the next %s, the middle one %s", name, took[99], took[98], took[50])
			if took[99] > longestWait {
				t.Errorf("a request waited %s", took[99])
			}
			if n := a.figure(t, "llmgw_shelf_total", "unanswered") - unanswered; n > 1 {
				t.Errorf("%v requests waited for it", n)
			}
			start := time.Now()
			revoked := keyNumber(0)
			revoked.RevokedAt = time.Now()
			if _, err := a.Change(t.Context(), accounts.Meta{Kind: "test"}, func(st *store.State) error { return st.PutKey(revoked) }); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("a change waited %s", took)
			}

			if err := heal(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "both hear again", func() bool { return a.hears(t) && b.hears(t) })
			eventually(t, "the shelf is asked again", func() bool { return a.shelves(t) })
			eventually(t, "the change has reached the other node, which polls once an hour", func() bool {
				who, err := b.Identify(t.Context(), revoked.Secrets[0].Hash)
				return err == nil && who.State(time.Now()) == accounts.KeyRevoked
			})
		})
	}
}

func TestWhatRedisForgetsIsReadAgain(t *testing.T) {
	r, path := servers.PrivateRedis(t, servers.RedisOptions{}), filepath.Join(t.TempDir(), "llmgw.db")
	a, b := begin(t, path, r.URL()), begin(t, path, r.URL())
	makeKeys(t, a.Store)
	eventually(t, "all is well", func() bool { return a.shelves(t) && b.shelves(t) })
	a.next, b.next = 100, 100
	a.askNew(t, 50)
	eventually(t, "they are on the shelf", func() bool { return a.figure(t, "llmgw_shelf_puts_total", "put") >= 50 })
	b.askNew(t, 25)
	if taken := b.figure(t, "llmgw_key_cache_total", "shelf"); taken < 25 {
		t.Errorf("%v were taken from the shelf", taken)
	}
	if err := r.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.askNew(t, 25)
}

// A link that was pulled tells nobody. What listens is asked for a sign of life.
func TestALinkThatIsDeadIsNoticed(t *testing.T) {
	r := servers.PrivateRedis(t, servers.RedisOptions{})
	link, err := faults.Listen("tcp", r.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	g := begin(t, filepath.Join(t.TempDir(), "llmgw.db"), strings.Replace(r.URL(), r.Address(), link.Address(), 1))
	makeKeys(t, g.Store)
	eventually(t, "all is well", func() bool { return g.hears(t) && g.shelves(t) })

	pulled := time.Now()
	if err := link.Set(faults.Blackhole()); err != nil {
		t.Fatal(err)
	}
	if took := g.askNew(t, 50); took[49] > longestWait {
		t.Errorf("a request waited %s", took[49])
	}
	eventually(t, "it is noticed", func() bool { return !g.hears(t) })
	t.Logf("noticed after %s", time.Since(pulled))
	if took := time.Since(pulled); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
	link.Cut()
	if err := link.Set(faults.Way{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is well again", func() bool { return g.hears(t) && g.shelves(t) })
}

func TestRedisThatComesLater(t *testing.T) {
	r := servers.PrivateRedis(t, servers.RedisOptions{})
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	g := begin(t, filepath.Join(t.TempDir(), "llmgw.db"), r.URL())
	makeKeys(t, g.Store)
	if took := g.askNew(t, 100); took[99] > longestWait {
		t.Errorf("a request waited %s", took[99])
	}
	eventually(t, "it is said", func() bool { return strings.Contains(g.log.String(), "bus unreachable") })
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is there", func() bool { return g.hears(t) && g.shelves(t) })
	eventually(t, "that is said, too", func() bool { return strings.Contains(g.log.String(), "bus reachable again") })
}

func TestAWrongPasswordIsSaidAndTriedAgain(t *testing.T) {
	r := servers.PrivateRedis(t, servers.RedisOptions{})
	u, err := url.Parse(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	right, _ := u.User.Password()
	u.User = url.UserPassword("", "hunter2")
	g := begin(t, filepath.Join(t.TempDir(), "llmgw.db"), u.String())
	makeKeys(t, g.Store)
	g.askNew(t, 20)
	eventually(t, "it is said", func() bool { return strings.Contains(g.log.String(), "WRONGPASS") })
	if log := g.log.String(); strings.Contains(log, "hunter2") || strings.Contains(log, right) {
		t.Errorf("the log has the password: %s", log)
	}
	setPassword(t, r.URL(), "hunter2")
	eventually(t, "it is let in", func() bool { return g.hears(t) && g.shelves(t) })
}
