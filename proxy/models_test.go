package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// ask makes a request about models with the gateway's key. A header is written
// name: value.
func (g *gateway) ask(path string, headers ...string) *http.Request {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+g.addr+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+g.key)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// models gives the names that are listed, in the order of the answer.
func (g *gateway) models(path string, headers ...string) string {
	g.t.Helper()
	return g.named(g.ask(path, headers...))
}

func (g *gateway) named(r *http.Request) string {
	g.t.Helper()
	response, body, err := g.do(r)
	if err != nil || response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" {
		g.t.Fatalf("%v: %d %s", err, response.StatusCode, body)
	}
	var list struct {
		Data   []struct{ ID string }
		Models []struct{ Name string }
	}
	if err := json.Unmarshal(body, &list); err != nil {
		g.t.Fatalf("%s: %v", body, err)
	}
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	for _, m := range list.Models {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

// listing is an upstream that answers every request with a body by its target.
func listing(t *testing.T, answers map[string]string) *wireUpstream {
	return newWireUpstream(t, func(c net.Conn, r *sent) bool {
		body, ok := answers[r.RequestURI]
		if !ok {
			say(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
			return true
		}
		say(c, answerText("application/json", body))
		return true
	})
}

// provided is an upstream of a provider whose credential goes where the provider
// wants it.
func provided(name, url string, p accounts.Provider) accounts.Upstream {
	u := upstreamAt(name, url)
	u.Provider, u.Auth = p, ""
	return u
}

// newLister is a gateway that waits for its upstreams' lists as long as a test
// does: how fast a busy machine is makes no difference then.
func newLister(t *testing.T, change func(*setup)) *gateway {
	g := newGateway(t, "", change)
	g.proxy.lists.patience = patience
	return g
}

func rule(name, upstream string, models ...string) rules.Rule {
	return rules.Rule{Name: name, Match: rules.Match{Model: models}, Action: rules.Action{Upstream: upstream}}
}

func of(upstreams []accounts.Upstream, written ...rules.Rule) func(*setup) {
	return func(s *setup) { s.config.Upstreams, s.config.Files[0].Rules = upstreams, written }
}

const (
	openAIModels = `{"object":"list","data":[{"id":"gpt-5","object":"model","created":1754425777,"owned_by":"system"},{"id":"gpt-5-mini","created":1754425928,"owned_by":"system"},{"id":"whisper-1","created":1677532384,"owned_by":"openai-internal"},{"id":"text-embedding-3-small","owned_by":"system"}]}`
	claudeFirst  = `{"data":[{"type":"model","id":"claude-opus-5","display_name":"Claude Opus 5","created_at":"2026-02-19T00:00:00Z"}],"has_more":true,"first_id":"claude-opus-5","last_id":"claude-opus-5"}`
	claudeSecond = `{"data":[{"type":"model","id":"claude-haiku-5","display_name":"Claude Haiku 5","created_at":"2026-03-01T00:00:00Z"}],"has_more":false}`
	geminiFirst  = `{"models":[{"name":"models/gemini-3-pro","version":"3","displayName":"Gemini 3 Pro","description":"thinks","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"]}],"nextPageToken":"a b"}`
	geminiSecond = `{"models":[{"name":"models/gemini-embed","supportedGenerationMethods":["embedContent"]}]}`
)

// everyProvider is a gateway in front of an upstream of each kind.
func everyProvider(t *testing.T) (g *gateway, ups map[string]*wireUpstream) {
	ups = map[string]*wireUpstream{
		"openai":    listing(t, map[string]string{"/v1/models": openAIModels}),
		"anthropic": listing(t, map[string]string{"/v1/models?limit=1000": claudeFirst, "/v1/models?limit=1000&after_id=claude-opus-5": claudeSecond}),
		"gemini":    listing(t, map[string]string{"/v1beta/models?pageSize=1000": geminiFirst, "/v1beta/models?pageSize=1000&pageToken=a+b": geminiSecond}),
		"groq":      listing(t, map[string]string{"/openai/v1/models": `[{"id":"openai/gpt-oss-120b"},{"id":"llama-4"}]`}),
	}
	fast := rule("fast", "groq", "fast")
	fast.Action.Model = "openai/gpt-oss-120b"
	retired := rules.Rule{Name: "retired", Match: rules.Match{Model: []string{"whisper-1"}}, Action: rules.Action{Respond: &rules.Respond{Status: 410, Message: "gone"}}}
	theirs := rule("theirs", "groq", "llama-*")
	theirs.Match.Key = []string{"somebody"}
	tiered := rule("tiered", "groq", "openai/*")
	tiered.Match.Header = map[string]rules.Text{"x-tier": {Equals: "paid"}}
	g = newLister(t, of([]accounts.Upstream{
		provided("openai", ups["openai"].url, accounts.ProviderOpenAI), provided("anthropic", ups["anthropic"].url, accounts.ProviderAnthropic),
		provided("gemini", ups["gemini"].url, accounts.ProviderGemini), provided("groq", ups["groq"].url+"/openai/v1", accounts.ProviderOpenAI),
		provided("bedrock", "https://bedrock.invalid", accounts.ProviderBedrock),
	}, fast, retired, theirs, tiered, rule("gpt", "openai", "gpt-*", "whisper-*", "o4"), rule("claude", "anthropic", "claude-*"),
		rule("gemini", "gemini", "gemini-*"), rule("bedrock", "bedrock", "amazon.nova-pro-v1:0"), rule("astray", "anthropic", "text-*")))
	return g, ups
}

func TestTheModelsListedAreThoseThatTheRulesSendSomewhereForTheCaller(t *testing.T) {
	g, ups := everyProvider(t)
	const all = "amazon.nova-pro-v1:0 claude-haiku-5 claude-opus-5 fast gemini-3-pro gemini-embed gpt-5 gpt-5-mini o4"
	for range 2 { // the second answer is one that was kept
		if got := g.models("/v1/models"); got != all {
			t.Errorf("OpenAI's list: %s", got)
		}
		if got := g.models("/v1/models?limit=1000", "Anthropic-Version: 2023-06-01"); got != "claude-haiku-5 claude-opus-5" {
			t.Errorf("Anthropic's list: %s", got)
		}
		if got := g.models("/v1beta/models"); got != "models/gemini-3-pro models/gemini-embed" {
			t.Errorf("Gemini's list: %s", got)
		}
	}
	if got := g.models("/v1/models", "X-Tier: paid"); got != strings.Replace(all, " o4", " o4 openai/gpt-oss-120b", 1) {
		t.Errorf("with a header that a rule asks for: %s", got)
	}
	g.key = g.keys.issue(t, "somebody", nil)
	if got := g.models("/v1/models"); got != strings.Replace(all, "gpt-5-mini ", "gpt-5-mini llama-4 ", 1) {
		t.Errorf("another key: %s", got)
	}
	for name, c := range map[string]struct{ head, header string }{
		"openai":    {"GET /v1/models HTTP/1.1", "Authorization: Bearer " + credentialCanary},
		"anthropic": {"GET /v1/models?limit=1000 HTTP/1.1", "X-Api-Key: " + credentialCanary},
		"gemini":    {"GET /v1beta/models?pageSize=1000 HTTP/1.1", "X-Goog-Api-Key: " + credentialCanary},
		"groq":      {"GET /openai/v1/models HTTP/1.1", "Authorization: Bearer " + credentialCanary},
	} {
		seen := ups[name].arrived()
		if strings.Count(seen, c.head) != 1 || !strings.Contains(seen, c.header) {
			t.Errorf("%s was asked %s", name, seen)
		}
	}
	if seen := ups["anthropic"].arrived(); !strings.Contains(seen, "Anthropic-Version: 2023-06-01") || strings.Count(seen, "GET ") != 2 {
		t.Errorf("anthropic was asked %s", seen)
	}
}

func TestEveryModelThatIsListedIsTaken(t *testing.T) {
	g, _ := everyProvider(t)
	paths := []string{"/v1/chat/completions", "/v1/messages", "/v1beta/models/%s:generateContent", "/model/%s/converse"}
	for id := range strings.FieldsSeq(g.models("/v1/models")) {
		taken := false
		for _, path := range paths {
			if strings.Contains(path, "%s") {
				path = fmt.Sprintf(path, id)
			}
			response, _, _ := g.do(g.post(path, `{"model":"`+id+`"}`))
			taken = taken || response.StatusCode != 400
		}
		if !taken {
			t.Errorf("%s is listed, and refused", id)
		}
	}
}

func TestWhatAnUpstreamSaysOfAModelIsKept(t *testing.T) {
	g, _ := everyProvider(t)
	for path, want := range map[string]string{
		"/v1/models/gpt-5":             `{"id":"gpt-5","object":"model","created":1754425777,"owned_by":"system","type":"model","display_name":"gpt-5","created_at":"2025-08-05T20:29:37Z"}`,
		"/v1/models/claude-opus-5":     `{"id":"claude-opus-5","object":"model","created":1771459200,"owned_by":"llmgw","type":"model","display_name":"Claude Opus 5","created_at":"2026-02-19T00:00:00Z"}`,
		"/v1/models/fast":              `{"id":"fast","object":"model","created":0,"owned_by":"llmgw","type":"model","display_name":"fast","created_at":"1970-01-01T00:00:00Z"}`,
		"/v1beta/models/gemini-3-pro":  `{"name":"models/gemini-3-pro","version":"3","displayName":"Gemini 3 Pro","description":"thinks","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"]}`,
		"/v1beta/models/gemini-embed/": `{"name":"models/gemini-embed","displayName":"gemini-embed","supportedGenerationMethods":["embedContent"]}`,
	} {
		response, body, _ := g.do(g.ask(path))
		if response.StatusCode != 200 || string(body) != want {
			t.Errorf("%s: %d %s", path, response.StatusCode, body)
		}
		r := g.ask(path)
		r.Method = http.MethodHead
		if response, body, _ := g.do(r); response.StatusCode != 200 || len(body) != 0 || response.ContentLength != int64(len(want)) {
			t.Errorf("HEAD %s: %d %q, announcing %d", path, response.StatusCode, body, response.ContentLength)
		}
	}
}

func TestAModelThatIsNotThereIsA404InTheShapeOfItsCaller(t *testing.T) {
	g, _ := everyProvider(t)
	for _, c := range []struct{ path, header, want string }{
		{"/v1/models/gpt-6", "", `{"error":{"message":"there is no model \"gpt-6\" that your key can use. Models you can use: GET /v1/models","type":"invalid_request_error","param":null,"code":"model_not_found"}}`},
		{"/v1/models/llama-4", "Anthropic-Version: 2023-06-01", `{"type":"error","error":{"type":"not_found_error","message":"there is no model \"llama-4\" `},
		{"/v1beta/models/gpt-5", "", `{"error":{"code":404,"message":"there is no model \"gpt-5\" that your key can use. Models you can use: GET /v1/models","status":"NOT_FOUND"}}`},
		{"/v1/models/a/b%20c", "", `there is no model \"a/b c\" `},
		{"/v1/models/whisper-1", "", `"code":"model_not_found"`},
	} {
		r := g.ask(c.path)
		if name, value, ok := strings.Cut(c.header, ": "); ok {
			r.Header.Set(name, value)
		}
		response, body, _ := g.do(r)
		if response.StatusCode != 404 || !strings.Contains(string(body), c.want) || response.Header.Get("X-Llmgw-Error") != "model_not_found" ||
			response.Header.Get("X-Should-Retry") != "false" {
			t.Errorf("%s: %d %s", c.path, response.StatusCode, body)
		}
		line := g.line(response)
		if line["rule"] != "" || line["upstream"] != "" || line["error"] != "model_not_found" || line["end_reason"] != "rejected" {
			t.Errorf("%s: log says %v", c.path, line)
		}
	}
	if shown := g.metrics(); !strings.Contains(shown, `llmgw_requests_total{code="404",method="GET",rule="",upstream=""} 5`) || strings.Contains(shown, "gpt-") {
		t.Errorf("metrics: %s", shown)
	}
	r := g.ask("/v1beta/models/gemini-3-pro")
	r.Header.Del("Authorization")
	if response, body, _ := g.do(r); response.StatusCode != 401 || !strings.Contains(string(body), `"status":"UNAUTHENTICATED"`) {
		t.Errorf("a stranger, with Gemini's path: %d %s", response.StatusCode, body)
	}
}

func TestAListComesInPagesWhereItsCallerKnowsPages(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9", func(s *setup) {
		s.config.Upstreams[0].Models = []string{"e", "b", "d", "a", "c"}
	})
	version := "Anthropic-Version: 2023-06-01"
	for _, c := range []struct {
		path, header, want string
	}{
		{"/v1/models?limit=2&after_id=b", "", `"id":"e"`}, // OpenAI's list has no pages
		{"/v1/models?limit=2", version, `"has_more":true,"first_id":"a","last_id":"b"}`},
		{"/v1/models?limit=2&after_id=b", version, `"has_more":true,"first_id":"c","last_id":"d"}`},
		{"/v1/models?limit=2&after_id=d", version, `"has_more":false,"first_id":"e","last_id":"e"}`},
		{"/v1/models?limit=2&after_id=bb", version, `"has_more":true,"first_id":"c","last_id":"d"}`},
		{"/v1/models?limit=2&before_id=d", version, `"has_more":true,"first_id":"b","last_id":"c"}`},
		{"/v1/models?limit=2&before_id=b", version, `"has_more":false,"first_id":"a","last_id":"a"}`},
		{"/v1/models?after_id=b&before_id=e", version, `"has_more":false,"first_id":"c","last_id":"d"}`},
		{"/v1/models?after_id=e", version, `{"data":[],"has_more":false,"first_id":null,"last_id":null}`},
		{"/v1/models", version, `"has_more":false,"first_id":"a","last_id":"e"}`},
		{"/v1beta/models?pageSize=3", "", `"name":"models/c"`},
		{"/v1beta/models?pageSize=3", "", `"nextPageToken":"c"}`},
		{"/v1beta/models?pageSize=3&pageToken=c", "", `{"models":[{"name":"models/d"`},
		{"/v1beta/models?pageSize=0", "", `"name":"models/e"`},
	} {
		r := g.ask(c.path)
		if c.header != "" {
			r = g.ask(c.path, c.header)
		}
		if response, body, _ := g.do(r); response.StatusCode != 200 || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s: %d %s", c.path, c.header, response.StatusCode, body)
		}
	}
	for path, header := range map[string]string{"/v1/models?limit=many": version, "/v1/models?limit=0": version, "/v1/models?limit=-1": version, "/v1beta/models?pageSize=x": "X-A: b"} {
		response, body, _ := g.do(g.ask(path, header))
		if response.StatusCode != 400 || response.Header.Get("X-Llmgw-Error") != "bad_page" {
			t.Errorf("%s: %d %s", path, response.StatusCode, body)
		}
	}
}

