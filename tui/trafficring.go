package tui

import (
	"slices"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// keptExchanges is how many exchanges are kept to be looked at.
const keptExchanges = 5000

// tailRow is an exchange: one that has started, and, in the same place, what
// became of it.
type tailRow struct {
	place   int64 // counts rows as they came
	heard   time.Time
	started *api.Flight   // nil: its start was not heard of
	ended   *api.Exchange // nil: it is under way
	absent  int           // answers in a row that listed what is in flight without it
	matches bool          // the filter takes it
}

// id is the exchange's own name.
func (r *tailRow) id() string {
	if r.ended != nil {
		return r.ended.RequestID
	}
	return r.started.RequestID
}

// tailRing keeps the exchanges that came last, and knows which of them the filter
// takes. An event costs it the same however many it keeps.
type tailRing struct {
	most  int
	takes func(*tailRow) bool

	slots []*tailRow // by place; nil: the row is gone
	next  int64      // the place of the next row
	byID  map[string]*tailRow
	open  map[string]*tailRow // those under way
	shown []*tailRow          // those that match, by place
}

func newTailRing(most int, takes func(*tailRow) bool) *tailRing {
	r := &tailRing{most: most, takes: takes}
	r.clear()
	return r
}

// clear forgets all rows.
func (r *tailRing) clear() {
	r.slots, r.shown = make([]*tailRow, r.most), nil
	r.byID, r.open = map[string]*tailRow{}, map[string]*tailRow{}
}

// len is how many rows there are.
func (r *tailRing) len() int { return len(r.byID) }

// start takes in that an exchange has started. What is known of it already is
// newer.
func (r *tailRing) start(f *api.Flight, now time.Time) {
	if r.byID[f.RequestID] == nil {
		r.add(&tailRow{started: f, heard: now})
	}
}

// end takes in that an exchange has ended: in the place of its start, where that
// was heard of.
func (r *tailRing) end(x *api.Exchange, now time.Time) {
	row := r.byID[x.RequestID]
	if row == nil {
		r.add(&tailRow{ended: x, heard: now})
		return
	}
	row.ended, row.absent = x, 0
	delete(r.open, x.RequestID)
	r.match(row)
}

// add puts a row behind all others, in the place of the oldest.
func (r *tailRing) add(row *tailRow) {
	slot := &r.slots[r.next%int64(r.most)]
	if *slot != nil {
		r.remove(*slot)
	}
	row.place, row.matches = r.next, false
	r.next++
	*slot = row
	r.byID[row.id()] = row
	if row.ended == nil {
		r.open[row.id()] = row
	}
	r.match(row)
}

// remove forgets a row.
func (r *tailRing) remove(row *tailRow) {
	r.slots[row.place%int64(r.most)] = nil
	delete(r.byID, row.id())
	delete(r.open, row.id())
	r.show(row, false)
}

// match asks the filter about a row.
func (r *tailRing) match(row *tailRow) { r.show(row, r.takes(row)) }

// show puts a row among those that are shown, or takes it away. What is newest, and
// what is oldest, is most often what this is about.
func (r *tailRing) show(row *tailRow, matches bool) {
	if row.matches == matches {
		return
	}
	row.matches = matches
	at := r.search(row.place)
	switch {
	case matches:
		r.shown = slices.Insert(r.shown, at, row)
	case at == 0:
		r.shown[0] = nil
		r.shown = r.shown[1:]
	default:
		r.shown = slices.Delete(r.shown, at, at+1)
	}
}

// search gives where a place is, or would be, among those that are shown.
func (r *tailRing) search(place int64) int {
	if n := len(r.shown); n == 0 || r.shown[n-1].place < place {
		return n
	}
	at, _ := slices.BinarySearchFunc(r.shown, place, func(row *tailRow, place int64) int { return int(row.place - place) })
	return at
}

// refilter asks the filter about all rows, as it is another one.
func (r *tailRing) refilter() {
	r.shown = nil
	for i := range int64(r.most) {
		row := r.slots[(r.next+i)%int64(r.most)]
		if row == nil {
			continue
		}
		if row.matches = r.takes(row); row.matches {
			r.shown = append(r.shown, row)
		}
	}
}

// mostListed is how many of what is in flight the gateway lists.
const mostListed = 1000

// compare takes in what is in flight on all nodes, as it came at a time. An
// exchange that is not there twice has ended, and nobody told: its row goes.
func (r *tailRing) compare(s *api.Streams, at time.Time) {
	if len(s.Items) >= mostListed || s.Partial != nil && len(s.Partial.Nodes) == 0 {
		return // what is not listed may be there
	}
	listed := make(map[string]bool, len(s.Items))
	for i := range s.Items {
		listed[s.Items[i].RequestID] = true
	}
	for id, row := range r.open {
		switch {
		case listed[id]:
			row.absent = 0
		case row.heard.After(at.Add(-loadLimit)): // the answer may have been made before it started
		case s.Partial != nil && slices.Contains(s.Partial.Nodes, row.started.Node):
		case row.absent > 0:
			r.remove(row)
		default:
			row.absent++
		}
	}
}
