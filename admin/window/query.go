package window

import (
	"time"
)

// What may be asked for.
const (
	LeastWindow   = time.Minute
	LongestWindow = time.Hour
	MostPoints    = 240
	MostNames     = 1000
	shareParts    = 15
)

// Query says what is wanted of the last hour. A Query of another node may say
// anything; what is not possible is made so.
type Query struct {
	Window time.Duration `json:"window"`
	Points int           `json:"points"`
	Kinds  []string      `json:"kinds,omitempty"`
	Names  int           `json:"names,omitempty"` // of each kind
}

func (q Query) bounded() Query {
	q.Window = min(max(q.Window, LeastWindow), LongestWindow)
	q.Points = min(max(q.Points, 1), MostPoints)
	q.Names = min(max(q.Names, 1), MostNames)
	return q
}

func (q *Query) wants(k kind) bool {
	for _, name := range q.Kinds {
		if name == k.String() {
			return true
		}
	}
	return false
}

// grain is how many fine cells make one of those that a window is counted in.
func (q *Query) grain() int64 {
	if q.Window <= fineCells*stepsInFine*stepTime {
		return 1
	}
	return finePer
}

// cells is how many of these the window has: all that fit into it.
func (q *Query) cells() int64 {
	size := time.Duration(q.grain()*stepsInFine) * stepTime
	return max(1, int64(q.Window/size))
}

// steps is how many steps a point of the series has: as many as make no more
// points than are asked for, and such that points do not begin within a cell.
func (q *Query) steps() int64 {
	cell := q.grain() * stepsInFine
	all := q.cells() * cell
	n := (all + int64(q.Points) - 1) / int64(q.Points)
	if n > cell {
		return (n + cell - 1) / cell * cell
	}
	for cell%n != 0 {
		n++
	}
	return n
}

// step is how long a point of the series lasts.
func (q *Query) step() time.Duration { return time.Duration(q.steps()) * stepTime }

// group says in which of the groups of size items an item is, the newest group
// whole: a short one is among the old.
func group(item, items, size int64) int64 { return (items-1)/size - (items-1-item)/size }
