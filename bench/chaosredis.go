package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	redisRate   = 500
	redisRounds = 5
	redisLasts  = 5 * time.Second // a round with Redis well, and one with it ill
	redisNewIn  = 50              // one request of so many is the first of its key
	redisKeys   = 20              // that are known
	redisAdded  = 5 * time.Millisecond
)

// illness is something that Redis can have.
type illness struct {
	name       string
	fall, cure func(context.Context, *fleet) error
	restart    bool // the nodes are started while it has it
}

func illnesses() []illness {
	kill := func(_ context.Context, f *fleet) error { return f.killRedis() }
	start := func(ctx context.Context, f *fleet) error { return f.startRedis(ctx) }
	return []illness{
		{name: "frozen", fall: func(_ context.Context, f *fleet) error { return f.redis.Freeze() }, cure: func(_ context.Context, f *fleet) error { return f.redis.Thaw() }},
		{name: "killed", fall: kill, cure: start},
		{name: "emptied", fall: func(ctx context.Context, f *fleet) error { return f.redis.FlushAll(ctx) }, cure: func(context.Context, *fleet) error { return nil }},
		{name: "absent from the start", fall: kill, cure: start, restart: true},
	}
}

// serveRedisIll asks with known keys and now and then with a new one, while Redis
// is well and while it is ill, in turn.
func serveRedisIll(ctx context.Context, f *fleet, r *report) error {
	for _, ill := range illnesses() {
		if err := f.sitOut(ctx, r, ill); err != nil {
			return fmt.Errorf("while Redis was %s: %w", ill.name, err)
		}
	}
	return nil
}

func (f *fleet) sitOut(ctx context.Context, r *report, ill illness) error {
	lasts := f.scaled(redisLasts, time.Second)
	var well, sick round
	var p50Well, p50Sick, lateWell, lateSick []float64
	for range f.repeats(redisRounds) {
		if ill.restart { // so that both rounds are of nodes that have just begun
			if err := f.restartNodes(ctx); err != nil {
				return err
			}
		}
		if err := f.redisRound(ctx, lasts, nil, &well, &p50Well, &lateWell); err != nil {
			return err
		}
		fall := func() error { return ill.fall(ctx, f) }
		if ill.restart {
			if err := errors.Join(fall(), f.restartNodes(ctx)); err != nil {
				return err
			}
			fall = nil
		}
		if err := f.redisRound(ctx, lasts, fall, &sick, &p50Sick, &lateSick); err != nil {
			return err
		}
		if err := errors.Join(ill.cure(ctx, f), f.connect(ctx)); err != nil {
			return err
		}
	}
	return tellIllness(r, ill.name, &well, &sick, [2][]float64{p50Well, p50Sick}, [2][]float64{lateWell, lateSick})
}

// tellIllness tells of rounds with Redis well, and ill.
func tellIllness(r *report, name string, well, sick *round, p50s, late [2][]float64) error {
	var middle [4]float64
	for i, values := range [][]float64{p50s[0], p50s[1], late[0], late[1]} {
		var err error
		if middle[i], err = median(values); err != nil {
			return err
		}
	}
	added, err := medianDifference(late[1], late[0])
	if err != nil {
		return err
	}
	tail := tailOf(well.all() / len(late[0]))
	r.allWhole(name+": answered", sick)
	r.allWhole(name+": answered in the rounds between", well)
	r.tell(name+": median delay with Redis well, ill", fmt.Sprintf("%.2f ms, %.2f ms", middle[0], middle[1]))
	r.tell(fmt.Sprintf("%s: %dth percentile with Redis well, ill", name, tail), fmt.Sprintf("%.2f ms, %.2f ms", middle[2], middle[3]))
	r.within(fmt.Sprintf("%s: added to the %dth percentile, median of the rounds", name, tail), max(0, time.Duration(added*float64(time.Millisecond))), redisAdded)
	return nil
}

// restartNodes starts every node anew, as things are.
func (f *fleet) restartNodes(ctx context.Context) error {
	for _, r := range f.nodes {
		if err := errors.Join(r.stop(), r.start(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// redisRound asks with keys of which most are known and some are new. begin is
// called when all is prepared: what happens then, the first requests meet.
func (f *fleet) redisRound(ctx context.Context, lasts time.Duration, begin func() error, sum *round, p50s, late *[]float64) error {
	fresh, err := f.newKeys(ctx, int(lasts.Seconds()*redisRate)/redisNewIn+1)
	if err != nil {
		return err
	}
	known, err := f.newKeys(ctx, redisKeys)
	if err != nil {
		return err
	}
	var secrets []string
	for _, k := range known {
		secrets = append(secrets, k.Secret)
	}
	c := f.callers(secrets...)
	defer c.close()
	if err := c.warm(ctx); err != nil {
		return err
	}
	if begin != nil {
		if err := begin(); err != nil {
			return err
		}
	}
	var g gathered
	want := chatReply()
	atRate(ctx, redisRate, lasts, func(n int, due time.Time) {
		request := c.asks[n%len(c.asks)]
		if n%redisNewIn == 0 {
			request = chatRequest("llmgw", fresh[n/redisNewIn].Secret, false)
		}
		g.note(c.lanes[n%len(c.lanes)].ask(ctx, request, want), due)
	})
	return sum.include(&g.round, p50s, late)
}
