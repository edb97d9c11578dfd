package rules

import (
	"strconv"
	"strings"
	"time"
)

// Retry says when a request is sent again and how often: one list of attempts,
// the candidates of a Decision, and one budget.
type Retry struct {
	On RetryOn
	// Attempts is how many there may be, the first one counted. Where they are
	// more than the candidates, the list begins again. Written, 0 is every
	// candidate once; in a Decision it is never 0.
	Attempts int
	// Within is the time from the first attempt in which another one may begin.
	// Written, 0 is DefaultRetryWithin; in a Decision it is never 0.
	Within time.Duration
}

// DefaultRetryWithin is the budget of a rule that names none.
const DefaultRetryWithin = 10 * time.Second

// RetryOn is a set of what may happen to an attempt that is worth another one.
// The zero value is empty.
type RetryOn struct {
	kinds    RetryKind
	statuses [2]uint64 // bits of 500 to 599, and of 429 behind them
}

// RetryKind is what happened to an attempt that got no answer. The constants
// are bits and may be joined.
type RetryKind uint8

// The kinds. OnConnect: no connection was made, so nothing was sent. OnReset:
// the connection broke before the answer's first byte. OnTimeout: one of
// connect, response_header and first_token ran out.
const (
	OnConnect RetryKind = 1 << iota
	OnReset
	OnTimeout
)

// retryKinds names them, in the order of the canonical form.
var retryKinds = [...]struct {
	name string
	kind RetryKind
}{{"connect", OnConnect}, {"reset", OnReset}, {"timeout", OnTimeout}}

// RetryWhen makes a set. Statuses that cannot be in one (see HasStatus) are
// left out.
func RetryWhen(kinds RetryKind, statuses ...int) RetryOn {
	on := RetryOn{kinds: kinds}
	for _, status := range statuses {
		if bit, ok := statusBit(status); ok {
			on.statuses[bit/64] |= 1 << (bit % 64)
		}
	}
	return on
}

// Has says whether all of kinds are in the set.
func (r RetryOn) Has(kinds RetryKind) bool { return r.kinds&kinds == kinds }

// HasStatus says whether an answer of that status is in the set: 429, or one
// from 500 to 599.
func (r RetryOn) HasStatus(code int) bool {
	bit, ok := statusBit(code)
	return ok && r.statuses[bit/64]&(1<<(bit%64)) != 0
}

// with joins two sets.
func (r RetryOn) with(more RetryOn) RetryOn {
	r.kinds |= more.kinds
	for i := range r.statuses {
		r.statuses[i] |= more.statuses[i]
	}
	return r
}

// statusBit gives a status's place in the set.
func statusBit(code int) (bit int, ok bool) {
	switch {
	case code == 429:
		return 100, true
	case code >= 500 && code <= 599:
		return code - 500, true
	}
	return 0, false
}

// String gives the set as it is written: kinds, then statuses.
func (r RetryOn) String() string {
	var words []string
	for _, k := range retryKinds {
		if r.Has(k.kind) {
			words = append(words, k.name)
		}
	}
	for _, code := range r.codes() {
		words = append(words, strconv.Itoa(code))
	}
	return strings.Join(words, ", ")
}

// codes lists the statuses of the set, rising.
func (r RetryOn) codes() []int {
	var codes []int
	for code := 429; code < 600; code++ {
		if r.HasStatus(code) {
			codes = append(codes, code)
		}
	}
	return codes
}

// orDefaults fills in what a rule leaves open but the number of attempts, which
// Decide knows; r is nil where the rule says nothing.
func (r *Retry) orDefaults() Retry {
	var full Retry
	if r != nil {
		full = *r
	}
	if full.On == (RetryOn{}) {
		full.On = RetryWhen(OnConnect)
	}
	if full.Within == 0 {
		full.Within = DefaultRetryWithin
	}
	return full
}
