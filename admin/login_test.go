package admin_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// attempt logs in over HTTP and gives the answer.
func attempt(t testing.TB, base, user, password string) (*http.Response, string) {
	t.Helper()
	return exchange(t, "POST", base+"/api/v1/login", fmt.Sprintf(`{"user":%q,"password":%q}`, user, password), nil)
}

func TestEveryWrongLoginIsAnsweredAlike(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	g.user(t, "no-password", accounts.RoleAdmin, "")
	off := g.user(t, "off", accounts.RoleAdmin, rightPassword)
	off.Disabled = true
	g.people.put(off)
	var first string
	for _, c := range []struct{ name, user, password string }{
		{"a wrong password", "dana", "wrong horse battery"},
		{"a user who is not there", "nobody", rightPassword},
		{"a user without a password", "no-password", rightPassword},
		{"a user without a password, and none sent", "no-password", ""},
		{"a user who is disabled, and the right password", "off", rightPassword},
		{"a user by their ID", off.ID, rightPassword},
		{"a name that can be none", "Dana!", rightPassword},
		{"nobody", "", ""},
		{"a password that is too long", "dana", strings.Repeat(rightPassword, 100)},
		{"the hash of the password", "dana", g.people.users[off.ID].Password.Reveal()},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, text := attempt(t, base, c.user, c.password)
			if first == "" {
				first = text
			}
			if response.StatusCode != http.StatusUnauthorized || text != first || !strings.Contains(text, "user or password is wrong") {
				t.Errorf("answer is %d %s", response.StatusCode, text)
			}
			g.clock.Pass(time.Hour)
		})
	}
	if log := g.log.String(); strings.Contains(log, "battery") || strings.Contains(log, "argon2") || !strings.Contains(log, "login refused") {
		t.Errorf("the log is %s", log)
	}
}

