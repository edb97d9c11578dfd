package main

import (
	"context"
	"fmt"
	"time"
)

// series is what a participant did in all rounds.
type series struct {
	who     *participant
	cost    []float64 // CPU-µs for each unit, by round
	rate    []float64 // answers a second, by round
	delays  []time.Duration
	tally   tally
	example error
}

// compare asks all participants for a while, in interleaved rounds. An answer
// counts as so many units. The direct one is not measured, only timed.
func (s *stand) compare(ctx context.Context, all []*participant, conns int, stream bool, want []byte, units int) ([]*series, error) {
	loads, found := make([]*load, len(all)), make([]*series, len(all))
	for i, p := range all {
		loads[i] = newLoad(p, conns, chatRequest(p.addr, p.key, stream), want)
		defer loads[i].close()
		found[i] = &series{who: p}
	}
	for n := range s.rounds {
		for i := range loads {
			turn := (i + n) % len(loads) // nobody is always the first
			r, err := loads[turn].roundFor(ctx, s.seconds)
			if err != nil {
				return nil, err
			}
			if err := found[turn].note(r, units); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// note adds a round. Answers that were not whole cost too, and are counted with
// the others: a proxy that breaks many looks cheaper, and its tally says so.
func (f *series) note(r round, units int) error {
	answers := r.all()
	if r.tally[whole] == 0 {
		return fmt.Errorf("%s gave no whole answer in a round: %w", f.who.name, r.example)
	}
	f.cost = append(f.cost, float64(r.cpu.Nanoseconds())/1e3/float64(answers*units))
	f.rate = append(f.rate, float64(answers)/r.took.Seconds())
	f.delays = append(f.delays, r.delays...)
	f.tally.add(r.tally)
	if f.example == nil {
		f.example = r.example
	}
	return nil
}

// costs writes a series' cost and its ratio to the floor's.
func (f *series) costs(floor *series) (cost, ratio string, err error) {
	if f.who.pid == 0 {
		return noFigure, noFigure, nil
	}
	middle, err := median(f.cost)
	if err != nil {
		return "", "", err
	}
	times, err := medianRatio(f.cost, floor.cost)
	if err != nil {
		return "", "", fmt.Errorf("comparing %s with %s: %w", f.who.name, floor.who.name, err)
	}
	return oneDecimal(middle), asRatio(times), nil
}

// problems tells of answers of the gateway's that were not whole. Those of a
// floor are told in the table.
func problems(found []*series) error {
	for _, f := range found {
		if f.who.name != nameGateway && f.who.name != nameDirect {
			continue
		}
		if err := f.tally.problem(f.who.name); err != nil {
			return fmt.Errorf("%w, for example: %w", err, f.example)
		}
	}
	return nil
}
