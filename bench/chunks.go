package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// measureChunks compares streams that come as fast as they can.
func measureChunks(ctx context.Context, s *stand) error {
	all, err := s.behindProxies(ctx, answerStream)
	if err != nil {
		return err
	}
	all = all[:len(all)-1] // without a proxy there is no CPU time to compare
	t := newTable("connections", "", "CPU-µs/chunk", "to stock", "streams/s", "broken", "of")
	var broken []error
	for _, conns := range s.conns {
		found, err := s.compare(ctx, all, conns, true, streamBody(), streamEvents)
		if err != nil {
			return err
		}
		broken = append(broken, problems(found))
		for _, f := range found {
			if err := f.chunksRow(t, conns, found[0]); err != nil {
				return err
			}
		}
	}
	return errors.Join(append(broken, t.print(s.out))...)
}

func (f *series) chunksRow(t *table, conns int, floor *series) error {
	cost, ratio, err := f.costs(floor)
	if err != nil {
		return err
	}
	rate, err := median(f.rate)
	if err != nil {
		return err
	}
	t.add(strconv.Itoa(conns), f.who.name, cost, ratio, fmt.Sprintf("%.0f", rate), strconv.Itoa(f.tally.broken()), strconv.Itoa(f.tally.all()))
	return nil
}
