package tui

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// explainForm asks whose request it is and what it asks for: that of a row's
// caller, where there is one.
func (s *bindingsScreen) explainForm(row *api.Binding) *form {
	var of api.Binding
	if row != nil {
		of = *row
	}
	f := &form{
		look: s.look, title: "Who wins?",
		intro: []string{"Nothing is sent: the gateway tells where it would send such a request, by the code that decides."},
		fields: []*field{
			writtenField("key", "Key", of.Key, "its user and tags come with it"),
			writtenField("user", "User", of.User, ""),
			writtenField("tags", "Tags", of.Tag, "env=ci, plan=trial"),
			writtenField("model", "Model", "", "gpt-5"),
			writtenField("path", "Path", "/v1/chat/completions", ""),
		},
	}
	f.submit = func(f *form) tea.Cmd { return s.explain(f) }
	return f
}

func (s *bindingsScreen) explain(f *form) tea.Cmd {
	asked := api.ExplainRequest{Path: f.value("path"), Key: f.value("key"), User: f.value("user")}
	if asked.Path == "" {
		f.problem = "say which path"
		return nil
	}
	if model := f.value("model"); model != "" {
		asked.Model = &model
	}
	for _, tag := range f.words("tags") {
		name, value, found := strings.Cut(tag, "=")
		if !found || name == "" {
			f.problem = clean(tag) + " is no tag; NAME=VALUE is"
			return nil
		}
		if asked.Tags == nil {
			asked.Tags = map[string]string{}
		}
		asked.Tags[name] = value
	}
	var told api.Explanation
	return s.submits(f, change{
		twin: explainTwin(&asked), only: true,
		call: func(ctx context.Context, c *api.Client) (_ string, err error) {
			told, err = c.Explain(ctx, asked)
			return "explained", err
		},
		then: func(string) tea.Cmd {
			s.open(s.explained(&told, asked.Tags))
			return nil
		},
	})
}

// explained tells which binding named the first candidate, what is tried after it,
// and all bindings of the caller.
func (s *bindingsScreen) explained(e *api.Explanation, tags map[string]string) *page {
	p := &page{look: s.look, title: "Who wins", foot: "esc closes"}
	request := e.Method + " " + clean(e.Path)
	if e.Model != "" {
		request += ", model " + clean(e.Model)
	}
	p.lines = append(p.lines, request, "", s.verdict(e))
	if why := s.because(e); why != "" {
		p.lines = append(p.lines, "  "+why)
	}
	p.lines = append(p.lines, s.candidates(e)...)
	p.lines = append(p.lines, s.bindingsOf(e, tags)...)
	p.lines = append(p.lines, "", s.look.dim.Render("nothing was sent"))
	return p
}

// verdict says where the request goes.
func (s *bindingsScreen) verdict(e *api.Explanation) string {
	l := s.look
	switch e.Outcome {
	case "forward":
		if len(e.Candidates) == 0 {
			break
		}
		first := &e.Candidates[0]
		return l.good.Render(l.yes) + " " + l.bold.Render(clean(or(first.Upstream, first.URL))) + " " + s.namedBy(e)
	case "respond":
		return l.yes + " the gateway itself answers " + strconv.Itoa(e.Status) + " " + s.namedBy(e)
	}
	return l.bad.Render(l.no) + " it is refused: " + strconv.Itoa(e.Status) + " " + clean(e.Code) + " " + clean(e.Message)
}

// namedBy says who sent the request there.
func (s *bindingsScreen) namedBy(e *api.Explanation) string {
	switch {
	case e.Binding != nil:
		return "by the binding of " + clean(e.Binding.Of) + ", order " + strconv.Itoa(e.Binding.Order)
	case e.Rule != "":
		return "by the rule " + clean(e.Rule)
	}
	return ""
}

