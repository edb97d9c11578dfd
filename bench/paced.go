package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// measurePaced opens many streams that each send an event now and then. An
// event carries the moment at which it was sent.
func measurePaced(ctx context.Context, s *stand) error {
	all, err := s.behindProxies(ctx, answerPaced)
	if err != nil {
		return err
	}
	t := newTable("streams", "", "CPU-µs/chunk", "to stock", "p50 ms", "p99 ms", "added p50", "added p99", "chunks", "broken")
	var broken []error
	for _, conns := range s.conns {
		found, err := s.paceAll(ctx, all, conns)
		if err != nil {
			return err
		}
		broken = append(broken, problems(found))
		for _, f := range found {
			if err := f.pacedRow(t, conns, found[0], found[len(found)-1]); err != nil {
				return err
			}
		}
	}
	return errors.Join(append(broken, t.print(s.out))...)
}

func (s *stand) paceAll(ctx context.Context, all []*participant, conns int) ([]*series, error) {
	found := make([]*series, len(all))
	for i, p := range all {
		found[i] = &series{who: p}
	}
	for n := range s.rounds {
		for i := range all {
			f := found[(i+n)%len(all)]
			if err := f.pace(ctx, conns, s.seconds); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// listener notes the delays of the events of one stream.
type listener struct {
	delays  []time.Duration
	altered bool
	_       [64]byte // neighbours do not share a cache line
}

func (l *listener) hear(event []byte, counts bool) {
	now := time.Now()
	sent, ok := stampOf(event)
	if !ok {
		l.altered = true
	}
	if counts {
		l.delays = append(l.delays, now.Sub(sent))
	}
}

// pace listens to conns streams for d, after all of them have begun.
func (f *series) pace(ctx context.Context, conns int, d time.Duration) error {
	listeners := make([]listener, conns)
	var counts atomic.Bool
	c, err := gather(ctx, f.who, conns, func(i int, event []byte) { listeners[i].hear(event, counts.Load()) })
	if err != nil {
		return err
	}
	cpu, err := c.cpuOver(ctx, d, &counts)
	broken := int(c.broken.Load())
	c.close()
	if err != nil {
		return err
	}
	chunks := 0
	for i := range listeners {
		chunks += len(listeners[i].delays)
		f.delays = append(f.delays, listeners[i].delays...)
		if listeners[i].altered {
			f.tally[altered]++
		}
	}
	if chunks == 0 {
		return fmt.Errorf("%s passed no event within %s", f.who.name, d)
	}
	f.tally[cut] += broken
	f.tally[whole] += conns - broken
	if example := c.example.Load(); example != nil && f.example == nil {
		f.example = *example
	}
	f.cost = append(f.cost, float64(cpu.Nanoseconds())/1e3/float64(chunks))
	return nil
}

// cpuOver gives the CPU time of the participant over d, in which events count.
func (c *crowd) cpuOver(ctx context.Context, d time.Duration, counts *atomic.Bool) (time.Duration, error) {
	if c.to.pid == 0 {
		counts.Store(true)
		err := wait(ctx, d)
		counts.Store(false)
		return 0, err
	}
	before, err := cpuTime(c.to.pid)
	if err != nil {
		return 0, err
	}
	counts.Store(true)
	if err := wait(ctx, d); err != nil {
		return 0, err
	}
	counts.Store(false)
	after, err := cpuTime(c.to.pid)
	return after - before, err
}

func (f *series) pacedRow(t *table, conns int, floor, direct *series) error {
	cost, ratio, err := f.costs(floor)
	if err != nil {
		return err
	}
	cells := []string{strconv.Itoa(conns), f.who.name, cost, ratio}
	var added []string
	for _, p := range []int{50, 99} {
		with, err := percentile(f.delays, p)
		if err != nil {
			return err
		}
		without, err := percentile(direct.delays, p)
		if err != nil {
			return err
		}
		cells = append(cells, inMillis(with))
		if f == direct {
			added = append(added, noFigure)
		} else {
			added = append(added, inMillis(with-without))
		}
	}
	t.add(append(append(cells, added...), strconv.Itoa(len(f.delays)), strconv.Itoa(f.tally.broken()))...)
	return nil
}
