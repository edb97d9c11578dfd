package rules

import (
	"cmp"
	"math"
	"net/textproto"
	"slices"
	"strings"
)

// affinity says what keeps a caller on its upstream. The zero value is the key.
type affinity struct {
	header string // canonical name; "" for the key
	none   bool
}

func newAffinity(written string) affinity {
	if name, ok := strings.CutPrefix(written, "header:"); ok {
		return affinity{header: textproto.CanonicalMIMEHeaderKey(name)}
	}
	return affinity{none: written == "none"}
}

// of gives the number that stands for whom a request is kept together with. One
// without the header is kept by its key, and one without a key is drawn.
func (a *affinity) of(q *Request) uint64 {
	if a.none {
		return scramble(q.Random)
	}
	if a.header != "" {
		if values := q.Header[a.header]; len(values) > 0 && values[0] != "" {
			return hashText(values[0])
		}
	}
	if q.Key == "" {
		return scramble(q.Random)
	}
	return hashText(q.Key)
}

// score is a candidate's in weighted rendezvous hashing (Thaler and Ravishankar
// 1998; the weights after Schindelhauer and Schomaker 2005): who has the highest
// is chosen, in proportion to the weights. It hangs on nothing but the two, so
// that no candidate that comes or goes moves the callers of another one.
func (c *Candidate) score(caller uint64) float64 {
	const unit = 1.0 / (1 << 53)
	drawn := (float64(scramble(caller^c.seed)>>11) + 0.5) * unit // within (0, 1)
	return -float64(c.Weight) / math.Log(drawn)
}

// maxEntries bounds the upstreams of a rule, and the room that ranking takes.
const maxEntries = 64

// rank brings candidates into the order of their scores, the highest first.
func rank(candidates []*Candidate, caller uint64) {
	type ranked struct {
		score     float64
		candidate *Candidate
	}
	var room [maxEntries]ranked
	order := room[:len(candidates)]
	for i, c := range candidates {
		order[i] = ranked{c.score(caller), c}
	}
	slices.SortStableFunc(order, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
	for i := range order {
		candidates[i] = order[i].candidate
	}
}

// newSeed stands for an entry: its upstream's name, and which of the entries
// with that name it is. It is the same on every node and at every revision.
func newSeed(upstream string, occurrence int) uint64 {
	return scramble(hashText(upstream) + uint64(occurrence))
}

// hashText is FNV-1a of 64 bits.
func hashText(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return scramble(h)
}

// scramble spreads every bit over all others (the finalizer of splitmix64).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
