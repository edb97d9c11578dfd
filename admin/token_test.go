package admin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func TestAPersonalAccessTokenFromMakingToDeleting(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	dana := g.user(t, "dana", accounts.RoleOperator, rightPassword)
	client := as(t, base, login(t, base, "dana").Access)
	ends := g.clock.Now().Add(time.Hour)
	created, err := client.CreateToken(t.Context(), api.NewToken{Name: "ci", Role: "viewer", ExpiresAt: &ends})
	must(t, err)
	if !strings.HasPrefix(created.Secret, "lgw_pat_") || created.Role != "viewer" || created.User != "dana" || created.From != "127.0.0.1" {
		t.Errorf("created is %+v", created.Token)
	}
	me, err := as(t, base, created.Secret).Me(t.Context())
	must(t, err)
	if me.User != "dana" || me.Role != "viewer" || me.Via != "token" || !me.ExpiresAt.Equal(ends) {
		t.Errorf("me is %+v", me)
	}
	_, err = as(t, base, created.Secret).CreateKey(t.Context(), api.NewKey{Name: "k"})
	refusedWith(t, err, api.CodeDenied, 403, "needs the role operator, dana has the role viewer")
	_, err = as(t, base, created.Secret).CreateToken(t.Context(), api.NewToken{Name: "more"})
	refusedWith(t, err, api.CodeDenied, 403, "a personal access token makes no other")

	list, err := client.Tokens(t.Context(), "")
	must(t, err)
	if len(list) != 1 || list[0].Name != "ci" || list[0].Last4 != created.Secret[len(created.Secret)-4:] {
		t.Errorf("tokens are %+v", list)
	}
	logins, err := client.Logins(t.Context(), "")
	must(t, err)
	if len(logins) != 2 || logins[0].Name != "" || logins[0].Role != "operator" {
		t.Errorf("with logins there are %+v", logins)
	}
	g.clock.Pass(30 * time.Minute)
	_, err = as(t, base, created.Secret).Me(t.Context())
	must(t, err)
	client = as(t, base, login(t, base, "dana").Access)
	must(t, client.DeleteToken(t.Context(), "ci"))
	_, err = as(t, base, created.Secret).Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401)
	refusedWith(t, client.DeleteToken(t.Context(), "ci"), api.CodeNotFound, 404, "no such token or login")

	again, err := client.CreateToken(t.Context(), api.NewToken{Name: "ci", ExpiresAt: new(g.clock.Now().Add(time.Minute))})
	must(t, err)
	g.clock.Pass(time.Minute)
	_, err = as(t, base, again.Secret).Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401)
	if names := g.people.sessionNames(dana.ID); strings.Join(names, ",") != ",,ci" {
		t.Errorf("sessions are %q", names)
	}
	if strings.Contains(g.log.String(), created.Secret) {
		t.Error("the log has the token")
	}
}

func TestTokensThatAreNotMade(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleViewer, rightPassword)
	client := as(t, base, login(t, base, "dana").Access)
	past := g.clock.Now()
	for _, c := range []struct {
		name   string
		token  api.NewToken
		code   string
		status int
		detail string
	}{
		{"with a role beyond one's own", api.NewToken{Name: "a", Role: "operator"}, api.CodeDenied, 403, "does not cover the role operator"},
		{"with a role that is none", api.NewToken{Name: "a", Role: "root"}, api.CodeInvalid, 422, "role: is none of"},
		{"with a name that is none", api.NewToken{Name: "admin link"}, api.CodeInvalid, 422, "name: must match"},
		{"without a name", api.NewToken{}, api.CodeInvalid, 422, "name: must match"},
		{"that are over", api.NewToken{Name: "a", ExpiresAt: &past}, api.CodeInvalid, 422, "expires_at: is in the past"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client.CreateToken(t.Context(), c.token)
			refusedWith(t, err, c.code, c.status, c.detail)
		})
	}
	_, err := g.CreateToken(t.Context(), api.NewToken{Name: "a"})
	refusedWith(t, err, api.CodeUsage, 400, "a token belongs to a user")
	for i := range 100 {
		_, err := client.CreateToken(t.Context(), api.NewToken{Name: fmt.Sprintf("t%d", i)})
		must(t, err)
	}
	_, err = client.CreateToken(t.Context(), api.NewToken{Name: "t0"})
	refusedWith(t, err, api.CodeConflict, 409, `token "t0" already exists`)
	_, err = client.CreateToken(t.Context(), api.NewToken{Name: "one-more"})
	refusedWith(t, err, api.CodeConflict, 409, "there are 100 tokens already")
}

func TestTokensOfOthersAreForAdmins(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	created, err := as(t, base, tokens[accounts.RoleMember]).CreateToken(t.Context(), api.NewToken{Name: "ci"})
	must(t, err)
	for _, role := range []accounts.Role{accounts.RoleOperator, accounts.RoleViewer} {
		client := as(t, base, tokens[role])
		_, err := client.Tokens(t.Context(), "member")
		refusedWith(t, err, api.CodeDenied, 403, "needs the role admin")
		refusedWith(t, client.DeleteToken(t.Context(), created.ID), api.CodeNotFound, 404)
		refusedWith(t, client.DeleteToken(t.Context(), "ci"), api.CodeNotFound, 404)
		if own, err := client.Tokens(t.Context(), ""); err != nil || len(own) != 0 {
			t.Errorf("%s sees %+v, %v", role, own, err)
		}
	}
	boss := as(t, base, tokens[accounts.RoleAdmin])
	if list, err := boss.Tokens(t.Context(), "member"); err != nil || len(list) != 1 || list[0].User != "member" {
		t.Errorf("an admin sees %+v, %v", list, err)
	}
	if list, err := g.Logins(t.Context(), ""); err != nil || len(list) != 5 {
		t.Errorf("at the socket there are %+v, %v", list, err)
	}
	_, err = boss.Tokens(t.Context(), "nobody")
	refusedWith(t, err, api.CodeNotFound, 404, `no user "nobody"`)
	must(t, boss.DeleteToken(t.Context(), created.ID))
	_, err = as(t, base, created.Secret).Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401)

	logins, err := boss.Logins(t.Context(), "viewer")
	must(t, err)
	must(t, boss.DeleteToken(t.Context(), logins[0].ID))
	_, err = as(t, base, tokens[accounts.RoleViewer]).Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401)
}
