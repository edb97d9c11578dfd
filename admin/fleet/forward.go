package fleet

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// Bounds of what a node tells others of itself.
const (
	leaseFor     = 15 * time.Second // of one call
	mostLeases   = 32
	callsWaiting = 64
	eventQueue   = 4096
	forwardMost  = 2000 // exchanges and starts a second
	flushEvery   = 100 * time.Millisecond
	flushBytes   = 64 << 10
	countsEvery  = time.Second // where nothing but counts is to be told
	batchQueue   = 16
)

// forwarding is what this node tells others of itself.
type forwarding struct {
	leased   atomic.Bool // somebody looks
	queue    chan passed
	overflow atomic.Int64 // what the queue had no room for
	leases   chan leaseCall
	batches  chan parcel
}

// passed is an exchange that has started, or one that has ended.
type passed struct {
	started *api.Flight
	ended   *api.Exchange
}

type leaseCall struct {
	circle *circle
	wanted watchCall
}

// parcel is a batch on its way.
type parcel struct {
	circle  *circle
	channel string
	batch   batch
}

func newForwarding() forwarding {
	return forwarding{
		queue: make(chan passed, eventQueue), leases: make(chan leaseCall, callsWaiting), batches: make(chan parcel, batchQueue),
	}
}

// Watched says whether another node wants to know what passes here. Where it is
// not, Started and Ended do nothing.
func (f *Fleet) Watched() bool { return f.leased.Load() }

// Started tells others of an exchange that has started. It does not block, and
// keeps what it is given, as does Ended.
func (f *Fleet) Started(x *api.Flight) { f.pass(passed{started: x}) }

// Ended tells others of an exchange that has ended.
func (f *Fleet) Ended(x *api.Exchange) { f.pass(passed{ended: x}) }

func (f *Fleet) pass(e passed) {
	if !f.leased.Load() {
		return
	}
	select {
	case f.queue <- e:
	default:
		f.overflow.Add(1)
		f.count.dropped.Add(1)
	}
}

// forward tells those who hold a lease, until ctx ends.
func (f *Fleet) forward(ctx context.Context) {
	w := &forwarder{fleet: f}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	defer f.leased.Store(false)
	for {
		if len(w.leases) == 0 { // nothing has to be looked after
			tick.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case c := <-f.leases:
			if w.take(c, time.Now()); len(w.leases) > 0 {
				tick.Reset(flushEvery)
			}
		case e := <-f.queue:
			w.offer(e, time.Now())
		case now := <-tick.C:
			w.flushDue(now)
		}
	}
}

// forwarder is the part of forwarding that one goroutine has to itself.
type forwarder struct {
	fleet  *Fleet
	leases []*lease
	last   int64 // number of a lease
	second time.Time
	passed int // within it
}

// lease is one node that looks.
type lease struct {
	circle   *circle
	watch    string
	number   int64
	filters  []Filter
	until    time.Time
	overflow int64 // of the queue, when the lease began

	batch  batch
	size   int       // bytes of what is in it
	told   counts    // when last something was
	toldAt time.Time // when that was
	count  counts
	batchN int64
	sent   int64
}

// take begins a lease, goes on with it, or ends it. It is answered at once.
func (w *forwarder) take(c leaseCall, now time.Time) {
	at := slices.IndexFunc(w.leases, func(l *lease) bool { return l.circle == c.circle && l.watch == c.wanted.ID })
	switch {
	case len(c.wanted.Filters) == 0:
		if at >= 0 {
			w.end(at)
		}
		return
	case at < 0 && len(w.leases) >= mostLeases:
		w.fleet.count.refused.Add(1)
		return
	case at < 0:
		w.last++
		at = len(w.leases)
		w.leases = append(w.leases, &lease{circle: c.circle, watch: c.wanted.ID, number: w.last, overflow: w.fleet.overflow.Load()})
		w.noteLeases()
	}
	l := w.leases[at]
	l.filters, l.until = c.wanted.Filters, now.Add(leaseFor)
	w.flush(l, now)
}

func (w *forwarder) end(at int) {
	w.leases = slices.Delete(w.leases, at, at+1)
	w.noteLeases()
}

