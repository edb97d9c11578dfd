package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// floorShare is how many streams the gateway is asked for while the floor is
// asked for one. The floor needs only as many as show that streams can be cut
// here at all.
const floorShare = 5

// measureCut counts streams that are not what the upstream sent, while spinning
// processes keep goroutines from running when they would like to: a proxy that
// is still busy with the request when the whole answer is there may cut it
// (https://go.dev/issue/40747).
func measureCut(ctx context.Context, s *stand) error {
	all, err := s.behindProxies(ctx, answerEager)
	if err != nil {
		return err
	}
	all = all[:len(all)-1]
	for range s.burners {
		c, err := startRole(ctx, "burn")
		if err != nil {
			return err
		}
		s.started = append(s.started, c)
	}
	t := newTable("connections", "", "streams", "cut", "cut as if complete", "altered", "failed", "for example")
	var broken []error
	for _, conns := range s.conns {
		found := s.countCut(ctx, all, conns)
		for _, f := range found {
			f.cutRow(t, conns)
		}
		broken = append(broken, problems(found), s.short(found))
	}
	return errors.Join(append(broken, t.print(s.out))...)
}

// countCut asks all participants in interleaved rounds, until the gateway was
// asked n times.
func (s *stand) countCut(ctx context.Context, all []*participant, conns int) []*series {
	loads, found := make([]*load, len(all)), make([]*series, len(all))
	for i, p := range all {
		loads[i] = newLoad(p, conns, chatRequest(p.addr, p.key, true), streamBody())
		defer loads[i].close()
		found[i] = &series{who: p}
	}
	for left := s.rounds; left > 0; left-- {
		for i, l := range loads {
			n := (s.n - found[gatewayAt].tally.all()) / left
			if i != gatewayAt {
				n = max(1, s.n/s.rounds/floorShare)
			}
			r := l.roundOf(ctx, n)
			found[i].tally.add(r.tally)
			if found[i].example == nil {
				found[i].example = r.example
			}
		}
	}
	return found
}

// gatewayAt is where the gateway stands among the proxies.
const gatewayAt = 1

// short tells where fewer streams were asked for than was wanted: nobody may
// take a part for the whole.
func (s *stand) short(found []*series) error {
	if n := found[gatewayAt].tally.all(); n < s.n {
		return fmt.Errorf("only %d of %d streams were asked for", n, s.n)
	}
	return nil
}

func (f *series) cutRow(t *table, conns int) {
	example := noFigure
	if f.example != nil {
		example = f.example.Error()
	}
	n := func(v verdict) string { return strconv.Itoa(f.tally[v]) }
	t.add(strconv.Itoa(conns), f.who.name, strconv.Itoa(f.tally.all()), n(cut), n(hiddenCut), n(altered), n(failed), example)
}