func TestWrongPasswordsCostTime(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	waits := []int{}
	for range 11 {
		response, _ := attempt(t, base, "dana", "wrong horse battery")
		if response.StatusCode == http.StatusUnauthorized {
			continue
		}
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if response.StatusCode != http.StatusTooManyRequests || err != nil {
			t.Fatalf("answer is %d with Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
		}
		waits = append(waits, seconds)
		g.clock.Pass(time.Duration(seconds) * time.Second)
	}
	if fmt.Sprint(waits) != "[1 2 4]" {
		t.Errorf("waits are %v, want [1 2 4]", waits)
	}
	response, text := attempt(t, base, "dana", rightPassword)
	if response.StatusCode != http.StatusTooManyRequests || !strings.Contains(text, "too many wrong passwords") {
		t.Errorf("the right password is looked at before its time: %d %s", response.StatusCode, text)
	}
	g.clock.Pass(8 * time.Second)
	if response, text := attempt(t, base, "dana", rightPassword); response.StatusCode != http.StatusOK {
		t.Errorf("the right password in its time is answered with %d %s", response.StatusCode, text)
	}
	metrics := g.metric(t, "llmgw_admin_logins_total")
	if metrics["refused"] != 8 || metrics["throttled"] != 4 || metrics["done"] != 1 {
		t.Errorf("counted are %v", metrics)
	}
}

func TestAUserOfOnesOwnIsNoWayToGoOnGuessing(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	g.user(t, "mallory", accounts.RoleMember, rightPassword)
	wrong := 0
	for i := range 20 {
		if response, _ := attempt(t, base, "mallory", rightPassword); response.StatusCode != http.StatusOK {
			break
		}
		attempt(t, base, fmt.Sprintf("user-%d", i), "wrong horse battery")
		wrong++
	}
	if wrong != 5 {
		t.Errorf("%d guesses at other users with logins of one's own between them, want 5", wrong)
	}
}

func TestGuessesAreCountedByAddressAndByUser(t *testing.T) {
	g := open(t)
	var from atomic.Pointer[netip.Addr]
	g.peer = func(*http.Request) netip.Addr { return *from.Load() }
	g.restart(t, nil)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	guess := func(address, user string) int {
		t.Helper()
		a := netip.MustParseAddr(address)
		from.Store(&a)
		response, _ := attempt(t, base, user, "wrong horse battery")
		return response.StatusCode
	}
	for i := range 5 {
		if status := guess("2001:db8:1:2::1", fmt.Sprintf("u%d", i)); status != 401 {
			t.Fatalf("guess %d is answered with %d", i, status)
		}
	}
	for address, want := range map[string]int{"2001:db8:1:2:ffff::9": 429, "2001:db8:1:3::1": 401, "192.0.2.1": 401} {
		if status := guess(address, "somebody"); status != want {
			t.Errorf("from %s it is %d, want %d", address, status, want)
		}
	}
	for i := range 5 {
		guess(fmt.Sprintf("192.0.2.%d", 10+i), "dana")
	}
	if status := guess("192.0.2.99", "dana"); status != 429 {
		t.Errorf("after five addresses had one guess each at a user, the sixth has %d", status)
	}
	if status := guess("192.0.2.99", "another"); status != 401 {
		t.Errorf("a peer that was sent away for a user's sake has %d at another", status)
	}
}

func TestWhoeverGuessesFromEverywhereKeepsNobodyOutFromWhereTheyLogIn(t *testing.T) {
	g := open(t)
	var from atomic.Pointer[netip.Addr]
	g.peer = func(*http.Request) netip.Addr { return *from.Load() }
	g.restart(t, nil)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	try := func(address, password string) int {
		t.Helper()
		a := netip.MustParseAddr(address)
		from.Store(&a)
		response, _ := attempt(t, base, "dana", password)
		return response.StatusCode
	}
	if status := try("2001:db8:1:2::1", rightPassword); status != 200 {
		t.Fatalf("the first login is answered with %d", status)
	}
	guessed := 0
	for i := range 40 {
		if try(fmt.Sprintf("192.0.2.%d", 10+i), "wrong horse battery") == 401 {
			guessed++
		}
	}
	if guessed != 5 {
		t.Errorf("%d of 40 guesses from everywhere were looked at, want 5", guessed)
	}
	if status := try("192.0.2.200", rightPassword); status != 429 {
		t.Errorf("from an unknown address the right password is answered with %d", status)
	}
	for range 2 {
		if status := try("2001:db8:1:2::77", rightPassword); status != 200 { // of the same /64
			t.Errorf("from where the user has logged in it is %d", status)
		}
	}
	for range 5 {
		try("2001:db8:1:2::1", "wrong horse battery")
	}
	if status := try("2001:db8:1:2::1", rightPassword); status != 429 {
		t.Errorf("after five wrong ones there, too, it is %d", status)
	}
}

func TestGuessesAtOnceAreNoWayAroundTheWaiting(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	looked := atomic.Int64{}
	var group sync.WaitGroup
	for range 60 {
		group.Go(func() {
			if response, _ := attempt(t, base, "dana", "wrong horse battery"); response.StatusCode == http.StatusUnauthorized {
				looked.Add(1)
			}
		})
	}
	group.Wait()
	if n := looked.Load(); n < 1 || n > 5 {
		t.Errorf("%d of 60 guesses at once were looked at, want at most 5", n)
	}
}

// TestTwoHundredLoginsAtOnce come from as many addresses, all with the right
// password: few are hashed at a time, few wait, and the others are told so at
// once.
func TestTwoHundredLoginsAtOnce(t *testing.T) {
	g := open(t)
	var next atomic.Int64
	g.peer = func(*http.Request) netip.Addr {
		n := next.Add(1)
		return netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)})
	}
	g.restart(t, nil)
	base := g.listen(t)
	for i := range 20 {
		u := accounts.User{ID: accounts.NewID("user", g.clock.Now()), Name: fmt.Sprintf("u%d", i), Role: accounts.RoleMember}
		u.Password = accounts.NewSecret(hashed(t))
		g.people.put(u)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	begun := time.Now()
	for i := range 200 {
		group.Go(func() {
			response, _ := attempt(t, base, fmt.Sprintf("u%d", i%20), rightPassword)
			mu.Lock()
			defer mu.Unlock()
			answers[response.StatusCode]++
			if response.StatusCode != http.StatusOK && response.Header.Get("Retry-After") != "1" {
				t.Errorf("%d has Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
			}
		})
	}
	group.Wait()
	t.Logf("%v in %s", answers, time.Since(begun))
	if answers[200] < 2 || answers[200]+answers[503]+answers[429] != 200 || answers[503] == 0 {
		t.Errorf("answers are %v", answers)
	}
	response, text := attempt(t, base, "u1", rightPassword)
	if response.StatusCode != http.StatusOK {
		t.Errorf("once they are gone a login is answered with %d %s", response.StatusCode, text)
	}
}

func TestLoginsArePutInOrder(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	u := g.user(t, "dana", accounts.RoleAdmin, rightPassword)
	first := login(t, base, "dana")
	for i := range 49 {
		g.clock.Pass(time.Second)
		must(t, g.people.PutSession(t.Context(), accounts.Session{
			ID: fmt.Sprintf("login_%d", i), UserID: u.ID, Role: accounts.RoleAdmin,
			CreatedAt: g.clock.Now(), ExpiresAt: g.clock.Now().Add(14 * 24 * time.Hour),
		}))
	}
	if n := len(g.people.sessionNames(u.ID)); n != 50 {
		t.Errorf("there are %d logins", n)
	}
	g.clock.Pass(time.Second)
	last := login(t, base, "dana")
	if n := len(g.people.sessionNames(u.ID)); n != 50 {
		t.Errorf("there are %d logins after one more", n)
	}
	_, err := as(t, base, first.Access).Me(t.Context())
	refusedWith(t, err, api.CodeDenied, 401)
	_, err = as(t, base, last.Access).Me(t.Context())
	must(t, err)
	g.clock.Pass(15 * 24 * time.Hour)
	login(t, base, "dana")
	if n := len(g.people.sessionNames(u.ID)); n != 1 {
		t.Errorf("two weeks later there are %d logins", n)
	}
}

func TestWhoMaySetWhosePassword(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	g.user(t, "second-admin", accounts.RoleAdmin, rightPassword)
	g.user(t, "second-member", accounts.RoleMember, rightPassword)
	const other = "another horse battery"
	for _, c := range []struct {
		name   string
		by     accounts.Role
		of     string
		body   api.SetPassword
		status int
	}{
		{"a member of another member", accounts.RoleMember, "second-member", api.SetPassword{Password: other, Current: rightPassword}, 403},
		{"a member of somebody who is not there", accounts.RoleMember, "nobody", api.SetPassword{Password: other}, 403},
		{"a viewer of a member", accounts.RoleViewer, "second-member", api.SetPassword{Password: other}, 403},
		{"an operator of an admin", accounts.RoleOperator, "second-admin", api.SetPassword{Password: other}, 403},
		{"an operator of somebody who is not there", accounts.RoleOperator, "nobody", api.SetPassword{Password: other}, 404},
		{"one's own without the one in force", accounts.RoleMember, "member", api.SetPassword{Password: other}, 422},
		{"one's own with a wrong one", accounts.RoleAdmin, "admin", api.SetPassword{Password: other, Current: other}, 422},
		{"a short one", accounts.RoleMember, "member", api.SetPassword{Password: "short", Current: rightPassword}, 422},
		{"a long one", accounts.RoleMember, "member", api.SetPassword{Password: strings.Repeat("x", 1025), Current: rightPassword}, 422},
		{"one's own", accounts.RoleMember, "member", api.SetPassword{Password: other, Current: rightPassword}, 200},
		{"an operator of a member", accounts.RoleOperator, "second-member", api.SetPassword{Password: other}, 200},
		{"an admin of another admin", accounts.RoleAdmin, "second-admin", api.SetPassword{Password: other}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := as(t, base, tokens[c.by]).SetPassword(t.Context(), c.of, c.body)
			var refusal *api.Error
			switch {
			case c.status == 200:
				must(t, err)
				_, err = as(t, base, "").Login(t.Context(), api.Login{User: c.of, Password: other})
				must(t, err)
			case !errors.As(err, &refusal) || refusal.Status != c.status:
				t.Errorf("got %v, want %d", err, c.status)
			default:
				wellSaid(t, refusal)
			}
		})
	}
}

