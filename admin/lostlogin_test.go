package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// kept is a call whose head was sent and read, and whose body is kept back.
type kept struct {
	conn net.Conn
	in   *bufio.Reader
	body string
}

// keep begins a call. When it returns the gateway has let the caller in: it asks
// for the body.
func keep(t testing.TB, base, token, method, path, body string) *kept {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(waitBound)))
	_, err = fmt.Fprintf(conn, "%s /api/v1%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", method, path, token, len(body))
	must(t, err)
	k := &kept{conn, bufio.NewReader(conn), body}
	line, err := k.in.ReadString('\n')
	if err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("the body is not asked for: %q, %v", line, err)
	}
	_, err = k.in.ReadString('\n')
	must(t, err)
	return k
}

// finish sends the body and gives the answer.
func (k *kept) finish(t testing.TB) (int, string) {
	t.Helper()
	_, err := io.WriteString(k.conn, k.body)
	must(t, err)
	response, err := http.ReadResponse(k.in, nil)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(text)
}

func TestACallThatWasKeptWaitingChangesNothingOnceItsLoginHasEnded(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(t *testing.T, g *gateway, base string, of api.Tokens)
		want int
	}{
		"disabled": {func(t *testing.T, g *gateway, _ string, _ api.Tokens) {
			_, err := g.EditUser(t.Context(), "dana", api.EditUser{Enabled: to(false)})
			must(t, err)
		}, 401},
		"another password": {func(t *testing.T, g *gateway, _ string, _ api.Tokens) {
			must(t, g.SetPassword(t.Context(), "dana", api.SetPassword{Password: "another password"}))
		}, 401},
		"deleted": {func(t *testing.T, g *gateway, _ string, _ api.Tokens) { must(t, g.DeleteUser(t.Context(), "dana")) }, 401},
		"logged out": {func(t *testing.T, g *gateway, base string, of api.Tokens) {
			must(t, as(t, base, "").Logout(t.Context(), of.Refresh))
		}, 401},
		"demoted": {func(t *testing.T, g *gateway, _ string, _ api.Tokens) {
			_, err := g.EditUser(t.Context(), "dana", api.EditUser{Role: to("operator")})
			must(t, err)
		}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := openStore(t)
			base := g.listen(t)
			g.user(t, "dana", accounts.RoleAdmin, rightPassword)
			tokens := login(t, base, "dana")
			calls := map[string]*kept{
				"makes an admin":    keep(t, base, tokens.Access, "POST", "/users", `{"name":"mallory","role":"admin","password":"correct horse battery"}`),
				"enables":           keep(t, base, tokens.Access, "PATCH", "/users/dana", `{"enabled":true,"role":"admin"}`),
				"makes a token":     keep(t, base, tokens.Access, "POST", "/tokens", `{"name":"lasting"}`),
				"makes a key":       keep(t, base, tokens.Access, "POST", "/keys", `{"name":"lasting"}`),
				"makes an upstream": keep(t, base, tokens.Access, "POST", "/upstreams", `{"name":"mine","provider":"generic","url":"https://mine.example"}`),
			}
			test.end(t, g, base, tokens)
			for call, k := range calls {
				if status, text := k.finish(t); status != test.want {
					t.Errorf("whoever was %s %s: %d %s", name, call, status, text)
				}
			}
			users, err := g.Users(t.Context())
			must(t, err)
			left, err := g.Tokens(t.Context(), "")
			must(t, err)
			if len(users) > 1 || len(left) > 0 {
				t.Errorf("there are users %+v and tokens %+v", users, left)
			}
		})
	}
}

func TestAStreamOfEventsEndsWithTheLoginOfItsReader(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, g *gateway, base string, of api.Tokens){
		"disabled": func(t *testing.T, g *gateway, _ string, _ api.Tokens) {
			_, err := g.EditUser(t.Context(), "dana", api.EditUser{Enabled: to(false)})
			must(t, err)
		},
		"demoted": func(t *testing.T, g *gateway, _ string, _ api.Tokens) {
			_, err := g.EditUser(t.Context(), "dana", api.EditUser{Role: to("member")})
			must(t, err)
		},
		"ended by an admin": func(t *testing.T, g *gateway, _ string, _ api.Tokens) {
			logins, err := g.Logins(t.Context(), "dana")
			must(t, err)
			must(t, g.DeleteToken(t.Context(), logins[0].ID))
		},
		"logged out": func(t *testing.T, _ *gateway, base string, of api.Tokens) { // which no change tells of
			must(t, as(t, base, "").Logout(t.Context(), of.Refresh))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := openStore(t)
			g.store.OnChange(g.server.Changed)
			base := g.listen(t)
			g.user(t, "dana", accounts.RoleViewer, rightPassword)
			tokens := login(t, base, "dana")
			f := (&gateway{Client: as(t, base, tokens.Access)}).follow(t, api.EventQuery{})
			if _, err := g.EditUser(t.Context(), "dana", api.EditUser{Email: to("dana@example.com")}); err != nil {
				t.Fatal(err)
			}
			if e := f.next(); e.Change == nil { // a change that takes nothing away does not end it
				t.Fatalf("told is %+v", e)
			}
			end(t, g, base, tokens)
			select {
			case <-f.ended:
			case <-time.After(waitBound):
				t.Fatal("the stream goes on")
			}
		})
	}
}

func TestOneUserDoesNotKeepOthersFromListening(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.everybody(t, base)
	dana := &gateway{Client: as(t, base, login(t, base, "viewer").Access)}
	for range 16 {
		dana.follow(t, api.EventQuery{})
	}
	err := dana.Events(t.Context(), api.EventQuery{}, func(api.Event) error { return nil })
	refusedWith(t, err, api.CodeUnavailable, 503, "16 streams of events of viewer are open already")
	(&gateway{Client: as(t, base, login(t, base, "operator").Access)}).follow(t, api.EventQuery{})
}

