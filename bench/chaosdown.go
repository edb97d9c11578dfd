package main

import (
	"context"
	"fmt"
	"time"
)

const (
	downRate      = 500 // requests a second
	downKeys      = 50  // that ask
	downRounds    = 5
	downShort     = 15 * time.Second // a round with PostgreSQL, and one without but for the last
	downLong      = 10 * time.Minute // the last round without
	downRecovered = 5 * time.Second
	downExcess    = 0.25 // by which the median delay may exceed that of rounds with PostgreSQL
)

// servePostgresDown asks with keys that nodes know, with PostgreSQL and without it
// in turn.
func servePostgresDown(ctx context.Context, f *fleet, r *report) error {
	d, err := f.newDowntime(ctx)
	if err != nil {
		return err
	}
	defer d.callers.close()
	short := f.scaled(downShort, time.Second)
	for n := range downRounds {
		if err := d.up(ctx, short); err != nil {
			return err
		}
		lasts := short
		if n == downRounds-1 {
			lasts = f.scaled(downLong, 5*time.Second)
		}
		if err := d.down(ctx, lasts); err != nil {
			return err
		}
	}
	return d.tell(r)
}

// downtime is what was found in rounds with and without PostgreSQL.
type downtime struct {
	fleet   *fleet
	callers *callers

	with, without       round
	p50With, p50Without []float64 // milliseconds, by round
	p99With, p99Without []float64
	queries             int     // for keys, that PostgreSQL counted in rounds with it
	asked               lookUps // of the nodes, in all rounds
	recovered           time.Duration
	longest             time.Duration
}

func (f *fleet) newDowntime(ctx context.Context) (*downtime, error) {
	keys, err := f.newKeys(ctx, downKeys)
	if err != nil {
		return nil, err
	}
	var secrets []string
	for _, k := range keys {
		secrets = append(secrets, k.Secret)
	}
	d := &downtime{fleet: f, callers: f.callers(secrets...)}
	if err := f.inStepSoon(ctx); err != nil {
		return nil, err
	}
	return d, d.callers.warm(ctx)
}

func (d *downtime) up(ctx context.Context, lasts time.Duration) error {
	before, err := d.fleet.keyQueries(ctx)
	if err != nil {
		return err
	}
	if err := d.round(ctx, lasts, &d.with, &d.p50With, &d.p99With); err != nil {
		return err
	}
	after, err := d.fleet.keyQueries(ctx)
	d.queries += after - before
	return err
}

func (d *downtime) down(ctx context.Context, lasts time.Duration) error {
	if err := d.fleet.stopPostgres(); err != nil {
		return err
	}
	if err := d.round(ctx, lasts, &d.without, &d.p50Without, &d.p99Without); err != nil {
		return err
	}
	d.longest = max(d.longest, lasts)
	back, err := d.fleet.startPostgres(ctx)
	if err != nil {
		return err
	}
	at, err := until(ctx, "changes reach all nodes again", settleBound, d.recover)
	d.recovered = max(d.recovered, at.Sub(back))
	return err
}

func (d *downtime) round(ctx context.Context, lasts time.Duration, sum *round, p50s, p99s *[]float64) error {
	before, err := d.fleet.lookUps(ctx, d.fleet.nodes...)
	if err != nil {
		return err
	}
	found := d.callers.call(ctx, downRate, lasts)
	after, err := d.fleet.lookUps(ctx, d.fleet.nodes...)
	if err != nil {
		return err
	}
	asked := after.since(before)
	d.asked.memory += asked.memory
	d.asked.shelf += asked.shelf
	d.asked.store += asked.store
	d.asked.unavailable += asked.unavailable
	return sum.include(found, p50s, p99s)
}

// include adds a round, and its median and 99th percentile in milliseconds.
func (r *round) include(found *round, p50s, p99s *[]float64) error {
	p50, err := percentile(found.delays, 50)
	if err != nil {
		return fmt.Errorf("a round in which nothing was answered: %w", found.example)
	}
	p99, _ := percentile(found.delays, 99) // there are some
	*p50s, *p99s = append(*p50s, millis(p50)), append(*p99s, millis(p99))
	r.tally.add(found.tally)
	if r.example == nil {
		r.example = found.example
	}
	return nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// recover makes a change on every node, and looks whether all have it.
func (d *downtime) recover(ctx context.Context) error {
	for _, r := range d.fleet.nodes {
		d.fleet.made++
		if _, err := r.createKey(ctx, fmt.Sprint("chaos-", d.fleet.made)); err != nil {
			return err
		}
	}
	return d.fleet.inStep(ctx)
}

func (d *downtime) tell(r *report) error {
	ratio, err := medianRatio(d.p50Without, d.p50With)
	if err != nil {
		return err
	}
	worst, err := medianRatio(d.p99Without, d.p99With)
	if err != nil {
		return err
	}
	with, err := median(d.p50With)
	if err != nil {
		return err
	}
	without, err := median(d.p50Without)
	if err != nil {
		return err
	}
	r.tell("rounds, the longest without PostgreSQL", fmt.Sprintf("%d, %s", downRounds, d.longest))
	r.allWhole("answered with PostgreSQL", &d.with)
	r.allWhole("answered without", &d.without)
	r.tell("median delay with, without", fmt.Sprintf("%.2f ms, %.2f ms", with, without))
	r.about("the second to the first, median of the rounds", ratio, downExcess)
	r.tell("the same of the 99th percentiles", asRatio(worst))
	r.same("requests answered other than from memory", d.asked.shelf+d.asked.store+d.asked.unavailable, 0)
	if d.fleet.counts {
		r.same("queries for keys that PostgreSQL counted", d.queries, 0)
	}
	r.within("changes reach all nodes after it is back, at most", d.recovered, downRecovered)
	return nil
}
