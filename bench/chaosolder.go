package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	olderRate    = 200
	olderNoticed = 5 * time.Second
	breakMetric  = "llmgw_config_log_breaks_total"
)

// lostPart is what is done after the copy, and what the nodes should answer when
// it is undone by the copy's return.
type lostPart struct {
	revoked madeKey // made before the copy, revoked after it: good again
	kept    madeKey // good before, and all the time
	late    madeKey // made after the copy: nobody's
}

// followOlderCopy puts an older copy in the place of PostgreSQL's data, as a
// failover onto a replica that lagged does.
func followOlderCopy(ctx context.Context, f *fleet, r *report) error {
	p, older, err := f.loseCommits(ctx)
	if err != nil {
		return err
	}
	c := f.callers(p.kept.Secret)
	defer c.close()
	breaks, err := f.logBreaks(ctx)
	if err != nil {
		return err
	}
	var served *round
	var serving sync.WaitGroup
	asking, stop := context.WithCancel(ctx)
	defer serving.Wait()
	defer stop()
	serving.Go(func() { served = c.call(asking, olderRate, longest) })

	back, err := f.putBack(ctx, older)
	if err != nil {
		return err
	}
	noticed, err := until(ctx, "all nodes notice that commits were lost", settleBound, func(ctx context.Context) error { return f.noticed(ctx, breaks) })
	if err != nil {
		return errors.Join(err, f.logs())
	}
	right, err := until(ctx, "all nodes answer by what is stored", settleBound, func(ctx context.Context) error { return f.answers(ctx, p) })
	if err != nil {
		return errors.Join(err, f.logs())
	}
	equal, err := until(ctx, "all nodes in step", settleBound, f.inStep)
	if err != nil {
		return err
	}
	r.within("all nodes noticed, say so in status and count it", noticed.Sub(back), olderNoticed)
	r.within("a lost key is refused, a lost revocation undone, lost rules gone", right.Sub(back), olderNoticed)
	r.within("all nodes equal", equal.Sub(back), olderNoticed)
	if err := f.changesAgain(ctx, p); err != nil {
		return err
	}
	stop()
	serving.Wait()
	r.allWhole("requests of a key that nothing happened to", served)
	return nil
}

// loseCommits makes changes, takes a copy, makes more, and lets all nodes know of
// all of it.
func (f *fleet) loseCommits(ctx context.Context) (p lostPart, older func(context.Context) error, err error) {
	keys, err := f.newKeys(ctx, 2)
	if err != nil {
		return p, nil, err
	}
	p.revoked, p.kept = keys[0], keys[1]
	if _, err := f.nodes[0].applyRules(ctx, markerRules(marker(1))); err != nil {
		return p, nil, err
	}
	if err := f.settle(ctx); err != nil {
		return p, nil, err
	}
	if err := f.stopPostgres(); err != nil {
		return p, nil, err
	}
	saved, err := f.postgres.CopyData(ctx)
	if err != nil {
		return p, nil, err
	}
	if _, err := f.startPostgres(ctx); err != nil {
		return p, nil, err
	}
	if err := f.connect(ctx); err != nil {
		return p, nil, err
	}
	late, err := f.newKeys(ctx, 1)
	if err != nil {
		return p, nil, err
	}
	p.late = late[0]
	_, err = f.nodes[1].applyRules(ctx, markerRules(marker(2)))
	err = errors.Join(err, f.nodes[2].revokeKey(ctx, p.revoked.Name))
	if err != nil {
		return p, nil, err
	}
	_, err = until(ctx, "all nodes know the changes", settleBound, func(ctx context.Context) error {
		return f.know(ctx, marker(2), map[string]bool{p.late.Secret: true, p.kept.Secret: true, p.revoked.Secret: false})
	})
	return p, func(ctx context.Context) error { return f.postgres.RestoreData(ctx, saved) }, err
}

// putBack restores the copy, and says from when on it could be reached.
func (f *fleet) putBack(ctx context.Context, older func(context.Context) error) (time.Time, error) {
	if err := f.stopPostgres(); err != nil {
		return time.Time{}, err
	}
	if err := older(ctx); err != nil {
		return time.Time{}, err
	}
	return f.startPostgres(ctx)
}

// answers says whether every node answers by the copy.
func (f *fleet) answers(ctx context.Context, p lostPart) error {
	return f.know(ctx, marker(1), map[string]bool{p.late.Secret: false, p.kept.Secret: true, p.revoked.Secret: true})
}

// know says whether every node decides by some rules, and takes the keys that it
// should and no others.
func (f *fleet) know(ctx context.Context, rules string, good map[string]bool) error {
	for _, r := range f.nodes {
		text, err := f.saying(ctx, r)
		if err != nil || text != rules {
			return errors.Join(fmt.Errorf("%s decides by %q", r.name, text), err)
		}
	}
	return f.takes(ctx, good)
}

// takes says whether every node takes the keys that it should, and no others.
func (f *fleet) takes(ctx context.Context, good map[string]bool) error {
	want := chatReply()
	for _, r := range f.nodes {
		for secret, is := range good {
			l := &lane{addr: r.addr}
			a := l.ask(ctx, chatRequest("llmgw", secret, false), want)
			l.close()
			if taken := a.verdict == whole; taken != is || !taken && !a.denied() {
				return errors.Join(fmt.Errorf("%s takes a key: %v", r.name, taken), a.err)
			}
		}
	}
	return nil
}

func (f *fleet) logBreaks(ctx context.Context) ([]float64, error) {
	all := make([]float64, len(f.nodes))
	for i, r := range f.nodes {
		m, err := r.metrics(ctx)
		if err != nil {
			return nil, err
		}
		all[i] = m.sum(breakMetric)
	}
	return all, nil
}

// noticed says whether every node has counted that the log did not continue, and
// says so.
func (f *fleet) noticed(ctx context.Context, before []float64) error {
	after, err := f.logBreaks(ctx)
	if err != nil {
		return err
	}
	for i, r := range f.nodes {
		if after[i] <= before[i] {
			return fmt.Errorf("%s has not counted it", r.name)
		}
		s, err := r.status(ctx)
		if err != nil || !strings.Contains(s.Problem, "did not continue") {
			return errors.Join(fmt.Errorf("%s says %q", r.name, s.Problem), err)
		}
	}
	return nil
}

// changesAgain revokes the key anew, where the lost revocation stood.
func (f *fleet) changesAgain(ctx context.Context, p lostPart) error {
	if err := f.nodes[0].revokeKey(ctx, p.revoked.Name); err != nil {
		return err
	}
	_, err := until(ctx, "a key is revoked again", settleBound, func(ctx context.Context) error {
		return f.know(ctx, marker(1), map[string]bool{p.late.Secret: false, p.kept.Secret: true, p.revoked.Secret: false})
	})
	return err
}