func TestTheLastAdminWhoCanLogInStays(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	g.user(t, "spare", accounts.RoleAdmin, "") // has no way to log in
	boss := as(t, base, tokens[accounts.RoleAdmin])
	attempts := map[string]func(context.Context) error{
		"disabled": func(ctx context.Context) error {
			_, err := boss.EditUser(ctx, "admin", api.EditUser{Enabled: to(false)})
			return err
		},
		"demoted": func(ctx context.Context) error {
			_, err := boss.EditUser(ctx, "admin", api.EditUser{Role: to("viewer")})
			return err
		},
		"deleted": func(ctx context.Context) error { return boss.DeleteUser(ctx, "admin") },
		"without a password": func(ctx context.Context) error {
			return boss.SetPassword(ctx, "admin", api.SetPassword{Current: rightPassword})
		},
	}
	for name, attempt := range attempts {
		t.Run(name, func(t *testing.T) {
			refusedWith(t, attempt(t.Context()), api.CodeInUse, 409, `user "admin" is the last admin who can log in`)
		})
	}
	if me, err := boss.Me(t.Context()); err != nil || me.Role != "admin" {
		t.Errorf("afterwards the admin is %+v, %v", me, err)
	}
	_, err := boss.EditUser(t.Context(), "admin", api.EditUser{Email: to("boss@example.com")})
	must(t, err)
	must(t, boss.DeleteUser(t.Context(), "spare"))

	g.user(t, "second", accounts.RoleAdmin, rightPassword)
	must(t, attempts["demoted"](t.Context()))
	_, err = g.EditUser(t.Context(), "second", api.EditUser{Enabled: to(false)}) // at the socket there is always a way back
	must(t, err)
}

func TestTokensAndLinksStandInTheAudit(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleOperator, rightPassword)
	dana := as(t, base, login(t, base, "dana").Access)
	created, err := dana.CreateToken(t.Context(), api.NewToken{Name: "ci", Role: "viewer"})
	must(t, err)
	must(t, dana.DeleteToken(t.Context(), "ci"))
	link := g.linked(t, "dana")
	logins, err := g.Logins(t.Context(), "dana")
	must(t, err)
	must(t, g.DeleteToken(t.Context(), logins[0].ID))
	list, err := g.Audit(t.Context(), api.AuditQuery{})
	must(t, err)
	var got []string
	for _, e := range list.Items {
		if strings.HasPrefix(e.Subject, "session:") {
			got = append(got, fmt.Sprintf("%s by %s from %s: %q", e.Action, e.Actor, e.From, e.Name))
		}
	}
	want := []string{
		`token.delete by local from socket: ""`, `admin.link by local from socket: "admin link"`,
		`token.delete by dana from 127.0.0.1: "ci"`, `token.create by dana from 127.0.0.1: "ci"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit has\n%s", strings.Join(got, "\n"))
	}
	if text := fmt.Sprintf("%+v", list.Items); strings.Contains(text, created.Secret) || strings.Contains(text, link) {
		t.Errorf("it has a secret: %s", text)
	}
}

func TestTheUseOfATokenIsNotedToTheMinute(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleViewer, rightPassword)
	dana := as(t, base, login(t, base, "dana").Access)
	created, err := dana.CreateToken(t.Context(), api.NewToken{Name: "ci"})
	must(t, err)
	for _, passed := range []time.Duration{0, 59 * time.Second, time.Second} {
		g.clock.Pass(passed)
		_, err = as(t, base, created.Secret).Me(t.Context())
		must(t, err)
		list, err := dana.Tokens(t.Context(), "")
		must(t, err)
		if want := g.clock.Now().Truncate(time.Minute); len(list) != 1 || list[0].UsedAt == nil || !list[0].UsedAt.Equal(want) {
			t.Errorf("used at %v, want %s", list[0].UsedAt, want)
		}
	}
}

func TestNobodyIsCalledLikeThoseWhoAreNoUsers(t *testing.T) {
	g := openStore(t)
	g.user(t, "dana", accounts.RoleOperator, "")
	for _, name := range []string{"local", "open"} {
		_, err := g.CreateUser(t.Context(), api.NewUser{Name: name})
		refusedWith(t, err, api.CodeInvalid, 422, "name: is kept for callers who are no users")
		_, err = g.EditUser(t.Context(), "dana", api.EditUser{Name: to(name)})
		refusedWith(t, err, api.CodeInvalid, 422, "name: is kept for callers who are no users")
	}
}

func TestTheIDOfAKeyDoesNotTellItsNameToWhoeverMayNotSeeIt(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	member := as(t, base, g.everybody(t, base)[accounts.RoleMember])
	made := g.createKey(t, api.NewKey{Name: "hidden-name", User: "operator"})
	_, err := member.RotateKey(t.Context(), made.ID, api.RotateKey{})
	refusedWith(t, err, api.CodeNotFound, 404, "no such key")
	_, err = member.AddSecret(t.Context(), made.ID, api.NewSecret{ExpiresAt: g.clock.Now().Add(time.Hour)})
	refusedWith(t, err, api.CodeNotFound, 404, "no such key")
}

func TestAOneUseKeyCannotBeMadeToLast(t *testing.T) {
	g := openStore(t)
	made, err := g.ChatKey(t.Context())
	must(t, err)
	_, err = g.EditKey(t.Context(), made.Name, api.EditKey{ExpiresAt: to("")})
	refusedWith(t, err, api.CodeConflict, 409, "is for one use")
}
