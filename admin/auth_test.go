package admin_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func TestALoginFromPasswordToLogout(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleOperator, rightPassword)

	tokens := login(t, base, "dana")
	if tokens.User != "dana" || tokens.Role != "operator" || !tokens.ExpiresAt.Equal(g.clock.Now().Add(15*time.Minute)) {
		t.Errorf("tokens are for %s, %s, until %s", tokens.User, tokens.Role, tokens.ExpiresAt)
	}
	dana := as(t, base, tokens.Access)
	me, err := dana.Me(t.Context())
	must(t, err)
	if me.User != "dana" || me.Role != "operator" || me.Via != "login" || me.ExpiresAt == nil {
		t.Errorf("me is %+v", me)
	}
	_, err = dana.CreateKey(t.Context(), api.NewKey{Name: "ci-bot"})
	must(t, err)
	change, err := g.store.History(t.Context(), 1)
	must(t, err)
	if len(change) != 0 {
		t.Errorf("a key made a revision: %+v", change)
	}
	if u, err := g.people.User(t.Context(), "dana"); err != nil || !u.LastLogin.Equal(g.clock.Now()) {
		t.Errorf("the last login is %v, %v", u.LastLogin, err)
	}

	g.clock.Pass(16 * time.Minute)
	_, err = dana.Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401, "not valid, or it has ended")
	next, err := dana.Refresh(t.Context(), tokens.Refresh)
	must(t, err)
	_, err = as(t, base, next.Access).Me(t.Context())
	must(t, err)

	must(t, dana.Logout(t.Context(), next.Refresh))
	_, err = as(t, base, next.Access).Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401)
	_, err = dana.Refresh(t.Context(), next.Refresh)
	refusedWith(t, err, api.CodeDenied, 401)
	must(t, dana.Logout(t.Context(), next.Refresh)) // it is over, as was wanted
}

func TestChangesSayWhoMadeThem(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleOperator, rightPassword)
	dana := as(t, base, login(t, base, "dana").Access)
	_, err := dana.CreateUpstream(t.Context(), api.NewUpstream{Name: "up", Provider: "generic", Auth: "none", URL: "http://127.0.0.1:1"})
	must(t, err)
	last, err := g.store.LastConfigChange(t.Context())
	must(t, err)
	if last.Actor != "dana" || last.From != "127.0.0.1" || last.Kind != "upstream.create" {
		t.Errorf("the change is %+v", last)
	}
	g.upstreamAt(t, "by-socket", "http://127.0.0.1:1")
	last, err = g.store.LastConfigChange(t.Context())
	must(t, err)
	if last.Actor != "local" || last.From != "socket" {
		t.Errorf("the change is %+v", last)
	}
}

func TestARefreshTokenThatComesTwiceEndsTheLogin(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleViewer, rightPassword)
	first := login(t, base, "dana")
	second, err := as(t, base, "").Refresh(t.Context(), first.Refresh)
	must(t, err)
	_, err = as(t, base, "").Refresh(t.Context(), first.Refresh)
	refusedWith(t, err, api.CodeDenied, 401)
	for name, token := range map[string]string{"the thief's": first.Access, "the owner's": second.Access} {
		_, err := as(t, base, token).Me(t.Context())
		if refusedWith(t, err, api.CodeDenied, 401); err == nil {
			t.Errorf("%s access token is still good", name)
		}
	}
	_, err = as(t, base, "").Refresh(t.Context(), second.Refresh)
	refusedWith(t, err, api.CodeDenied, 401)
	if !strings.Contains(g.log.String(), "refresh token refused: used twice") {
		t.Errorf("the log does not tell: %s", g.log.String())
	}
}

func TestWhatEndsALoginEndsItAtOnce(t *testing.T) {
	for name, end := range map[string]func(g *gateway, u accounts.User){
		"the user is disabled": func(g *gateway, u accounts.User) { u.Disabled = true; g.people.put(u) },
		"the user is disabled by a store that ends no sessions": func(g *gateway, u accounts.User) {
			g.people.mu.Lock()
			defer g.people.mu.Unlock()
			u.Disabled = true
			g.people.users[u.ID] = u
		},
		"the user is gone": func(g *gateway, u accounts.User) { g.people.remove(u.ID) },
		"another password is set": func(g *gateway, u accounts.User) {
			must(t, g.SetPassword(t.Context(), u.Name, api.SetPassword{Password: "another password"}))
		},
		"the password is taken away":       func(g *gateway, u accounts.User) { must(t, g.SetPassword(t.Context(), u.Name, api.SetPassword{})) },
		"the user has a role that is none": func(g *gateway, u accounts.User) { u.Role = "root"; g.people.put(u) },
		"the sessions are ended": func(g *gateway, u accounts.User) {
			g.people.mu.Lock()
			defer g.people.mu.Unlock()
			clear(g.people.sessions)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			base := g.listen(t)
			u := g.user(t, "dana", accounts.RoleAdmin, rightPassword)
			tokens := login(t, base, "dana")
			pat, err := as(t, base, tokens.Access).CreateToken(t.Context(), api.NewToken{Name: "ci"})
			must(t, err)
			for _, token := range []string{tokens.Access, pat.Secret} {
				_, err := as(t, base, token).Me(t.Context())
				must(t, err)
			}
			end(g, u)
			for _, token := range []string{tokens.Access, pat.Secret} {
				_, err := as(t, base, token).Me(t.Context())
				refusedWith(t, err, api.CodeDenied, 401)
			}
			_, err = as(t, base, "").Refresh(t.Context(), tokens.Refresh)
			refusedWith(t, err, api.CodeDenied, 401)
		})
	}
}