func TestGuessingAtThePasswordInForceCostsTimeToo(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleMember, rightPassword)
	dana := as(t, base, login(t, base, "dana").Access)
	for range 5 {
		refusedWith(t, dana.SetPassword(t.Context(), "dana", api.SetPassword{Password: "another password", Current: "wrong"}), api.CodeInvalid, 422)
	}
	refusedWith(t, dana.SetPassword(t.Context(), "dana", api.SetPassword{Password: "another password", Current: rightPassword}), api.CodeDenied, 429)
}

func TestATokenIsNoWayToAPassword(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	u := g.user(t, "robot", accounts.RoleAdmin, "")
	secret, err := g.store.Issuer().IssueToken()
	must(t, err)
	must(t, g.people.PutSession(t.Context(), accounts.Session{
		ID: "token_1", UserID: u.ID, Name: "ci", Role: accounts.RoleViewer, Hash: accounts.HashKey(secret.Reveal()),
	}))
	err = as(t, base, secret.Reveal()).SetPassword(t.Context(), "robot", api.SetPassword{Password: "another password"})
	refusedWith(t, err, api.CodeDenied, 403, "has no password that could be changed")
}

func TestAPasswordIsHashedAnewWhenTheCostChanges(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	u := accounts.User{ID: "user_1", Name: "dana", Role: accounts.RoleMember, Password: accounts.NewSecret(hashed(t))}
	g.people.put(u)
	login(t, base, "dana")
	now, err := g.people.User(t.Context(), "dana")
	must(t, err)
	if !strings.HasPrefix(now.Password.Reveal(), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %.40s…", now.Password.Reveal())
	}
	login(t, base, "dana")
	if again, err := g.people.User(t.Context(), "dana"); err != nil || !again.Password.Equal(now.Password) {
		t.Errorf("it is hashed anew without need, %v", err)
	}
	now.Password = accounts.NewSecret("$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	g.people.put(now)
	_, err = as(t, base, "").Login(t.Context(), api.Login{User: "dana", Password: rightPassword})
	refusedWith(t, err, api.CodeInternal, 500)
}
