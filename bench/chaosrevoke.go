package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/llmgw/llmgw/store/storetest/faults"
)

const (
	revokeRate    = 500 // requests a second in all, on the keys that are about to be revoked
	revokeRuns    = 200
	revokeWarm    = 200 * time.Millisecond // how long a key is used before
	revokeQuiet   = 100 * time.Millisecond // without a success: then it was the last one, it seems
	revokeGiveUp  = 10 * time.Second       // and then it never was
	revokeWatch   = 2 * time.Second        // how long it is asked for again
	watchRate     = 24                     // requests a second then
	revokeTold    = 100 * time.Millisecond
	revokeUntold  = 3 * time.Second
	untoldAtATime = 4 // keys under way where it takes seconds
)

// revokeUnderLoad revokes keys while nodes hear of it by Redis, by PostgreSQL
// alone, and not at all.
func revokeUnderLoad(ctx context.Context, f *fleet, r *report) error {
	if err := f.revocations(ctx, r, "told by Redis", f.portion(revokeRuns, 6), 1, revokeTold); err != nil {
		return err
	}
	if err := f.killRedis(); err != nil {
		return err
	}
	if err := f.revocations(ctx, r, "Redis down", f.portion(revokeRuns, 4), 1, revokeUntold); err != nil {
		return err
	}
	if err := f.startRedis(ctx); err != nil {
		return err
	}
	if err := f.connect(ctx); err != nil {
		return err
	}
	before := f.messagesLost()
	f.lose(true)
	err := f.revocations(ctx, r, "messages lost", f.portion(revokeRuns, 4), untoldAtATime, revokeUntold)
	f.lose(false)
	r.atLeast("messages lost: messages that were", int(f.messagesLost()-before), 1)
	return err
}

// revocations revokes so many keys, some at a time, and tells how long each went
// on to be taken somewhere.
func (f *fleet) revocations(ctx context.Context, r *report, how string, runs, together int, aim time.Duration) error {
	keys, err := f.newKeys(ctx, runs)
	if err != nil {
		return err
	}
	trials, errs := make([]*trial, runs), make([]error, together)
	var working, watching sync.WaitGroup
	for w := range together {
		working.Go(func() {
			for i := w; i < runs && errs[w] == nil; i += together {
				t := f.trial(keys[i], i, revokeRate/together)
				trials[i] = t
				if errs[w] = t.revoke(ctx); errs[w] == nil {
					watching.Go(func() { t.watch(ctx) })
				}
			}
		})
	}
	working.Wait()
	watching.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return tellRevocations(r, how, trials, aim)
}

func tellRevocations(r *report, how string, trials []*trial, aim time.Duration) error {
	var fromAsked, fromDone []time.Duration
	var asked, resurrected, broken int
	var example error
	for _, t := range trials {
		fromAsked = append(fromAsked, max(0, t.last.Sub(t.begun)))
		fromDone = append(fromDone, max(0, t.last.Sub(t.done)))
		asked += t.asked
		resurrected += t.resurrected
		broken += t.broken
		if t.example != nil {
			example = t.example
		}
	}
	p50, err := percentile(fromAsked, 50)
	if err != nil {
		return err
	}
	p99, _ := percentile(fromAsked, 99) // there are some, as p50 has shown
	most, _ := percentile(fromAsked, 100)
	after, _ := percentile(fromDone, 99)
	r.tell(how+": revocations, requests", fmt.Sprintf("%d, %d", len(trials), asked))
	r.tell(how+": last success after it was asked for, p50", inMillis(p50)+" ms")
	r.within(how+": p99", p99, aim)
	r.tell(how+": most", inMillis(most)+" ms")
	r.tell(how+": last success after it was answered, p99", inMillis(after)+" ms")
	r.same(how+": successes on a node that had refused", resurrected, 0)
	r.same(how+": requests that got neither yes nor no", broken, 0)
	if example != nil {
		r.bad = append(r.bad, fmt.Errorf("%s, for example: %w", how, example))
	}
	return nil
}

// trial is one key on its way to being revoked.
type trial struct {
	fleet   *fleet
	key     madeKey
	at      *replica // where it is revoked
	rate    int
	lanes   []*lane
	request []byte

	mu          sync.Mutex
	begun, done time.Time // when the revocation was asked for, and answered
	refused     [fleetNodes]time.Time
	last        time.Time // success anywhere
	asked       int
	resurrected int // successes that were asked for when their node had refused already
	broken      int
	example     error
}

func (f *fleet) trial(key madeKey, n, rate int) *trial {
	return &trial{fleet: f, key: key, at: f.nodes[n%fleetNodes], rate: rate, lanes: f.lanes(), request: chatRequest("llmgw", key.Secret, false)}
}

// revoke asks with the key all the time, revokes it, and goes on asking until it
// seems that nobody takes it any more.
func (t *trial) revoke(ctx context.Context) error {
	asking, stop := context.WithCancel(ctx)
	defer stop()
	var loading sync.WaitGroup
	loading.Go(func() { atRate(asking, t.rate, revokeWarm+revokeGiveUp+callBound, t.ask(ctx)) })
	defer loading.Wait()
	defer stop()
	if err := wait(ctx, revokeWarm); err != nil {
		return err
	}
	if err := t.taken(); err != nil {
		return err
	}
	t.set(&t.begun)
	if err := t.at.revokeKey(ctx, t.key.Name); err != nil {
		return err
	}
	t.set(&t.done)
	_, err := until(ctx, "a revoked key is refused everywhere", revokeGiveUp, func(context.Context) error { return t.over() })
	return err
}

func (t *trial) set(at *time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*at = time.Now()
}

// taken says that the key was good, without which nothing would be shown.
func (t *trial) taken() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last.IsZero() {
		return fmt.Errorf("a key that nobody has revoked is not answered: %w", t.example)
	}
	return nil
}

var errStillTaken = errors.New("a revoked key is taken")

func (t *trial) over() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range t.refused {
		if at.IsZero() {
			return errStillTaken
		}
	}
	if time.Since(t.last) < revokeQuiet {
		return errStillTaken
	}
	return nil
}

// watch goes on asking, for a key that comes back.
func (t *trial) watch(ctx context.Context) {
	atRate(ctx, watchRate, revokeWatch, t.ask(ctx))
	for _, l := range t.lanes {
		l.close()
	}
}

func (t *trial) ask(ctx context.Context) func(int, time.Time) {
	want := chatReply()
	return func(n int, _ time.Time) {
		node := n % fleetNodes
		sent := time.Now()
		t.note(node, sent, t.lanes[node].ask(ctx, t.request, want))
	}
}

func (t *trial) note(node int, sent time.Time, a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked++
	switch {
	case a.verdict == whole:
		if a.at.After(t.last) {
			t.last = a.at
		}
		if at := t.refused[node]; !at.IsZero() && sent.After(at) {
			t.resurrected++
		}
	case a.denied() && !t.begun.IsZero():
		if t.refused[node].IsZero() {
			t.refused[node] = a.at
		}
	default:
		t.broken++
		t.example = a.err
	}
}

// cutOff lets a node reach nothing, or everything again.
func (r *replica) cutOff(yes bool) error {
	var w faults.Way
	if yes {
		w = faults.Blackhole()
	}
	return errors.Join(r.toStore.Set(w), r.toBus.Set(w))
}