func TestARoleIsWhatTheUserHasNow(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	u := g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	tokens := login(t, base, "dana")
	pat, err := as(t, base, tokens.Access).CreateToken(t.Context(), api.NewToken{Name: "ci", Role: "operator"})
	must(t, err)
	wants := func(token string, role accounts.Role) {
		t.Helper()
		me, err := as(t, base, token).Me(t.Context())
		must(t, err)
		if me.Role != string(role) {
			t.Errorf("the role is %s, want %s", me.Role, role)
		}
	}
	wants(tokens.Access, accounts.RoleAdmin)
	wants(pat.Secret, accounts.RoleOperator)
	u.Role = accounts.RoleViewer
	g.people.put(u)
	wants(tokens.Access, accounts.RoleViewer)
	wants(pat.Secret, accounts.RoleViewer)
	u.Role = accounts.RoleAdmin
	g.people.put(u)
	wants(pat.Secret, accounts.RoleOperator)
	next, err := as(t, base, "").Refresh(t.Context(), tokens.Refresh)
	must(t, err)
	wants(next.Access, accounts.RoleAdmin)
}

func TestAStoreThatIsAwayIsNoReasonToLogIn(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	tokens := login(t, base, "dana")
	pat, err := as(t, base, tokens.Access).CreateToken(t.Context(), api.NewToken{Name: "ci"})
	must(t, err)
	g.people.mu.Lock()
	g.people.broken = fmt.Errorf("dial: %w", accounts.ErrUnavailable)
	g.people.mu.Unlock()
	for _, token := range []string{tokens.Access, pat.Secret} {
		_, err := as(t, base, token).Me(t.Context())
		refusedWith(t, err, api.CodeUnavailable, 503)
	}
	_, err = as(t, base, "").Refresh(t.Context(), tokens.Refresh)
	refusedWith(t, err, api.CodeUnavailable, 503)
	_, err = as(t, base, "").Login(t.Context(), api.Login{User: "dana", Password: rightPassword})
	refusedWith(t, err, api.CodeUnavailable, 503)
}

// forge changes a token's claims and signs them anew.
func forge(t *testing.T, secret []byte, method jwt.SigningMethod, key any, genuine string, change func(c jwt.MapClaims, h map[string]any)) string {
	t.Helper()
	c := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(genuine, c)
	must(t, err)
	token := jwt.NewWithClaims(method, c)
	if change != nil {
		change(c, token.Header)
	}
	if key == nil {
		key = secret
	}
	text, err := token.SignedString(key)
	must(t, err)
	return text
}

func segments(parts ...any) string {
	var texts []string
	for _, p := range parts {
		raw, ok := p.(string)
		if !ok {
			b, err := json.Marshal(p)
			if err != nil {
				panic(err)
			}
			raw = base64.RawURLEncoding.EncodeToString(b)
		}
		texts = append(texts, raw)
	}
	return strings.Join(texts, ".")
}

