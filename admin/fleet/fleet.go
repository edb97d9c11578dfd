package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/window"
)

// Bounds of what goes over the bus.
const (
	longestMessage = 2 << 20     // bytes, sealed
	publishWithin  = time.Second // of one message
	secretWithin   = 5 * time.Second
	firstRetry     = 100 * time.Millisecond // where the bus or the secret is away
	longestRetry   = 5 * time.Second
	heardWell      = 10 * time.Second // after which the waits begin anew
)

// Bus carries messages among nodes. Any of them may be lost, come twice, or be
// somebody else's.
type Bus interface {
	// Publish hands a message to whoever listens to the channel now, this node
	// included.
	Publish(ctx context.Context, channel string, message []byte) error
	// Listen calls hear with every message of the channel, one after another, and
	// with nil when it has begun to listen. It ends with an error when it hears no
	// more, and when ctx ends.
	Listen(ctx context.Context, channel string, hear func(message []byte)) error
}

// Options are what a Fleet needs. Without a Bus it only says of which nodes
// nothing is known.
type Options struct {
	Bus Bus
	// Secret gives what all nodes of the installation, and nobody else, know: at
	// least 32 bytes. Another store has another one.
	Secret     func(ctx context.Context) ([]byte, error)
	Self, Name string // this node: the ID of its run, and what people call it
	Nodes      func(ctx context.Context) ([]accounts.Node, error)

	// Flights gives the exchanges under way here, in any order. Cut ends one, and
	// gives it as it was, or nil where it is not here.
	Flights func() []api.Flight
	Cut     func(requestID string, by Actor) *api.Flight
	// Traffic gives what is known here of a window; nil: nothing ever is.
	Traffic func(window.Query) window.Part

	Hear func(Heard)        // what a call of this node brought; must not block
	Tell func(*api.Partial) // what is missing has changed; nil: nothing is
	Log  zerolog.Logger
}

// Actor is whoever asks for something, for the log of the node that does it.
type Actor struct {
	Name string `json:"name"`
	From string `json:"from"`
}

// Heard is what another node tells of itself.
type Heard struct {
	Started []api.Flight
	Ended   []api.Exchange
	// What it has not told since it last did: exchanges that no filter takes, by
	// kind, and those that were too many or were lost on the way.
	FilteredStarted, FilteredEnded, Dropped int64
}

// Fleet is this node among the others. Its methods may be called by several
// goroutines at once, whether or not it runs.
type Fleet struct {
	options Options
	log     zerolog.Logger
	circle  atomic.Pointer[circle] // nil: the bus or the secret has not been there yet
	anew    chan struct{}          // one place: the secret is another one
	known   known
	count   counters

	forwarding
	watching
	asking
	sharing sharing
}

// New makes a Fleet that is silent until Run.
func New(o Options) *Fleet {
	return &Fleet{
		options: o, log: o.Log, anew: make(chan struct{}, 1),
		forwarding: newForwarding(), watching: newWatching(), asking: newAsking(),
	}
}

// Run works with the other nodes until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { f.watch(ctx) })
	if f.options.Bus != nil {
		parts.Go(func() { f.forward(ctx) })
		parts.Go(func() { f.publishBatches(ctx) })
		parts.Go(func() { f.answerAll(ctx) })
		parts.Go(func() { f.attend(ctx) })
	}
	parts.Wait()
	return nil
}

// Renew has the secret asked for again: the store is another one.
func (f *Fleet) Renew() {
	select {
	case f.anew <- struct{}{}:
	default: // it is about to
	}
}

// attend listens to calls, whatever becomes of the bus, the secret and the store.
func (f *Fleet) attend(ctx context.Context) {
	wait, told := firstRetry, ""
	for ctx.Err() == nil {
		begun := time.Now()
		err := f.attendOnce(ctx)
		if err == nil || ctx.Err() != nil { // the secret is to be asked for again, or this is the end
			continue
		}
		if text := err.Error(); text != told {
			told = text
			f.log.Warn().Err(err).Msg("other nodes cannot show what passes here, nor this one what passes there")
		}
		if time.Since(begun) >= heardWell {
			wait = firstRetry
		}
		pause(ctx, nil, wait)
		wait = min(2*wait, longestRetry)
	}
}

// attendOnce listens to calls until the bus fails, the secret is to be asked for
// again (nil), or ctx ends.
func (f *Fleet) attendOnce(ctx context.Context) error {
	c, err := f.join(ctx)
	if err != nil {
		return err
	}
	session, end := context.WithCancel(ctx)
	defer end()
	var renewed atomic.Bool
	var beside sync.WaitGroup
	defer beside.Wait()
	defer end()
	beside.Go(func() {
		select {
		case <-f.anew:
			renewed.Store(true)
			end()
		case <-session.Done():
		}
	})
	err = f.options.Bus.Listen(session, c.calls(), func(sealed []byte) {
		if sealed == nil {
			f.circle.Store(c)
			f.poke() // who waits to call can
			return
		}
		f.hearCall(c, sealed)
	})
	if renewed.Load() {
		return nil
	}
	return err
}

// join gives the circle of those who know the secret. It is the same one until the
// secret is another: what goes on in it survives a bus that was away.
func (f *Fleet) join(ctx context.Context) (*circle, error) {
	ctx, cancel := context.WithTimeout(ctx, secretWithin)
	defer cancel()
	secret, err := f.options.Secret(ctx)
	if err != nil {
		return nil, err
	}
	c, err := newCircle(secret)
	if was := f.circle.Load(); err == nil && was != nil && was.space == c.space {
		return was, nil
	}
	return c, err
}

// hearCall takes a call, and refuses what is not of this installation. It never
// waits: a lease is called for again, and whoever asks is told who said nothing.
func (f *Fleet) hearCall(c *circle, sealed []byte) {
	var m call
	if err := c.open(c.calls(), sealed, &m); err != nil {
		f.count.bad.Add(1)
		return
	}
	if m.From.ID == f.options.Self {
		return
	}
	f.count.received.Add(1)
	taken := true
	switch {
	case m.Watch != nil:
		select {
		case f.leases <- leaseCall{circle: c, wanted: *m.Watch}:
		default:
			taken = false
		}
	case m.Question != nil:
		select {
		case f.questions <- asked{circle: c, question: *m.Question}:
		default:
			taken = false
		}
	}
	if !taken {
		f.count.refused.Add(1)
	}
}

// publish seals a message and sends it.
func (f *Fleet) publish(ctx context.Context, c *circle, channel string, message any) error {
	sealed, err := c.seal(channel, message)
	if err == nil && len(sealed) > longestMessage {
		err = errTooLong
	}
	if err == nil {
		within, cancel := context.WithTimeout(ctx, publishWithin)
		defer cancel()
		err = f.options.Bus.Publish(within, channel, sealed)
	}
	if err != nil {
		f.count.failed.Add(1)
		return err
	}
	f.count.published.Add(1)
	return nil
}

var errTooLong = errors.New("the message is too long")

// pause waits, or until woken or ctx ends.
func pause(ctx context.Context, woken <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-woken:
	case <-ctx.Done():
	}
}
