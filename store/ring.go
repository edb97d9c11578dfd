package store

import (
	"slices"
	"sync/atomic"

	"github.com/llmgw/llmgw/accounts"
)

// ring is a bounded map that, when it is full, throws out what has not been
// asked for since it last looked (second chance). find may be called by many
// at once; everything else wants the shard's lock for writing.
type ring struct {
	limit int
	at    map[accounts.KeyHash]*slot
	slots []*slot
	of    map[string][]*slot // by what they depend on
	hand  int                // the next one to be looked at
}

// slot is one entry.
type slot struct {
	hash    accounts.KeyHash
	who     *accounts.Identity // nil among the unknown
	subject string             // what it depends on; empty: nothing that has a name
	owner   string             // what else it depends on; may be empty
	asked   atomic.Bool        // since the hand last came by
	index   int                // in slots
}

func newSlot(hash accounts.KeyHash, who *accounts.Identity) *slot {
	return &slot{hash: hash, who: who, subject: subjectOf(who), owner: ownerOf(who)}
}

func (r *ring) find(hash *accounts.KeyHash) *slot {
	e := r.at[*hash]
	if e != nil && !e.asked.Load() { // the look first: a store that is not needed slows the others
		e.asked.Store(true)
	}
	return e
}

func (r *ring) put(e *slot) {
	if old := r.at[e.hash]; old != nil {
		r.forget(old)
		r.place(e, old.index)
		return
	}
	if len(r.slots) < r.limit {
		r.slots = append(r.slots, nil)
		r.place(e, len(r.slots)-1)
		return
	}
	// In the victim's place, behind the hand: a new entry has a whole round to
	// be asked for.
	i := r.victim()
	r.forget(r.slots[i])
	r.place(e, i)
	r.hand = i + 1
}

func (r *ring) place(e *slot, index int) {
	e.index = index
	r.slots[index] = e
	r.at[e.hash] = e
	for _, subject := range e.subjects() {
		if subject != "" {
			r.of[subject] = append(r.of[subject], e)
		}
	}
}

func (e *slot) subjects() [2]string { return [2]string{e.subject, e.owner} }

// forget takes e out of the maps, and leaves its place to the caller.
func (r *ring) forget(e *slot) {
	delete(r.at, e.hash)
	for _, subject := range e.subjects() {
		rest := slices.DeleteFunc(r.of[subject], func(other *slot) bool { return other == e })
		if len(rest) == 0 {
			delete(r.of, subject)
			continue
		}
		r.of[subject] = rest
	}
}

// victim goes round until it finds one that nobody asked for. It ends, since
// it takes the mark from each it passes.
func (r *ring) victim() int {
	for {
		if r.hand >= len(r.slots) {
			r.hand = 0
		}
		if !r.slots[r.hand].asked.Swap(false) {
			return r.hand
		}
		r.hand++
	}
}

func (r *ring) drop(hash *accounts.KeyHash) {
	e := r.at[*hash]
	if e == nil {
		return
	}
	r.forget(e)
	last := len(r.slots) - 1
	r.slots[e.index] = r.slots[last]
	r.slots[e.index].index = e.index
	r.slots[last] = nil
	r.slots = r.slots[:last]
}

// dropSubject drops all that depends on subject. The list goes first: taking its
// entries out of it one by one would take the square of their number.
func (r *ring) dropSubject(subject string) {
	entries := r.of[subject]
	delete(r.of, subject)
	for _, e := range entries {
		r.drop(&e.hash)
	}
}

func (r *ring) clear() {
	if r.at != nil && len(r.slots) == 0 {
		return
	}
	r.at, r.of, r.slots, r.hand = make(map[accounts.KeyHash]*slot), make(map[string][]*slot), nil, 0
}
