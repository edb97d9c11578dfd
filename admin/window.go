package admin

import (
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/window"
)

// windowQuery is api.WindowQuery as it is sent.
type windowQuery struct {
	Window string   `query:"window" maxLength:"32" default:"15m" doc:"What ended within so long, 1m to 1h"`
	Points int      `query:"points" minimum:"1" maximum:"240" default:"60" doc:"Steps of the series, at most"`
	By     []string `query:"by,explode" maxItems:"5" enum:"key,user,model,upstream,rule" doc:"Whose shares are told"`
	Names  int      `query:"names" minimum:"1" maximum:"1000" default:"10" doc:"Names of each kind; the rest stands under the name \"\""`
}

// Resolve looks at what a schema cannot say, so that it is told with the rest of
// what is wrong.
func (q *windowQuery) Resolve(huma.Context) []error {
	if _, ok := q.time(); ok {
		return nil
	}
	return []error{&huma.ErrorDetail{Location: "query.window", Message: "expected a time of 1m to 1h, as 15m"}}
}

func (q *windowQuery) time() (time.Duration, bool) {
	d, err := time.ParseDuration(q.Window)
	return d, err == nil && d >= window.LeastWindow && d <= window.LongestWindow
}

// showTraffic tells what ended within the last while, on all nodes.
func (s *Server) showTraffic(ctx context.Context, in *windowQuery) (api.Window, error) {
	within, _ := in.time() // Resolve has refused what is none
	q := window.Query{Window: within, Points: in.Points, Kinds: slices.Compact(slices.Sorted(slices.Values(in.By))), Names: in.Names}
	parts, missing := s.fleet.Traffic(ctx, q)
	w := window.Merge(append(parts, s.lately.part(q)), q, s.now())
	w.Partial = missing
	return w, nil
}
