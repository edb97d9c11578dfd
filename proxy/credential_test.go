package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// credentials are the secrets behind references, which a test may change.
type credentials struct {
	mu     sync.Mutex
	secret map[string]string // by reference; else the canary and the reference's name
}

func (c *credentials) read(_ context.Context, name string) (accounts.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch secret, ok := c.secret[name]; {
	case ok && secret == "":
		return accounts.Secret{}, errors.New("it is not there")
	case ok:
		return accounts.NewSecret(secret), nil
	}
	return accounts.NewSecret(credentialCanary + "-" + name), nil
}

func (c *credentials) set(name, secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secret[name] = secret
}

// withCredentials gives the upstream credentials of these names and weights
// ("a*3"); one that begins with an exclamation mark is disabled.
func withCredentials(known *credentials, written ...string) func(*setup) {
	return func(s *setup) {
		s.options.Vault.References = accounts.References{"test": known.read}
		u := &s.config.Upstreams[0]
		u.Credentials = nil
		for _, text := range written {
			name, disabled := strings.CutPrefix(text, "!")
			weight := 0
			if _, err := fmt.Sscanf(name[strings.IndexByte(name+"*", '*'):], "*%d", &weight); err == nil {
				name, _, _ = strings.Cut(name, "*")
			}
			u.Credentials = append(u.Credentials, accounts.Credential{ID: "cred_" + name, Name: name, Reference: "test:" + name, Weight: weight, Enabled: !disabled})
		}
	}
}

func newCredentials() *credentials { return &credentials{secret: map[string]string{}} }

// picky is an upstream that answers by the credential it is shown, and counts.
type picky struct {
	mu      sync.Mutex
	answers map[string]string // a whole answer's status line and headers, by the credential's name; else 200
	seen    map[string]int
	order   []string
}

func newPicky(answers map[string]string) *picky {
	return &picky{answers: answers, seen: map[string]int{}}
}

func (p *picky) handle(c net.Conn, r *sent) bool {
	name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "+credentialCanary+"-")
	p.mu.Lock()
	p.seen[name]++
	p.order = append(p.order, name)
	status := p.answers[name]
	p.mu.Unlock()
	if status == "" {
		status = "200 OK"
	}
	say(c, "HTTP/1.1 "+status+"\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
	return true
}

func (p *picky) answer(name, with string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[name] = with
}

// taken gives the credentials in the order in which they came, and forgets them.
func (p *picky) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	order := p.order
	p.order = nil
	return order
}

func newPickyGateway(t *testing.T, answers map[string]string, changes ...func(*setup)) (*gateway, *picky) {
	t.Helper()
	p := newPicky(answers)
	return newGateway(t, newWireUpstream(t, p.handle).url, changes...), p
}

func (g *gateway) statusOf(r *http.Request) int {
	g.t.Helper()
	response, _, err := g.do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return response.StatusCode
}

