package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

// watched is a store whose loads are counted.
type watched struct {
	*store.Store
	journal *journal
	loads   int
	config  rules.Config
}

func watch(t *testing.T, path string) *watched {
	t.Helper()
	w := &watched{journal: &journal{}}
	o := options(t, path)
	o.Log = zerolog.New(w.journal)
	w.Store = openWith(t, o)
	w.OnConfig(func(_ context.Context, c rules.Config) error {
		w.loads++
		w.config = c
		return nil
	})
	if err := w.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func putRules(t *testing.T, s *store.Store, names ...string) {
	t.Helper()
	_, err := s.Change(t.Context(), accounts.Meta{Kind: "rule.apply"}, func(st *store.State) error {
		return st.PutFile(answering("default", names...))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func revoke(t *testing.T, s *store.Store, name string) {
	t.Helper()
	_, err := s.Change(t.Context(), accounts.Meta{Kind: "key.revoke"}, func(st *store.State) error {
		k, err := st.Key(name)
		k.RevokedAt = time.Now()
		return errors.Join(err, st.PutKey(k))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, s *store.Store, secret string) accounts.KeyState {
	t.Helper()
	who, err := s.Identify(t.Context(), accounts.HashKey(secret))
	if err != nil {
		t.Fatal(err)
	}
	return who.State(time.Now())
}

// broken is the loud line of the log.
const broken = "the store's log does not continue"

// TestALogThatDoesNotContinueDropsAndLoadsEverything rewrites what nobody
// rewrites, in ways that each leave the cached key active and the
// configuration's revision the same, and looks whether the node notices.
func TestALogThatDoesNotContinueDropsAndLoadsEverything(t *testing.T) {
	for name, rewrite := range map[string][]string{
		"a change was made to look different": {
			`UPDATE head SET seq = seq + 1, hash = x'00'`,
			`INSERT INTO changes SELECT seq + 1, config_revision, 'chg_x', kind, '[]', x'00', actor, from_addr, why, at FROM changes ORDER BY seq DESC LIMIT 1`,
		},
		"the history up to here is another":  {`UPDATE head SET hash = x'00'`},
		"the store went back":                {`DROP TRIGGER changes_is_not_deleted`, `DELETE FROM changes WHERE seq = 3`, `UPDATE head SET seq = 2`},
		"the log does not reach back so far": {`DROP TRIGGER changes_is_not_deleted`, `DELETE FROM changes`, `UPDATE head SET seq = seq + 5`},
		"it has another lineage":             {`UPDATE head SET lineage = 'lineage_other'`},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			w := watch(t, path)
			putKey(t, w.Store, "a", "s1")
			putRules(t, w.Store, "first")
			putKey(t, w.Store, "b", "s2")
			if state(t, w.Store, "s1") != accounts.KeyActive || w.loads != 2 {
				t.Fatalf("before: loaded %d times", w.loads)
			}
			db := raw(t, path)
			execute(t, db, `UPDATE keys SET revoked_at = '2020-01-01 00:00:00+00:00'`)
			if state(t, w.Store, "s1") != accounts.KeyActive {
				t.Fatal("the key is not in memory, so this test shows nothing")
			}
			for _, text := range rewrite {
				execute(t, db, text)
			}
			if err := w.Advance(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state(t, w.Store, "s1") != accounts.KeyRevoked {
				t.Error("the key was not dropped")
			}
			if w.loads != 3 || w.journal.count(broken) != 1 {
				t.Errorf("loaded %d times, said so %d times", w.loads, w.journal.count(broken))
			}
			if err := w.Advance(t.Context()); err != nil || w.loads != 3 || w.journal.count(broken) != 1 {
				t.Errorf("the next look was not quiet: %v, loaded %d times", err, w.loads)
			}
			h, err := w.Head(t.Context())
			if seq, _ := w.Applied(); err != nil || seq != h.Seq {
				t.Errorf("applied %d, head is at %d (%v)", seq, h.Seq, err)
			}
		})
	}
}

func TestAReplacedFileIsNoticed(t *testing.T) {
	path, other := newPath(t), newPath(t)
	w := watch(t, path)
	putKey(t, w.Store, "a", "s1")
	putRules(t, w.Store, "first")
	if state(t, w.Store, "s1") != accounts.KeyActive {
		t.Fatal("the key is not active")
	}

	replacement := open(t, other)
	putKey(t, replacement, "a", "s1")
	revoke(t, replacement, "a")
	putRules(t, replacement, "other")
	key, err := replacement.Issuer().Issue()
	if err != nil {
		t.Fatal(err)
	}
	if err := replacement.Close(); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, path, other)

	if err := w.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state(t, w.Store, "s1") != accounts.KeyRevoked {
		t.Error("the key of the old file is remembered")
	}
	if got := w.config.Files[0].Rules[0].Name; got != "other" || w.journal.count(broken) != 1 {
		t.Errorf("in force is %q, said so %d times", got, w.journal.count(broken))
	}
	if err := w.Issuer().Check(key.Reveal()); err != nil {
		t.Errorf("the new file's keys: %v", err)
	}
	putKey(t, w.Store, "new", "s3")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if keys, err := open(t, path).Keys(t.Context()); err != nil || len(keys) != 2 {
		t.Errorf("what was written afterwards is not in the new file: %d keys, %v", len(keys), err)
	}
}

// replaceFile does what a restore does.
func replaceFile(t *testing.T, path, with string) {
	t.Helper()
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(with, path); err != nil {
		t.Fatal(err)
	}
}

func TestAReplacementOfAnotherInstallationIsNotTaken(t *testing.T) {
	path, other := newPath(t), newPath(t)
	w := watch(t, path)
	putRules(t, w.Store, "first")
	o := options(t, other)
	o.Secret = secretKey(t, 2)
	if err := openWith(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, path, other)
	before := fingerprint(t, path)

	err := w.Advance(t.Context())
	var wrong *accounts.WrongKeyError
	if !errors.As(err, &wrong) || !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("advancing: %v", err)
	}
	if _, err := w.Change(t.Context(), accounts.Meta{}, func(*store.State) error { return nil }); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("changing: %v", err)
	}
	if got := w.config.Files[0].Rules[0].Name; got != "first" || metric(t, w.Store, "llmgw_store_up") != 0 {
		t.Errorf("in force is %q", got)
	}
	if fingerprint(t, path) != before {
		t.Error("the other installation's file was touched")
	}
}

// TestABrokenLogIsLoadedUntilItIsTaken: the revision alone would not call for
// another load.
func TestABrokenLogIsLoadedUntilItIsTaken(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	loads, refused := 0, errors.New("not this one")
	var answer error
	s.OnConfig(func(context.Context, rules.Config) error { loads++; return answer })
	if err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, raw(t, path), `UPDATE head SET lineage = 'lineage_other'`)
	answer = refused
	for range 2 {
		if err := s.Advance(t.Context()); !errors.Is(err, refused) {
			t.Errorf("advancing: %v", err)
		}
	}
	answer = nil
	for range 2 {
		if err := s.Advance(t.Context()); err != nil {
			t.Errorf("advancing: %v", err)
		}
	}
	if loads != 4 {
		t.Errorf("loaded %d times, want 4: at first, twice refused, once taken", loads)
	}
}

func TestAFileThatIsGoneTakesNoChanges(t *testing.T) {
	path := newPath(t)
	w := watch(t, path)
	putKey(t, w.Store, "a", "s1")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Change(t.Context(), accounts.Meta{}, func(*store.State) error { return nil })
	if !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("changing: %v", err)
	}
	for range 3 {
		if err := w.Advance(t.Context()); !errors.Is(err, accounts.ErrUnavailable) {
			t.Errorf("advancing: %v", err)
		}
	}
	if said := w.journal.count("cannot follow the store"); said != 1 {
		t.Errorf("it was said %d times", said)
	}
	if up := metric(t, w.Store, "llmgw_store_up"); up != 0 {
		t.Errorf("llmgw_store_up is %v", up)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := w.Advance(t.Context()); err != nil || w.journal.count("in step with the store again") != 1 {
		t.Errorf("once it is back: %v", err)
	}
	if up := metric(t, w.Store, "llmgw_store_up"); up != 1 {
		t.Errorf("llmgw_store_up is %v", up)
	}
}

func TestMetrics(t *testing.T) {
	s := open(t, newPath(t))
	refuse := true
	s.OnConfig(func(context.Context, rules.Config) error {
		if refuse {
			return errors.New("not now")
		}
		return nil
	})
	if err := s.Advance(t.Context()); err == nil {
		t.Fatal("it was not refused")
	}
	refuse = false
	putKey(t, s, "a", "s1")
	putRules(t, s, "first")
	for _, secret := range []string{"s1", "s1", "s1", "none", "none"} {
		_, err := s.Identify(t.Context(), accounts.HashKey(secret))
		if err != nil && !errors.Is(err, accounts.ErrNotFound) {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]float64{
		"llmgw_config_revision":              1,
		"llmgw_config_reload_failures_total": 1,
		"llmgw_store_up":                     1,
		"llmgw_key_cache_total hit":          2,
		"llmgw_key_cache_total miss":         1,
		"llmgw_key_cache_total unknown_hit":  1,
		"llmgw_key_cache_total unknown_miss": 1,
		"llmgw_key_cache_total unavailable":  0,
	} {
		if got := metric(t, s, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if age := metric(t, s, "llmgw_config_age_seconds"); age <= 0 || age > 10 {
		t.Errorf("llmgw_config_age_seconds is %v", age)
	}
}

// metric reads one value, by the name and, behind a blank, its label.
func metric(t *testing.T, s *store.Store, name string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(s.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	name, label, _ := strings.Cut(name, " ")
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s %s", name, label)
	return 0
}
