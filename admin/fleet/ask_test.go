package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

func flying(id string, at int) api.Flight {
	return api.Flight{RequestID: id, StartedAt: time.Unix(int64(at), 0), Node: "whatever it says"}
}

func TestStreamsOfAllOtherNodesAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 3)
		a := c.members[0]
		a.flights = []api.Flight{flying("req_a", 1)} // which a knows without asking
		c.members[1].flights = []api.Flight{flying("req_b2", 9), flying("req_b1", 2), flying("req_b3", 10)}
		c.members[2].flights = []api.Flight{flying("req_c", 3)}
		begun := time.Now()
		flights, missing := a.Streams(t.Context(), 2)
		var seen []string
		for _, f := range Oldest(flights, 10) {
			seen = append(seen, f.RequestID+" at "+f.Node)
		}
		if diff := cmp.Diff([]string{"req_b1 at b", "req_c at c", "req_b2 at b"}, seen); diff != "" || missing != nil {
			t.Errorf("missing %+v, and:\n%s", missing, diff)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("all had answered, and %s passed", took)
		}
	})
}

func TestWhoDoesNotAnswerIsNamed(t *testing.T) {
	noNodes := errors.New("the store is away")
	for name, test := range map[string]struct {
		change func(*crew)
		want   *api.Partial
	}{
		"a node that has ended":                               {func(c *crew) { c.members[2].end() }, &api.Partial{Nodes: []string{"c"}, Problem: noAnswer}},
		"a node that is silent for longer":                    {func(c *crew) { c.members[2].end(); c.nodes[2].Silence = time.Minute }, nil},
		"all, where the bus is away":                          {func(c *crew) { c.wire.Cut() }, &api.Partial{Nodes: []string{"b", "c"}, Problem: busAway}},
		"all, where nothing arrives":                          {func(c *crew) { c.wire.meddle(loses) }, &api.Partial{Nodes: []string{"b", "c"}, Problem: noAnswer}},
		"nobody, where the store has never said who there is": {func(c *crew) { c.away = noNodes; c.members[2].end() }, &api.Partial{Nodes: []string{}, Problem: noMembers}},
		"who was there when the store last said": {func(c *crew) {
			c.members[0].others(c.t.Context())
			c.away = noNodes
			c.members[2].end()
		}, &api.Partial{Nodes: []string{"c"}, Problem: noAnswer}},
		"all, where too much is asked": {func(c *crew) {
			for range mostAsked {
				c.members[0].slots <- struct{}{}
			}
		}, &api.Partial{Nodes: []string{"b", "c"}, Problem: busy}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := assemble(t, 3)
				c.members[1].flights = []api.Flight{flying("req_b", 2)}
				test.change(c)
				begun := time.Now()
				_, missing := c.members[0].Streams(t.Context(), 100)
				if diff := cmp.Diff(test.want, missing); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(begun); took > answersWithin {
					t.Errorf("it took %s", took)
				}
				if cut, missing := c.members[0].CutElsewhere(t.Context(), "req_none", Actor{}); cut != nil || missing == nil && test.want != nil {
					t.Errorf("cut was %+v, missing %+v", cut, missing)
				}
			})
		})
	}
}

func TestAStreamIsCutWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 3)
		a, d := c.members[0], c.members[2]
		d.flights = []api.Flight{flying("req_c", 1), flying("req_d", 2)}
		by := Actor{Name: "dana", From: "10.0.0.1"}
		cut, missing := a.CutElsewhere(t.Context(), "req_c", by)
		if cut == nil || missing != nil || cut.RequestID != "req_c" || cut.Node != "c" {
			t.Errorf("cut was %+v, missing %+v", cut, missing)
		}
		if len(d.flights) != 1 || !slices.Equal(d.cutBy, []Actor{by}) {
			t.Errorf("left are %+v; cut by %+v", d.flights, d.cutBy)
		}
		if cut, missing := a.CutElsewhere(t.Context(), "req_c", by); cut != nil || missing != nil {
			t.Errorf("once more: %+v, missing %+v", cut, missing)
		}
		// One who has it is enough, also where another does not answer.
		c.members[1].end()
		if cut, missing := a.CutElsewhere(t.Context(), "req_d", by); cut == nil || missing != nil {
			t.Errorf("cut was %+v, missing %+v", cut, missing)
		}
		if cut, missing := a.CutElsewhere(t.Context(), "req_d", by); cut != nil || missing == nil || missing.Nodes[0] != "b" {
			t.Errorf("cut was %+v, missing %+v", cut, missing)
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	c := assemble(t, 1)
	a := c.members[0]
	for i := range 5000 {
		a.flights = append(a.flights, flying(fmt.Sprint(i), i))
	}
	if got := a.answer(&questionOf{Limit: 1 << 30}); len(got.Flights) != mostFlights || got.Flights[0].RequestID != "0" {
		t.Errorf("%d flights are told", len(got.Flights))
	}
	if got := a.answer(&questionOf{Limit: -1}); len(got.Flights) != 0 {
		t.Errorf("%d flights are told", len(got.Flights))
	}
	for i := range a.flights {
		a.flights[i].Path = strings.Repeat("\x01", 2000) // six bytes each, in JSON
	}
	got := a.answer(&questionOf{Limit: 1000})
	if n := len(got.Flights); n == 0 || n > 500 {
		t.Errorf("%d long flights are told", n)
	}
}

func TestQuestionsInASecondAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		b := c.members[1]
		for range 10 * answersASec {
			b.hearCall(b.circle.Load(), sealedCall(t, c.members[0]))
			synctest.Wait()
		}
		if n := b.bus.published.Load(); n != answersASec {
			t.Errorf("%d were answered", n)
		}
		if n := b.count.refused.Load(); n != 9*answersASec {
			t.Errorf("%d were refused", n)
		}
	})
}

func sealedCall(t *testing.T, of *member) []byte {
	t.Helper()
	c := of.circle.Load()
	sealed, err := c.seal(c.calls(), &call{From: of.self(), Question: &questionOf{ID: "q", Limit: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestAnAnswerCountsOnce(t *testing.T) {
	s := &survey{fleet: New(Options{}), wanted: []other{{id: "x"}, {id: "y"}}, all: true}
	for _, id := range []string{"x", "x", "x"} {
		s.take(&answer{From: sender{ID: id}})
	}
	if len(s.answers) != 1 || s.complete() || s.silent()[0].id != "y" {
		t.Errorf("answers are %+v", s.answers)
	}
}

func TestWhereTheStoreIsAwayWhoAnswersIsListedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		c.members[1].flights = []api.Flight{flying("req_b", 2)}
		c.away = errors.New("the store is away")
		flights, missing := c.members[0].Streams(t.Context(), 100)
		if len(flights) != 1 || flights[0].Node != "b" || missing == nil || missing.Problem != noMembers {
			t.Errorf("in flight are %+v, missing %+v", flights, missing)
		}
	})
}
