package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

// RunBus holds a bus to its contract. Each call of empty gives what makes
// connections to one bus that nobody else is on.
func RunBus(t *testing.T, empty func(t *testing.T) (connect func() store.Bus)) {
	for name, test := range map[string]func(*testing.T, func() store.Bus){
		"everybody who listens hears everything in order": testEverybodyHears,
		"a channel has its own messages":                  testChannels,
		"nobody listens": func(t *testing.T, connect func() store.Bus) {
			noted(t, connect().Publish(t.Context(), "c", []byte("m")))
		},
		"any bytes go":             testAnyBytes,
		"listening ends with ctx":  testListeningEnds,
		"publishing ends with ctx": testPublishingEnds,
	} {
		t.Run(name, func(t *testing.T) { test(t, empty(t)) })
	}
}

// hearing is what somebody has heard of a channel.
type hearing struct {
	mu       sync.Mutex
	begun    int
	messages []string
}

func hear(t *testing.T, bus store.Bus, channel string) *hearing {
	t.Helper()
	h := &hearing{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = bus.Listen(ctx, channel, h.note) // it was cancelled
	}()
	t.Cleanup(func() { cancel(); <-ended })
	eventually(t, "it listens", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.begun > 0 })
	return h
}

func (h *hearing) note(message []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if message == nil {
		h.begun++
		return
	}
	h.messages = append(h.messages, string(message))
}

func (h *hearing) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.messages)
}

func testEverybodyHears(t *testing.T, connect func() store.Bus) {
	sender := connect()
	listeners := []*hearing{hear(t, connect(), "c"), hear(t, connect(), "c"), hear(t, sender, "c")}
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
		noted(t, sender.Publish(t.Context(), "c", []byte(want[i])))
	}
	for _, l := range listeners {
		eventually(t, "all is heard", func() bool { return len(l.all()) == len(want) })
		if got := l.all(); !slices.Equal(got, want) {
			t.Errorf("heard %v", got)
		}
	}
}

func testChannels(t *testing.T, connect func() store.Bus) {
	bus := connect()
	a, b := hear(t, bus, "a"), hear(t, bus, "b")
	noted(t, bus.Publish(t.Context(), "a", []byte("for a")))
	noted(t, bus.Publish(t.Context(), "b", []byte("for b")))
	eventually(t, "both are heard", func() bool { return len(a.all()) > 0 && len(b.all()) > 0 })
	if got := append(a.all(), b.all()...); !slices.Equal(got, []string{"for a", "for b"}) {
		t.Errorf("heard %v", got)
	}
}

func testAnyBytes(t *testing.T, connect func() store.Bus) {
	bus := connect()
	h := hear(t, bus, "c")
	want := []string{"\x00\r\n\xff", string(bytes.Repeat([]byte{0xfe}, 64<<10))}
	for _, m := range want {
		noted(t, bus.Publish(t.Context(), "c", []byte(m)))
	}
	eventually(t, "all is heard", func() bool { return len(h.all()) == len(want) })
	if !slices.Equal(h.all(), want) {
		t.Error("they are not what was sent")
	}
}

func testListeningEnds(t *testing.T, connect func() store.Bus) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	begun := make(chan struct{})
	bus := connect()
	go func() { ended <- bus.Listen(ctx, "c", func([]byte) { close(begun) }) }()
	<-begun
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it says nothing of its end")
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

func testPublishingEnds(t *testing.T, connect func() store.Bus) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := connect().Publish(ctx, "c", []byte("m")); err == nil {
		t.Error("it was published after the end")
	}
}

