package admin

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/fleet"
)

// eventQuery is api.EventQuery as it is sent. How much of it there may be is
// bounded: every exchange of the node is held against it.
type eventQuery struct {
	Kind     []string `query:"kind,explode" maxItems:"3" enum:"change,exchange,started" doc:"Which events; change and exchange where none is named"`
	Model    []string `query:"model,explode" maxItems:"16" maxLength:"256" doc:"Patterns of the model that was asked for"`
	Key      []string `query:"key,explode" maxItems:"16" maxLength:"256" doc:"Patterns of the key's name"`
	User     []string `query:"user,explode" maxItems:"16" maxLength:"256" doc:"Patterns of the user's name"`
	Rule     []string `query:"rule,explode" maxItems:"16" maxLength:"256" doc:"Patterns of the rule's name"`
	Upstream []string `query:"upstream,explode" maxItems:"16" maxLength:"256" doc:"Patterns of the upstream's name"`
	Status   []string `query:"status,explode" maxItems:"16" maxLength:"3" doc:"429, or 4xx; 000 where nothing was answered"`
	Slower   string   `query:"slower" maxLength:"32" doc:"Only exchanges that took so long, as 2s"`
	Since    string   `query:"since" maxLength:"32" doc:"Exchanges of the past first, as 10m, as far as they are remembered"`
	After    string   `header:"Last-Event-ID" maxLength:"64" doc:"Exchanges that ended after this event first, in place of since"`
}

// filter is what a stream of events is to show.
type filter struct {
	fleet.Filter
	changes bool
	since   time.Duration
}

// filter reads a query, and tells everything that is wrong with it.
func (q *eventQuery) filter() (*filter, error) {
	f := &filter{
		Filter: fleet.Filter{
			Model: q.Model, Key: q.Key, User: q.User, Rule: q.Rule, Upstream: q.Upstream,
			Ended:   len(q.Kind) == 0 || slices.Contains(q.Kind, "exchange"),
			Started: slices.Contains(q.Kind, "started"),
		},
		changes: len(q.Kind) == 0 || slices.Contains(q.Kind, "change"),
	}
	var problems []api.Problem
	for _, text := range q.Status {
		r, ok := readStatus(text)
		if !ok {
			problems = append(problems, api.Problem{Field: "status", Message: "expected a status or a class of them", Hint: "429, or 4xx"})
		}
		f.Status = append(f.Status, r)
	}
	slower, err := readTime("slower", q.Slower)
	problems = append(problems, err...)
	f.SlowerMS = float64(slower) / float64(time.Millisecond)
	since, err := readTime("since", q.Since)
	if problems = append(problems, err...); len(problems) > 0 {
		return nil, invalid(problems)
	}
	f.since = since
	return f, nil
}

// readStatus reads 429, or 4xx.
func readStatus(text string) (fleet.StatusRange, bool) {
	if len(text) != 3 {
		return fleet.StatusRange{}, false
	}
	if class := text[0]; text[1:] == "xx" && '1' <= class && class <= '5' {
		from := 100 * int(class-'0')
		return fleet.StatusRange{From: from, To: from + 99}, true
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return fleet.StatusRange{From: int(n), To: int(n)}, err == nil
}

func readTime(field, text string) (time.Duration, []api.Problem) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, []api.Problem{{Field: field, Message: fmt.Sprintf("expected a time, as %s", 2*time.Second)}}
	}
	return d, nil
}
