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
	rounds := f.repeats(downRounds)
	for n := range rounds {
		if err := d.up(ctx, short); err != nil {
			return err
		}
		lasts := short
		if n == rounds-1 {
			lasts = f.scaled(downLong, 3*time.Second)
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

	with, without         round
	p50With, p50Without   []float64 // milliseconds, by round
	lateWith, lateWithout []float64
	queries               int     // for keys, that PostgreSQL counted in rounds with it
	asked                 lookUps // of the nodes, in all rounds
	recovered             time.Duration
	longest               time.Duration
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
	return d, d.callers.warm(ctx)
}

func (d *downtime) up(ctx context.Context, lasts time.Duration) error {
	before, err := d.fleet.keyQueries(ctx)
	if err != nil {
		return err
	}
	if err := d.round(ctx, lasts, &d.with, &d.p50With, &d.lateWith); err != nil {
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
	if err := d.round(ctx, lasts, &d.without, &d.p50Without, &d.lateWithout); err != nil {
		return err
	}
	d.longest = max(d.longest, lasts)
	back, err := d.fleet.startPostgres(ctx)
	if err != nil {
		return err
	}
	at, err := d.recover(ctx)
	d.recovered = max(d.recovered, at.Sub(back))
	return err
}

func (d *downtime) round(ctx context.Context, lasts time.Duration, sum *round, p50s, late *[]float64) error {
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
	return sum.include(found, p50s, late)
}

// tailOf is the percentile that tells of the late ones among so many: the 99th,
// unless that is a handful.
func tailOf(n int) int {
	if n < 2000 {
		return 90
	}
	return 99
}

// include adds a round, and its median and tail in milliseconds.
func (r *round) include(found *round, p50s, late *[]float64) error {
	p50, err := percentile(found.delays, 50)
	if err != nil {
		return fmt.Errorf("a round in which nothing was answered: %w", found.example)
	}
	tail, _ := percentile(found.delays, tailOf(found.all())) // there are some
	*p50s, *late = append(*p50s, millis(p50)), append(*late, millis(tail))
	r.tally.add(found.tally)
	if r.example == nil {
		r.example = found.example
	}
	return nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// recover makes a key on every node, as soon as that can be done, and says when
// every node has taken all of them.
func (d *downtime) recover(ctx context.Context) (time.Time, error) {
	var made []string
	for _, r := range d.fleet.nodes {
		_, err := until(ctx, r.name+" makes a key", settleBound, func(ctx context.Context) error {
			k, err := r.createKey(ctx, d.fleet.keyName())
			if err == nil {
				made = append(made, k.Secret)
			}
			return err
		})
		if err != nil {
			return time.Time{}, err
		}
	}
	c := d.fleet.callers(made...)
	defer c.close()
	return until(ctx, "new keys are taken", settleBound, c.warm)
}

func (d *downtime) tell(r *report) error {
	ratio, err := medianRatio(d.p50Without, d.p50With)
	if err != nil {
		return err
	}
	worst, err := medianRatio(d.lateWithout, d.lateWith)
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
	r.tell("rounds, the longest without PostgreSQL", fmt.Sprintf("%d, %s", len(d.p50With), d.longest))
	r.allWhole("answered with PostgreSQL", &d.with)
	r.allWhole("answered without", &d.without)
	r.tell("median delay with, without", fmt.Sprintf("%.2f ms, %.2f ms", with, without))
	r.about("the second to the first, median of the rounds", ratio, downExcess)
	r.tell("the same of those who waited longest (99 of 100, or 9 of 10 of few)", asRatio(worst))
	r.same("requests answered other than from memory", d.asked.shelf+d.asked.store+d.asked.unavailable, 0)
	if d.fleet.counts {
		r.same("queries for keys that PostgreSQL counted", d.queries, 0)
	}
	r.within("changes reach all nodes after it is back, at most", d.recovered, downRecovered)
	return nil
}