// held is an upstream that lists one model, when it is told to.
func held(t *testing.T) (up *wireUpstream, goOn func()) {
	gate := make(chan struct{})
	up = newWireUpstream(t, func(c net.Conn, r *sent) bool {
		select {
		case <-gate:
			say(c, answerText("application/json", `{"data":[{"id":"late"}]}`))
		case <-r.gone:
		}
		return true
	})
	goOn = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(goOn)
	return up, goOn
}

func TestASlowUpstreamHoldsNobodyForLongAndIsHeardLater(t *testing.T) {
	up, goOn := held(t)
	g := newLister(t, of([]accounts.Upstream{provided("slow", up.url, accounts.ProviderOpenAI)}, rule("r", "slow", "early", "l*")))
	g.proxy.lists.patience = 50 * time.Millisecond
	began := time.Now()
	if got := g.models("/v1/models"); got != "early" {
		t.Errorf("before: %s", got)
	}
	if took := time.Since(began); took > patience/4 {
		t.Errorf("the caller waited %s", took)
	}
	goOn()
	deadline := time.Now().Add(patience)
	for g.models("/v1/models") != "early late" {
		if time.Now().After(deadline) {
			t.Fatal("what came late is never listed")
		}
	}
	if n := strings.Count(up.arrived(), "GET /v1/models"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestAnUpstreamIsAskedOnceForManyCallersAndOnNoOtherRequestsWay(t *testing.T) {
	up, goOn := held(t)
	mine := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, answerText("application/json", `{"usage":{"prompt_tokens":3,"completion_tokens":4}}`))
		return true
	})
	configured := provided("mine", mine.url, accounts.ProviderOpenAI)
	configured.Models = []string{"m"} // and so it is not asked
	g := newLister(t, of([]accounts.Upstream{provided("slow", up.url, accounts.ProviderOpenAI), configured}, rule("r", "slow", "l*"), rule("m", "mine", "*")))
	var asking sync.WaitGroup
	requests := make([]*http.Request, 20)
	for i := range requests {
		requests[i] = g.ask("/v1/models")
	}
	for _, r := range requests {
		asking.Go(func() {
			response, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = response.Body.Close() }()
			if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), `"id":"late"`) {
				t.Errorf("%v %s", err, body)
			}
		})
	}
	for deadline := time.Now().Add(patience); g.proxy.flights.count.Load() < int64(len(requests)); {
		if time.Now().After(deadline) {
			t.Fatal("not all are waiting")
		}
		runtime.Gosched()
	}
	if response, _, _ := g.do(g.post("/v1/chat/completions", `{"model":"other"}`)); response.StatusCode != 200 {
		t.Errorf("another request meanwhile: %d", response.StatusCode)
	}
	goOn()
	asking.Wait()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if n := strings.Count(up.arrived(), "GET /v1/models"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if seen := mine.arrived(); strings.Contains(seen, "GET ") {
		t.Errorf("an upstream whose models are written down was asked: %s", seen)
	}
	// A listed name is no metric label: what is counted must not depend on
	// whether somebody asked for the list.
	if response, _, _ := g.do(g.post("/v1/chat/completions", `{"model":"other"}`)); response.StatusCode != 200 {
		t.Errorf("%d", response.StatusCode)
	}
	if shown := g.metrics(); strings.Contains(shown, `model="late"`) || !strings.Contains(shown, `model="other"`) {
		t.Errorf("metrics: %s", shown)
	}
}

