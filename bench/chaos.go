package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// scenario is something that goes wrong beside a fleet that serves. It leaves the
// fleet as it found it.
type scenario struct {
	name string
	says string
	run  func(context.Context, *fleet, *report) error
}

func scenarios() []scenario {
	return []scenario{
		{"revoke", "a key is revoked on one node while all are asked with it", revokeUnderLoad},
		{"partition", "rules change while one node reaches neither PostgreSQL nor Redis", changeBesidePartition},
		{"postgres-down", "PostgreSQL is stopped", servePostgresDown},
		{"older-copy", "PostgreSQL comes back with an older copy of its data", followOlderCopy},
		{"redis", "Redis is frozen, killed, emptied, or was never there", serveRedisIll},
		{"cold-start", "every node is started while PostgreSQL and Redis are down", startWithNothing},
		{"rolling", "every node is restarted, one after the other, behind a load balancer", restartInTurn},
		{"many-keys", "many keys from cold, and very many that are none", meetManyKeys},
	}
}

// measureChaos runs scenarios on one fleet, and fails where an aim is missed.
func measureChaos(ctx context.Context, s *stand) error {
	chosen, err := chooseScenarios(s.scenario)
	if err != nil {
		return err
	}
	upstream, err := s.upstream(ctx, answerAtEase)
	if err != nil {
		return err
	}
	f, err := s.fleet(ctx, upstream)
	if err != nil {
		return err
	}
	var missed []error
	for _, c := range chosen {
		err := f.play(ctx, c)
		missed = append(missed, err)
		if ctx.Err() != nil || err != nil && !errors.Is(err, errMissed) {
			return errors.Join(append(missed, f.close())...) // the fleet is not what the next one needs
		}
	}
	return errors.Join(append(missed, f.settle(ctx), f.close())...)
}

// play runs one scenario, prints its figures, and looks whether every node reaches
// everything afterwards.
func (f *fleet) play(ctx context.Context, c scenario) error {
	begun := time.Now()
	r := &report{slack: f.slack}
	err := c.run(ctx, f, r)
	if err == nil {
		err = f.connect(ctx)
	}
	fmt.Fprintf(f.out, "\n%s: %s (%s)\n", c.name, c.says, time.Since(begun).Round(time.Second))
	if err != nil {
		err = fmt.Errorf("%s: %w", c.name, err)
	}
	return errors.Join(err, r.print(f.out, c.name))
}

// chooseScenarios takes names with commas between them; none is all.
func chooseScenarios(names string) ([]scenario, error) {
	all := scenarios()
	if names == "" {
		return all, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(c scenario) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario %q; there are %s", name, strings.Join(scenarioNames(), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func scenarioNames() []string {
	var names []string
	for _, c := range scenarios() {
		names = append(names, c.name)
	}
	return names
}

// scaled is so much of a time, but no less than least.
func (s *stand) scaled(whole, least time.Duration) time.Duration {
	return max(time.Duration(float64(whole)*s.scale), least)
}

// repeats is so many rounds, or fewer where all is to be short.
func (s *stand) repeats(whole int) int { return min(whole, s.portion(10*whole, 1)) }

// portion is so much of a number, but no less than least.
func (s *stand) portion(whole, least int) int {
	return max(int(float64(whole)*s.scale), least)
}
