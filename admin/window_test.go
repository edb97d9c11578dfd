package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/window"
)

func everyKind() []string { return []string{"key", "user", "model", "upstream", "rule"} }

func TestWhatEndedIsTold(t *testing.T) {
	g := open(t)
	none, err := g.Window(t.Context(), api.WindowQuery{By: everyKind()})
	must(t, err)
	if none.Total.Requests != 0 || len(none.Series) == 0 || none.By == nil || none.Recent == nil || none.Partial != nil || none.WindowS != 900 || none.StepS != 15 {
		t.Errorf("of nothing is told %+v", none)
	}
	g.end("req_a", func(x *api.Exchange) { x.Key, x.Rule, x.Stream, x.FirstTokenMS = "ci", "openai", true, 200 })
	if w, err := g.Window(t.Context(), api.WindowQuery{}); err != nil || w.Total.Requests != 1 { // and so it is seen in time
		t.Errorf("told is %+v, %v", w, err)
	}
	g.clock.Pass(2 * time.Minute)
	g.end("req_b", func(x *api.Exchange) {
		x.Key, x.Rule, x.Status, x.EndReason, x.Time = "web", "openai", 429, "complete", g.clock.Now()
	})
	w, err := g.Window(t.Context(), api.WindowQuery{By: []string{"rule", "key"}, Window: 5 * time.Minute, Points: 20, Names: 1})
	must(t, err)
	if w.Total.Requests != 2 || w.Total.Refused != 1 || w.SinceS != 120 || w.Series[len(w.Series)-1].Requests != 1 || w.Flights != 6 {
		t.Errorf("told is %+v", w)
	}
	var by []string
	for _, s := range w.By {
		by = append(by, fmt.Sprintf("%s %q %d", s.Kind, s.Name, s.Requests))
	}
	if diff := cmp.Diff([]string{`key "ci" 1`, `key "" 1`, `rule "openai" 2`}, by); diff != "" || !cmp.Equal(w.Other, []string{"key"}) {
		t.Errorf("%q are left out; %s", w.Other, diff)
	}
	if len(w.Recent) != 1 || w.Recent[0].Last != "req_b" || w.Recent[0].Count != 1 {
		t.Errorf("trouble is %+v", w.Recent)
	}
}

func TestAllThatIsWrongWithAQueryOfTrafficIsToldAtOnce(t *testing.T) {
	g := open(t)
	_, err := g.Window(t.Context(), api.WindowQuery{Window: 2 * time.Hour, By: []string{"colour-canary"}, Points: 241, Names: 5000})
	refusal := refusedWith(t, err, api.CodeInvalid, http.StatusUnprocessableEntity)
	var fields []string
	for _, p := range refusal.Problems {
		fields = append(fields, p.Field)
		if strings.Contains(p.Message, "canary") {
			t.Errorf("what was sent is repeated: %s", p.Message)
		}
	}
	if len(fields) != 4 || !strings.Contains(strings.Join(fields, " "), "window") {
		t.Errorf("wrong are %q: %+v", fields, refusal.Problems)
	}
	for _, query := range []string{"window=2h", "window=59s", "window=-5m", "window=soon", "window=1h0m1s", "points=0", "points=many", "names=0", "by=colour", "since=1h"} {
		if response, text := g.raw(t, http.MethodGet, "/api/v1/traffic?"+query, "", ""); response.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", query, response.StatusCode, text)
		}
	}
	for _, query := range []string{"", "window=1h", "window=60s", "points=240", "by=key&by=key", "names=1000"} {
		if response, text := g.raw(t, http.MethodGet, "/api/v1/traffic?"+query, "", ""); response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", query, response.StatusCode, text)
		}
	}
}

func TestWhatEndedElsewhereIsTold(t *testing.T) {
	g := open(t)
	hour := window.NewHour(g.clock.Now())
	b := g.withNeighbourWho(t, func(q window.Query) window.Part { return hour.Part(g.clock.Now(), q) })
	ended := make([]*api.Exchange, 0, 150)
	for i := range cap(ended) {
		x := &api.Exchange{Key: fmt.Sprint("b-", i), Rule: "r", Status: 200, EndReason: "complete", Time: g.clock.Now()}
		if i == 0 {
			x.Key, x.Status, x.RequestID = "both", 500, "req_b"
		}
		ended = append(ended, x, &api.Exchange{Key: "both", Rule: "r", Status: 200, EndReason: "complete"})
	}
	hour.Look(g.clock.Now(), window.Look{Ended: ended, Flights: 2, Unseen: 1})
	g.end("req_a", func(x *api.Exchange) { x.Key, x.Rule, x.Status, x.EndReason = "both", "r", 200, "complete" })
	w, err := g.Window(t.Context(), api.WindowQuery{By: everyKind(), Names: 1})
	must(t, err)
	if w.Partial != nil || w.Total.Requests != 301 || w.Total.Errors != 1 || w.Unseen != 1 || w.Flights != 8 {
		t.Errorf("told is %+v", w)
	}
	if first, rest := w.By[0], w.By[1]; first.Name != "both" || first.Requests != 152 || rest.Name != "" || rest.Requests != 149 {
		t.Errorf("keys are %+v, %+v", first, rest)
	}
	if len(w.Recent) != 1 || w.Recent[0].Node != "b1" || w.Recent[0].Last != "req_b" {
		t.Errorf("trouble is %+v", w.Recent)
	}
	b.end()
	w, err = g.Window(t.Context(), api.WindowQuery{})
	must(t, err)
	if !cmp.Equal(w.Partial, &api.Partial{Nodes: []string{"b1"}, Problem: "no answer"}) || w.Total.Requests != 1 {
		t.Errorf("without the other node: %+v", w)
	}
}

func TestAnOlderNodeIsMissedAndNothingMore(t *testing.T) {
	g := open(t)
	g.withNeighbour(t) // which knows nothing of the question
	g.end("req_a", func(x *api.Exchange) { x.Key = "a" })
	w, err := g.Window(t.Context(), api.WindowQuery{})
	must(t, err)
	if !cmp.Equal(w.Partial, &api.Partial{Nodes: []string{"b1"}, Problem: "it is of an older version"}) || w.Total.Requests != 1 {
		t.Errorf("told is %+v, missing %+v", w.Total, w.Partial)
	}
}

func TestTrafficIsForViewers(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	for role, token := range g.everybody(t, base) {
		want := http.StatusOK
		if role == accounts.RoleMember {
			want = http.StatusForbidden
		}
		if status, text := g.called(t, base, token, http.MethodGet, "/api/v1/traffic?by=key"); status != want {
			t.Errorf("a %s is answered %d %s", role, status, text)
		}
	}
}
