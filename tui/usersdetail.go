package tui

import (
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// drawUser shows everything that is known of one user.
func (s *usersScreen) drawUser(u *api.User, w, h int) string {
	inW, _ := inside(w, h)
	content := s.facts(inW,
		[2]string{"state", s.stateStyle(u).Render(s.state(u))},
		[2]string{"role", clean(u.Role)},
		[2]string{"email", clean(u.Email)},
		[2]string{"password", s.yesOrNo(u.HasPassword)},
		[2]string{"last login", s.since(u.LastLoginAt)},
		[2]string{"tags", clean(pairsOf(u.Tags))},
		[2]string{"made", ago(s.now(), u.CreatedAt)},
		[2]string{"id", clean(u.ID)},
		[2]string{"keys", count(int64(u.Keys))},
	)
	b := box{title: clean(u.Name)}
	if s.opened {
		content = below(content, s.keysOf(u), s.loginsOf(u))
	} else {
		b.foot = "enter: keys and logins"
	}
	return b.toldOf(content, h).draw(s.look, content, w, h)
}

// keysOf lists a user's keys.
func (s *usersScreen) keysOf(u *api.User) string {
	var lines []string
	for i := range s.books.keys.value {
		if k := &s.books.keys.value[i]; k.User == u.Name {
			lines = append(lines, "   "+s.look.fit(clean(k.Name), 24)+" "+s.look.fit(clean(k.State), 13)+" last used "+s.since(k.LastUsedAt))
		}
	}
	return strings.Join(lines, "\n")
}

// loginsOf lists a user's logins and tokens, or says why they are not shown.
func (s *usersScreen) loginsOf(u *api.User) string {
	held := &s.books.sessions
	heading := "\n " + s.look.dim.Render("logins and tokens") + "  "
	switch {
	case !s.mayLookInto(u):
		return heading + "only an admin sees them, and " + clean(u.Name)
	case held.err != nil:
		return heading + s.look.bad.Render(s.look.no+" "+reason(held.err))
	case !held.there() || held.value.user != u.Name:
		return heading + s.look.more
	case len(held.value.items) == 0:
		return heading + "none"
	}
	lines := []string{heading}
	for i := range held.value.items {
		t := &held.value.items[i]
		line := s.look.fit(or(clean(t.Name), "login"), 24) + " " + s.look.fit(clean(t.Role), 8) + " " + lastFour(s.look, t.Last4) +
			"  used " + s.since(t.UsedAt) + endOf(s.now(), t.ExpiresAt)
		if t.From != "" {
			line += ", from " + clean(t.From)
		}
		lines = append(lines, "   "+line)
	}
	return strings.Join(lines, "\n")
}
