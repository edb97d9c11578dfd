package fleet

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// Bounds of what others may ask.
const (
	questionQueue = 16
	answersASec   = 50
	mostFlights   = 1000
	answerBytes   = 1 << 20 // of flights, about; the youngest are left out
)

// asked is a question of another node.
type asked struct {
	circle   *circle
	question questionOf
}

// answerAll answers questions, one after another, until ctx ends.
func (f *Fleet) answerAll(ctx context.Context) {
	var second time.Time
	var answered int
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-f.questions:
			if now := time.Now(); now.Sub(second) >= time.Second {
				second, answered = now, 0
			}
			if answered++; answered > answersASec {
				f.count.refused.Add(1)
				continue
			}
			a := f.answer(&q.question)
			_ = f.publish(ctx, q.circle, q.circle.answers(q.question.ID), &a) // counted there; whoever asked knows who said nothing
		}
	}
}

func (f *Fleet) answer(q *questionOf) answer {
	a := answer{From: f.self()}
	if q.Cut != "" {
		a.Cut = f.options.Cut(q.Cut, q.By)
		return a
	}
	if q.Traffic != nil {
		a.Traffic = f.ownTraffic(*q.Traffic)
		return a
	}
	a.Flights = Oldest(f.options.Flights(), min(max(q.Limit, 0), mostFlights))
	size := 0
	for i := range a.Flights {
		if size += sizeOf(&a.Flights[i]); size > answerBytes {
			a.Flights = a.Flights[:i]
			break
		}
	}
	return a
}

// sizeOf is about how many bytes a flight is, written; JSON may make six of one.
func sizeOf(x *api.Flight) int {
	const rest = 250
	return rest + len(x.RequestID) + len(x.Method) + len(x.Path) + len(x.Key) + len(x.User) + len(x.Rule) + len(x.Upstream) + len(x.Model)
}

// Oldest sorts flights, the oldest first, and gives so many of them.
func Oldest(flights []api.Flight, limit int) []api.Flight {
	slices.SortFunc(flights, func(a, b api.Flight) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.RequestID, b.RequestID))
	})
	return flights[:min(len(flights), limit)]
}