func TestForgedAndBrokenAccessTokensAreRefused(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	dana := g.user(t, "dana", accounts.RoleViewer, rightPassword)
	g.user(t, "root", accounts.RoleAdmin, rightPassword)
	tokens, roots := login(t, base, "dana"), login(t, base, "root")
	genuine := tokens.Access
	pat, err := as(t, base, genuine).CreateToken(t.Context(), api.NewToken{Name: "ci"})
	must(t, err)
	link, err := g.AdminLink(t.Context(), api.NewAdminLink{User: "lee"})
	must(t, err)
	ownKey, err := g.CreateKey(t.Context(), api.NewKey{Name: "k"})
	must(t, err)
	secret := g.people.sealed["jwt"]
	if len(secret) != 32 {
		t.Fatalf("the secret has %d bytes", len(secret))
	}
	now := g.clock.Now()
	parts := strings.Split(genuine, ".")
	hs256 := jwt.SigningMethodHS256
	with := func(name string, value any) string {
		return forge(t, secret, hs256, nil, genuine, func(c jwt.MapClaims, _ map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		})
	}
	head := func(name string, value any) string {
		return forge(t, secret, hs256, nil, genuine, func(_ jwt.MapClaims, h map[string]any) { h[name] = value })
	}
	idOf := func(which string, kind func(accounts.Session) bool) string {
		g.people.mu.Lock()
		defer g.people.mu.Unlock()
		for id, s := range g.people.sessions {
			if kind(s) {
				return id
			}
		}
		t.Fatalf("no session of %s", which)
		return ""
	}
	payload := map[string]any{}
	plain, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	must(t, json.Unmarshal(plain, &payload))
	payload["role"] = "admin"
	raised := payload

	if _, err := as(t, base, forge(t, secret, hs256, nil, genuine, nil)).Me(t.Context()); err != nil {
		t.Fatalf("a token that is signed anew without a change is refused: %v", err)
	}
	forged := map[string]string{
		"no algorithm":                        forge(t, secret, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, genuine, nil),
		"no algorithm, written oddly":         segments(map[string]any{"alg": "nOnE", "typ": "JWT"}, parts[1], ""),
		"no algorithm, old signature":         segments(map[string]any{"alg": "none", "typ": "JWT"}, parts[1], parts[2]),
		"no algorithm member":                 segments(map[string]any{"typ": "JWT"}, parts[1], parts[2]),
		"HS384 with the right secret":         forge(t, secret, jwt.SigningMethodHS384, nil, genuine, nil),
		"HS512 with the right secret":         forge(t, secret, jwt.SigningMethodHS512, nil, genuine, nil),
		"another secret":                      forge(t, secret, hs256, []byte(strings.Repeat("x", 32)), genuine, nil),
		"an empty secret":                     forge(t, secret, hs256, []byte{}, genuine, nil),
		"a key ID":                            head("kid", "../../dev/null"),
		"a key in the head":                   head("jwk", map[string]any{"kty": "oct", "k": "AAAA"}),
		"a key at an address":                 head("jku", base+"/openapi.json"),
		"a critical extension":                head("crit", []string{"b64"}),
		"a compressed payload":                head("zip", "DEF"),
		"another type":                        head("typ", "at+jwt"),
		"over":                                with("exp", now.Add(-time.Minute).Unix()),
		"no end":                              with("exp", nil),
		"an end that is text":                 with("exp", "tomorrow"),
		"an end before time":                  with("exp", -1),
		"not yet":                             with("nbf", now.Add(time.Hour).Unix()),
		"made in the future":                  with("iat", now.Add(time.Hour).Unix()),
		"made at no time":                     with("iat", nil),
		"for somebody else":                   with("aud", "llmgw-proxy"),
		"for somebody else, too":              with("aud", []string{"llmgw-admin", "another"}),
		"for nobody":                          with("aud", nil),
		"by somebody else":                    with("iss", "https://accounts.example.com"),
		"by nobody":                           with("iss", nil),
		"a session that is not there":         with("sid", "login_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
		"no session":                          with("sid", nil),
		"an empty session":                    with("sid", ""),
		"a session that is a list":            with("sid", []string{"a"}),
		"somebody else's session":             with("sid", idOf("root", func(s accounts.Session) bool { return s.UserID != dana.ID && s.Name == "" })),
		"a token's session":                   with("sid", idOf("ci", func(s accounts.Session) bool { return s.Name == "ci" })),
		"a link's session":                    with("sid", idOf("lee", func(s accounts.Session) bool { return s.Name == "admin link" })),
		"somebody else":                       with("sub", "user_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
		"nobody":                              with("sub", nil),
		"no role":                             with("role", nil),
		"a role that is none":                 with("role", "root"),
		"a role raised, old signature":        segments(parts[0], raised, parts[2]),
		"another's payload":                   segments(parts[0], strings.Split(roots.Access, ".")[1], parts[2]),
		"no signature":                        segments(parts[0], parts[1], ""),
		"two parts":                           segments(parts[0], parts[1]),
		"four parts":                          genuine + "." + parts[2],
		"five parts, as if encrypted":         segments(parts[0], parts[1], parts[2], parts[1], parts[2]),
		"cut":                                 genuine[:len(genuine)-1],
		"cut to its head":                     parts[0] + ".",
		"doubled":                             genuine + genuine,
		"doubled with a comma":                genuine + ", " + genuine,
		"padded":                              genuine + "=",
		"a last digit with other unused bits": genuine[:len(genuine)-1] + sibling(genuine[len(genuine)-1]),
		"huge":                                with("role", strings.Repeat("admin", 1<<16)),
		"huge and no token at all":            strings.Repeat("A", 8000),
		"other digits":                        strings.NewReplacer("-", "+", "_", "/").Replace(genuine) + "\u200b",
		"unicode":                             "ｅｙＪ" + genuine[3:],
		"a payload that is no JSON":           segments(parts[0], base64.RawURLEncoding.EncodeToString([]byte("admin")), parts[2]),
		"a payload with a null byte":          segments(parts[0], parts[1][:8]+"%00"+parts[1][8:], parts[2]),
		"a refresh token":                     tokens.Refresh,
		"a link":                              link.URL[strings.Index(link.URL, "#")+1:],
		"a key of the proxy":                  ownKey.Secret,
		"a personal access token, cut":        pat.Secret[:len(pat.Secret)-1],
		"a personal access token, mistyped":   pat.Secret[:12] + sibling(pat.Secret[12]) + pat.Secret[13:],
		"a personal access token of nobody":   notIssued(t, g),
		"null":                                "null",
		"nothing but dots":                    "..",
	}
	if len(forged) < 30 {
		t.Fatalf("only %d tokens are forged", len(forged))
	}
	for name, token := range forged {
		t.Run(name, func(t *testing.T) {
			status, text := bearing(t, base, "Bearer "+token)
			if status != http.StatusUnauthorized {
				t.Fatalf("answer is %d %s", status, text)
			}
			if len(token) > 8 && strings.Contains(text, token) || strings.Contains(g.log.String(), token[:min(len(token), 40)]) && len(token) > 40 {
				t.Errorf("the token is repeated: %s", text)
			}
		})
	}
	if _, err := as(t, base, genuine).Me(t.Context()); err != nil {
		t.Errorf("the genuine token is refused afterwards: %v", err)
	}
}

// sibling is another digit of base64 and base62, next to c.
func sibling(c byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(digits, c)
	return string(digits[i^1])
}

// notIssued is a personal access token of the right form that nobody was given.
func notIssued(t *testing.T, g *gateway) string {
	t.Helper()
	secret, err := g.store.Issuer().IssueToken()
	must(t, err)
	return secret.Reveal()
}

// bearing asks who makes the call, with an Authorization header as it stands.
func bearing(t *testing.T, base string, authorization ...string) (int, string) {
	t.Helper()
	return request(t, "GET", base+"/api/v1/me", "", http.Header{"Authorization": authorization})
}

func TestOtherWaysToSendALogin(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleViewer, rightPassword)
	token := login(t, base, "dana").Access
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"as it should be":           {[]string{"Bearer " + token}, 200},
		"in small letters":          {[]string{"bearer " + token}, 200},
		"not at all":                {nil, 401},
		"without the scheme":        {[]string{token}, 401},
		"as a password":             {[]string{"Basic " + base64.StdEncoding.EncodeToString([]byte("dana:"+rightPassword))}, 401},
		"twice, in two headers":     {[]string{"Bearer " + token, "Bearer " + token}, 401},
		"behind a good one":         {[]string{"Bearer x", "Bearer " + token}, 401},
		"with two blanks":           {[]string{"Bearer  " + token}, 401},
		"with something behind it":  {[]string{"Bearer " + token + " x"}, 401},
		"with the scheme only":      {[]string{"Bearer"}, 401},
		"with the scheme and blank": {[]string{"Bearer "}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			if status, text := bearing(t, base, c.header...); status != c.status {
				t.Errorf("answer is %d %s, want %d", status, text, c.status)
			}
		})
	}
	for name, header := range map[string]http.Header{
		"in a cookie":     {"Cookie": {"access_token=" + token + "; Authorization=" + token}},
		"as a key is":     {"X-Api-Key": {token}},
		"for a proxy":     {"Proxy-Authorization": {"Bearer " + token}},
		"as another user": {"X-Forwarded-User": {"dana"}, "X-Remote-User": {"dana"}},
	} {
		if status, text := request(t, "GET", base+"/api/v1/me?access_token="+token, "", header); status != 401 {
			t.Errorf("%s it is taken: %d %s", name, status, text)
		}
	}
}

func TestMalformedTokensCostNoQuery(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleViewer, rightPassword)
	token := login(t, base, "dana").Access
	before := g.people.questions()
	for i := range 1000 {
		for _, text := range []string{
			fmt.Sprintf("lgw_pat_%043d-000000", i), fmt.Sprintf("%s%d", token[:len(token)-3], i), fmt.Sprintf("x%d", i), fmt.Sprintf("sk-lgw-%d", i),
		} {
			w := serveOnce(t, g, text)
			if w != 401 {
				t.Fatalf("%q is answered with %d", text, w)
			}
		}
	}
	if asked := g.people.questions() - before; asked != 0 {
		t.Errorf("4,000 tokens that are none cost %d queries", asked)
	}
}
