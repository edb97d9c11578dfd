package tui

import (
	"context"
	"slices"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of the stream of events.
const (
	queuedEvents = 2048                   // between the goroutine that reads and the one that draws
	feedEvery    = 100 * time.Millisecond // as often as anything is drawn
	feedBacklog  = 2 * time.Minute        // what is shown of before the console was there
)

// feed reads one stream of events in a goroutine of its own. What comes faster
// than it is taken is counted and dropped, the oldest first.
type feed struct {
	generation int
	cancel     context.CancelFunc
	ready      chan struct{} // something waits

	mu      sync.Mutex
	waiting []api.Event
	dropped int64
	unsure  bool  // a change was among what was dropped
	err     error // it has ended
	ended   bool
}

// fed is what came since the last time.
type fed struct {
	from    *feed
	events  []api.Event
	dropped int64
	unsure  bool // a change was among them
	ended   bool
	err     error
}

// startFeed opens the stream. It ends with the console, or when another is opened.
func (d *desk) startFeed() *feed {
	ctx, cancel := context.WithCancel(d.ctx)
	f := &feed{generation: d.generation, cancel: cancel, ready: make(chan struct{}, 1)}
	client, query := d.gateway.Client, d.follow
	if len(query.Kinds) == 0 {
		query.Kinds = []string{"change", "exchange", "started"}
	}
	if query.After = d.link.after; query.After == "" && query.Since == 0 {
		query.Since = feedBacklog
	}
	go func() {
		err := client.Events(ctx, query, f.put)
		f.end(err)
	}()
	return f
}

func (f *feed) put(e api.Event) error {
	f.mu.Lock()
	if len(f.waiting) == queuedEvents {
		f.unsure = f.unsure || slices.ContainsFunc(f.waiting[:queuedEvents/4], func(e api.Event) bool { return e.Change != nil || e.Hello != nil })
		f.waiting = f.waiting[:copy(f.waiting, f.waiting[queuedEvents/4:])]
		f.dropped += queuedEvents / 4
	}
	f.waiting = append(f.waiting, e)
	f.mu.Unlock()
	f.wake()
	return nil
}

func (f *feed) end(err error) {
	f.mu.Lock()
	f.err, f.ended = err, true
	f.mu.Unlock()
	f.wake()
}

func (f *feed) wake() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// take waits for something to come, and then a moment, so that what comes together
// is drawn together.
func (f *feed) take(ctx context.Context) tea.Cmd {
	return func() tea.Msg {
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil
		}
		pause := time.NewTimer(feedEvery)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		m := fed{from: f, events: f.waiting, dropped: f.dropped, unsure: f.unsure, ended: f.ended, err: f.err}
		f.waiting, f.dropped, f.unsure = nil, 0, false
		return m
	}
}
