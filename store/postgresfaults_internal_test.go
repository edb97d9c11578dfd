package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store/storetest/faults"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// behind puts a proxy in front of a database, and gives the URL that leads
// through it.
func behind(t *testing.T, at string) (*faults.Proxy, string) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := faults.Listen("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	u.Host = proxy.Address()
	return proxy, u.String()
}

// openAt opens a store that polls once an hour: whatever it hears sooner it was
// told.
func openAt(t *testing.T, at string) *Store {
	t.Helper()
	p, err := ParsePostgres(at, accounts.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := accounts.NewSecretKey(make([]byte, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Postgres: p, Secret: key, Log: zerolog.Nop(), PollEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func set(t *testing.T, p *faults.Proxy, w faults.Way) {
	t.Helper()
	if err := p.Set(w); err != nil {
		t.Fatal(err)
	}
}

// within fails the test where f takes longer.
func within(t *testing.T, bound time.Duration, doing string, f func() error) error {
	t.Helper()
	begun := time.Now()
	err := f()
	if took := time.Since(begun); took > bound {
		t.Errorf("%s took %s, and may take %s (%v)", doing, took, bound, err)
	}
	return err
}

// slack is what a loaded machine adds to a bound.
const slack = 2 * time.Second

func TestAServerThatGoesSilentHoldsNobodyUpLongerThanItsDeadline(t *testing.T) {
	proxy, at := behind(t, servers.Database(t))
	s := openAt(t, at)
	if err := putKey(s, keyOf("a")); err != nil {
		t.Fatal(err)
	}
	set(t, proxy, faults.Blackhole())

	for doing, do := range map[string]func() error{
		"finding a key": func() error {
			_, err := s.Identify(t.Context(), accounts.HashKey("b"))
			return err
		},
		"looking at the log": func() error { return s.Advance(t.Context()) },
		"a reading with a deadline": func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := s.Keys(ctx)
			return err
		},
	} {
		if err := within(t, lookWithin+slack, doing, do); !errors.Is(err, accounts.ErrUnavailable) {
			t.Errorf("%s: %v", doing, err)
		}
	}
	t.Run("nor after it is back: connections that lead nowhere are thrown away", func(t *testing.T) {
		proxy.Forget()
		set(t, proxy, faults.Way{})
		err := within(t, 15*time.Second, "coming back", func() error { return putKey(s, keyOf("b")) })
		if err != nil {
			t.Fatal(err)
		}
		if who, err := s.Identify(t.Context(), accounts.HashKey("b")); err != nil || who.KeyName != "b" {
			t.Errorf("%v, %v", who, err)
		}
	})
}

func TestOfSeveralServersOneThatIsSilentIsPassedOver(t *testing.T) {
	direct := servers.Database(t)
	proxy, through := behind(t, direct)
	set(t, proxy, faults.Blackhole())
	first, err := url.Parse(through)
	if err != nil {
		t.Fatal(err)
	}
	second, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	both := *second
	both.Host = first.Hostname() + "," + second.Hostname()
	both.RawQuery += "&port=" + first.Port() + "," + second.Port()
	s := openAt(t, both.String())
	if err := putKey(s, keyOf("a")); err != nil {
		t.Error(err)
	}
	if err := s.Advance(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAChangeOnASilentServerEndsAtItsDeadline(t *testing.T) {
	proxy, at := behind(t, servers.Database(t))
	s := openAt(t, at)
	set(t, proxy, faults.Blackhole())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := within(t, time.Second+slack, "a change", func() error {
		_, err := s.Change(ctx, accounts.Meta{Kind: "key.put"}, func(st *State) error { return st.PutKey(keyOf("a")) })
		return err
	})
	if !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
}

// What becomes of a COMMIT on an ill line is found out, never guessed: a change
// that is said to be made is in the log once, one that is said not to be made
// stays out of it, and made again under its id it is there once in any case.
func TestACommitOnAnIllLineIsMadeOnceOrNot(t *testing.T) {
	direct := servers.Database(t)
	proxy, at := behind(t, direct)
	watching := openAt(t, direct)
	s := openAt(t, at)
	ills := map[string]func(committer) error{
		"cut before it arrives": func(tx committer) error {
			proxy.Cut()
			return tx.Commit()
		},
		"its answer is cut": func(tx committer) error {
			before := mustHead(t, watching).Seq
			set(t, proxy, faults.Way{Down: faults.Direction{Hold: true}})
			go func() {
				waitFor(t, "the commit", func() bool { return mustHead(t, watching).Seq > before })
				proxy.Cut()
				_ = proxy.Set(faults.Way{})
			}()
			return tx.Commit()
		},
		"it arrives when its sender has given up": func(tx committer) error {
			set(t, proxy, faults.Way{Up: faults.Direction{Hold: true}})
			err := tx.Commit()
			go func() {
				<-time.After(time.Duration(rand.N(200)) * time.Millisecond)
				_ = proxy.Set(faults.Way{})
			}()
			return err
		},
		"nothing is wrong": func(tx committer) error { return tx.Commit() },
	}
	made := int64(0)
	for round := range 4 {
		for name, ill := range ills {
			id := fmt.Sprintf("chg_%d_%d", round, len(name))
			change := func() (accounts.Change, error) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				return s.Change(ctx, accounts.Meta{ID: id, Kind: "key.put"}, func(st *State) error { return st.PutKey(keyOf(id)) })
			}
			s.commit = ill
			c, err := change()
			s.commit = committer.Commit
			there := mustHead(t, watching).Seq > made
			switch {
			case err == nil && (!there || c.Seq != made+1):
				t.Errorf("%s: said to be made as %d, and the log is at %d", name, c.Seq, mustHead(t, watching).Seq)
			case err != nil && there:
				t.Errorf("%s: said not to be made, and it was: %v", name, err)
			}
			waitFor(t, "the change made again", func() bool { c, err = change(); return err == nil })
			made++
			if h := mustHead(t, watching); c.Seq != made || h.Seq != made {
				t.Fatalf("%s: change %d, the log is at %d, want %d", name, c.Seq, h.Seq, made)
			}
		}
	}
	wholeLog(t, watching)
}

func mustHead(t *testing.T, s *Store) Head {
	t.Helper()
	h, err := s.Head(context.Background())
	if err != nil {
		t.Error(err)
	}
	return h
}

// wholeLog follows the log from its origin to its head.
func wholeLog(t *testing.T, s *Store) {
	t.Helper()
	if err := verifyLog(t.Context(), session{on: s.pools.Load().reader}); err != nil {
		t.Error(err)
	}
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	for !condition() {
		select {
		case <-end:
			t.Errorf("waited in vain for %s", what)
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func follow(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestTheBellIsHeardAndHeardAgainAfterEveryIllness(t *testing.T) {
	direct := servers.Database(t)
	proxy, at := behind(t, direct)
	writer, hearer := openAt(t, direct), openAt(t, at)
	follow(t, hearer)
	heard := func(what string, bound time.Duration) {
		t.Helper()
		begun, n := time.Now(), 0
		_ = within(t, bound, what, func() error {
			waitFor(t, what, func() bool {
				if time.Since(begun) >= time.Duration(n)*500*time.Millisecond { // one ring may find nobody
					n++
					if err := putKey(writer, keyOf(fmt.Sprintf("%s %d", what, n))); err != nil {
						t.Error(err)
					}
				}
				seq, _ := hearer.Applied()
				return seq == mustHead(t, writer).Seq
			})
			return nil
		})
	}
	heard("the first change", 10*time.Second)
	heard("the next", slack)
	proxy.Cut()
	heard("after a cut", 10*time.Second)
	set(t, proxy, faults.Blackhole())
	proxy.Forget()
	set(t, proxy, faults.Way{})
	heard("after a line that went dead without a word", 15*time.Second)
	heard("and then", slack)
}

func TestANoticeWithMoreSubjectsThanFitNamesNone(t *testing.T) {
	at := servers.Database(t)
	writer, hearer := openAt(t, at), openAt(t, at)
	follow(t, hearer)
	_, err := writer.Change(t.Context(), accounts.Meta{Kind: "key.put"}, func(st *State) error {
		for i := range 500 {
			if err := st.PutKey(keyOf(fmt.Sprintf("a-key-with-a-long-name-%03d", i))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the change", func() bool { seq, _ := hearer.Applied(); return seq == 1 })
}

func TestAForgedNoticeOnlyMakesANodeLook(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Hint
	}{
		"one of ours":   {`{"lineage":"l","seq":3,"subjects":["key:1"]}`, Hint{Lineage: "l", Seq: 3, Subjects: []string{"key:1"}}},
		"nothing":       {``, Hint{}},
		"not JSON":      {`{"seq":`, Hint{}},
		"another shape": {`{"seq":"3"}`, Hint{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hintOf(c.text); got.Lineage != c.want.Lineage || got.Seq != c.want.Seq || len(got.Subjects) != len(c.want.Subjects) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
