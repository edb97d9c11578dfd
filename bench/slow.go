package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

const (
	slowRate   = 100 // requests a second that ask as usual
	slowSettle = 10 * time.Second
	slowRatio  = 2.0 // of the p99 delay beside slow connections to that without; more is a failure
)

// measureSlow asks for replies at a fixed rate, each on a connection of its own,
// alone and beside connections that are slow on purpose. Nobody who asks as
// usual may notice. A second gateway, which nobody besieges, is asked at the
// same time: what the rest of the machine does, it does to both.
func measureSlow(ctx context.Context, s *stand) error {
	upstream, err := s.upstream(ctx, answerEither)
	if err != nil {
		return err
	}
	p, err := s.gateway(ctx, upstream)
	if err != nil {
		return err
	}
	spared, err := s.gateway(ctx, upstream)
	if err != nil {
		return err
	}
	rounds := []*steadily{{name: "alone", to: p}, {name: "beside", to: p}, {name: "spared", to: spared}}
	if err := ask(ctx, s.seconds, rounds[:1]); err != nil {
		return err
	}
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
	if err := ask(ctx, s.seconds, rounds[1:]); err != nil {
		return err
	}
	with, err := resident(p.pid)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d slow connections, %d requests a second on new connections, %s each\n", s.n, slowRate, s.seconds)
	if err := siege.print(s.out); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "the gateway's memory: %.1f MB before, %.1f MB with them\n", float64(before)/(1<<20), float64(with)/(1<<20))
	return errors.Join(judgeSteady(s.out, rounds[0], rounds[1], rounds[2]), siege.enough())
}

// steadily is what came of asking a participant at a fixed rate.
type steadily struct {
	round
	name string
	to   *participant
	p99  time.Duration
}

// ask asks all at the same time.
func ask(ctx context.Context, d time.Duration, all []*steadily) error {
	errs := make([]error, len(all))
	var asking sync.WaitGroup
	for i, a := range all {
		asking.Go(func() { a.round, errs[i] = steady(ctx, a.to, d) })
	}
	asking.Wait()
	return errors.Join(errs...)
}

// steady asks slowRate times a second for d, however long answers take.
func steady(ctx context.Context, p *participant, d time.Duration) (round, error) {
	before, err := cpuTime(p.pid)
	if err != nil {
		return round{}, err
	}
	request, want := chatRequest(p.addr, p.key, false), chatReply()
	var (
		mu  sync.Mutex
		all sync.WaitGroup
		sum round
	)
	begun := time.Now()
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
	sum.took = time.Since(begun)
	after, err := cpuTime(p.pid)
	sum.cpu = after - before
	return sum, err
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

// judgeSteady prints what came of it, and fails where a request did or where
// they waited too long.
func judgeSteady(out io.Writer, alone, beside, spared *steadily) error {
	t := newTable("", "requests", "whole", "p50 ms", "p99 ms", "max ms", "CPU of a core")
	var wrong error
	for _, r := range []*steadily{alone, beside, spared} {
		p50, err := percentile(r.delays, 50)
		if err != nil {
			return errors.Join(err, r.example)
		}
		r.p99, _ = percentile(r.delays, 99) // there are delays, as p50 has shown
		most, _ := percentile(r.delays, 100)
		t.add(r.name, strconv.Itoa(r.all()), strconv.Itoa(r.tally[whole]), inMillis(p50), inMillis(r.p99), inMillis(most),
			fmt.Sprintf("%.0f %%", 100*r.cpu.Seconds()/r.took.Seconds()))
		if problem := r.tally.problem(nameGateway + " " + r.name); problem != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%w, for example: %w", problem, r.example))
		}
	}
	err := t.print(out)
	ratio := float64(beside.p99) / float64(spared.p99)
	fmt.Fprintf(out, "p99 of the besieged gateway: %s that of the spared one, %s what it was alone\n",
		asRatio(ratio), asRatio(float64(beside.p99)/float64(alone.p99)))
	if ratio > slowRatio {
		wrong = errors.Join(wrong, fmt.Errorf("p99 is %s that of a gateway that nobody besieges, and may be %s", asRatio(ratio), asRatio(slowRatio)))
	}
	return errors.Join(err, wrong)
}
