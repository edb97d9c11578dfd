package window

import (
	"cmp"
	"slices"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// Part is what one node knows of a window.
type Part struct {
	SinceS  float64       `json:"since,omitempty"` // how much of it this covers
	Total   Sum           `json:"total"`
	Series  []Point       `json:"series"` // the oldest first
	Names   []Name        `json:"names,omitempty"`
	Other   []string      `json:"other,omitempty"` // kinds of which names are missing
	Recent  []api.Trouble `json:"recent,omitempty"`
	Unseen  int64         `json:"unseen,omitempty"`
	Flights int64         `json:"flights,omitempty"`
}

// Point is one step of the series.
type Point struct {
	Sum
	InFlight int64 `json:"f,omitempty"`
	Unknown  bool  `json:"u,omitempty"` // the node was not there yet
}

// Name is what came of the exchanges of one name.
type Name struct {
	Kind string `json:"k"`
	Name string `json:"s"`
	Sum
	Series []int64 `json:"p,omitempty"` // requests in parts of the window, the oldest first
}

// Part tells what is known of a window that ends now.
func (h *Hour) Part(now time.Time, q Query) Part {
	h.advance(now)
	q = q.bounded()
	grain := q.grain()
	cell := grain * stepsInFine
	firstCell := h.now/cell - q.cells() + 1
	p := Part{
		SinceS: h.covers(now, firstCell*cell).Seconds(), Flights: h.flights,
		Recent: newest(h.troubles, now.Add(-LongestWindow)),
	}
	h.addSeries(&p, firstCell*cell, q.steps())
	for k := range kinds {
		if q.wants(k) {
			h.addNames(&p, k, firstCell, q.cells(), grain)
		}
	}
	return p
}

// covers is how long it is since a step began, or since this Hour did.
func (h *Hour) covers(now time.Time, first int64) time.Duration {
	whole := time.Duration(h.begun.UnixNano() + int64(now.Sub(h.begun)) - first*int64(stepTime))
	return max(0, min(whole, now.Sub(h.begun), LongestWindow))
}

// addSeries adds the steps from first to now, size of them to a point.
func (h *Hour) addSeries(p *Part, first, size int64) {
	all := (h.now-first)/size + 1
	p.Series = make([]Point, all)
	for i := range p.Series {
		p.Series[i].Unknown = first+int64(i+1)*size <= h.first
	}
	for at := first; at <= h.now; at++ {
		s := h.step(at)
		if s == nil {
			continue
		}
		point := &p.Series[(at-first)/size]
		point.add(&s.sum)
		point.InFlight = max(point.InFlight, s.flights)
		p.Total.add(&s.sum)
		p.Unseen += s.unseen
	}
}

// addNames adds the names of a kind in cells, from the first of so many.
func (h *Hour) addNames(p *Part, k kind, first, cells, grain int64) {
	found := map[string]*Name{}
	size := (cells + shareParts - 1) / shareParts
	crowded := false
	h.names.since(first, grain, func(at int64, c *cell) {
		crowded = crowded || c.tables[k].crowded
		part := group(at-first, cells, size)
		c.tables[k].each(func(name string, s *Sum) {
			n := found[name]
			if n == nil {
				n = &Name{Kind: k.String(), Name: name, Series: make([]int64, group(cells-1, cells, size)+1)}
				found[name] = n
			}
			n.add(s)
			n.Series[part] += s.Requests
		})
	})
	from := len(p.Names)
	for _, n := range found {
		p.Names = append(p.Names, *n)
	}
	rank(p.Names[from:])
	if crowded {
		p.Other = append(p.Other, k.String())
	}
}

// rank sorts the names of a kind: the most requests first, and last what has no
// name.
func rank(all []Name) {
	slices.SortFunc(all, func(a, b Name) int {
		if (a.Name == "") != (b.Name == "") {
			return cmp.Compare(b.Name, a.Name)
		}
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Name, b.Name))
	})
}

// Trim keeps of each kind so many names, and about so many bytes of all, as JSON.
// What is left out stands under the name "".
func (p *Part) Trim(most, size int) {
	size /= int(kinds)
	var kept []Name
	for k := range kinds {
		var rest *Name
		n, used := 0, 0
		for i := range p.Names {
			name := &p.Names[i]
			if name.Kind != k.String() {
				continue
			}
			used += sizeOf(name)
			if name.Name == "" || n < most && used <= size {
				kept = append(kept, *name)
				n++
				continue
			}
			if rest == nil {
				rest = &Name{Kind: k.String()}
			}
			rest.take(name)
		}
		if rest != nil {
			kept = p.addRest(kept, rest)
		}
	}
	p.Names = kept
}

// addRest adds what was left out of a kind, of which the names are the last of
// those that are kept.
func (p *Part) addRest(kept []Name, rest *Name) []Name {
	if !slices.Contains(p.Other, rest.Kind) {
		p.Other = append(p.Other, rest.Kind)
	}
	if last := len(kept) - 1; last >= 0 && kept[last].Kind == rest.Kind && kept[last].Name == "" {
		kept[last].take(rest)
		return kept
	}
	return append(kept, *rest)
}

// take adds another name's part; the newest ends of the series are the same time.
func (n *Name) take(other *Name) {
	n.add(&other.Sum)
	if more := len(other.Series) - len(n.Series); more > 0 {
		n.Series = append(make([]int64, more), n.Series...)
	}
	behind := len(n.Series) - len(other.Series)
	for i, requests := range other.Series {
		n.Series[behind+i] += requests
	}
}

// sizeOf is at most how many bytes a name is, as JSON.
func sizeOf(n *Name) int {
	const (
		rest    = 150
		perPart = 12
	)
	size := rest + perPart*len(n.Series)
	for _, b := range []byte(n.Name) {
		if b < ' ' || b >= 0x7f || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' {
			size += len(`\u0000`)
			continue
		}
		size++
	}
	if n.Times != nil {
		size += 2 * len(n.Times.pack())
	}
	return size
}
