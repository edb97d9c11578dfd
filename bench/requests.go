package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// measureRequests compares 1 KB requests and replies.
func measureRequests(ctx context.Context, s *stand) error {
	all, err := s.behindProxies(ctx, answerReply)
	if err != nil {
		return err
	}
	t := newTable("connections", "", "CPU-µs/request", "to stock", "requests/s", "p50 ms", "added p50", "p99 ms", "broken")
	var broken []error
	for _, conns := range s.conns {
		found, err := s.compare(ctx, all, conns, false, chatReply(), 1)
		if err != nil {
			return err
		}
		broken = append(broken, problems(found))
		for _, f := range found {
			if err := f.requestsRow(t, conns, found); err != nil {
				return err
			}
		}
	}
	return errors.Join(append(broken, t.print(s.out))...)
}

// behindProxies starts an upstream and the proxies before it. The upstream
// itself is the last participant.
func (s *stand) behindProxies(ctx context.Context, answer string) ([]*participant, error) {
	upstream, err := s.upstream(ctx, answer)
	if err != nil {
		return nil, err
	}
	all, err := s.proxies(ctx, upstream)
	return append(all, &participant{name: nameDirect, addr: upstream}), err
}

func (f *series) requestsRow(t *table, conns int, found []*series) error {
	floor, direct := found[0], found[len(found)-1]
	cost, ratio, err := f.costs(floor)
	if err != nil {
		return err
	}
	rate, err := median(f.rate)
	if err != nil {
		return err
	}
	p50, err := percentile(f.delays, 50)
	if err != nil {
		return err
	}
	p99, err := percentile(f.delays, 99)
	if err != nil {
		return err
	}
	without, err := percentile(direct.delays, 50)
	if err != nil {
		return err
	}
	added := noFigure
	if f != direct {
		added = inMillis(p50 - without)
	}
	t.add(strconv.Itoa(conns), f.who.name, cost, ratio, fmt.Sprintf("%.0f", rate), inMillis(p50), added, inMillis(p99), strconv.Itoa(f.tally.broken()))
	return nil
}
