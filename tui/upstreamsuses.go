package tui

import (
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// uses lists what names an upstream.
func (s *upstreamsScreen) uses(u *api.Upstream) [][2]string {
	return [][2]string{{"rules", s.rulesText(u)}, {"bindings", s.bindingsText(u)}}
}

func (s *upstreamsScreen) rulesText(u *api.Upstream) string {
	if !s.books.rules.there() {
		return "not known yet"
	}
	return or(strings.Join(s.rulesNaming(u.Name), ", "), "none name it")
}

func (s *upstreamsScreen) bindingsText(u *api.Upstream) string {
	if !s.books.bindings.there() {
		return "not known yet"
	}
	return or(strings.Join(s.boundTo(u.Name), ", "), "none lead to it")
}

// rulesNaming lists the rules that send requests to an upstream.
func (s *upstreamsScreen) rulesNaming(name string) []string {
	var all []string
	for i := range s.books.rules.value.Items {
		r := &s.books.rules.value.Items[i]
		if !sendsTo(r.Action, name) {
			continue
		}
		text := clean(r.Name)
		if !r.Enabled {
			text += " (off)"
		}
		all = append(all, text)
	}
	return all
}

// sendsTo says whether the action of a rule, in the rule's own words, names an
// upstream: as the one, as one of several, or as one to fall back to.
func sendsTo(action map[string]any, upstream string) bool {
	return namesThisUpstream(action["upstream"], upstream) || namesThisUpstream(action["upstreams"], upstream) || namesThisUpstream(action["fallback"], upstream)
}

func namesThisUpstream(value any, upstream string) bool {
	switch v := value.(type) {
	case string:
		return v == upstream
	case map[string]any:
		return namesThisUpstream(v["name"], upstream)
	case []any:
		for _, one := range v {
			if namesThisUpstream(one, upstream) {
				return true
			}
		}
	}
	return false
}

// boundTo lists the callers that bindings lead to an upstream.
func (s *upstreamsScreen) boundTo(name string) []string {
	var all []string
	for i := range s.books.bindings.value {
		if b := &s.books.bindings.value[i]; b.Upstream == name {
			all = append(all, clean(boundCaller(b)))
		}
	}
	return all
}

// used says whether anything goes to an upstream, or may: what is not known may.
func (s *upstreamsScreen) used(u *api.Upstream) bool {
	return !s.books.rules.there() || !s.books.bindings.there() || u.InFlight > 0 || s.counts(u).Requests > 0 ||
		len(s.rulesNaming(u.Name)) > 0 || len(s.boundTo(u.Name)) > 0
}

// useLines tells, for a question, what an upstream is used for.
func (s *upstreamsScreen) useLines(u *api.Upstream) []string {
	return []string{
		s.look.bold.Render(clean(u.Name)) + "  " + s.requests("upstream", u.Name) + ", " + count(int64(u.InFlight)) + " in flight",
		"  rules: " + s.rulesText(u),
		"  bindings: " + s.bindingsText(u),
	}
}