func (w *forwarder) noteLeases() {
	w.fleet.leased.Store(len(w.leases) > 0)
	w.fleet.count.leases.Store(int64(len(w.leases)))
}

// offer puts what passed into the batches of those who want it. It is written
// once for all of them.
func (w *forwarder) offer(e passed, now time.Time) {
	var text json.RawMessage
	var let, asked bool
	for _, l := range w.leases {
		if !l.wants(e) {
			continue
		}
		if !asked {
			asked, let = true, w.lets(now)
		}
		if let && text == nil {
			text = e.text()
		}
		if text == nil {
			l.count.Dropped++
			continue
		}
		if l.add(e, text); l.size >= flushBytes {
			w.flush(l, now)
		}
	}
	switch {
	case asked && text == nil:
		w.fleet.count.dropped.Add(1)
	case asked:
		w.fleet.count.forwarded.Add(1)
	}
}

// text is nil for what cannot be written, which nothing that passes is.
func (e passed) text() json.RawMessage {
	var text []byte
	var err error
	if e.started != nil {
		text, err = json.Marshal(e.started)
	} else {
		text, err = json.Marshal(e.ended)
	}
	if err != nil {
		return nil
	}
	return text
}

// lets bounds what is forwarded in a second.
func (w *forwarder) lets(now time.Time) bool {
	if now.Sub(w.second) >= time.Second {
		w.second, w.passed = now, 0
	}
	w.passed++
	return w.passed <= forwardMost
}

// wants counts what no filter takes that wants its kind at all.
func (l *lease) wants(e passed) bool {
	ofKind := false
	for i := range l.filters {
		f := &l.filters[i]
		switch {
		case e.started != nil && f.Started:
			if f.TakesStart(e.started) {
				return true
			}
			ofKind = true
		case e.ended != nil && f.Ended:
			if f.Takes(e.ended) {
				return true
			}
			ofKind = true
		}
	}
	switch {
	case ofKind && e.started != nil:
		l.count.FilteredStarted++
	case ofKind:
		l.count.FilteredEnded++
	}
	return false
}

func (l *lease) add(e passed, text json.RawMessage) {
	if e.started != nil {
		l.batch.Started = append(l.batch.Started, text)
	} else {
		l.batch.Ended = append(l.batch.Ended, text)
	}
	l.size += len(text)
}

// flushDue sends what has waited, and ends leases that nobody goes on with.
func (w *forwarder) flushDue(now time.Time) {
	current := w.fleet.circle.Load()
	for at := len(w.leases) - 1; at >= 0; at-- {
		l := w.leases[at]
		switch {
		case now.After(l.until), current != nil && l.circle != current:
			w.end(at)
		case l.size > 0, now.Sub(l.toldAt) >= countsEvery && l.counts(w.fleet) != l.told:
			w.flush(l, now)
		}
	}
}

func (l *lease) counts(of *Fleet) counts {
	all := l.count
	all.Dropped += of.overflow.Load() - l.overflow
	return all
}

// flush hands a batch to whoever publishes. What there is no room for is missed by
// the reader, who counts it by the next batch.
func (w *forwarder) flush(l *lease, now time.Time) {
	f := w.fleet
	l.told, l.toldAt = l.counts(f), now
	l.batchN++
	b := l.batch
	b.From, b.Lease, b.Number, b.Before, b.counts = f.self(), l.number, l.batchN, l.sent, l.told
	l.sent += int64(len(b.Started) + len(b.Ended))
	l.batch, l.size = batch{}, 0
	select {
	case f.batches <- parcel{circle: l.circle, channel: l.circle.watch(l.watch), batch: b}:
	default:
		f.count.refused.Add(1)
	}
}

// publishBatches is beside forward, which goes on filtering while the bus is slow.
func (f *Fleet) publishBatches(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-f.batches:
			_ = f.publish(ctx, p.circle, p.channel, &p.batch) // counted there; the reader misses it
		}
	}
}

func (f *Fleet) self() sender { return sender{ID: f.options.Self, Name: f.options.Name} }
