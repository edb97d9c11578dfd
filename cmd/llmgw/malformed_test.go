package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/proxy"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

// malformedKeys is how many keys that are none are sent.
func malformedKeys() int {
	if underRace {
		return 20_000
	}
	return 100_000
}

// oddKey is a text that is sent as a key, and what is said to it.
type oddKey struct{ text, code, says string }

const (
	saysNoKey     = `no API key in the request; send "Authorization: Bearer sk-lgw-…" or "x-api-key". Create one with: llmgw keys create`
	saysMalformed = "API key is malformed (checksum does not match): was it cut when copied?"
	saysInvalid   = "API key is not valid"
	saysAnthropic = `this looks like an Anthropic key ("sk-ant-…"); the gateway wants its own key ("sk-lgw-…"). In Claude Code set ANTHROPIC_AUTH_TOKEN and leave ANTHROPIC_API_KEY empty`
	saysOpenAI    = `this looks like an OpenAI key ("sk-proj-…"); the gateway wants its own key ("sk-lgw-…"). Create one with: llmgw keys create`
)

// drawOddKey spoils a genuine key in one of the ways that keys are spoiled, or
// makes up a text.
func drawOddKey(r *rand.Rand, genuine, stranger string) oddKey {
	at := len(accounts.KeyPrefix) + r.IntN(len(genuine)-len(accounts.KeyPrefix))
	random := make([]byte, 50)
	for i := range random {
		random[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[r.IntN(62)]
	}
	random[43] = '-'
	switch r.IntN(10) {
	case 0:
		return oddKey{genuine[:at], "malformed_api_key", saysMalformed}
	case 1:
		return oddKey{genuine + string(random[:1+r.IntN(20)]), "malformed_api_key", saysMalformed}
	case 2: // one character is another
		other := "x"
		if genuine[at:at+1] == other {
			other = "y"
		}
		return oddKey{genuine[:at] + other + genuine[at+1:], "malformed_api_key", saysMalformed}
	case 3: // its end is another key's
		return oddKey{genuine[:50] + "-" + string(random[44:]), "malformed_api_key", saysMalformed}
	case 4: // genuine, at another installation
		return oddKey{stranger, "malformed_api_key", saysMalformed}
	case 5:
		return oddKey{"sk-ant-api03-" + string(random), "provider_api_key", saysAnthropic}
	case 6:
		return oddKey{"sk-proj-" + string(random), "provider_api_key", saysOpenAI}
	case 7:
		return oddKey{"", "missing_api_key", saysNoKey}
	case 8:
		return oddKey{string(random), "invalid_api_key", saysInvalid}
	}
	return oddKey{accounts.KeyPrefix + string(random), "malformed_api_key", saysMalformed}
}

// TestAHundredThousandMalformedKeysAskTheStoreNothing sends them through the
// proxy over the real store, whose table of keys is away meanwhile: a question
// of the store could have no other answer than 503, which a key that is well
// formed gets. What the store counts of its questions agrees.
func TestAHundredThousandMalformedKeysAskTheStoreNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "llmgw.db")
	s, p := aloneProxy(t, path)
	genuine, unknown := issueKey(t, s), issueKey(t, s)
	other, _ := aloneProxy(t, filepath.Join(t.TempDir(), "other.db"))
	stranger := issueKey(t, other)
	hide(t, path, "key_secrets", "hidden")

	var senders sync.WaitGroup
	seed := rand.Uint64()
	for sender := range runtime.GOMAXPROCS(0) {
		senders.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(sender)))
			for i := sender; i < malformedKeys(); i += runtime.GOMAXPROCS(0) {
				odd := drawOddKey(r, genuine, stranger)
				if answer := callAs(p, odd.text, i); !refusedAs(answer, http.StatusUnauthorized, odd.code, odd.says) {
					t.Errorf("a key of %d characters, wants %s: %d %v %s", len(odd.text), odd.code, answer.Code, answer.Header(), answer.Body)
					return
				}
			}
		})
	}
	senders.Wait()
	text := shownMetrics(t, s.Collector())
	for _, outcome := range []string{"hit", "miss", "unknown_hit", "unknown_miss", "unavailable"} {
		if want := `llmgw_key_cache_total{outcome="` + outcome + `"} 0`; !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if answer := callAs(p, unknown, 0); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("a question of the store is answered with %d, so this proves nothing", answer.Code)
	}
	hide(t, path, "hidden", "key_secrets")
	if answer := callAs(p, unknown, 0); !refusedAs(answer, http.StatusUnauthorized, "invalid_api_key", saysInvalid) {
		t.Errorf("a well-formed key that nobody has: %d %s", answer.Code, answer.Body)
	}
	text = shownMetrics(t, s.Collector())
	for _, want := range []string{`llmgw_key_cache_total{outcome="unavailable"} 1`, `llmgw_key_cache_total{outcome="unknown_miss"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// aloneProxy is the data plane over a store of its own, without a program around
// it.
func aloneProxy(t *testing.T, path string) (*store.Store, *proxy.Proxy) {
	t.Helper()
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Path: path, Secret: accounts.NewKeyring(key), Log: zerolog.Nop(), Version: version})
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.New(proxy.Options{Source: s, Issuer: s.Issuer, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.Reload(t.Context(), rules.Config{}); err != nil {
		t.Fatal(err)
	}
	return s, p
}

// issueKey makes the text of a key that no store knows.
func issueKey(t *testing.T, s *store.Store) string {
	t.Helper()
	key, err := s.Issuer().Issue()
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

// hide gives a table another name.
func hide(t *testing.T, path, from, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("ALTER TABLE %s RENAME TO %s", from, to)); err != nil {
		t.Fatal(err)
	}
}

// callAs sends a request with a key, in each of the ways that clients send one.
func callAs(p http.Handler, key string, way int) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"m"}`))
	r.Header.Set("Content-Type", "application/json")
	switch {
	case key == "":
	case way%3 == 0:
		r.Header.Set("Authorization", "Bearer "+key)
	case way%3 == 1:
		r.Header.Set("X-Api-Key", key)
	default:
		r.URL.RawQuery = "key=" + key
	}
	answer := httptest.NewRecorder()
	p.ServeHTTP(answer, r)
	return answer
}

// refusedAs says whether an answer is this refusal, which no client repeats.
func refusedAs(answer *httptest.ResponseRecorder, status int, code, says string) bool {
	quoted := strings.Trim(string(mustEncode(says)), `"`)
	return answer.Code == status && answer.Header().Get("X-Llmgw-Error") == code &&
		answer.Header().Get("X-Should-Retry") == "false" && strings.Contains(answer.Body.String(), `"`+quoted+`"`)
}

func shownMetrics(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}
