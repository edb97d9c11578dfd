package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// openAtOnce is how many requests at a rate are under way at the most. Who has to
// wait for a place is late by that, and is measured from when it was due.
const openAtOnce = 512

// atRate does something so often a second, for a time or until ctx ends, however
// long each takes, and returns when all is done. due is when it should have begun.
func atRate(ctx context.Context, rate int, d time.Duration, do func(n int, due time.Time)) {
	places := make(chan struct{}, openAtOnce)
	var all sync.WaitGroup
	begun := time.Now()
	for n := 0; ; n++ {
		after := time.Duration(n) * time.Second / time.Duration(rate)
		due := begun.Add(after)
		if after >= d || wait(ctx, time.Until(due)) != nil {
			break
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			do(n, due)
		})
	}
	all.Wait()
}

// lane is connections to one address, as many as are needed. That which was idle
// for the longest is taken first, so that each is used now and then.
type lane struct {
	addr string

	mu   sync.Mutex
	idle []*wire
}

// answer is what became of one request.
type answer struct {
	verdict
	status int // 0: none came
	at     time.Time
	err    error
}

// denied says that the gateway knows the caller's key not, or no longer.
func (a *answer) denied() bool { return a.status == 401 || a.status == 403 }

// ask sends a request and compares what comes with want.
func (l *lane) ask(ctx context.Context, request, want []byte) answer {
	w, err := l.take(ctx)
	if err != nil {
		return answer{verdict: failed, at: time.Now(), err: err}
	}
	v, last, err := w.ask(request, &checker{want: want})
	a := answer{verdict: v, at: time.Now(), err: err}
	if last || v != whole {
		w.close()
	} else {
		l.give(w)
	}
	var other *statusError
	switch {
	case errors.As(err, &other):
		a.status = other.status
	case v == whole:
		a.status = 200
	}
	return a
}

func (l *lane) take(ctx context.Context) (*wire, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.idle) > 0 {
		w := l.idle[0]
		l.idle = l.idle[1:]
		return w, nil
	}
	l.mu.Unlock()
	defer l.mu.Lock()
	return dial(ctx, l.addr)
}

func (l *lane) give(w *wire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, w)
}

// close leaves the connections that are idle, which are all when nobody asks.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.idle {
		w.close()
	}
	l.idle = nil
}

// gathered is what became of many requests.
type gathered struct {
	mu sync.Mutex
	round
}

func (g *gathered) note(a answer, due time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.round.note(a.verdict, a.at.Sub(due), a.err)
}

// callers ask the nodes of a fleet for replies, at a rate, in turn, each with the
// next key.
type callers struct {
	lanes []*lane
	asks  [][]byte // by key
}

func (f *fleet) callers(keys ...string) *callers {
	c := &callers{lanes: f.lanes()}
	for _, key := range keys {
		c.asks = append(c.asks, chatRequest("llmgw", key, false))
	}
	return c
}

func (c *callers) close() {
	for _, l := range c.lanes {
		l.close()
	}
}

// call asks for a time: all nodes with one key, then all with the next.
func (c *callers) call(ctx context.Context, rate int, d time.Duration) *round {
	var g gathered
	want := chatReply()
	atRate(ctx, rate, d, func(n int, due time.Time) {
		g.note(c.lanes[n%len(c.lanes)].ask(ctx, c.asks[n/len(c.lanes)%len(c.asks)], want), due)
	})
	return &g.round
}

// warm has every node answer every key once.
func (c *callers) warm(ctx context.Context) error {
	want := chatReply()
	for _, l := range c.lanes {
		for _, request := range c.asks {
			if a := l.ask(ctx, request, want); a.verdict != whole {
				return errors.Join(errors.New("a key is not answered"), a.err)
			}
		}
	}
	return nil
}
