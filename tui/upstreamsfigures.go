package tui

import (
	"slices"

	"github.com/llmgw/llmgw/admin/api"
)

// counted says whether the window knows of upstreams: it does not before it was
// asked for them.
func (s *upstreamsScreen) counted() bool {
	w := &s.books.window
	return w.there() && (w.value.Total.Requests == 0 || slices.ContainsFunc(w.value.By, func(one api.Share) bool { return one.Kind == "upstream" }))
}

// counts is what came of an upstream's requests within the window.
func (s *upstreamsScreen) counts(u *api.Upstream) api.Counts {
	if one := s.share("upstream", u.Name); one != nil {
		return one.Counts
	}
	return api.Counts{}
}

// errorShare is the part of an upstream's requests that ended in an error, 0 to 1.
func (s *upstreamsScreen) errorShare(u *api.Upstream) float64 {
	c := s.counts(u)
	if c.Requests <= 0 {
		return 0
	}
	return float64(c.Errors) / float64(c.Requests)
}

func (s *upstreamsScreen) perSecond(u *api.Upstream) string {
	if !s.counted() {
		return unknown
	}
	return rate(s.counts(u).Requests, s.seen())
}

func (s *upstreamsScreen) errors(u *api.Upstream) string {
	c := s.counts(u)
	return percent(c.Errors, c.Requests)
}

func (s *upstreamsScreen) firstToken(u *api.Upstream) string {
	c := s.counts(u)
	if c.FirstTokenP95 <= 0 {
		return unknown
	}
	return millis(c.FirstTokenP50) + " / " + millis(c.FirstTokenP95)
}