func TestRequestsAreSharedByTheWeightsOfCredentials(t *testing.T) {
	g, up := newPickyGateway(t, map[string]string{}, withCredentials(newCredentials(), "a*1", "b*3", "!c*100"))
	h := client(t)
	const requests = 800
	for range requests {
		response, err := h.Do(g.post("/x", "{}"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	// b is binomial (n 800, p 3/4): 600 ± 12.2; five deviations are left to chance.
	if b := up.seen["b"]; math.Abs(float64(b)-600) > 62 || up.seen["a"]+b != requests {
		t.Errorf("shares %v", up.seen)
	}
	for _, state := range g.proxy.Credentials() {
		if state.Requests != int64(up.seen[state.Name]) || state.Enabled == (state.Name == "c") || (state.Problem != nil) == state.Enabled {
			t.Errorf("%+v, sent %d", state, up.seen[state.Name])
		}
	}
}

func TestARefusedCredentialIsMadeUpForByAnother(t *testing.T) {
	g, up := newPickyGateway(t, map[string]string{"bad": "401 Unauthorized"}, withCredentials(newCredentials(), "bad*1000000", "good*1"))
	response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%d %s %v", response.StatusCode, body, err)
	}
	if line := g.line(response); line["attempts"] != 2.0 || line["end_reason"] != "complete" || line["error"] != "" {
		t.Errorf("log %v", line)
	}
	if line := g.errorLine(response); line["cause"] != `the provider refused credential "bad" (401)` || line["retried"] != true {
		t.Errorf("log %v", line)
	}
	if order := strings.Join(up.taken(), " "); order != "bad good" {
		t.Errorf("sent with %s", order)
	}
	if !strings.Contains(g.metrics(), `llmgw_retries_total{reason="401",upstream="up"} 1`) {
		t.Error("the attempt is not counted as made up for")
	}
	for range 20 { // and is spared from now on
		if status := g.statusOf(g.post("/x", "{}")); status != 200 {
			t.Fatal(status)
		}
	}
	if up.seen["bad"] != 1 {
		t.Errorf("asked with the refused credential %d times", up.seen["bad"])
	}
	state := g.proxy.Credentials()[0]
	if state.Name != "bad" || state.LastError == nil || state.LastError.Status != 401 || !state.Cooling(time.Now()) ||
		state.LastError.Until.Sub(state.LastError.At) != refusedCooldown || state.LastError.Error() != "the provider refused it (401)" {
		t.Errorf("%+v", state)
	}
}

func TestAProviderThatRefusesEveryCredentialIsA502(t *testing.T) {
	all := map[string]string{"a": "401 X", "b": "401 X", "c": "401 X"}
	g, up := newPickyGateway(t, all, withCredentials(newCredentials(), "a", "b", "c"))
	response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
	if response.StatusCode != 502 || response.Header.Get("X-Llmgw-Error") != codeCredentialRefused || response.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if line := g.line(response); line["attempts"] != 3.0 || len(up.seen) != 3 {
		t.Errorf("log %v, asked with %v", line, up.seen)
	}
	// All are cooling down, which takes none of them out: one may have become good.
	for name := range all {
		up.answer(name, "")
	}
	if status := g.statusOf(g.post("/x", "{}")); status != 200 {
		t.Error(status)
	}
}

func TestALimitedCredentialIsSparedForAsLongAsItsProviderSays(t *testing.T) {
	const soon = 5 * time.Second
	for name, c := range map[string]struct {
		answer string
		pause  time.Duration
	}{
		"it does not say":       {"429 Too Many Requests", 30 * time.Second},
		"in seconds":            {"429 X\r\nRetry-After: 7", 7 * time.Second},
		"for very long":         {"429 X\r\nRetry-After: 86400", 60 * time.Second},
		"what nobody can read":  {"429 X\r\nRetry-After: tomorrow", 30 * time.Second},
		"until a moment of old": {"429 X\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT", 0},
		"at once":               {"429 X\r\nRetry-After: 0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			g, up := newPickyGateway(t, map[string]string{"busy": c.answer}, withCredentials(newCredentials(), "busy*1000000", "free*1"))
			if status := g.statusOf(g.post("/x", "{}")); status != 429 {
				t.Fatalf("%d: what the provider says is the client's business", status)
			}
			state := g.proxy.Credentials()[0]
			if state.LastError == nil || state.LastError.Status != 429 {
				t.Fatalf("%+v", state)
			}
			if pause := state.LastError.Until.Sub(state.LastError.At); pause < c.pause-soon || pause > c.pause {
				t.Errorf("spared for %s", pause)
			}
			up.taken()
			want := "free"
			if c.pause == 0 {
				want = "busy"
			}
			g.statusOf(g.post("/x", "{}"))
			if order := strings.Join(up.taken(), " "); order != want {
				t.Errorf("sent with %s", order)
			}
		})
	}
}

func TestARetryAfterMayNameAMoment(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"Fri, 20 Nov 2026 10:00:12 GMT": 12 * time.Second,
		"Sat, 21 Nov 2026 10:00:12 GMT": longestCooldown,
		"-5":                            refusedCooldown,
		"99999999999999999999":          refusedCooldown,
	} {
		if got := pauseAsked(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestTheOnlyCredentialIsUsedHoweverItFared(t *testing.T) {
	for _, status := range []string{"401 X", "429 X\r\nRetry-After: 60"} {
		g, up := newPickyGateway(t, map[string]string{"only": status}, withCredentials(newCredentials(), "only", "!off"))
		g.statusOf(g.post("/x", "{}"))
		up.answer("only", "")
		if got := g.statusOf(g.post("/x", "{}")); got != 200 {
			t.Errorf("after %s: %d", status, got)
		}
	}
}

// A credential that the provider wants less of may still answer; one that it
// does not know will not.
func TestALimitedCredentialGoesBeforeARefusedOne(t *testing.T) {
	g, up := newPickyGateway(t, map[string]string{"unknown": "401 X", "busy": "429 X"}, withCredentials(newCredentials(), "unknown*1000000", "busy*1"))
	g.statusOf(g.post("/x", "{}"))
	if order := strings.Join(up.taken(), " "); order != "unknown busy" {
		t.Fatalf("sent with %s", order)
	}
	for range 10 {
		g.statusOf(g.post("/x", "{}"))
	}
	if order := up.taken(); len(order) != 10 || strings.Contains(strings.Join(order, " "), "unknown") {
		t.Errorf("sent with %v", order)
	}
}

func TestARetryOfTheRuleTakesAnotherCredentialToo(t *testing.T) {
	g, up := newPickyGateway(t, map[string]string{"busy": "429 X"}, withCredentials(newCredentials(), "busy*1000000", "free*1"), func(s *setup) {
		s.config.Files[0].Rules[0].Action.Retry = &rules.Retry{On: rules.RetryWhen(0, 429), Attempts: 2}
	})
	if status := g.statusOf(g.post("/x", "{}")); status != 200 {
		t.Errorf("%d", status)
	}
	if order := strings.Join(up.taken(), " "); order != "busy free" {
		t.Errorf("sent with %s", order)
	}
}

// pinned binds the caller to one credential of the upstream that the rule names.
func pinned(credential string) func(*setup) {
	return func(s *setup) {
		s.config.Bindings = []accounts.Binding{{ID: "bind_1", Tag: "plan", TagValue: "trial", UpstreamID: "up_up", CredentialID: "cred_" + credential}}
	}
}

func TestACallerBoundToACredentialGetsNoOther(t *testing.T) {
	answers := map[string]string{}
	g, up := newPickyGateway(t, answers, withCredentials(newCredentials(), "main*1000000", "batch*1"), pinned("batch"))
	unbound := g.key
	g.key = g.keys.issue(t, "trial", trial)
	for range 5 {
		if status := g.statusOf(g.post("/x", "{}")); status != 200 {
			t.Fatal(status)
		}
	}
	if up.seen["batch"] != 5 {
		t.Fatalf("sent with %v", up.seen)
	}
	up.answer("batch", "401 X")
	if status := g.statusOf(g.post("/x", "{}")); status != 502 || up.seen["main"] != 0 {
		t.Errorf("%d, sent with %v", status, up.seen)
	}
	g.key = unbound
	if status := g.statusOf(g.post("/x", "{}")); status != 200 || up.seen["main"] != 1 {
		t.Errorf("%d, sent with %v", status, up.seen)
	}
}

// A provider answers 401 to more than a credential that it does not know: whoever
// is bound to one must not be able to take it away from all others.
func TestACallerBoundToACredentialKeepsNobodyElseFromIt(t *testing.T) {
	g, up := newPickyGateway(t, map[string]string{}, withCredentials(newCredentials(), "main*1000000", "small*1"), pinned("main"))
	unbound := g.key
	g.key = g.keys.issue(t, "trial", trial)
	up.answer("main", "401 for the organization that the caller named")
	if status := g.statusOf(g.post("/x", "{}")); status != 502 {
		t.Fatal(status)
	}
	if state := g.proxy.Credentials()[0]; state.LastError == nil || state.LastError.Status != 401 || state.Cooling(time.Now()) {
		t.Errorf("it is %+v", state)
	}
	up.answer("main", "")
	up.taken()
	g.key = unbound
	g.statusOf(g.post("/x", "{}"))
	if order := strings.Join(up.taken(), " "); order != "main" {
		t.Errorf("sent with %s", order)
	}
}

func TestAnAnswerThatIsWellEndsTheCoolDownAfterA401(t *testing.T) {
	g, up := newPickyGateway(t, map[string]string{"main": "401 X"}, withCredentials(newCredentials(), "main*1000000", "small*1"), pinned("main"))
	unbound := g.key
	g.statusOf(g.post("/x", "{}"))
	if order := strings.Join(up.taken(), " "); order != "main small" || !g.proxy.Credentials()[0].Cooling(time.Now()) {
		t.Fatalf("sent with %s: %+v", order, g.proxy.Credentials()[0])
	}
	up.answer("main", "")
	g.key = g.keys.issue(t, "trial", trial)
	g.statusOf(g.post("/x", "{}")) // with main, whatever is known of it
	if state := g.proxy.Credentials()[0]; state.LastError == nil || state.Cooling(time.Now()) {
		t.Errorf("it is %+v", state)
	}
	up.taken()
	g.key = unbound
	g.statusOf(g.post("/x", "{}"))
	if order := strings.Join(up.taken(), " "); order != "main" {
		t.Errorf("sent with %s", order)
	}
}

func TestACredentialThatACallerIsBoundToAndCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		written []string
		missing bool
		want    string
		cause   string
	}{
		"is disabled":       {[]string{"main", "!batch"}, false, `your key is bound to a credential of upstream \"up\" that cannot be used. Admin: llmgw upstreams get up`, `credential "batch": it is disabled`},
		"cannot be read":    {[]string{"main", "batch"}, true, `your key is bound to a credential of upstream \"up\" that cannot be used`, "reading credential test:batch: it is not there"},
		"is the only one":   {[]string{"!batch"}, false, `upstream \"up\", which has no credential. Admin: llmgw upstreams credential set up`, "no credential"},
		"as all the others": {[]string{"!main", "batch"}, true, `upstream \"up\", which has no credential`, "reading credential test:batch: it is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			known := newCredentials()
			if c.missing {
				known.set("batch", "")
			}
			g, up := newPickyGateway(t, map[string]string{}, withCredentials(known, c.written...), pinned("batch"))
			g.key = g.keys.issue(t, "trial", trial)
			response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
			if response.StatusCode != 400 || response.Header.Get("X-Llmgw-Error") != rules.CodeNoCredential || !strings.Contains(string(body), c.want) {
				t.Errorf("%d %s", response.StatusCode, body)
			}
			if line := g.errorLine(response); !strings.Contains(fmt.Sprint(line["cause"]), c.cause) {
				t.Errorf("log %v", line)
			}
			if len(up.seen) != 0 {
				t.Errorf("sent with %v", up.seen)
			}
		})
	}
}

