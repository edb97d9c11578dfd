package fleet

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store/storetest/inprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is the bus of all members: it counts what each publishes, and may meddle.
type wire struct {
	*inprocess.Exchange
	meddler atomic.Pointer[meddler] // nil: nobody does
}

// meddler stands between who publishes and the bus.
type meddler func(channel string, message []byte, send func([]byte))

func (w *wire) meddle(how meddler) { w.meddler.Store(&how) }

func loses(string, []byte, func([]byte)) {}

// plug is the wire as one member has it.
type plug struct {
	*wire
	published atomic.Int64
	batches   atomic.Int64
}

func (p *plug) Publish(ctx context.Context, channel string, message []byte) error {
	p.published.Add(1)
	if strings.Contains(channel, ":watch:") {
		p.batches.Add(1)
	}
	how := p.meddler.Load()
	if how == nil {
		return p.Exchange.Publish(ctx, channel, message)
	}
	var err error
	(*how)(channel, message, func(m []byte) { err = p.Exchange.Publish(ctx, channel, m) })
	return err
}

// member is one node.
type member struct {
	*Fleet
	bus *plug

	mu      sync.Mutex
	heard   Heard
	told    []*api.Partial
	flights []api.Flight
	cutBy   []Actor

	stop context.CancelFunc
	done chan struct{}
}

// crew are the nodes of an installation.
type crew struct {
	t       testing.TB
	wire    *wire
	members []*member
	mu      sync.Mutex
	secret  []byte
	nodes   []accounts.Node
	away    error // the store cannot be asked
}

// assemble begins members named a, b, c …
func assemble(t testing.TB, n int) *crew {
	t.Helper()
	c := &crew{t: t, wire: &wire{Exchange: inprocess.New()}, secret: bytes.Repeat([]byte{9}, 32)}
	for i := range n {
		c.add(string(rune('a' + i)))
	}
	return c
}

func (c *crew) add(name string) *member {
	m := &member{bus: &plug{wire: c.wire}, done: make(chan struct{})}
	id := fmt.Sprintf("node_%d", len(c.members))
	c.mu.Lock()
	c.nodes = append(c.nodes, accounts.Node{ID: id, Name: name})
	c.mu.Unlock()
	m.Fleet = New(Options{
		Bus: m.bus, Self: id, Name: name, Log: zerolog.Nop(),
		Secret: func(context.Context) ([]byte, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return slices.Clone(c.secret), nil
		},
		Nodes: func(context.Context) ([]accounts.Node, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			nodes := slices.Clone(c.nodes)
			for i := range nodes {
				nodes[i].Self = nodes[i].ID == id
			}
			return nodes, c.away
		},
		Flights: func() []api.Flight {
			m.mu.Lock()
			defer m.mu.Unlock()
			return slices.Clone(m.flights)
		},
		Cut: m.cut, Hear: m.hear, Tell: func(p *api.Partial) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.told = append(m.told, p)
		},
	})
	c.members = append(c.members, m)
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() { defer close(m.done); _ = m.Run(ctx) }()
	c.t.Cleanup(m.end)
	c.until(name+" listens", func() bool { return m.circle.Load() != nil })
	return m
}

func (m *member) end() { m.stop(); <-m.done }

func (m *member) cut(id string, by Actor) *api.Flight {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.IndexFunc(m.flights, func(f api.Flight) bool { return f.RequestID == id })
	if at < 0 {
		return nil
	}
	gone := m.flights[at]
	m.flights, m.cutBy = slices.Delete(m.flights, at, at+1), append(m.cutBy, by)
	return &gone
}

func (m *member) hear(h Heard) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard.Started = append(m.heard.Started, h.Started...)
	m.heard.Ended = append(m.heard.Ended, h.Ended...)
	m.heard.FilteredStarted += h.FilteredStarted
	m.heard.FilteredEnded += h.FilteredEnded
	m.heard.Dropped += h.Dropped
}

func (m *member) knows() Heard {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard
}

func (m *member) tellings() []*api.Partial {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.told)
}

// until waits for a state. In a bubble the time is the bubble's.
func (c *crew) until(what string, reached func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !reached() {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain for: %s", what)
		}
		<-tick.C
	}
}

// watches has a member look, and waits until the others know.
func (c *crew) watches(m *member, filters ...Filter) {
	c.t.Helper()
	m.Watch(filters)
	for _, other := range c.members {
		if other != m {
			c.until("a lease at "+other.options.Name, other.Watched)
		}
	}
}

func exchange(id, model string) *api.Exchange {
	return &api.Exchange{RequestID: id, Model: model, Status: 200, Key: "ci-bot", Node: "whatever it says"}
}

func all() Filter { return Filter{Ended: true} }
