package admin_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// read gets a path of the API and wants an answer.
func (g *gateway) read(t testing.TB, path string, into any) {
	t.Helper()
	response, text := g.raw(t, http.MethodGet, "/api/v1"+path, "", "")
	if response.StatusCode != 200 {
		t.Fatalf("%s answers %d %s", path, response.StatusCode, text)
	}
	must(t, json.Unmarshal([]byte(text), into))
}

func TestTheAuditTellsWhoDidWhat(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	operator := as(t, base, g.everybody(t, base)[accounts.RoleOperator])
	begun, err := g.Audit(t.Context(), api.AuditQuery{})
	must(t, err)
	created, err := operator.CreateKey(t.Context(), api.NewKey{Name: "bot", User: "member"})
	must(t, err)
	_, err = g.EditKey(t.Context(), "bot", api.EditKey{Limits: &[]string{"5 requests/min"}})
	must(t, err)
	_, err = operator.RotateKey(t.Context(), "bot", api.RotateKey{})
	must(t, err)
	_, err = operator.EditKey(t.Context(), "bot", api.EditKey{Enabled: to(false)})
	must(t, err)
	must(t, operator.DeleteKey(t.Context(), "bot"))

	audit, err := g.Audit(t.Context(), api.AuditQuery{Subject: "key:" + created.ID})
	must(t, err)
	var told []string
	for _, e := range audit.Items {
		told = append(told, e.Action+" by "+e.Actor)
		if e.Name != "bot" || e.Time.IsZero() || (e.Before == nil) != (e.Action == "key.create") || (e.After == nil) != (e.Action == "key.delete") {
			t.Errorf("%s: %+v", e.Action, e)
		}
	}
	want := []string{"key.delete by operator", "key.disable by operator", "key.rotate by operator", "key.edit by local", "key.create by operator"}
	if !slices.Equal(told, want) {
		t.Errorf("the audit tells %q", told)
	}
	if e := audit.Items[3]; e.From != "socket" || e.Before["limits"] != nil || e.After["limits"] == nil {
		t.Errorf("an edit is told as %+v", e)
	}
	if e := audit.Items[4]; !strings.HasPrefix(e.From, "127.0.0.1") {
		t.Errorf("a change from the listener is told as from %q", e.From)
	}
	_, text := g.raw(t, http.MethodGet, "/api/v1/audit", "", "")
	if strings.Contains(text, created.Secret) || strings.Contains(text, "argon2") {
		t.Error("the audit holds a secret")
	}
	all, err := g.Audit(t.Context(), api.AuditQuery{})
	must(t, err)
	if len(all.Items) != len(begun.Items)+5 || all.Next != "" {
		t.Errorf("%d entries before and %d after, next %q", len(begun.Items), len(all.Items), all.Next)
	}
}

func TestTheAuditIsFilteredAndCutIntoPages(t *testing.T) {
	g := openStore(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		g.createKey(t, api.NewKey{Name: name})
	}
	g.createUser(t, api.NewUser{Name: "dana"})
	names := func(q api.AuditQuery) (names []string) {
		for page := 0; page == 0 || q.Cursor != ""; page++ {
			list, err := g.Audit(t.Context(), q)
			must(t, err)
			for _, e := range list.Items {
				names = append(names, e.Name)
			}
			q.Cursor = list.Next
		}
		return names
	}
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		query api.AuditQuery
		want  []string
	}{
		"all, two at a time": {api.AuditQuery{Limit: 2}, []string{"dana", "d", "c", "b", "a"}},
		"one action":         {api.AuditQuery{Action: "user.create"}, []string{"dana"}},
		"actions":            {api.AuditQuery{Action: "key.*", Limit: 3}, []string{"d", "c", "b", "a"}},
		"one name":           {api.AuditQuery{Name: "b"}, []string{"b"}},
		"an actor":           {api.AuditQuery{Actor: "local", Name: "c"}, []string{"c"}},
		"another actor":      {api.AuditQuery{Actor: "lee"}, nil},
		"since later":        {api.AuditQuery{Since: later}, nil},
		"until later":        {api.AuditQuery{Until: later, Name: "a"}, []string{"a"}},
	} {
		if got := names(c.query); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
