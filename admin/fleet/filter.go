package fleet

import (
	"encoding/json"
	"slices"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// Filter is which exchanges a reader wants to see: of each list, one must take
// it; an empty one takes all. Texts are patterns, as in rules.
type Filter struct {
	Started bool `json:"started,omitempty"` // exchanges that start
	Ended   bool `json:"ended,omitempty"`   // those that have ended

	Model    []string      `json:"model,omitempty"`
	Key      []string      `json:"key,omitempty"`
	User     []string      `json:"user,omitempty"`
	Rule     []string      `json:"rule,omitempty"`
	Upstream []string      `json:"upstream,omitempty"`
	Status   []StatusRange `json:"status,omitempty"`
	SlowerMS float64       `json:"slower_ms,omitempty"`
}

// StatusRange is from one status to another, both included.
type StatusRange struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Takes says whether an exchange that has ended is one that the reader wants, if
// it wants those at all.
func (f *Filter) Takes(x *api.Exchange) bool {
	return x.DurationMS >= f.SlowerMS && f.takesStatus(x.Status) &&
		anyTakes(f.Model, x.Model) && anyTakes(f.Key, x.Key) && anyTakes(f.User, x.User) &&
		anyTakes(f.Rule, x.Rule) && anyTakes(f.Upstream, x.Upstream)
}

// TakesStart is Takes, by what is known of an exchange that has only started.
func (f *Filter) TakesStart(x *api.Flight) bool {
	return anyTakes(f.Model, x.Model) && anyTakes(f.Key, x.Key) && anyTakes(f.User, x.User) &&
		anyTakes(f.Rule, x.Rule) && anyTakes(f.Upstream, x.Upstream)
}

func (f *Filter) takesStatus(status int) bool {
	return len(f.Status) == 0 || slices.ContainsFunc(f.Status, func(r StatusRange) bool { return r.From <= status && status <= r.To })
}

// anyTakes says whether one of the patterns takes a text, or there are none.
func anyTakes(patterns []string, text string) bool {
	for _, pattern := range patterns {
		if rules.Glob(pattern, text) {
			return true
		}
	}
	return len(patterns) == 0
}

// Of the filters of all readers of a node, so many are held against each exchange
// elsewhere; where there are more, all is sent and the node filters.
const (
	mostFilters = 16
	mostFilter  = 16 << 10 // bytes of all of them
)

// together gives the filters that a node calls with. Those that want nothing are
// left out.
func together(all []Filter) []Filter {
	var wanted []Filter
	var everything Filter
	for i := range all {
		f := &all[i]
		if !f.Started && !f.Ended {
			continue
		}
		everything.Started, everything.Ended = everything.Started || f.Started, everything.Ended || f.Ended
		wanted = append(wanted, *f)
	}
	if text, err := json.Marshal(wanted); len(wanted) > mostFilters || err != nil || len(text) > mostFilter {
		return []Filter{everything}
	}
	return wanted
}
