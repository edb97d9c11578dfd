package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func to[T any](v T) *T { return &v }

// createUser makes a user and wants that to work.
func (g *gateway) createUser(t testing.TB, user api.NewUser) api.User {
	t.Helper()
	made, err := g.CreateUser(t.Context(), user)
	must(t, err)
	return made
}

// createKey makes a key and wants that to work.
func (g *gateway) createKey(t testing.TB, key api.NewKey) api.CreatedKey {
	t.Helper()
	made, err := g.CreateKey(t.Context(), key)
	must(t, err)
	return made
}

func TestAUserIsMadeShownEditedAndDeleted(t *testing.T) {
	g := openStore(t)
	made := g.createUser(t, api.NewUser{Name: "dana", Email: "dana@example.com", Role: "operator", Tags: map[string]string{"team": "core"}, Password: rightPassword})
	want := api.User{
		ID: made.ID, Name: "dana", Email: "dana@example.com", Role: "operator", Tags: map[string]string{"team": "core"},
		Enabled: true, HasPassword: true, CreatedAt: g.clock.Now(), ETag: made.ETag,
	}
	if diff := cmp.Diff(want, made); diff != "" || made.ETag == "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	g.createKey(t, api.NewKey{Name: "bot", User: "dana"})
	want.Keys = 1
	for _, name := range []string{"dana", made.ID} {
		shown, err := g.User(t.Context(), name)
		must(t, err)
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Errorf("shown as %s (-want +got):\n%s", name, diff)
		}
	}
	edited, err := g.EditUser(t.Context(), "dana", api.EditUser{Name: to("dan"), Role: to("viewer"), Email: to(""), Tags: &map[string]string{}})
	must(t, err)
	want.Name, want.Role, want.Email, want.Tags, want.ETag = "dan", "viewer", "", nil, edited.ETag
	if diff := cmp.Diff(want, edited); diff != "" || edited.ETag == made.ETag {
		t.Errorf("edited (-want +got):\n%s", diff)
	}
	refusedWith(t, g.DeleteUser(t.Context(), "dan"), api.CodeInUse, 409, "bot")
	_, err = g.RevokeKey(t.Context(), "bot", api.RevokeKey{})
	must(t, err)
	must(t, g.DeleteUser(t.Context(), "dan"))
	_, err = g.User(t.Context(), "dan")
	refusedWith(t, err, api.CodeNotFound, 404, `no user "dan"`)
	if key, err := g.Key(t.Context(), "bot"); err != nil || key.User != "" || key.State != "revoked" {
		t.Errorf("the key of a deleted user is %+v, %v", key, err)
	}
}

func TestUsersThatCannotBe(t *testing.T) {
	g := openStore(t)
	g.createUser(t, api.NewUser{Name: "dana"})
	for name, c := range map[string]struct {
		user   api.NewUser
		code   string
		status int
		text   string
	}{
		"a name with spaces":     {api.NewUser{Name: "da na"}, api.CodeInvalid, 422, "name: must match"},
		"a role that is none":    {api.NewUser{Name: "lee", Role: "root"}, api.CodeInvalid, 422, "role: is none of"},
		"an email without an at": {api.NewUser{Name: "lee", Email: "lee"}, api.CodeInvalid, 422, "email: is not an address"},
		"an email of two lines":  {api.NewUser{Name: "lee", Email: "a@b\nc"}, api.CodeInvalid, 422, "email: is not an address"},
		"a tag of two lines":     {api.NewUser{Name: "lee", Tags: map[string]string{"a": "b\nc"}}, api.CodeInvalid, 422, "tags.a: must be one line"},
		"a short password":       {api.NewUser{Name: "lee", Password: "short"}, api.CodeInvalid, 422, "password"},
		"a name that is taken":   {api.NewUser{Name: "dana"}, api.CodeConflict, 409, `user "dana" already exists`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := g.CreateUser(t.Context(), c.user)
			refusedWith(t, err, c.code, c.status, c.text)
		})
	}
	g.createUser(t, api.NewUser{Name: "lee"})
	_, err := g.EditUser(t.Context(), "lee", api.EditUser{Name: to("dana")})
	refusedWith(t, err, api.CodeConflict, 409, `user "dana" already exists`)
	_, err = g.EditUser(t.Context(), "lee", api.EditUser{Role: to("")})
	refusedWith(t, err, api.CodeInvalid, 422, "role")
	_, err = g.EditUser(t.Context(), "nobody", api.EditUser{})
	refusedWith(t, err, api.CodeNotFound, 404, `no user "nobody"`)
	refusedWith(t, g.DeleteUser(t.Context(), "nobody"), api.CodeNotFound, 404)
}

