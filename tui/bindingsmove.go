package tui

import (
	"context"
	"slices"
	"strconv"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// orderStep is what lies between a binding that is moved to an end and the one
// that was there, so that another one goes between.
const orderStep = 10

// The bounds of an order, as the gateway has them.
const (
	leastOrder = 0
	mostOrder  = 1_000_000
)

// placeBeside gives the order with which a binding is tried one place later (1) or
// earlier (-1) among those of its caller; others are the orders of these. Beside
// some of its own order that is right behind or before them. problem says why
// there is none.
func placeBeside(order int, others []int, way int) (place int, problem string) {
	sorted := slices.Clone(others)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	beyond := func(from int) (int, bool) { // the nearest order on that side
		if way > 0 {
			at, _ := slices.BinarySearch(sorted, from+1)
			if at < len(sorted) {
				return sorted[at], true
			}
			return 0, false
		}
		at, _ := slices.BinarySearch(sorted, from)
		if at > 0 {
			return sorted[at-1], true
		}
		return 0, false
	}
	pass := order // the order that is passed
	if !slices.Contains(sorted, order) {
		next, found := beyond(order)
		if !found {
			return order, map[int]string{1: "it is the last of its caller already", -1: "it is the first of its caller already"}[way]
		}
		pass = next
	}
	end, found := beyond(pass)
	if !found {
		end = max(leastOrder-1, min(mostOrder+1, pass+2*way*orderStep))
	}
	place = (pass + end) / 2
	if place == pass || place == end || place < leastOrder || place > mostOrder {
		return order, "no order is free beside " + strconv.Itoa(pass) + "; e writes one"
	}
	return place, ""
}

// moveBy has a binding tried one place later or earlier.
func (s *bindingsScreen) moveBy(b api.Binding, way int) tea.Cmd {
	if s.movedAt == s.books.bindings.at {
		s.complain("the last move is not back yet; try again")
		return nil
	}
	var others []int
	for i := range s.grouped {
		if other := &s.grouped[i]; other.ID != b.ID && boundCaller(other) == boundCaller(&b) {
			others = append(others, other.Order)
		}
	}
	place, problem := placeBeside(b.Order, others, way)
	if problem != "" {
		s.complain(problem)
		return nil
	}
	s.movedAt = s.books.bindings.at
	moving := s.moving(b, place)
	moving.fails = func(err error) tea.Cmd {
		s.movedAt = time.Time{}
		s.complain(reason(err))
		return nil
	}
	return s.change(moving)
}

// moving is the change that gives a binding another order, if it is still as it
// was read.
func (s *bindingsScreen) moving(b api.Binding, order int) change {
	return change{
		twin: []string{"bindings", "move", b.ID, "--order", strconv.Itoa(order)}, books: []book{bookBindings},
		call: func(ctx context.Context, c *api.Client) (string, error) {
			_, err := c.If(b.ETag).MoveBinding(ctx, b.ID, api.MoveBinding{Order: order})
			return boundCaller(&b) + ": " + boundPlace(&b) + " has order " + strconv.Itoa(order), err
		},
	}
}

// placeForm asks for the order of a binding.
func (s *bindingsScreen) placeForm(b api.Binding) *form {
	f := &form{
		look: s.look, title: "Order of " + clean(boundPlace(&b)) + " for " + clean(boundCaller(&b)),
		intro:  []string{"The lowest order is tried first. Those of the same order share by weight, and are tried one after the other where one fails."},
		fields: []*field{writtenField("order", "Order", strconv.Itoa(b.Order), "")},
	}
	f.submit = func(f *form) tea.Cmd {
		order, err := strconv.Atoi(f.value("order"))
		if err != nil {
			f.problem = "an order is a number"
			return nil
		}
		return s.submits(f, s.moving(b, order))
	}
	return f
}
