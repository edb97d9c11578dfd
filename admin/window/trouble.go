package window

import (
	"slices"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// Bounds of what is told of exchanges that ended not well.
const (
	mostTrouble = 20              // groups
	alikeWithin = 2 * time.Minute // of the last one of a group
)

// troubles are groups of exchanges that ended alike, the one that was last added
// to last.
type troubles []api.Trouble

func (g *troubles) count(x *api.Exchange) {
	if outcomeOf(x) == fine {
		return
	}
	t := api.Trouble{First: x.Time}
	if at := slices.IndexFunc(*g, func(t api.Trouble) bool { return alike(&t, x) }); at >= 0 {
		t = (*g)[at]
		*g = slices.Delete(*g, at, at+1)
	}
	t.Count++
	t.Time, t.Key, t.Last, t.Node = x.Time, x.Key, x.RequestID, x.Node
	t.Status, t.Reason, t.Error, t.Upstream, t.Model = x.Status, x.EndReason, x.Error, x.Upstream, x.Model
	*g = append(*g, t)
	if over := len(*g) - mostTrouble; over > 0 {
		*g = slices.Delete(*g, 0, over)
	}
}

func alike(t *api.Trouble, x *api.Exchange) bool {
	return t.Status == x.Status && t.Reason == x.EndReason && t.Error == x.Error && t.Upstream == x.Upstream && t.Model == x.Model &&
		x.Time.Sub(t.Time).Abs() <= alikeWithin
}

// newest gives those that are not older than since, the newest first.
func newest(all []api.Trouble, since time.Time) []api.Trouble {
	kept := make([]api.Trouble, 0, len(all))
	for i := range all {
		if !all[i].Time.Before(since) {
			kept = append(kept, all[i])
		}
	}
	slices.SortStableFunc(kept, func(a, b api.Trouble) int { return b.Time.Compare(a.Time) })
	return kept[:min(len(kept), mostTrouble)]
}