// because says why it was that binding, or none.
func (s *bindingsScreen) because(e *api.Explanation) string {
	switch {
	case e.Binding != nil && e.Rule != "":
		return "the rule " + clean(e.Rule) + " takes it and leaves open where it goes; bindings of a key go before those of its user, these before those of tags, then the lowest order, then by weight"
	case e.Binding != nil:
		return "no rule takes it; bindings of a key go before those of its user, these before those of tags, then the lowest order, then by weight"
	case e.Rule != "" && e.Outcome == "forward":
		return "a rule that says where a request goes decides, and no binding is asked"
	}
	return ""
}

// candidates lists the destinations in the order in which they are tried, and then
// those that are not.
func (s *bindingsScreen) candidates(e *api.Explanation) []string {
	if len(e.Candidates) == 0 {
		return nil
	}
	lines := []string{"", s.look.title.Render("Tried in this order")}
	n := 0
	for i := range e.Candidates {
		c := &e.Candidates[i]
		name := s.look.bold.Render(clean(or(c.Upstream, c.URL)))
		if c.Problem != "" {
			lines = append(lines, "  "+s.look.bad.Render(s.look.no)+" "+name+"  "+clean(c.Problem))
			continue
		}
		n++
		text := "  " + strconv.Itoa(n) + " " + name
		if c.Share > 0 && c.Share < 1 {
			text += "  first for " + boundShare(c.Share) + " of such callers"
		}
		if c.Fallback {
			text += "  where those before cannot be used"
		}
		if c.Credential != "" {
			text += "  credential " + clean(c.Credential)
		}
		if c.Model != "" && c.Model != e.Model {
			text += "  as model " + clean(c.Model)
		}
		lines = append(lines, text)
	}
	return lines
}

// bindingsOf lists the bindings of the caller, in the order in which they are
// asked, with a sign at the one that won.
func (s *bindingsScreen) bindingsOf(e *api.Explanation, tags map[string]string) []string {
	s.sync()
	var own []api.Binding
	for i := range s.grouped {
		if s.isOf(&s.grouped[i], e, tags) {
			own = append(own, s.grouped[i])
		}
	}
	slices.SortStableFunc(own, func(a, b api.Binding) int {
		return cmp.Or(cmp.Compare(levelOf(&a), levelOf(&b)), cmp.Compare(a.Order, b.Order))
	})
	lines := []string{"", s.look.title.Render("Bindings of this caller")}
	for i := range own {
		b := &own[i]
		sign := " "
		if e.Binding != nil && e.Binding.ID == b.ID {
			sign = s.look.good.Render(s.look.yes)
		}
		text := "  " + sign + " " + clean(boundCaller(b)) + " " + s.look.arrow + " " + clean(boundPlace(b)) + "  order " + strconv.Itoa(b.Order) + ", weight " + strconv.Itoa(b.Weight)
		if len(b.Models) > 0 {
			text += ", models " + clean(strings.Join(b.Models, ", "))
		}
		lines = append(lines, text)
	}
	if len(own) == 0 {
		lines = append(lines, "  none")
	}
	return lines
}

// isOf says whether a binding is one of the caller's: of the key, its user, or a
// tag that was asked for, or that the key has, or else its user.
func (s *bindingsScreen) isOf(b *api.Binding, e *api.Explanation, asked map[string]string) bool {
	switch {
	case b.Key != "":
		return b.Key == e.Key
	case b.User != "":
		return b.User == e.User
	}
	name, value, _ := strings.Cut(b.Tag, "=")
	var ofKey, ofUser map[string]string
	for i := range s.books.keys.value {
		if k := &s.books.keys.value[i]; k.Name == e.Key {
			ofKey = k.Tags
		}
	}
	for i := range s.books.users.value {
		if u := &s.books.users.value[i]; u.Name == e.User {
			ofUser = u.Tags
		}
	}
	for _, tags := range []map[string]string{asked, ofKey, ofUser} {
		if own, ok := tags[name]; ok {
			return own == value
		}
	}
	return false
}