// RunShelf holds a shelf to its contract. Each call of empty gives what makes
// connections to one shelf on which nothing stands.
func RunShelf(t *testing.T, empty func(t *testing.T) (connect func() store.Shelf)) {
	take := func(t *testing.T, s store.Shelf, name string) []byte {
		t.Helper()
		what, err := s.Take(t.Context(), name)
		noted(t, err)
		return what
	}
	t.Run("what one puts, another takes, as often as he likes", func(t *testing.T) {
		connect := empty(t)
		a, b := connect(), connect()
		want := []byte("\x00\r\n\xff")
		noted(t, a.Put(t.Context(), "n", want, time.Minute))
		for range 2 {
			if got := take(t, b, "n"); !bytes.Equal(got, want) {
				t.Errorf("got %q", got)
			}
		}
	})
	t.Run("nothing stands under a name that nobody put", func(t *testing.T) {
		if got := take(t, empty(t)(), "n"); got != nil {
			t.Errorf("got %q", got)
		}
	})
	t.Run("the last one to put wins", func(t *testing.T) {
		s := empty(t)()
		noted(t, s.Put(t.Context(), "n", []byte("1, and longer"), time.Minute))
		noted(t, s.Put(t.Context(), "n", []byte("2"), time.Minute))
		if got := take(t, s, "n"); string(got) != "2" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("it is gone when its time is over", func(t *testing.T) {
		s := empty(t)()
		noted(t, s.Put(t.Context(), "n", []byte("x"), 20*time.Millisecond))
		eventually(t, "it is gone", func() bool { return take(t, s, "n") == nil })
	})
	t.Run("large things stand there, too", func(t *testing.T) {
		s, want := empty(t)(), bytes.Repeat([]byte("x"), 4<<20)
		noted(t, s.Put(t.Context(), "n", want, time.Minute))
		if got := take(t, s, "n"); !bytes.Equal(got, want) {
			t.Errorf("got %d bytes", len(got))
		}
	})
	t.Run("who has left waits for nothing", func(t *testing.T) {
		s := empty(t)()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Take(ctx, "n"); err == nil {
			t.Error("taken after the end")
		}
		if err := s.Put(ctx, "n", []byte("x"), time.Minute); err == nil {
			t.Error("put after the end")
		}
	})
}

// RunOthers holds a database together with a bus and a shelf to what nodes
// promise each other. Stores that with opens poll so seldom that they hear of
// changes by the bus, or not within a test.
func RunOthers(t *testing.T, with func(t *testing.T) (open func(t *testing.T) *store.Store)) {
	pair := func(t *testing.T) (*store.Store, *store.Store, *node) {
		t.Helper()
		a, b := two(t, Database(with))
		n := asNode(t, b)
		n.follow(t)
		eventually(t, "the other node hears", func() bool { connected, _ := b.BusConnected(); return connected })
		return a, b, n
	}
	t.Run("a change reaches the other node by the bus", func(t *testing.T) {
		a, _, other := pair(t)
		c := must(t, a, putConfig(upstream("u"), file("default", 100, "u", "all")))
		eventually(t, "the other node has it", func() bool { return other.now.Load().Revision == c.Revision })
		if text(t, *other.now.Load()) != text(t, load(t, a)) {
			t.Errorf("it has %s", text(t, *other.now.Load()))
		}
	})
	t.Run("a key that is revoked on one node ends on the other, wherever it was cached", func(t *testing.T) {
		a, b, _ := pair(t)
		k := key("a", "s1")
		must(t, a, putKey(k))
		for range 20 {
			for _, s := range []*store.Store{a, b} {
				eventually(t, "both nodes know the key", func() bool {
					who, err := s.Identify(t.Context(), k.Secrets[0].Hash)
					return err == nil && who.State(time.Now()) == accounts.KeyActive
				})
			}
			revoked := k
			revoked.RevokedAt = time.Now()
			must(t, a, putKey(revoked))
			eventually(t, "it is revoked on the other node", func() bool {
				who, err := b.Identify(t.Context(), k.Secrets[0].Hash)
				return err == nil && who.State(time.Now()) == accounts.KeyRevoked
			})
			for range 50 {
				if who, err := b.Identify(t.Context(), k.Secrets[0].Hash); err == nil && who.State(time.Now()) == accounts.KeyActive {
					t.Fatal("it came back")
				}
			}
			must(t, a, putKey(k))
		}
	})
	t.Run("both nodes change at once and end up with the same", func(t *testing.T) {
		a, b, _ := pair(t)
		asNode(t, a).follow(t)
		var work sync.WaitGroup
		for n, s := range []*store.Store{a, b} {
			work.Go(func() {
				for i := range 20 {
					name := fmt.Sprintf("k%d-%d", n, i)
					if _, err := s.Change(t.Context(), meta(), putKey(key(name, name))); err != nil {
						t.Errorf("changing: %v", err)
					}
				}
			})
		}
		work.Wait()
		eventually(t, "both are at the end", func() bool {
			x, _ := a.Applied()
			y, _ := b.Applied()
			return x == 40 && y == 40
		})
	})
}
