package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store/storetest/faults"
	"github.com/llmgw/llmgw/store/storetest/inprocess"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// copying opens a store that keeps a copy and follows, and has a configuration in
// force.
func copying(t *testing.T, at, path string, shelf Shelf, log zerolog.Logger) *Store {
	t.Helper()
	p, err := ParsePostgres(at, accounts.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Postgres: p, Secret: sealingKey(t, 1), Log: log, PollEvery: 100 * time.Millisecond, Copy: path, Shelf: shelf})
	if err != nil {
		t.Fatal(err)
	}
	s.OnConfig(func(context.Context, rules.Config) error { return nil })
	if err := s.Advance(t.Context()); err != nil && s.Degraded() == nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() {
		if err := s.Follow(ctx); err != nil {
			t.Errorf("following: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		following.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// names are those of the keys that a copy holds; nil where there is none.
func names(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	_, text, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		t.Fatal("there is half a copy")
	}
	line := b[:len(b)-len(text)]
	opened, err := sealingKey(t, 1).Open(copyPlace(databaseOf(t, path), string(line)), text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := decodeCopy(opened)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, k := range c.known {
		all = append(all, k.Who.KeyName)
	}
	slices.Sort(all)
	return all
}

// The name of the database is kept beside the copy, for names.
func databaseOf(t *testing.T, path string) string {
	t.Helper()
	name, err := os.ReadFile(path + ".database")
	if err != nil {
		t.Fatal(err)
	}
	return string(name)
}

func newCopyPath(t *testing.T, at string) string {
	t.Helper()
	p, err := ParsePostgres(at, accounts.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "store.copy")
	if err := os.WriteFile(path+".database", []byte(p.config.Database), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustIdentify(t *testing.T, s *Store, text string) {
	t.Helper()
	if _, err := s.Identify(t.Context(), accounts.HashKey(text)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsRevokedLeavesTheCopyAtOnce(t *testing.T) {
	proxy, at := behind(t, servers.Database(t))
	path := newCopyPath(t, at)
	s := copying(t, at, path, nil, zerolog.Nop())
	for _, name := range []string{"a", "b", "c"} {
		if err := putKey(s, keyOf(name)); err != nil {
			t.Fatal(err)
		}
		mustIdentify(t, s, name)
	}
	until(t, "a copy of all keys", func() bool { return slices.Equal(names(t, path), []string{"a", "b", "c"}) })

	begun := time.Now()
	if err := revoke(s, keyOf("a")); err != nil {
		t.Fatal(err)
	}
	until(t, "a copy without the revoked key", func() bool { return slices.Equal(names(t, path), []string{"b", "c"}) })
	t.Logf("a revoked key was gone from the copy after %s", time.Since(begun))
	if took := time.Since(begun); took > copyApart+slack {
		t.Errorf("that took %s", took)
	}

	set(t, proxy, faults.Blackhole())
	lineage, seq := s.keys.dropped.stands()
	s.hear(Hint{Lineage: lineage, Seq: seq + 1, ID: "chg_1", Subjects: []string{"key:key_b"}})
	until(t, "a copy without what a hint named, though the database is silent", func() bool { return slices.Equal(names(t, path), []string{"c"}) })
	set(t, proxy, faults.Way{})
}

func TestAKeyThatMemoryForgotLeavesTheCopyAllTheSame(t *testing.T) {
	c := &copier{soon: make(chan struct{}, 1), holds: map[string]bool{"key:key_a": true, "user:user_a": true}}
	wants := func() bool {
		select {
		case <-c.soon:
			return true
		default:
			return false
		}
	}
	for _, test := range []struct {
		name    string
		dropped []string
		writing bool
		want    bool
	}{
		{"a key that the copy names", []string{"key:key_b", "key:key_a"}, false, true},
		{"the owner of one", []string{"user:user_a"}, false, true},
		{"a key that it does not name", []string{"key:key_b"}, false, false},
		{"any key while a copy is being made", []string{"key:key_b"}, true, true},
		{"everything", nil, false, true},
	} {
		c.writing = test.writing
		c.dropped(test.dropped)
		if got := wants(); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestACopyThatCannotBeWrittenIsSaidOnceAndWrittenLater(t *testing.T) {
	at := servers.Database(t)
	path := newCopyPath(t, at)
	if err := os.Mkdir(path+".new", 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	log := &lines{}
	s := copying(t, at, path, nil, zerolog.New(log))
	until(t, "two failures", func() bool { s.copier.renew(); return s.copier.count.failed.Load() >= 2 })
	if n := strings.Count(log.String(), "cannot write the sealed copy"); n != 1 {
		t.Errorf("it says so %d times: %s", n, log)
	}
	if err := os.Remove(path + ".new"); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	until(t, "a copy", func() bool { s.copier.renew(); return names(t, path) != nil })
	until(t, "the log to say so", func() bool { return strings.Contains(log.String(), "is written again") })
}

// lines is a log that a test reads while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestANodeWithoutACopyOfItsOwnStartsFromTheShelf(t *testing.T) {
	proxy, at := behind(t, servers.Database(t))
	shelf := inprocess.New()
	first := copying(t, at, newCopyPath(t, at), shelf, zerolog.Nop())
	if err := putKey(first, keyOf("a")); err != nil {
		t.Fatal(err)
	}
	mustIdentify(t, first, "a")
	until(t, "a copy on the shelf that names the key", func() bool {
		c := first.options.shelvedCopy(t.Context())
		return c != nil && len(c.known) == 1
	})
	set(t, proxy, faults.Way{Refuse: true})

	path := newCopyPath(t, at)
	fresh := copying(t, at, path, shelf, zerolog.Nop())
	mustIdentify(t, fresh, "a")
	if _, err := fresh.Identify(t.Context(), accounts.HashKey("b")); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("a key that nobody knows: %v", err)
	}
	if d := fresh.Degraded(); d == nil || d.Copy.IsZero() {
		t.Errorf("it says %+v", d)
	}
	until(t, "a copy of its own", func() bool { return slices.Equal(names(t, path), []string{"a"}) })

	set(t, proxy, faults.Way{})
	until(t, "the database", func() bool { return fresh.Degraded() == nil })
	if err := putKey(fresh, keyOf("b")); err != nil {
		t.Fatal(err)
	}
	mustIdentify(t, fresh, "b")
	if n := fresh.reader.breaks.Load(); n != 0 {
		t.Errorf("it takes the log for broken %d times", n)
	}
}

func TestWhichCopyAStartTakes(t *testing.T) {
	key := sealingKey(t, 1)
	p, err := ParsePostgres("postgres://gw@localhost/"+copiedDatabase, accounts.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	name, err := copyName(key, copiedDatabase)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, test := range []struct {
		name         string
		own, shelved *sealedCopy
		want         int64 // its number; 0: none
	}{
		{"neither there", nil, nil, 0},
		{"its own", someCopy("l", 5, now), nil, 5},
		{"the shelf's where it has none", nil, someCopy("l", 4, now), 4},
		{"the shelf's where it is further", someCopy("l", 5, now), someCopy("l", 6, now), 6},
		{"its own, not an older one that somebody put on the shelf", someCopy("l", 5, now), someCopy("l", 4, now), 5},
		{"its own where the shelf's is of another log", someCopy("l", 5, now), someCopy("m", 9, now), 5},
		{"none of the shelf that is older than a day", nil, someCopy("l", 4, now.Add(-25*time.Hour)), 0},
		{"its own, however old", someCopy("l", 5, now.Add(-1000*time.Hour)), nil, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			shelf, path := inprocess.New(), filepath.Join(t.TempDir(), "store.copy")
			if test.own != nil {
				if err := replaceFile(path, mustSeal(t, test.own, key)); err != nil {
					t.Fatal(err)
				}
			}
			if test.shelved != nil {
				if err := shelf.Put(t.Context(), name, mustSeal(t, test.shelved, key), time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			got := findCopy(t.Context(), &Options{Copy: path, Postgres: p, Secret: key, Shelf: shelf, Log: zerolog.Nop()})
			var seq int64
			if got != nil {
				seq = got.top.Head.Seq
			}
			if seq != test.want {
				t.Errorf("it takes that of change %d, want %d", seq, test.want)
			}
		})
	}
}

func TestWhichCopyStaysOnTheShelf(t *testing.T) {
	key, now := sealingKey(t, 1), time.Now()
	for _, test := range []struct {
		name         string
		there, fresh *sealedCopy
		urgent, away bool
		stays        bool
	}{
		{"none", nil, someCopy("l", 5, now), false, false, false},
		{"one that is further", someCopy("l", 6, now), someCopy("l", 5, now), true, false, true},
		{"one that is behind", someCopy("l", 4, now), someCopy("l", 5, now), false, false, false},
		{"one of the same change", someCopy("l", 5, now.Add(-time.Minute)), someCopy("l", 5, now), false, false, true},
		{"one of the same change that may name what was dropped", someCopy("l", 5, now), someCopy("l", 5, now), true, false, false},
		{"one of the same change that is getting old", someCopy("l", 5, now.Add(-time.Hour)), someCopy("l", 5, now), false, false, false},
		{"one of another log", someCopy("m", 9, now), someCopy("l", 5, now), false, false, false},
		{"one of another log, where the database is away", someCopy("m", 9, now), someCopy("l", 5, now), false, true, true},
	} {
		s := &Store{options: Options{Secret: key}}
		s.reader.away.Store(test.away)
		c := &copier{store: s, database: copiedDatabase, shelf: shelfCopy{next: test.fresh, urgent: test.urgent}}
		var there []byte
		if test.there != nil {
			there = mustSeal(t, test.there, key)
		}
		if got := c.yields(there); got != test.stays {
			t.Errorf("%s: stays: %v", test.name, got)
		}
	}
}

func TestAServerThatSaysNothingHoldsNoStartUp(t *testing.T) {
	proxy, at := behind(t, servers.Database(t))
	set(t, proxy, faults.Blackhole())
	p, err := ParsePostgres(at, accounts.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Postgres: p, Secret: sealingKey(t, 1), Log: zerolog.Nop(), Copy: filepath.Join(t.TempDir(), "store.copy")}
	for _, known := range []bool{false, true} {
		if known {
			b, err := someCopy("l", 5, time.Now(), "a").seal(o.Secret, p.config.Database, mostCopied)
			if err != nil {
				t.Fatal(err)
			}
			if err := replaceFile(o.Copy, b); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(begun)
		t.Logf("with a copy: %v; open after %s", known, took)
		if took > probeDatabase+slack {
			t.Errorf("open after %s", took)
		}
		d := s.Degraded()
		if d == nil || d.Why != "no answer in time" || d.Copy.IsZero() == known {
			t.Errorf("it says %+v", d)
		}
		if _, err := s.Issuer().Issue(); (err == nil) != known {
			t.Errorf("with a copy: %v; making a key: %v", known, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheAgeOfACopyIsThatOfItsLastGoodLook(t *testing.T) {
	proxy, at := behind(t, servers.Database(t))
	set(t, proxy, faults.Way{Refuse: true})
	path := newCopyPath(t, at)
	c := someCopy("l", 5, time.Now().Add(-time.Hour), "a")
	b, err := c.seal(sealingKey(t, 1), databaseOf(t, path), mostCopied)
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(path, b); err != nil {
		t.Fatal(err)
	}
	s := copying(t, at, path, nil, zerolog.Nop())
	if age := s.Age(); age < time.Hour || age > time.Hour+time.Minute {
		t.Errorf("it is %s old", age)
	}
	if seq, revision := s.Applied(); seq != 5 || revision != 2 {
		t.Errorf("in force are change %d and revision %d", seq, revision)
	}
	// Another node may have changed any key since the copy was made, and no hint
	// of it was heard.
	found := finding{who: c.known[0].Who, seq: 5, mark: markOf(c.top.Head.Hash), shelved: true}
	if s.keys.dropped.admit(&found, s.keys.dropped.now()) {
		t.Error("what another node has read is believed")
	}
	until(t, "a copy that it writes", func() bool { return s.copier.count.written.Load() > 0 })
	again := s.options.ownCopy()
	if again == nil || !again.top.At.Equal(c.top.At) || len(again.known) != 1 {
		t.Errorf("it says %+v", again)
	}
}