// An operator who replaces a credential revokes the old one at the provider as
// soon as the new one is in force here: requests that began before are sent again
// with the new one.
func TestACredentialThatIsReplacedUnderARequestFailsNobody(t *testing.T) {
	known := newCredentials()
	known.set("key", credentialCanary+"-old")
	began, goOn := make(chan struct{}), make(chan struct{})
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		if strings.HasSuffix(r.Header.Get("Authorization"), "-old") {
			close(began)
			<-goOn
			say(c, "HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")
			return true
		}
		say(c, answerText("text/plain", "new"))
		return true
	})
	var config rules.Config
	g := newGateway(t, up.url, withCredentials(known, "key"), func(s *setup) { config = s.config })
	answered := make(chan string, 1)
	go func() {
		_, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
		answered <- string(body)
	}()
	waitFor(t, began)
	known.set("key", credentialCanary+"-new")
	if err := g.proxy.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if body := waitFor(t, answered); body != "new" {
		t.Errorf("answered %q", body)
	}
	if state := g.proxy.Credentials()[0]; state.LastError != nil || state.Requests != 1 {
		t.Errorf("what the old one was refused for is told of the new one: %+v", state)
	}
}

func TestWhatIsKnownOfACredentialOutlivesReloads(t *testing.T) {
	var config rules.Config
	g, up := newPickyGateway(t, map[string]string{"bad": "401 X"}, withCredentials(newCredentials(), "bad*1000000", "good*1"), func(s *setup) { config = s.config })
	g.statusOf(g.post("/x", "{}"))
	config.Revision++
	if err := g.proxy.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	g.statusOf(g.post("/x", "{}"))
	if up.seen["bad"] != 1 {
		t.Errorf("sent with %v", up.seen)
	}
}