func TestAListThatCannotBeHadIsToldAndNotAskedForAgainAtOnce(t *testing.T) {
	long := strings.Repeat("x", maxListBytes+1)
	for name, c := range map[string]struct{ answer, cause string }{
		"an error":               {"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "it answered 500"},
		"a refused credential":   {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "it answered 401"},
		"a redirect":             {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "it answered 302"},
		"no JSON":                {answerText("text/html", "<html>"+credentialCanary), "its list of models cannot be read"},
		"too much":               {answerText("application/json", long), "its list of models is over 4 MiB"},
		"half an answer":         {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", "it closed the connection"},
		"nothing but a hang-up":  {"", "it closed the connection"},
		"a list of other things": {answerText("application/json", `{"data":[1,"a",{"id":7},{"id":""},{"name":"models/"},{"id":"a\nb"},{"id":"`+credentialCanary+`"}]}`), ""},
		"no such request":        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			up := newWireUpstream(t, func(conn net.Conn, _ *sent) bool {
				say(conn, c.answer)
				return false
			})
			g := newLister(t, of([]accounts.Upstream{provided("up", up.url, accounts.ProviderOpenAI)}, rule("r", "up", "m", "*")))
			asked := func() int { return strings.Count(up.arrived(), "GET /v1/models") }
			for range 2 {
				if got := g.models("/v1/models"); got != "m" {
					t.Errorf("listed: %s", got)
				}
			}
			if asked() != 1 {
				t.Errorf("asked %d times", asked())
			}
			if c.cause == "" {
				if strings.Contains(g.log.text(), codeNoModelList) {
					t.Errorf("log: %s", g.log.text())
				}
				return
			}
			line := g.log.wait(t, "the missing list", func(line map[string]any) bool { return line["code"] == codeNoModelList })
			if line["upstream"] != "up" || line["cause"] != c.cause || line["level"] != "warn" {
				t.Errorf("log says %v", line)
			}
			for _, list := range g.proxy.reloads.lists {
				list.mu.Lock()
				left := time.Until(list.until)
				list.until = time.Time{} // as if the time had passed
				list.mu.Unlock()
				if left <= 0 || left > failedListFresh {
					t.Errorf("it is left alone for %s", left)
				}
			}
			g.models("/v1/models")
			if asked() != 2 {
				t.Errorf("asked %d times when the time had passed", asked())
			}
		})
	}
}

