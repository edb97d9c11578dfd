package tui

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

// modelRow is a row of the tail as a plain list has it.
type modelRow struct {
	id     string
	status int // 0: under way
}

func TestTheRingKeepsWhatAPlainListWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 7
		least := 0
		r := newTailRing(most, func(row *tailRow) bool {
			return row.ended != nil && row.ended.Status >= least || row.ended == nil && least == 0
		})
		var slots []*modelRow // as they came; nil: gone before its time
		find := func(id string) int {
			return slices.IndexFunc(slots, func(m *modelRow) bool { return m != nil && m.id == id })
		}
		add := func(m *modelRow) {
			if slots = append(slots, m); len(slots) > most {
				slots = slots[1:]
			}
		}
		now := sampleNow()
		for range rapid.IntRange(0, 80).Draw(t, "events") {
			id := fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "id"))
			at := find(id)
			switch rapid.SampledFrom([]string{"start", "end", "filter", "compare"}).Draw(t, "what") {
			case "start":
				r.start(&api.Flight{RequestID: id}, now)
				if at < 0 {
					add(&modelRow{id: id})
				}
			case "end":
				status := rapid.SampledFrom([]int{200, 429, 500}).Draw(t, "status")
				r.end(&api.Exchange{RequestID: id, Status: status}, now)
				if at >= 0 {
					slots[at].status = status
				} else {
					add(&modelRow{id, status})
				}
			case "filter":
				least = rapid.SampledFrom([]int{0, 400, 500}).Draw(t, "least")
				r.refilter()
			case "compare": // twice without any of those under way
				for range 2 {
					r.compare(&api.Streams{}, now.Add(time.Hour))
				}
				for i, m := range slots {
					if m != nil && m.status == 0 {
						slots[i] = nil
					}
				}
			}
			kept := 0
			want := []modelRow{}
			for _, m := range slots {
				if m == nil {
					continue
				}
				kept++
				if m.status >= least {
					want = append(want, *m)
				}
			}
			got := []modelRow{}
			for _, row := range r.shown {
				m := modelRow{id: row.id()}
				if row.ended != nil {
					m.status = row.ended.Status
				} else if r.open[m.id] != row {
					t.Fatalf("%s is under way and not known to be", m.id)
				}
				got = append(got, m)
			}
			if !slices.Equal(got, want) || r.len() != kept {
				t.Fatalf("%v of %d, and not %v of %d", got, r.len(), want, kept)
			}
		}
	})
}

func TestAListThatIsCutOffProvesNothing(t *testing.T) {
	r := newTailRing(10, func(*tailRow) bool { return true })
	now := sampleNow()
	r.start(&api.Flight{RequestID: "one", Node: "a1"}, now)
	whole := api.Streams{Items: make([]api.Flight, mostListed)}
	for name, s := range map[string]api.Streams{
		"as much as is ever listed":   whole,
		"nodes that are not known":    {Partial: &api.Partial{Problem: "the bus is away"}},
		"its node is among the quiet": {Partial: &api.Partial{Nodes: []string{"a1"}}},
	} {
		for range 3 {
			r.compare(&s, now.Add(time.Hour))
		}
		if r.len() != 1 {
			t.Errorf("%s: the row is gone", name)
		}
	}
	for range 3 {
		r.compare(&api.Streams{}, now.Add(loadLimit-time.Second)) // it may have been made before
	}
	if r.len() != 1 || r.byID["one"].absent != 0 {
		t.Error("a row that came after the list was made is thought to be gone")
	}
}

// BenchmarkTraffic is what one redraw costs with everything that can be kept, and
// with what comes between two of them: 20 events, as at 200 a second.
func BenchmarkTraffic(b *testing.B) {
	for _, filter := range []string{"", "status>=400 -key:web-* opus"} {
		b.Run("filter "+filter, func(b *testing.B) {
			c, err := newConsole(context.Background(), Options{Theme: "dark", Out: &bytes.Buffer{}, Clock: sampleNow})
			if err != nil {
				b.Fatal(err)
			}
			s := newTraffic(c.desk)
			s.filterBy(filter)
			n := 0
			event := func() {
				n++
				x := sampleExchange(n)
				x.RequestID = fmt.Sprint("req_", n/2)
				if n%2 == 1 {
					s.hear(api.Event{Started: &api.Flight{RequestID: x.RequestID, StartedAt: sampleNow(), Model: x.Model, Stream: true}})
				} else {
					s.hear(api.Event{Exchange: &x})
				}
			}
			for range 3 * keptExchanges {
				event()
			}
			b.ReportAllocs()
			for b.Loop() {
				for range 20 {
					event()
				}
				_ = s.draw(200, 57)
			}
		})
	}
}

// BenchmarkTrafficFilter is what another filter costs.
func BenchmarkTrafficFilter(b *testing.B) {
	c, err := newConsole(context.Background(), Options{Theme: "dark", Out: &bytes.Buffer{}, Clock: sampleNow})
	if err != nil {
		b.Fatal(err)
	}
	s := newTraffic(c.desk)
	for i := range keptExchanges {
		x := sampleExchange(i)
		x.RequestID = fmt.Sprint("req_", i)
		s.hear(api.Event{Exchange: &x})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.filterBy([]string{"status>=400 opus", "ttft>500ms -model:gpt-*"}[i%2])
	}
}
