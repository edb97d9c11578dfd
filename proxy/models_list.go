package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// How long what an upstream said holds, and how many are asked at a time.
const (
	listFresh       = 10 * time.Minute
	failedListFresh = 30 * time.Second
	listsAtOnce     = 8
)

// modelLists asks upstreams for their models, beside all exchanges. It owns the
// goroutines that do, and ends them.
type modelLists struct {
	p        *Proxy
	patience time.Duration // of one caller
	fresh    time.Duration // a list is believed for so long
	failed   time.Duration // and where there was none, nobody is asked for so long
	changes  atomic.Int64  // how many lists were taken up

	ctx    context.Context // of those who ask; ends with close
	cancel context.CancelFunc
	room   chan struct{} // one for each who may ask at the same time
	mu     sync.Mutex
	closed bool
	asking sync.WaitGroup
}

func newModelLists(p *Proxy) *modelLists {
	l := &modelLists{p: p, patience: listPatience, fresh: listFresh, failed: failedListFresh, room: make(chan struct{}, listsAtOnce)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// close ends whoever asks and waits for them.
func (l *modelLists) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.asking.Wait()
}

// modelList is what one upstream said of its models. It outlives reloads.
type modelList struct {
	mu     sync.Mutex
	models []model
	until  time.Time     // nobody asks again before
	coming chan struct{} // closed when who asks is done; nil while nobody does
}

func (m *modelList) known() []model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.models
}

// refresh has an upstream asked where what is known of it has grown old, once
// for all callers. It gives what to wait on; nil where there is nothing to wait
// for.
func (l *modelLists) refresh(t *target) <-chan struct{} {
	m := t.list
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.coming != nil || time.Now().Before(m.until) || !l.mayAsk() {
		return m.coming
	}
	m.coming = make(chan struct{})
	go func() {
		defer l.asking.Done()
		l.renew(t)
	}()
	return m.coming
}

// mayAsk counts one who asks, unless the proxy is closed.
func (l *modelLists) mayAsk() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.asking.Add(1)
	}
	return !l.closed
}

// renew asks for the list. Where that fails, what was known stays.
func (l *modelLists) renew(t *target) {
	models, err := l.inTurn(t)
	m := t.list
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.coming)
	m.coming, m.until = nil, time.Now().Add(l.failed)
	if err != nil {
		l.tell(t, err)
		return
	}
	m.models, m.until = models, time.Now().Add(l.fresh)
	l.changes.Add(1)
}

// inTurn waits for room and asks.
func (l *modelLists) inTurn(t *target) (models []model, err error) {
	select {
	case l.room <- struct{}{}:
		defer func() { <-l.room }()
	case <-l.ctx.Done():
		return nil, l.ctx.Err()
	}
	defer func() {
		if v := recover(); v != nil {
			l.p.logPanic("", v)
			err = errUnreadableList
		}
	}()
	return fetchModels(l.ctx, t)
}

// tell says to whoever runs the gateway that a list is missing. Nothing that the
// upstream sent is repeated.
func (l *modelLists) tell(t *target, err error) {
	if l.ctx.Err() == nil {
		l.p.options.Log.Warn().Str("code", codeNoModelList).Str("upstream", t.name).Str("cause", whyNoList(err)).Msg("error")
	}
}

// listFor gives the list of an upstream: the one it had, where it is still the
// same upstream. The caller holds mu.
func (r *reloads) listFor(u *accounts.Upstream) *modelList {
	key := u.ID + " " + u.URL + " " + string(u.Provider) + " " + string(u.Auth)
	if r.nextLists[key] = r.lists[key]; r.nextLists[key] == nil {
		r.nextLists[key] = &modelList{}
	}
	return r.nextLists[key]
}