// An upstream that takes too long is ended by a bound of the gateway's own.
func TestAListThatDoesNotComeInTimeIsToldSo(t *testing.T) {
	for name, said := range map[string]string{
		"no answer":      "",
		"half an answer": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			up := newWireUpstream(t, func(conn net.Conn, r *sent) bool {
				say(conn, said)
				<-r.gone
				return false
			})
			slow := provided("up", up.url, accounts.ProviderOpenAI)
			slow.Timeouts = accounts.Timeouts{ResponseHeader: 50 * time.Millisecond, Idle: 50 * time.Millisecond}
			g := newLister(t, of([]accounts.Upstream{slow}, rule("r", "up", "m", "*")))
			if got := g.models("/v1/models"); got != "m" {
				t.Errorf("listed: %s", got)
			}
			line := g.log.wait(t, "the missing list", func(line map[string]any) bool { return line["code"] == codeNoModelList })
			if line["cause"] != "it did not answer in time" {
				t.Errorf("log says %v", line)
			}
		})
	}
}

func TestAListThatWasHadOutlivesAReloadAndAFailure(t *testing.T) {
	answers := map[string]string{"/v1/models": `{"data":[{"id":"listed"}]}`}
	up := listing(t, answers)
	g := newLister(t, of([]accounts.Upstream{provided("up", up.url, accounts.ProviderOpenAI)}, rule("r", "up", "m", "l*")))
	if got := g.models("/v1/models"); got != "listed m" {
		t.Fatalf("listed: %s", got)
	}
	config := rules.Config{Revision: 8, Upstreams: []accounts.Upstream{provided("up", up.url, accounts.ProviderOpenAI)},
		Files: []rules.File{{Set: "default", Order: 100, Rules: []rules.Rule{rule("r", "up", "n", "l*")}}}}
	if err := g.proxy.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if got := g.models("/v1/models"); got != "listed n" || strings.Count(up.arrived(), "GET ") != 1 {
		t.Errorf("after a reload: %s, asked %s", got, up.arrived())
	}
	for _, list := range g.proxy.reloads.lists {
		list.mu.Lock()
		if left := time.Until(list.until); left < listFresh-time.Minute || left > listFresh {
			t.Errorf("it is believed for %s", left)
		}
		list.until = time.Time{}
		list.mu.Unlock()
	}
	up.close()
	if got := g.models("/v1/models"); got != "listed n" {
		t.Errorf("after a failure: %s", got)
	}
}

