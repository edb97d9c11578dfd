package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	rollingRate    = 200
	rollingStreams = 300
	rollingReady   = 2 * time.Second // until all streams are open, and between two nodes
)

// restartInTurn ends every node as an orchestrator does and starts it again, while
// requests and streams come through a load balancer.
func restartInTurn(ctx context.Context, f *fleet, r *report) error {
	var addrs []string
	for _, n := range f.nodes {
		addrs = append(addrs, n.addr)
	}
	b, err := balance(ctx, addrs...)
	if err != nil {
		return err
	}
	asking, stop := context.WithCancel(ctx)
	streams := f.keepStreams(ctx, asking.Done(), b.address(), f.portion(rollingStreams, 30))
	requests := f.keepAsking(asking, b.address())
	open, took, err := f.restartAll(ctx, b)
	stop()
	streams.all.Wait()
	found := requests()
	if closed := b.close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	r.tell("streams open at each node when it was told to end", strings.Join(open, ", "))
	r.tell("until each had ended and was ready again", strings.Join(took, ", "))
	r.allWhole("streams that came to their end with every byte", &streams.round)
	r.allWhole("requests answered", found)
	r.same("connections for which nobody was there", int(b.refused.Load()), 0)
	return nil
}

func (f *fleet) restartAll(ctx context.Context, b *balancer) (open, took []string, err error) {
	for i, n := range f.nodes {
		if err := wait(ctx, f.scaled(rollingReady, time.Second)); err != nil {
			return nil, nil, err
		}
		m, err := n.metrics(ctx)
		if err != nil {
			return nil, nil, err
		}
		open = append(open, fmt.Sprint(m.sum("llmgw_in_flight_streams")))
		begun := time.Now()
		if err := n.retire(); err != nil {
			return nil, nil, fmt.Errorf("ending %s: %w\nits log: %s", n.name, err, n.log)
		}
		if err := n.start(ctx); err != nil {
			return nil, nil, err
		}
		took = append(took, time.Since(begun).Round(100*time.Millisecond).String())
		_, err = until(ctx, "the balancer finds a node again", settleBound, func(context.Context) error {
			if !b.behind[i].ready.Load() {
				return fmt.Errorf("%s is not ready", n.name)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return open, took, wait(ctx, f.scaled(rollingReady, time.Second))
}

// keepAsking asks for replies at a rate until ctx ends; what it gives waits for
// that, and tells what came of them.
func (f *fleet) keepAsking(ctx context.Context, addr string) func() *round {
	var g gathered
	l := &lane{addr: addr}
	request, want := chatRequest("llmgw", f.key, false), chatReply()
	var asking sync.WaitGroup
	asking.Go(func() {
		// What has begun comes to its end, whatever becomes of ctx.
		atRate(ctx, rollingRate, longest, func(_ int, due time.Time) {
			g.note(l.ask(context.WithoutCancel(ctx), request, want), due)
		})
		l.close()
	})
	return func() *round { asking.Wait(); return &g.round }
}

// streaming is streams that are opened again when they have come to their end.
type streaming struct {
	gathered

	all sync.WaitGroup
}

// keepStreams keeps so many streams open until enough, each on a connection of its
// own, and lets those end that have begun.
func (f *fleet) keepStreams(ctx context.Context, enough <-chan struct{}, addr string, n int) *streaming {
	s := &streaming{}
	request, want := lastingRequest(f.key), streamBody()
	for range n {
		s.all.Go(func() {
			_ = wait(ctx, rand.N(f.scaled(rollingReady, time.Second))) // so that they do not all end at once; where ctx has ended, asking says so
			for {
				select {
				case <-enough:
					return
				default:
				}
				due := time.Now()
				v, _, err := askOnce(ctx, addr, request, want)
				s.note(answer{verdict: v, at: time.Now(), err: err}, due)
			}
		})
	}
	return s
}

// lastingRequest asks for a stream that takes its time.
func lastingRequest(key string) []byte {
	request := chatRequest("llmgw", key, true)
	i := slices.Index(request, '\n') + 1
	return slices.Concat(request[:i], []byte(idHeader+": "+lastingID+"\r\n"), request[i:])
}
