package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store/storetest/inprocess"
)

// openOn opens a store that works with others, at the file of another one.
func openOn(t *testing.T, path string, bus Bus, shelf Shelf) *Store {
	t.Helper()
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{
		Path: path, Secret: key, Log: zerolog.Nop(), PollEvery: time.Hour, Version: "1", Bus: bus, Shelf: shelf,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newFile(t *testing.T) string { return filepath.Join(t.TempDir(), "llmgw.db") }

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited for: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// rung says whether the bell rang, and takes the ring away.
func (s *Store) rung() bool {
	select {
	case <-s.bell:
		return true
	default:
		return false
	}
}

func TestWhatComesOverTheBus(t *testing.T) {
	e := inprocess.New()
	s := openOn(t, newFile(t), e, nil)
	k := keyOf("a")
	if err := putKey(s, k); err != nil {
		t.Fatal(err)
	}
	remembered := func() bool {
		hash := accounts.HashKey("a")
		_, ok := s.keys.remembered(&hash)
		return ok
	}
	lineage, at := s.keys.dropped.stands()
	stranger, err := accounts.NewSecretKey(bytes.Repeat([]byte{9}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(by accounts.Sealer, h Hint) []byte {
		t.Helper()
		m, err := sealHint(by, h)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	ours := s.options.Secret
	next := Hint{Lineage: lineage, Seq: at + 1, ID: "chg_1", Subjects: []string{"key:key_a"}}
	for _, c := range []struct {
		name          string
		message       []byte
		drops, counts bool
		rings         bool // at once; a glance is counted apart
	}{
		{"what is sealed with another key", sealed(stranger, next), false, false, false},
		{"what is sealed for another store", sealed(ours, Hint{Lineage: "lineage_other", Seq: at + 1, Subjects: next.Subjects}), false, false, false},
		{"noise", []byte("PING"), false, false, false},
		{"an empty message", []byte{}, false, false, false},
		{"what is longer than any hint", bytes.Repeat([]byte{1}, longestHint+1), false, false, false},
		{"a hint of what is known, such as an old one that somebody sends again", sealed(ours, Hint{Lineage: lineage, Seq: at, Subjects: next.Subjects}), false, true, false},
		{"a hint of what is to come", sealed(ours, next), true, true, true},
		{"the same once more", sealed(ours, next), false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := s.Identify(t.Context(), accounts.HashKey("a")); err != nil {
				t.Fatal(err)
			}
			s.rung()
			s.glanced.Store(int64(time.Since(s.begun))) // a glance was a moment ago
			received, bad := s.crier.count.received.Load(), s.crier.count.bad.Load()
			s.heard(lineage, c.message)
			if got := !remembered(); got != c.drops {
				t.Errorf("dropped: %v", got)
			}
			if got := s.rung(); got != c.rings {
				t.Errorf("rang: %v", got)
			}
			if s.crier.count.received.Load()-received != map[bool]int64{true: 1}[c.counts] || s.crier.count.bad.Load()-bad != map[bool]int64{false: 1}[c.counts] {
				t.Error("it was counted as something else")
			}
		})
	}
}

func TestJunkMakesANodeLookNotMoreThanOnceASecond(t *testing.T) {
	s := openOn(t, newFile(t), inprocess.New(), nil)
	lineage, _ := s.keys.dropped.stands()
	rings := 0
	start := time.Now()
	for range 10_000 {
		s.heard(lineage, []byte("junk"))
		if s.rung() {
			rings++
		}
	}
	if most := 1 + int(time.Since(start)/glanceEvery); rings == 0 || rings > most {
		t.Errorf("it rang %d times, at most %d is meant", rings, most)
	}
}

func TestFollowLooksAgainUntilTheLogHasWhatAHintPromised(t *testing.T) {
	s := openOn(t, newFile(t), nil, nil)
	var looks atomic.Int64
	before := s.keys.dropped.looks
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Follow(ctx) }()
	defer func() { cancel(); <-ended }()
	lineage, at := s.keys.dropped.stands()
	s.hear(Hint{Lineage: lineage, Seq: at + 1, ID: "chg_1", Subjects: []string{"key:key_a"}})
	until(t, "it looks several times", func() bool {
		s.keys.dropped.mu.RLock()
		defer s.keys.dropped.mu.RUnlock()
		looks.Store(s.keys.dropped.looks - before)
		return looks.Load() >= 4
	})
	if err := putKey(s, keyOf("a")); err != nil { // it comes true
		t.Fatal(err)
	}
	until(t, "it is content", func() bool { return s.hoped.Load() == 0 })
}

func TestRetryWaitsLongerAndLongerAndEndsAtThePoll(t *testing.T) {
	s := &Store{keys: filled(0)}
	s.keys.dropped.trust(Head{Lineage: "l", Seq: 3})
	synctest.Test(t, func(t *testing.T) {
		var r retry
		defer r.stop()
		s.hope(5)
		r.begin()
		var waits []time.Duration
		for range 8 {
			r.after(s, s.hoped.Load())
			start := time.Now()
			<-r.due()
			waits = append(waits, time.Since(start))
		}
		if got := fmt.Sprint(waits); got != "[5ms 10ms 20ms 40ms 80ms 160ms 250ms 250ms]" {
			t.Errorf("it waited %s", got)
		}
		r.last()
		r.after(s, s.hoped.Load())
		if r.due() != nil || s.hoped.Load() != 0 {
			t.Error("it goes on after the poll")
		}
		if !s.hope(4) {
			t.Error("a lower number is not hoped for any more")
		}
	})
}

// stuck is a bus and shelf that answers nobody before his time is over.
type stuck struct{ asked atomic.Int64 }

func (s *stuck) Publish(ctx context.Context, _ string, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuck) Listen(ctx context.Context, _ string, _ func([]byte)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuck) Take(ctx context.Context, _ string) ([]byte, error) {
	s.asked.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *stuck) Put(ctx context.Context, _ string, _ []byte, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestABusThatIsStuckHoldsNoChangeUp(t *testing.T) {
	s := openOn(t, newFile(t), &stuck{}, &stuck{})
	for i := range announcements + 10 {
		s.announce(&accounts.Change{ID: fmt.Sprint(i), Seq: int64(i)})
	}
	if n := s.crier.count.dropped.Load(); n < 9 || n > 10 { // one may be under way
		t.Errorf("%d were dropped", n)
	}
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > publishWithin+2*lastWords {
		t.Errorf("closing took %s", took)
	}
	if s.crier.count.failed.Load() == 0 {
		t.Error("closing did not wait for who was telling others")
	}
}

func TestWhatIsLeftToTellIsToldBeforeTheEnd(t *testing.T) {
	e := inprocess.New()
	path := newFile(t)
	s, other := openOn(t, path, e, nil), openOn(t, path, e, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = other.Follow(ctx) }()
	defer func() { cancel(); <-ended }()
	until(t, "it hears", func() bool { connected, _ := other.BusConnected(); return connected })
	for i := range 50 {
		if err := putKey(s, keyOf(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := s.crier.count.published.Load(); n != 50 {
		t.Errorf("%d were told", n)
	}
	until(t, "the other node has all", func() bool { seq, _ := other.Applied(); return seq == 50 })
}

func TestAShelfThatIsStuckIsAskedOnceAndThenBesideTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := &stuck{}
		l := newLedge(on)
		l.away.Store(false) // it was well
		<-l.tripped
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		start := time.Now()
		if _, ok := l.take(ctx, "n"); ok || time.Since(start) != takeWithin {
			t.Errorf("it waited %s", time.Since(start))
		}
		start = time.Now()
		for range 1000 {
			l.take(ctx, "n")
			l.later(parcel{})
		}
		if time.Since(start) != 0 || on.asked.Load() != 1 {
			t.Errorf("others waited %s; it was asked %d times", time.Since(start), on.asked.Load())
		}
		ended := make(chan struct{})
		go func() { defer close(ended); l.run(ctx) }()
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		if n := on.asked.Load(); n < 10 || n > 60 {
			t.Errorf("in a minute it was probed %d times", n-1)
		}
		cancel()
		<-ended
	})
}

func TestAShelfThatAnswersIsAskedAgain(t *testing.T) {
	e := inprocess.New()
	e.Cut()
	s := openOn(t, newFile(t), nil, e)
	if _, ok := s.wares.take(t.Context(), "n"); ok || s.wares.count.skipped.Load() != 1 {
		t.Error("it was asked before it had answered")
	}
	e.Mend()
	until(t, "it is asked", func() bool {
		s.wares.take(t.Context(), "n")
		return s.wares.count.missing.Load() > 0
	})
	e.Cut()
	s.wares.take(t.Context(), "n")
	if s.wares.count.unanswered.Load() == 0 || !s.wares.away.Load() {
		t.Error("that it went away was not noticed")
	}
}

// whole is an identity in which every field says something.
func whole() *accounts.Identity {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	return &accounts.Identity{
		KeyID: "key_a", KeyName: "a", Tags: map[string]string{"t": "v"}, Models: []string{"gpt-*"},
		Limits: []accounts.Limit{{}}, Disabled: true, ExpiresAt: at, RevokedAt: at.Add(time.Hour),
		UserID: "user_1", UserName: "dana", UserTags: map[string]string{"u": "w"}, UserDisabled: true, KeepStreams: true, Seq: 7,
	}
}

func TestAnIdentityComesBackFromTheShelfAsItWas(t *testing.T) {
	s := openOn(t, newFile(t), nil, inprocess.New())
	until(t, "the shelf is there", func() bool { return !s.wares.away.Load() })
	v := reflect.ValueOf(*whole())
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("whole has no %s", v.Type().Field(i).Name)
		}
	}
	hash, other := accounts.HashKey("a"), accounts.HashKey("b")
	for _, who := range []*accounts.Identity{whole(), {KeyID: "key_a"}} {
		s.wares.putKey(hash, finding{who: who, seq: 7, mark: mark{1}})
		var got finding
		until(t, "it stands there", func() (ok bool) {
			got, ok = s.wares.takeKey(t.Context(), hash)
			return ok && got.who.KeyName == who.KeyName
		})
		if !reflect.DeepEqual(got, finding{who: who, seq: 7, mark: mark{1}, shelved: true}) {
			t.Errorf("got %+v", got)
		}
	}
	// Carried over to another key, or another version of the program, it is nothing.
	lineage, _ := s.keys.dropped.stands()
	sealed, ok := s.wares.take(t.Context(), s.wares.keyName(lineage, &hash))
	if !ok {
		t.Fatal("it is gone")
	}
	if err := s.wares.shelf.Put(t.Context(), s.wares.keyName(lineage, &other), sealed, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.wares.takeKey(t.Context(), other); ok {
		t.Error("it was taken for another key")
	}
	s.wares.version = "2"
	if _, ok := s.wares.takeKey(t.Context(), hash); ok || s.wares.count.bad.Load() != 2 {
		t.Error("it was taken by another version")
	}
}

func TestAnUnknownKeyNeverStandsOnTheShelf(t *testing.T) {
	e := inprocess.New()
	s := openOn(t, newFile(t), nil, e)
	until(t, "the shelf is there", func() bool { return !s.wares.away.Load() })
	if err := putKey(s, keyOf("a")); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := s.Identify(t.Context(), accounts.HashKey(fmt.Sprint("unknown", i))); !errors.Is(err, accounts.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if _, err := s.Identify(t.Context(), accounts.HashKey("a")); err != nil {
		t.Fatal(err)
	}
	until(t, "what is known stands there", func() bool { return len(e.Names()) == 1 })
}

func TestWithoutTheDatabaseTheShelfAnswers(t *testing.T) {
	e, path := inprocess.New(), newFile(t)
	a := openOn(t, path, nil, e)
	until(t, "the shelf is there", func() bool { return !a.wares.away.Load() })
	for _, name := range []string{"a", "b"} {
		if err := putKey(a, keyOf(name)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Identify(t.Context(), accounts.HashKey(name)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "they stand there", func() bool { return len(e.Names()) == 2 })
	if err := putKey(a, keyOf("c")); err != nil { // names none of them
		t.Fatal(err)
	}
	b := openOn(t, path, nil, e) // recalls what was before it started
	until(t, "the shelf is there", func() bool { return !b.wares.away.Load() })
	b.keys.read = func(context.Context, accounts.KeyHash) (finding, error) { return finding{}, accounts.ErrUnavailable }
	if who, err := b.Identify(t.Context(), accounts.HashKey("a")); err != nil || who.KeyName != "a" {
		t.Errorf("%+v, %v", who, err)
	}
	// A hint of a change that this node cannot read.
	lineage, at := b.keys.dropped.stands()
	b.hear(Hint{Lineage: lineage, Seq: at + 2, ID: "chg_9", Subjects: []string{"key:key_b"}})
	if who, err := b.Identify(t.Context(), accounts.HashKey("b")); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("what a hint named came from the shelf: %+v, %v", who, err)
	}
}

func TestAConfigurationComesFromTheShelf(t *testing.T) {
	e, path := inprocess.New(), newFile(t)
	a := openOn(t, path, nil, e)
	until(t, "the shelf is there", func() bool { return !a.wares.away.Load() })
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sealed, err := a.options.Secret.Seal("somewhere", []byte("a credential"))
	if err != nil {
		t.Fatal(err)
	}
	enabled := accounts.Upstream{
		ID: "up_1", Name: "u", Provider: accounts.ProviderOpenAI, URL: "https://u.example/v1", Enabled: true, CreatedAt: at,
		Models: []string{"gpt-*"}, Timeouts: accounts.Timeouts{Idle: time.Minute},
		Credentials: []accounts.Credential{{ID: "cred_1", Name: "c", Sealed: sealed, Last4: "abcd", Weight: 1, Enabled: true, CreatedAt: at}},
	}
	yes := rules.File{Set: "default", Order: 100, Rules: []rules.Rule{{Name: "all", Action: rules.Action{Upstream: "u", Model: "m"}}}}
	if _, err := a.Change(t.Context(), accounts.Meta{Kind: "test"}, func(st *State) error {
		return errors.Join(st.PutUpstream(enabled), st.PutFile(yes), st.PutBinding(accounts.Binding{ID: "bind_1", Tag: "team", TagValue: "x", UpstreamID: "up_1", Weight: 1}))
	}); err != nil {
		t.Fatal(err)
	}
	until(t, "it stands there", func() bool { return len(e.Names()) == 1 })
	want, err := a.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	take := func(version string) (got rules.Config, taken, bad int64) {
		b := openOn(t, path, nil, e)
		b.wares.version = version
		until(t, "the shelf is there", func() bool { return !b.wares.away.Load() })
		b.OnConfig(func(_ context.Context, c rules.Config) error { got = c; return nil })
		if err := b.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		return got, b.wares.count.taken.Load(), b.wares.count.bad.Load()
	}
	if got, taken, _ := take("1"); taken != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("taken %d: got  %+v\nwant %+v", taken, got, want)
	}
	if got, taken, bad := take("2"); taken != 0 || bad != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("of another version: taken %d, bad %d: %+v", taken, bad, got)
	}
	name := e.Names()[0]
	if err := e.Put(t.Context(), name, []byte("somebody's"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, taken, bad := take("1"); taken != 0 || bad != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("somebody's: taken %d, bad %d: %+v", taken, bad, got)
	}
}

func TestAnotherStoreHasAnotherBell(t *testing.T) {
	e := inprocess.New()
	s := openOn(t, newFile(t), e, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Follow(ctx) }()
	defer func() { cancel(); <-ended }()
	until(t, "it hears", func() bool { connected, _ := s.BusConnected(); return connected })
	s.rung()
	s.startOver(Head{Lineage: "lineage_new", Hash: origin("lineage_new")})
	key := s.options.Secret
	until(t, "it hears the new one's", func() bool {
		m, err := sealHint(key, Hint{Lineage: "lineage_new", Seq: 9, Subjects: []string{"key:x"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Publish(t.Context(), bellOf("lineage_new"), m); err != nil {
			t.Fatal(err)
		}
		return s.crier.count.received.Load() > 0
	})
}

func FuzzOpenHint(f *testing.F) {
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes))
	if err != nil {
		f.Fatal(err)
	}
	good, err := sealHint(key, Hint{Lineage: "l", Seq: 1, Subjects: []string{"key:a"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		// The workers of a fuzzer seal the seed anew, each for itself.
		if h, err := openHint(key, "l", message); err == nil && (h.Seq != 1 || !slices.Equal(h.Subjects, []string{"key:a"})) {
			t.Errorf("a forged hint opens: %+v", h)
		}
	})
}