func TestAskingForModelsEndsWithTheProxyAndStaysWithinItsReach(t *testing.T) {
	up, _ := held(t)
	at := of([]accounts.Upstream{provided("slow", up.url, accounts.ProviderOpenAI)}, rule("r", "slow", "early", "l*"))
	denying := newLister(t, func(s *setup) { at(s); deny(s) })
	if got := denying.models("/v1/models"); got != "early" {
		t.Errorf("listed: %s", got)
	}
	denying.log.wait(t, "the refusal", func(line map[string]any) bool {
		return line["code"] == codeNoModelList && strings.Contains(fmt.Sprint(line["cause"]), "private_targets: deny")
	})
	if seen := up.arrived(); seen != "" {
		t.Errorf("what is denied was asked: %s", seen)
	}

	g := newGateway(t, "", at)
	g.proxy.lists.patience = time.Millisecond
	if got := g.models("/v1/models"); got != "early" {
		t.Errorf("listed: %s", got)
	}
	// The end of the test closes the proxy, and looks for goroutines that are left.
}

func TestNoMoreNamesAreTriedThanThereIsABoundFor(t *testing.T) {
	var list strings.Builder
	list.WriteString(`{"data":[`)
	for n := range maxListedModels + 100 {
		fmt.Fprintf(&list, `{"id":"m-%05d"},`, n)
	}
	list.WriteString(`{"id":"m"}]}`)
	up := listing(t, map[string]string{"/v1/models": list.String()})
	g := newLister(t, of([]accounts.Upstream{provided("up", up.url, accounts.ProviderOpenAI)}, rule("r", "up", "exact", "m*")))
	began := time.Now()
	got := strings.Fields(g.models("/v1/models"))
	t.Logf("%d names in %s", len(got), time.Since(began))
	if len(got) != maxNamesTried || got[0] != "exact" {
		t.Errorf("%d names, the first %s", len(got), got[0])
	}
}

