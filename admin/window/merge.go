package window

import (
	"slices"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// Merge makes one answer of what nodes know. The parts stay as they are.
func Merge(parts []Part, q Query, now time.Time) api.Window {
	q = q.bounded()
	w := api.Window{Until: now.UTC(), WindowS: q.Window.Seconds(), StepS: q.step().Seconds(), By: []api.Share{}}
	var total Sum
	var recent []api.Trouble
	for i := range parts {
		p := &parts[i]
		total.add(&p.Total)
		w.SinceS = min(max(w.SinceS, p.SinceS), w.WindowS)
		w.Unseen += p.Unseen
		w.Flights += p.Flights
		recent = append(recent, p.Recent...)
	}
	w.Total = total.view()
	w.Recent = newest(recent, now.Add(-LongestWindow))
	w.Series = mergeSeries(parts)
	for k := range kinds {
		if q.wants(k) {
			mergeNames(&w, parts, k, q.Names)
		}
	}
	return w
}

// mergeSeries lays series upon each other by the age of their points: the clocks
// of two nodes may differ, but the newest point of each is now.
func mergeSeries(parts []Part) []api.Point {
	n := 0
	for i := range parts {
		n = max(n, min(len(parts[i].Series), MostPoints))
	}
	sums, series := make([]Sum, n), make([]api.Point, n)
	for i := range series {
		series[i].Unknown = true
	}
	for i := range parts {
		of := parts[i].Series
		of = of[max(0, len(of)-n):]
		for j := range of {
			at := n - len(of) + j
			sums[at].add(&of[j].Sum)
			series[at].InFlight += of[j].InFlight
			series[at].Unknown = series[at].Unknown && of[j].Unknown
		}
	}
	for i := range series {
		series[i].Counts = sums[i].view()
	}
	return series
}

// mergeNames adds the shares of a kind: so many names, and the rest.
func mergeNames(w *api.Window, parts []Part, k kind, most int) {
	found := map[string]*Name{}
	all := Part{}
	for i := range parts {
		if slices.Contains(parts[i].Other, k.String()) {
			all.Other = []string{k.String()}
		}
		for j := range parts[i].Names {
			name := &parts[i].Names[j]
			if name.Kind != k.String() {
				continue
			}
			if found[name.Name] == nil {
				found[name.Name] = &Name{Kind: name.Kind, Name: name.Name}
			}
			found[name.Name].take(name)
		}
	}
	for _, name := range found {
		all.Names = append(all.Names, *name)
	}
	rank(all.Names)
	all.Trim(most, everySize)
	for i := range all.Names {
		n := &all.Names[i]
		w.By = append(w.By, api.Share{Kind: n.Kind, Name: n.Name, Counts: n.view(), Series: n.Series})
	}
	w.Other = append(w.Other, all.Other...)
}

// everySize bounds nothing: an answer to a person has as many bytes as it needs.
const everySize = 1 << 50
