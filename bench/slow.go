package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

const (
	slowRate   = 100 // requests a second that ask as usual
	slowSettle = 10 * time.Second
	slowRatio  = 2.0 // of the p99 delay with the slow connections to that without; more is a failure
)

// measureSlow asks for replies at a fixed rate, each on a connection of its own,
// alone and beside connections that are slow on purpose. Nobody who asks as
// usual may notice.
func measureSlow(ctx context.Context, s *stand) error {
	upstream, err := s.upstream(ctx, answerEither)
	if err != nil {
		return err
	}
	p, err := s.gateway(ctx, upstream)
	if err != nil {
		return err
	}
	alone := steady(ctx, p, s.seconds)
	before, err := resident(p.pid)
	if err != nil {
		return err
	}
	siege := besiege(ctx, p, s.n)
	defer siege.end()
	if err := siege.untilOpen(ctx); err != nil {
		return err
	}
	// The slow readers fill the kernel's buffers first, as fast as they can.
	if err := wait(ctx, slowSettle); err != nil {
		return err
	}
	beside := steady(ctx, p, s.seconds)
	with, err := resident(p.pid)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d slow connections, %d requests a second on new connections, %s each\n", s.n, slowRate, s.seconds)
	if err := siege.print(s.out); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "the gateway's memory: %.1f MB before, %.1f MB with them\n", float64(before)/(1<<20), float64(with)/(1<<20))
	return errors.Join(compareSteady(s, alone, beside), siege.enough())
}

// steady asks slowRate times a second for d, however long answers take.
func steady(ctx context.Context, p *participant, d time.Duration) round {
	request, want := chatRequest(p.addr, p.key, false), chatReply()
	var (
		mu  sync.Mutex
		all sync.WaitGroup
		sum round
	)
	tick := time.NewTicker(time.Second / slowRate)
	defer tick.Stop()
	for n := 0; n < int(d.Seconds()*slowRate) && ctx.Err() == nil; n++ {
		<-tick.C
		all.Go(func() {
			v, took, err := askOnce(ctx, p.addr, request, want)
			mu.Lock()
			defer mu.Unlock()
			sum.note(v, took, err)
		})
	}
	all.Wait()
	return sum
}

// askOnce connects, asks and leaves; connecting counts.
func askOnce(ctx context.Context, addr string, request, want []byte) (verdict, time.Duration, error) {
	begun := time.Now()
	w, err := dial(ctx, addr)
	if err != nil {
		return failed, 0, err
	}
	defer w.close()
	v, _, err := w.ask(request, &checker{want: want})
	return v, time.Since(begun), err
}

// compareSteady prints both, and fails where a request did or where they waited
// too long.
func compareSteady(s *stand, alone, beside round) error {
	t := newTable("", "requests", "whole", "p50 ms", "p99 ms", "max ms")
	var p99 [2]time.Duration
	for i, r := range []round{alone, beside} {
		figures := make([]time.Duration, 0, 3)
		for _, p := range []int{50, 99, 100} {
			d, err := percentile(r.delays, p)
			if err != nil {
				return errors.Join(err, r.example)
			}
			figures = append(figures, d)
		}
		p99[i] = figures[1]
		t.add([]string{"alone", "beside"}[i], strconv.Itoa(r.all()), strconv.Itoa(r.tally[whole]), inMillis(figures[0]), inMillis(figures[1]), inMillis(figures[2]))
	}
	ratio := float64(p99[1]) / float64(p99[0])
	err := t.print(s.out)
	fmt.Fprintf(s.out, "p99 beside to alone: %s\n", asRatio(ratio))
	for _, r := range []round{alone, beside} {
		if problem := r.tally.problem(nameGateway); problem != nil {
			err = errors.Join(err, fmt.Errorf("%w, for example: %w", problem, r.example))
		}
	}
	if ratio > slowRatio {
		err = errors.Join(err, fmt.Errorf("p99 is %s of what it is alone, and may be %s", asRatio(ratio), asRatio(slowRatio)))
	}
	return err
}