// TestNobodyGivesMoreThanTheyHave walks who may make, raise, lower and delete
// whom.
func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	for _, own := range []accounts.Role{accounts.RoleAdmin, accounts.RoleOperator} {
		caller := as(t, base, tokens[own])
		for i, role := range accounts.Roles() {
			name := fmt.Sprintf("%s-%d", own, i)
			_, err := caller.CreateUser(t.Context(), api.NewUser{Name: name, Role: string(role)})
			if !own.Covers(role) {
				refusedWith(t, err, api.CodeDenied, 403, "does not cover the role admin")
				g.createUser(t, api.NewUser{Name: name, Role: string(role)})
				_, err = caller.EditUser(t.Context(), name, api.EditUser{Role: to("member")})
				refusedWith(t, err, api.CodeDenied, 403)
				_, err = caller.EditUser(t.Context(), name, api.EditUser{Enabled: to(false)})
				refusedWith(t, err, api.CodeDenied, 403)
				refusedWith(t, caller.DeleteUser(t.Context(), name), api.CodeDenied, 403)
				continue
			}
			must(t, err)
			_, err = caller.EditUser(t.Context(), name, api.EditUser{Role: to("admin")})
			if own != accounts.RoleAdmin {
				refusedWith(t, err, api.CodeDenied, 403)
			} else {
				must(t, err)
			}
			must(t, caller.DeleteUser(t.Context(), name))
		}
	}
	for _, own := range []accounts.Role{accounts.RoleViewer, accounts.RoleMember} {
		_, err := as(t, base, tokens[own]).EditUser(t.Context(), string(own), api.EditUser{Role: to("admin")})
		refusedWith(t, err, api.CodeDenied, 403, "needs the role operator")
	}
}

func TestADisabledUserIsOutAtOnce(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	g.createKey(t, api.NewKey{Name: "bot", User: "member"})
	_, err := g.EditUser(t.Context(), "member", api.EditUser{Enabled: to(false)})
	must(t, err)
	_, err = as(t, base, tokens[accounts.RoleMember]).Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401)
	if key, err := g.Key(t.Context(), "bot"); err != nil || key.State != "user disabled" || !key.Enabled {
		t.Errorf("the key of a disabled user is %+v, %v", key, err)
	}
	_, err = g.EditUser(t.Context(), "member", api.EditUser{Enabled: to(true)})
	must(t, err)
	if key, err := g.Key(t.Context(), "bot"); err != nil || key.State != "active" {
		t.Errorf("the key of a user who is enabled again is %+v, %v", key, err)
	}
	audit, err := g.Audit(t.Context(), api.AuditQuery{Action: "user.*", Name: "member", Limit: 2})
	must(t, err)
	if len(audit.Items) != 2 || audit.Items[0].Action != "user.enable" || audit.Items[1].Action != "user.disable" {
		t.Errorf("the audit says %+v", audit.Items)
	}
}

func TestListsAreFilteredAndCutIntoPages(t *testing.T) {
	g := openStore(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("u%d", i)
		want = append(want, name)
		g.createUser(t, api.NewUser{Name: name, Role: []string{"member", "viewer"}[i%2], Tags: map[string]string{"n": fmt.Sprint(i % 3)}})
		g.createKey(t, api.NewKey{Name: fmt.Sprintf("k%d", i), User: name})
	}
	var got []string
	pages := 0
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		var list api.List[api.User]
		g.read(t, "/users?limit=3&cursor="+cursor, &list)
		for _, user := range list.Items {
			got = append(got, user.Name)
		}
		cursor = list.Next
		if pages == 0 { // what comes and goes in between moves nobody else
			must(t, g.DeleteUser(t.Context(), g.createUser(t, api.NewUser{Name: "a-first"}).Name))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	for path, want := range map[string][]string{
		"/users?role=viewer":             {"u1", "u3", "u5"},
		"/users?tag=n%3D0":               {"u0", "u3", "u6"},
		"/users?tag=n&name=*2":           {"u2"},
		"/users?tag=m":                   nil,
		"/users?state=disabled":          nil,
		"/users?state=enabled&limit=1":   {"u0"},
		"/keys?user=u4":                  {"k4"},
		"/keys?name=k1":                  {"k1"},
		"/keys?state=revoked":            nil,
		"/keys?state=active&name=!k%2A":  nil,
		"/keys?limit=0&name=k%2A&user=u": nil,
	} {
		var list api.List[struct{ Name string }]
		g.read(t, path, &list)
		var names []string
		for _, item := range list.Items {
			names = append(names, item.Name)
		}
		if !slices.Equal(want, names) {
			t.Errorf("%s gives %v, want %v", path, names, want)
		}
	}
	for _, path := range []string{"/users?cursor=%21", "/users?limit=1001", "/users?limit=-1", "/keys?state=lost", "/users?role=root", "/keys?nme=x", "/audit?cursor=x"} {
		if response, text := g.raw(t, http.MethodGet, "/api/v1"+path, "", ""); response.StatusCode != 422 {
			t.Errorf("%s answers %d %s", path, response.StatusCode, text)
		}
	}
}
