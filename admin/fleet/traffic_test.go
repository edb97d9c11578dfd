package fleet

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/window"
)

// tellsOf has a member tell a part with so many requests.
func (m *member) tellsOf(n int64) {
	m.options.Traffic = func(q window.Query) window.Part {
		return window.Part{Total: window.Sum{Requests: n}, SinceS: q.Window.Seconds(), Recent: []api.Trouble{{Node: "whatever it says"}}}
	}
}

func TestTrafficOfAllOtherNodesIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 3)
		for i, m := range c.members {
			m.tellsOf(int64(i + 1))
		}
		begun := time.Now()
		parts, missing := c.members[0].Traffic(t.Context(), window.Query{Window: time.Minute})
		told := map[string]int64{}
		for _, p := range parts {
			told[p.Recent[0].Node] = p.Total.Requests
			if p.SinceS != 60 {
				t.Errorf("what was asked did not arrive: %+v", p)
			}
		}
		if diff := cmp.Diff(map[string]int64{"b": 2, "c": 3}, told); diff != "" || missing != nil {
			t.Errorf("missing %+v, and:\n%s", missing, diff)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("all had answered, and %s passed", took)
		}
	})
}

func TestWhoTellsNothingOfTrafficIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*crew)
		want   *api.Partial
	}{
		"a node that does not know the question":         {func(c *crew) { c.members[1].options.Traffic = nil }, &api.Partial{Nodes: []string{"b"}, Problem: tooOld}},
		"that, and one that is silent":                   {func(c *crew) { c.members[1].options.Traffic = nil; c.members[2].end() }, &api.Partial{Nodes: []string{"c", "b"}, Problem: noAnswer}},
		"all, where the bus is away":                     {func(c *crew) { c.wire.Cut() }, &api.Partial{Nodes: []string{"b", "c"}, Problem: busAway}},
		"nobody, where it is not known who there may be": {func(c *crew) { c.away = errors.New("the store is away") }, &api.Partial{Nodes: []string{}, Problem: noMembers}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := assemble(t, 3)
				for _, m := range c.members {
					m.tellsOf(1)
				}
				test.change(c)
				begun := time.Now()
				_, missing := c.members[0].Traffic(t.Context(), window.Query{})
				if diff := cmp.Diff(test.want, missing); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(begun); took > answersWithin {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestNoMoreNamesAreToldThanCanBeOfUse(t *testing.T) {
	f := New(Options{Traffic: func(window.Query) window.Part {
		p := window.Part{}
		for i := range 3000 {
			p.Names = append(p.Names, window.Name{Kind: "key", Name: fmt.Sprint("key-", i), Sum: window.Sum{Requests: 1}})
		}
		return p
	}})
	for asked, want := range map[int]int{-5: leastNames, 1: leastNames, 50: 200, 1000: window.MostNames, 1 << 40: window.MostNames} {
		p := f.answer(&questionOf{Traffic: &window.Query{Names: asked}}).Traffic
		rest := p.Names[len(p.Names)-1]
		if len(p.Names) != want+1 || rest.Name != "" || rest.Requests != int64(3000-want) || !cmp.Equal(p.Other, []string{"key"}) {
			t.Errorf("where %d are asked for, %d are told, the last is %+v", asked, len(p.Names), rest)
		}
	}
}

func TestConsolesThatAskTheSameShareAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 3)
		var asked atomic.Int64
		c.members[1].options.Traffic = func(window.Query) window.Part { asked.Add(1); return window.Part{} }
		c.members[2].end() // so that every question takes its whole time
		for range 2 {
			var asking sync.WaitGroup
			for range 3 * mostAsked {
				asking.Go(func() {
					parts, missing := c.members[0].Traffic(t.Context(), window.Query{Window: time.Minute})
					if len(parts) != 1 || missing == nil || missing.Problem != noAnswer {
						t.Errorf("%d parts, and missing %+v", len(parts), missing)
					}
				})
			}
			asking.Wait()
			time.Sleep(sharedFor) //nolint:forbidigo // the bubble's time
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("a node was asked %d times for two seconds", n)
		}
	})
}
