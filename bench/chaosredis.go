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
			return fmt.Errorf("Redis %s: %w", ill.name, err)
		}
	}
	return nil
}

func (f *fleet) sitOut(ctx context.Context, r *report, ill illness) error {
	lasts, rounds := f.scaled(redisLasts, time.Second), redisRounds
	if ill.restart {
		rounds = 1 // it begins once
	}
	var well, sick round
	var p50Well, p50Sick, p99Well, p99Sick []float64
	for range rounds {
		if err := f.redisRound(ctx, lasts, nil, &well, &p50Well, &p99Well); err != nil {
			return err
		}
		fall := func() error { return ill.fall(ctx, f) }
		if ill.restart {
			if err := f.restartIn(ctx, ill); err != nil {
				return err
			}
			fall = nil
		}
		if err := f.redisRound(ctx, lasts, fall, &sick, &p50Sick, &p99Sick); err != nil {
			return err
		}
		if err := errors.Join(ill.cure(ctx, f), f.settle(ctx)); err != nil {
			return err
		}
	}
	p50, err1 := median(p50Sick)
	base, err2 := median(p50Well)
	added, err3 := medianDifference(p99Sick, p99Well)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	r.allWhole(ill.name+": answered", &sick)
	r.allWhole(ill.name+": answered in the rounds between", &well)
	r.tell(ill.name+": median delay, and with Redis well", fmt.Sprintf("%.2f ms, %.2f ms", p50, base))
	r.within(ill.name+": added to the 99th percentile, median of the rounds", max(0, time.Duration(added*float64(time.Millisecond))), redisAdded)
	return nil
}

// restartIn starts every node anew while Redis is ill.
func (f *fleet) restartIn(ctx context.Context, ill illness) error {
	if err := ill.fall(ctx, f); err != nil {
		return err
	}
	for _, r := range f.nodes {
		if err := errors.Join(r.stop(), r.start(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// redisRound asks with keys of which most are known and some are new. begin is
// called when all is prepared: what happens then, the first requests meet.
func (f *fleet) redisRound(ctx context.Context, lasts time.Duration, begin func() error, sum *round, p50s, p99s *[]float64) error {
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
	if err := errors.Join(f.inStepSoon(ctx), c.warm(ctx)); err != nil {
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
	return sum.include(&g.round, p50s, p99s)
}
