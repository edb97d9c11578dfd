package tui

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// newStreams makes the pane of what is in flight.
func (s *trafficScreen) newStreams() list[api.Flight] {
	streams := list[api.Flight]{
		desk: s.desk, heading: "Streams in flight", word: "stream",
		empty: emptiness{"Nothing is in flight.", "An exchange stands here from when it is sent to an upstream until it ends."},
		load:  s.flights,
	}
	streams.table = table[api.Flight]{look: s.look, columns: s.streamColumns(), id: func(f *api.Flight) string { return f.RequestID }, field: s.streamField}
	return streams
}

func (s *trafficScreen) streamColumns() []column[api.Flight] {
	return []column[api.Flight]{
		{title: "ID", text: func(f *api.Flight) string { return clean(f.RequestID) }, least: 14, most: 30, rank: 5},
		{title: "AGE", text: func(f *api.Flight) string { return span(s.now().Sub(f.StartedAt)) }, right: true, least: 6, order: func(a, b *api.Flight) int { return b.StartedAt.Compare(a.StartedAt) }, flip: true},
		{title: "MODEL", text: func(f *api.Flight) string { return or(clean(f.Model), unknown) }, grow: true, least: 12, order: func(a, b *api.Flight) int { return cmp.Compare(a.Model, b.Model) }},
		{title: "UPSTREAM", text: func(f *api.Flight) string { return or(clean(f.Upstream), unknown) }, most: 20, rank: 1, order: func(a, b *api.Flight) int { return cmp.Compare(a.Upstream, b.Upstream) }},
		{title: "KEY", text: func(f *api.Flight) string { return or(clean(f.Key), unknown) }, most: 20, rank: 2, order: func(a, b *api.Flight) int { return cmp.Compare(a.Key, b.Key) }},
		{title: "SENT", text: func(f *api.Flight) string { return bytesOf(f.SentBytes) }, right: true, least: 7, rank: 3, order: func(a, b *api.Flight) int { return cmp.Compare(a.SentBytes, b.SentBytes) }, flip: true},
		{title: "LAST WRITE", text: s.lastWrite, right: true, order: func(a, b *api.Flight) int { return cmp.Compare(a.LastWriteMS, b.LastWriteMS) }, flip: true},
		{title: "NODE", text: func(f *api.Flight) string { return clean(f.Node) }, most: 16, rank: 4},
	}
}

// lastWrite is how long ago something went to the client.
func (s *trafficScreen) lastWrite(f *api.Flight) string {
	if f.SentBytes == 0 {
		return "nothing yet"
	}
	return millis(f.LastWriteMS) + " ago"
}

func (s *trafficScreen) streamField(f *api.Flight, name string) (string, bool) {
	if name == "age" || name == "total" {
		return numberText(float64(s.now().Sub(f.StartedAt)) / float64(time.Millisecond)), true
	}
	return flightField(f, name)
}

// flights is what is in flight: as it was listed last, with what has started since,
// and without what has ended.
func (s *trafficScreen) flights() ([]api.Flight, bookState) {
	s.compare()
	book := &s.books.streams
	if !s.moved {
		return s.streams.table.rows, book.state()
	}
	s.moved, s.streams.from = false, bookState{} // what is there is old, though it was not loaded again
	all := make([]api.Flight, 0, len(book.value.Items)+len(s.ring.open))
	listed := make(map[string]bool, len(book.value.Items))
	for i := range book.value.Items {
		f := &book.value.Items[i]
		listed[f.RequestID] = true
		if row := s.rowOf(f.RequestID); row == nil || row.ended == nil {
			all = append(all, *f)
		}
	}
	for _, ring := range []*tailRing{s.ring, s.later} {
		for id, row := range ring.open {
			if !listed[id] && row.absent == 0 {
				all = append(all, *row.started)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b api.Flight) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.RequestID, b.RequestID))
	})
	return all, book.state()
}

func (s *trafficScreen) rowOf(id string) *tailRow {
	if row := s.ring.byID[id]; row != nil {
		return row
	}
	return s.later.byID[id]
}

func (s *trafficScreen) canStreams(action string) bool {
	if action == "traffic.cut" || action == "open" {
		return s.streams.row() != nil
	}
	return s.streams.can(action)
}

func (s *trafficScreen) doStreams(action string) tea.Cmd {
	switch row := s.streams.row(); {
	case action == "open":
		return s.openRow(s.asRow(row), false)
	case action == "traffic.cut":
		s.open(s.askCut(s.streams.table.chosen()))
		return nil
	}
	cmd, _ := s.streams.doList(action)
	return cmd
}

// asRow is a stream as a row of the tail: the same, where it is there.
func (s *trafficScreen) asRow(f *api.Flight) *tailRow {
	if f == nil {
		return nil
	}
	if row := s.rowOf(f.RequestID); row != nil {
		return row
	}
	own := *f
	return &tailRow{started: &own, heard: s.now(), place: s.ring.next}
}

// askCut asks before streams are cut.
func (s *trafficScreen) askCut(streams []api.Flight) *question {
	q := &question{look: s.look, title: "Cut " + plural(len(streams), "stream") + "?"}
	ids := make([]string, 0, len(streams))
	for i := range streams {
		f := &streams[i]
		ids = append(ids, f.RequestID)
		q.lines = append(q.lines, s.look.bold.Render(clean(f.RequestID)),
			"  "+or(clean(f.Model), "no model")+" of "+or(clean(f.Key), "nobody")+" "+s.look.arrow+" "+or(clean(f.Upstream), "no upstream")+
				", "+span(s.now().Sub(f.StartedAt))+" old, "+bytesOf(f.SentBytes)+" sent")
	}
	q.lines = append(q.lines, "", "The client's answer breaks off. What it has stays with it.")
	q.answers = []answer{{text: "Cut", danger: true, do: func() tea.Cmd { return s.cut(ids) }}}
	return q
}

// cut ends streams. There is no command that does the same.
func (s *trafficScreen) cut(ids []string) tea.Cmd {
	var all []tea.Cmd
	for _, id := range ids {
		all = append(all, s.change(change{
			books: []book{bookStreams},
			call: func(ctx context.Context, c *api.Client) (string, error) {
				f, err := c.CutStream(ctx, id)
				if isCode(err, api.CodeNotFound) { // between looking and cutting
					return "stream " + id + " had ended already", nil
				}
				return "stream " + id + " cut on node " + f.Node, err
			},
		}))
	}
	s.streams.table.unmark()
	return tea.Batch(all...)
}

// drawStreams gives the list, and says of which nodes it tells nothing.
func (s *trafficScreen) drawStreams(w, h int) string {
	missing := s.missing()
	if missing == "" || h < 6 {
		return s.streams.draw(w, h)
	}
	return s.streams.draw(w, h-1) + "\n" + s.look.warn.Render(s.look.fit(" "+s.look.ill+" "+missing, w))
}

// missing says what may be in flight and is not listed.
func (s *trafficScreen) missing() string {
	streams := &s.books.streams.value
	p := streams.Partial
	switch {
	case len(streams.Items) >= mostListed:
		return "only the oldest " + count(mostListed) + " are listed"
	case p == nil:
		return ""
	case len(p.Nodes) == 0:
		return "not all nodes are known: " + clean(p.Problem)
	}
	text := clean(strings.Join(p.Nodes, ", ")) + " did not answer"
	if p.Problem != "" {
		text += ": " + clean(p.Problem)
	}
	return text
}
