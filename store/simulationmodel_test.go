package store

import (
	"slices"
	"time"
)

const simKeys = 3 // the last of them belongs to nobody

type keyState string

const (
	keyGone    keyState = "unknown"
	keyActive  keyState = "active"
	keyRevoked keyState = "revoked"
	ownerOff   keyState = "active, its owner is disabled"
	allOff     keyState = "revoked, its owner is disabled"
)

// truth is what the database holds at one moment.
type truth struct {
	keys     [simKeys]keyState
	off      bool // the owner is disabled
	config   int
	revision int64
	made     time.Duration // when the revision was committed, or was what a failover left, by the perfect clock
}

// answer is what a node is to say of a key.
func (t *truth) answer(key int) keyState {
	switch state := t.keys[key]; {
	case !t.off || key == simKeys-1 || state == keyGone:
		return state
	case state == keyRevoked:
		return allOff
	}
	return ownerOff
}

// past is all that ever was: a point for each change that was committed, and for
// each failover, which makes an earlier state the present one again.
type past struct {
	points []truth
	log    []logged         // of the database as it is now; the first is where it began
	was    map[string]truth // after each change that ever was, by its hash
	made   map[string]point // by the id of a change
}

// point is an index of past.points.
type point int

type logged struct {
	seq  int64
	hash string
	at   point
}

// pastFrom begins at the head that the template has.
func pastFrom(h Head) *past {
	first := truth{keys: [simKeys]keyState{keyGone, keyGone, keyGone}}
	return &past{
		points: []truth{first}, log: []logged{{h.Seq, string(h.Hash), 0}},
		was: map[string]truth{string(h.Hash): first}, made: map[string]point{},
	}
}

func (p *past) head() logged { return p.log[len(p.log)-1] }

func (p *past) now() point { return point(len(p.points) - 1) }

// is what holds now.
func (p *past) is() *truth { return &p.points[p.now()] }

// commit notes a change that the database has.
func (p *past) commit(h Head, id string, does func(*truth)) point {
	next := *p.is()
	does(&next)
	p.points = append(p.points, next)
	p.log = append(p.log, logged{h.Seq, string(h.Hash), p.now()})
	p.was[string(h.Hash)], p.made[id] = next, p.now()
	return p.now()
}

// failOver loses what was committed after the newest of kept.
func (p *past) failOver(kept []logged, at time.Duration) {
	p.log = slices.Clone(kept)
	left := p.was[p.head().hash]
	left.made = at // a node may have looked before
	p.points = append(p.points, left)
}

// in says whether the log of the database has a change, and when it was made.
func (p *past) in(hash []byte) (point, bool) {
	for i := range p.log {
		if p.log[i].hash == string(hash) {
			return p.log[i].at, true
		}
	}
	return 0, false
}

// held says whether this was the answer for a key at any moment since a point.
func (p *past) held(key int, state keyState, since point) bool {
	for i := since; i <= p.now(); i++ {
		if p.points[i].answer(key) == state {
			return true
		}
	}
	return false
}