func TestACredentialThatIsNoMoreIsNotSentWithAgain(t *testing.T) {
	var config rules.Config
	var g *gateway
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		gone := config
		gone.Revision++
		gone.Upstreams = nil
		gone.Files = nil
		if err := g.proxy.Reload(context.Background(), gone); err != nil {
			t.Error(err)
		}
		say(c, "HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	g = newGateway(t, up.url, withCredentials(newCredentials(), "a", "b"), func(s *setup) { config = s.config })
	if status := g.statusOf(g.post("/x", "{}")); status != 502 {
		t.Errorf("%d", status)
	}
}

// An upload of which a byte was asked for cannot be had again.
func TestAnUploadIsSentAgainOnlyWhereItCan(t *testing.T) {
	g, up := newPickyGateway(t, map[string]string{"bad": "401 X"}, withCredentials(newCredentials(), "bad*1000000", "good*1"))
	r := g.post("/v1/files", "some bytes")
	r.Header.Set("Content-Type", "application/octet-stream")
	if status := g.statusOf(r); status != 502 {
		t.Errorf("%d, sent with %v", status, up.taken())
	}
}

// The choice never falls on what was tried, nor on a worse one than there is,
// and falls on something as long as there is something.
func TestTheChoiceOfACredential(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Now()
		target := &target{upstream: &accounts.Upstream{}}
		var tried []*credentialHealth
		best, left := noCredentialAtAll, 0
		for n := range rapid.IntRange(0, 5).Draw(t, "credentials") {
			c := &credential{id: fmt.Sprint(n), weight: rapid.IntRange(1, 9).Draw(t, "weight"), health: &credentialHealth{}}
			if status := rapid.SampledFrom([]int{0, 401, 429}).Draw(t, "last answer"); status != 0 {
				until := now.Add(time.Duration(rapid.SampledFrom([]int{-1, 1}).Draw(t, "cool-down")) * time.Minute)
				c.health.last.Store(&CredentialError{Status: status, Until: until})
			}
			target.usable = append(target.usable, c)
			if rapid.Bool().Draw(t, "tried") {
				tried = append(tried, c.health)
				continue
			}
			best, left = min(best, c.rank(now)), left+1
		}
		chosen := target.credentialFor("", tried)
		switch {
		case left == 0 && chosen != nil:
			t.Fatal("chosen, and nothing was left")
		case left > 0 && (chosen == nil || chosen.rank(now) != best):
			t.Fatalf("chosen %+v, where there is one of rank %d", chosen, best)
		}
		for _, health := range tried {
			if chosen != nil && chosen.health == health {
				t.Fatal("chosen again")
			}
		}
	})
}

func BenchmarkChoiceOfACredential(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := &target{upstream: &accounts.Upstream{}}
			for range n {
				t.usable = append(t.usable, &credential{weight: 1, health: &credentialHealth{}})
			}
			b.ReportAllocs()
			for b.Loop() {
				t.credentialFor("", nil)
			}
		})
	}
}
