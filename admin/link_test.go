package admin_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// linked makes a link and gives the secret in it.
func (g *gateway) linked(t testing.TB, user string) string {
	t.Helper()
	link, err := g.AdminLink(t.Context(), api.NewAdminLink{User: user})
	must(t, err)
	_, secret, _ := strings.Cut(link.URL, "#")
	return secret
}

func TestTheFirstPasswordComesByLink(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	link, err := g.AdminLink(t.Context(), api.NewAdminLink{})
	must(t, err)
	if !regexp.MustCompile(`^http://127\.0\.0\.1:4101/setup#[0-9A-Za-z]{4}-[0-9A-Za-z]{4}-[0-9A-Za-z]{4}$`).MatchString(link.URL) ||
		link.User != "admin" || !link.ExpiresAt.Equal(g.clock.Now().Add(30*time.Minute)) {
		t.Errorf("the link is %+v", link)
	}
	_, secret, _ := strings.Cut(link.URL, "#")
	nobody := as(t, base, "")
	_, err = nobody.Login(t.Context(), api.Login{Link: secret, New: "short"})
	refusedWith(t, err, api.CodeInvalid, 422, "new_password: must have at least 10 characters")
	tokens, err := nobody.Login(t.Context(), api.Login{Link: secret, New: rightPassword})
	must(t, err)
	me, err := as(t, base, tokens.Access).Me(t.Context())
	must(t, err)
	if me.User != "admin" || me.Role != "admin" {
		t.Errorf("me is %+v", me)
	}
	login(t, base, "admin")
	_, err = nobody.Login(t.Context(), api.Login{Link: secret, New: "another password"})
	refusedWith(t, err, api.CodeDenied, 401, "this link is not valid, was used, or is over")
	login(t, base, "admin")
	if log := g.log.String(); strings.Contains(log, secret) || !strings.Contains(log, "password set by admin link") {
		t.Errorf("the log is %s", log)
	}
}

func TestALinkKeepsTheRoleOfItsUser(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "mia", accounts.RoleMember, rightPassword)
	before := login(t, base, "mia")
	tokens, err := as(t, base, "").Login(t.Context(), api.Login{Link: g.linked(t, "mia"), New: "another password"})
	must(t, err)
	if tokens.Role != "member" {
		t.Errorf("the role is %s", tokens.Role)
	}
	_, err = as(t, base, before.Access).Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401)
}

func TestLinksThatAreOver(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, g *gateway, secret string) string{
		"after its time":      func(_ *testing.T, g *gateway, secret string) string { g.clock.Pass(30 * time.Minute); return secret },
		"replaced by another": func(t *testing.T, g *gateway, secret string) string { g.linked(t, "admin"); return secret },
		"mistyped":            func(_ *testing.T, _ *gateway, secret string) string { return sibling(secret[0]) + secret[1:] },
		"without its dashes":  func(_ *testing.T, _ *gateway, secret string) string { return strings.ReplaceAll(secret, "-", "") },
		"of the right length": func(*testing.T, *gateway, string) string { return "lgw_link_abcde" },
		"as a hash is made":   func(_ *testing.T, _ *gateway, secret string) string { return "lgw_link_" + secret },
		"the user is disabled": func(t *testing.T, g *gateway, secret string) string {
			u, err := g.people.User(t.Context(), "admin")
			must(t, err)
			u.Disabled = true
			g.people.put(u)
			return secret
		},
		"the user is disabled by a store that ends no sessions": func(t *testing.T, g *gateway, secret string) string {
			u, err := g.people.User(t.Context(), "admin")
			must(t, err)
			g.people.mu.Lock()
			defer g.people.mu.Unlock()
			u.Disabled = true
			g.people.users[u.ID] = u
			return secret
		},
		"the user is gone": func(t *testing.T, g *gateway, secret string) string {
			u, err := g.people.User(t.Context(), "admin")
			must(t, err)
			g.people.remove(u.ID)
			return secret
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			base := g.listen(t)
			_, err := as(t, base, "").Login(t.Context(), api.Login{Link: spoil(t, g, g.linked(t, "admin")), New: rightPassword})
			var refusal *api.Error
			if !errors.As(err, &refusal) || refusal.Status != 401 {
				t.Errorf("got %v", err)
			}
			_, err = as(t, base, "").Login(t.Context(), api.Login{User: "admin", Password: rightPassword})
			refusedWith(t, err, api.CodeDenied, 401)
		})
	}
}

func TestOfManyWhoUseALinkOneGetsIn(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	secret := g.linked(t, "admin")
	var in atomic.Int64
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := as(t, base, "").Login(t.Context(), api.Login{Link: secret, New: rightPassword}); err == nil {
				in.Add(1)
			}
		})
	}
	group.Wait()
	if n := in.Load(); n != 1 {
		t.Errorf("%d got in", n)
	}
}

func TestGuessingAtLinksCostsTime(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.linked(t, "admin")
	statuses := map[int]int{}
	for range 10 {
		_, err := as(t, base, "").Login(t.Context(), api.Login{Link: "AAAA-AAAA-AAAA", New: rightPassword})
		var refusal *api.Error
		if errors.As(err, &refusal) {
			statuses[refusal.Status]++
		}
	}
	if statuses[401] != 5 || statuses[429] != 5 {
		t.Errorf("answers are %v", statuses)
	}
}

func TestLinksAreMadeAtTheSocketOnly(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	_, err := as(t, base, tokens[accounts.RoleAdmin]).AdminLink(t.Context(), api.NewAdminLink{User: "admin"})
	refusedWith(t, err, api.CodeDenied, 403, "only the admin socket does this")
	for _, name := range []string{"No Name", "local", "open"} {
		_, err = g.AdminLink(t.Context(), api.NewAdminLink{User: name})
		refusedWith(t, err, api.CodeInvalid, 422, "user: ")
	}
	u, err := g.people.User(t.Context(), "viewer")
	must(t, err)
	u.Disabled = true
	g.people.put(u)
	_, err = g.AdminLink(t.Context(), api.NewAdminLink{User: "viewer"})
	refusedWith(t, err, api.CodeConflict, 409, `user "viewer" is disabled`)
	_, err = as(t, base, "").Login(t.Context(), api.Login{User: "admin", Password: rightPassword, New: "another password"})
	refusedWith(t, err, api.CodeInvalid, 422, "new_password: goes with link only")
}

func TestAPasswordThatChangesDuringALoginEndsIt(t *testing.T) {
	for name, change := range map[string]func(*accounts.User){
		"another password": func(u *accounts.User) { u.Password = accounts.NewSecret(hashed(t)) },
		"disabled":         func(u *accounts.User) { u.Disabled = true },
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			base := g.listen(t)
			u := g.user(t, "dana", accounts.RoleAdmin, rightPassword)
			change(&u)
			g.people.meantime = func() { g.people.put(u) }
			_, err := as(t, base, "").Login(t.Context(), api.Login{User: "dana", Password: rightPassword})
			refusedWith(t, err, api.CodeDenied, 401)
			if names := g.people.sessionNames(u.ID); len(names) != 0 {
				t.Errorf("there are sessions: %q", names)
			}
		})
	}
}
