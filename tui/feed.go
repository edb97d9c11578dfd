package tui

import (
	"context"
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
		f.shed()
	}
	f.waiting = append(f.waiting, e)
	f.mu.Unlock()
	f.wake()
	return nil
}

// shed drops the oldest. That the stream has begun, and which nodes are missing, is
// not told again: so those stay. It is called with mu held.
func (f *feed) shed() {
	oldest := f.waiting[:queuedEvents/4]
	kept := make([]api.Event, 0, queuedEvents)
	partial := -1
	for i := range oldest {
		switch {
		case oldest[i].Hello != nil:
			kept = append(kept, oldest[i])
		case oldest[i].Partial != nil:
			partial = i
		case oldest[i].Change != nil:
			f.unsure = true
		}
	}
	if partial >= 0 {
		kept = append(kept, oldest[partial])
	}
	f.dropped += int64(len(oldest) - len(kept))
	f.waiting = append(kept, f.waiting[len(oldest):]...)
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
