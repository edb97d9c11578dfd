package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// load asks one participant the same thing over a number of connections, and
// compares every answer with what the upstream sends. The connections stay open
// from round to round.
type load struct {
	to      *participant
	request []byte
	want    []byte // the body of an answer
	wires   []*wire
}

func newLoad(to *participant, conns int, request, want []byte) *load {
	return &load{to: to, request: request, want: want, wires: make([]*wire, conns)}
}

func (l *load) close() {
	for _, w := range l.wires {
		if w != nil {
			w.close()
		}
	}
}

// round is what a load found in one go.
type round struct {
	tally
	delays  []time.Duration // of whole answers, from the first byte out to the last byte in
	took    time.Duration
	cpu     time.Duration // of the participant's process
	example error         // of a broken answer
}

// roundFor asks for d, as fast as answers come.
func (l *load) roundFor(ctx context.Context, d time.Duration) (round, error) {
	return l.measured(ctx, func() func() bool {
		end := time.Now().Add(d)
		return func() bool { return time.Now().Before(end) }
	})
}

// roundAt asks as often in d as rate, a second, says. Where answers are late it
// takes longer than d, with as many requests.
func (l *load) roundAt(ctx context.Context, d time.Duration, rate int) (round, error) {
	return l.measured(ctx, func() func() bool {
		var begun atomic.Int64
		start, all := time.Now(), int64(d.Seconds()*float64(rate))
		return func() bool {
			n := begun.Add(1) - 1
			if n >= all {
				return false
			}
			return wait(ctx, time.Until(start.Add(time.Duration(n)*time.Second/time.Duration(rate)))) == nil
		}
	})
}

// measured asks while what begin gives says so. Every connection is used once
// before the CPU time counts.
func (l *load) measured(ctx context.Context, begin func() func() bool) (round, error) {
	warm := l.roundOf(ctx, len(l.wires))
	before, err := l.cpu()
	if err != nil {
		return warm, err
	}
	r := l.ask(ctx, begin())
	after, err := l.cpu()
	r.cpu = after - before
	if warm.example != nil {
		r.example = warm.example
	}
	return r, err
}

// roundOf asks n times.
func (l *load) roundOf(ctx context.Context, n int) round {
	var begun atomic.Int64
	return l.ask(ctx, func() bool { return begun.Add(1) <= int64(n) })
}

func (l *load) cpu() (time.Duration, error) {
	if l.to.pid == 0 {
		return 0, nil
	}
	return cpuTime(l.to.pid)
}

// ask asks over all connections at once while more says so.
func (l *load) ask(ctx context.Context, more func() bool) round {
	parts := make([]round, len(l.wires))
	begun := time.Now()
	var all sync.WaitGroup
	for i := range l.wires {
		all.Go(func() {
			for ctx.Err() == nil && more() {
				parts[i].note(l.askOver(ctx, &l.wires[i]))
			}
		})
	}
	all.Wait()
	sum := round{took: time.Since(begun)}
	for i := range parts {
		sum.add(parts[i].tally)
		sum.delays = append(sum.delays, parts[i].delays...)
		if sum.example == nil {
			sum.example = parts[i].example
		}
	}
	return sum
}

func (r *round) note(v verdict, took time.Duration, err error) {
	r.tally[v]++
	switch {
	case v == whole:
		r.delays = append(r.delays, took)
	case r.example == nil && err != nil:
		r.example = err
	case r.example == nil:
		r.example = fmt.Errorf("an answer was %s", v)
	}
}

// askOver asks once, over the connection at *at or a new one, and leaves there
// what can be used again.
func (l *load) askOver(ctx context.Context, at **wire) (verdict, time.Duration, error) {
	if *at == nil {
		w, err := dial(ctx, l.to.addr)
		if err != nil {
			return failed, 0, err
		}
		*at = w
	}
	begun := time.Now()
	v, last, err := (*at).ask(l.request, &checker{want: l.want})
	took := time.Since(begun)
	if v != whole || last {
		(*at).close()
		*at = nil
	}
	return v, took, err
}