func TestOffersAreKeptForNoLongerThanTheyMayBe(t *testing.T) {
	o, now := newOffers(), time.Now()
	q := rules.Request{Host: "h", Header: http.Header{"A": {"b", "c"}, "D": {"e"}}}
	same := rules.Request{Host: "h", Header: http.Header{"D": {"e"}, "A": {"b", "c"}}}
	others := []rules.Request{{Host: "h"}, {Host: "h", Header: http.Header{"A": {"b"}, "D": {"e"}}}, {Host: "g", Header: q.Header}, {Host: "h", Header: http.Header{"A": {"e"}, "D": {"b", "c"}}}}
	if o.sum(&q) != o.sum(&same) {
		t.Error("the order of headers counts")
	}
	for _, other := range others {
		if o.sum(&q) == o.sum(&other) {
			t.Errorf("%+v is taken for another", other)
		}
	}
	key := offerKey{key: "a", request: o.sum(&q)}
	o.keep(key, []*model{{id: "m"}}, now)
	if models, ok := o.find(key, now.Add(offerKept-1)); !ok || len(models) != 1 {
		t.Error("it is not kept")
	}
	if _, ok := o.find(key, now.Add(offerKept)); ok {
		t.Error("it is kept too long")
	}
	for n := range 3 * maxOffersKept {
		o.keep(offerKey{seq: int64(n)}, nil, now)
		if len(o.found) > maxOffersKept {
			t.Fatalf("%d are kept", len(o.found))
		}
	}
}

func TestFewFindOutAtATimeAndTheOthersWaitTheirTurn(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9", func(s *setup) { s.config.Upstreams[0].Models = []string{"m"} })
	turns := g.proxy.snapshot.Load().offers
	for range offersAtOnce {
		if !turns.take(t.Context()) {
			t.Fatal("no turn, and nobody there")
		}
	}
	response, body, _ := g.do(g.ask("/v1/models"))
	if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" || response.Header.Get("X-Llmgw-Error") != codeOverBudget {
		t.Errorf("while all are taken: %d %s", response.StatusCode, body)
	}
	waiting, r := make(chan int), g.ask("/v1/models")
	go func() {
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			close(waiting)
			return
		}
		_ = response.Body.Close()
		waiting <- response.StatusCode
	}()
	for deadline := time.Now().Add(patience); g.proxy.flights.count.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
		runtime.Gosched()
	}
	turns.leave()
	if got := waitFor(t, waiting); got != 200 {
		t.Errorf("after its turn came: %d", got)
	}
	turns.leave()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
