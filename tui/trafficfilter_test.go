package tui

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

// What the gateway leaves out is not there for the other word.
func TestTheGatewayIsNotAskedForOneWordOfTwoWithOr(t *testing.T) {
	f, err := parseExchangeFilter("status:429 or model:gpt-* total>2s or key:ci")
	if err != nil {
		t.Fatal(err)
	}
	if q := f.query(time.Minute); narrows(&q) {
		t.Errorf("it is asked for %+v", q)
	}
	if _, err := parseExchangeFilter("status:429 or nothing:1"); err == nil || !strings.HasPrefix(err.Error(), "nothing: there are") {
		t.Errorf("a field that there is not: %v", err)
	}
}

func TestAFilterOfExchangesTakes(t *testing.T) {
	complete, limited, left := sampleExchange(0), sampleExchange(1), sampleExchange(2)
	refused := sampleExchange(3)
	flight := sampleFlights()[0]
	rows := map[string]*tailRow{
		"complete": {ended: &complete}, "limited": {ended: &limited}, "left": {ended: &left}, "refused": {ended: &refused}, "flight": {started: &flight},
	}
	for text, want := range map[string]string{
		"":                           "complete flight left limited refused",
		"status:4xx":                 "left limited refused",
		"status:429":                 "limited",
		"status=4XX -status:429":     "left refused",
		"status>=400 status<429":     "refused",
		"status!=200":                "left limited refused",
		"-status:200":                "flight left limited refused",
		"model:claude-*":             "complete limited",
		"model:CLAUDE-*":             "", // as patterns of rules
		"-model:Claude-*":            "flight left refused",
		"MODEL:gpt-5":                "flight left",
		"gpt":                        "flight left refused",
		"upstream:openai-* key:ci-*": "left",
		"upstream:a* upstream:*c":    "complete limited",
		"user:lee":                   "flight",
		"rule:openai":                "flight left",
		"ttft>600ms":                 "complete left",
		"total>=9.2s":                "complete",
		"total<100":                  "limited refused",
		"in>640":                     "left",
		"out<=212":                   "complete",
		"error:no_rule":              "refused",
		"end:client_*":               "left",
		"end:streaming":              "flight",
		"node:a1 path:/v1/messages":  "complete left limited refused",
		"id:req_01K9ZT2000":          "complete",
		"req_01k9zt1000":             "flight",
		"path:/v1/*/completions":     "flight",
		"no_rule":                    "refused",
		"status:429 or total>9s":     "complete limited",
		"end:streaming or status:5xx or status:429 key:ci-*": "limited",
		"-status:4xx or status:429":                          "complete flight limited",
		"status:429 or":                                      "limited",     // while the other is not written yet
		"-no_rule -claude -streaming":                        "flight left", // what it is doing is no text of it
	} {
		f, err := parseExchangeFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for name, row := range rows {
			if f.takes(row) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%q takes %q, and not %q", text, strings.Join(got, " "), want)
		}
	}
}

func TestTheGatewayIsAskedForWhatItCanTell(t *testing.T) {
	long := strings.Repeat("x", longestPattern+1)
	for text, want := range map[string]api.EventQuery{
		"":                      {},
		"opus -key:ci-bot":      {},
		"status!=200":           {}, // there is a status to take in every class
		"status:5xx":            {Status: []string{"5xx"}, Kinds: []string{"change", "exchange"}, Since: time.Hour},
		"status>=400":           {Status: []string{"4xx", "5xx"}, Kinds: []string{"change", "exchange"}, Since: time.Hour},
		"status<200":            {Status: []string{"000", "1xx"}, Kinds: []string{"change", "exchange"}, Since: time.Hour},
		"status:0":              {Status: []string{"000"}, Kinds: []string{"change", "exchange"}, Since: time.Hour},
		"status>=0":             {},
		"status:red":            {},
		"-status:5xx":           {},
		"model:GPT-* model:*5":  {Model: []string{"GPT-*"}, Since: time.Hour},
		"model!=gpt-5":          {},
		"key=ci-bot rule:a*":    {Key: []string{"ci-bot"}, Rule: []string{"a*"}, Since: time.Hour},
		"user:dana upstream:*u": {User: []string{"dana"}, Upstream: []string{"*u"}, Since: time.Hour},
		"model:" + long:         {},
		"total>2s ttft>=300ms":  {Slower: 2 * time.Second, Kinds: []string{"change", "exchange"}, Since: time.Hour},
		"total<2s ttft<1s":      {},
		"total>nan total>inf":   {},
		"total>1e300":           {},
		"total>-5":              {},
		"in>5 error:x path:/v1": {},
	} {
		f, err := parseExchangeFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := f.query(time.Hour)
		if !sameQuery(&got, &want) || !slices.Equal(got.Kinds, want.Kinds) || got.Since != want.Since {
			t.Errorf("%s: %+v, and not %+v", text, got, want)
		}
	}
}

func TestAFilterOfExchangesThatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"colour:red": "colour: there are status,",
		"status:":    "status:: what for?",
		"total>x":    "no number",
		"path:[a":    "missing ]",
	} {
		if _, err := parseExchangeFilter(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// takesAsTheGateway is how the gateway reads a query.
func takesAsTheGateway(q *api.EventQuery, x *api.Exchange) bool {
	any := func(patterns []string, text string) bool {
		return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return globs(p, text) })
	}
	status := len(q.Status) == 0 || slices.ContainsFunc(q.Status, func(s string) bool {
		if s[1:] == "xx" {
			return x.Status/100 == int(s[0]-'0')
		}
		n, err := strconv.Atoi(s)
		return err == nil && n == x.Status
	})
	return status && any(q.Model, x.Model) && any(q.Key, x.Key) && any(q.User, x.User) && any(q.Rule, x.Rule) && any(q.Upstream, x.Upstream) &&
		x.DurationMS >= float64(q.Slower)/float64(time.Millisecond)
}

func TestTheGatewayNeverLeavesOutWhatTheFilterTakes(t *testing.T) {
	name := rapid.SampledFrom([]string{"", "gpt-5", "GPT-5", "5", "05", "a/b", "日本", "[x]", "a?c"})
	pattern := rapid.SampledFrom([]string{"*", "gpt-*", "*5", "GPT-5", "gpt-5", "5", "05", "a/b", "a*", "日*", "a?c", "*b*"})
	rapid.Check(t, func(t *rapid.T) {
		var words []string
		for range rapid.IntRange(1, 4).Draw(t, "words") {
			not := rapid.SampledFrom([]string{"", "", "-"}).Draw(t, "not")
			op := rapid.SampledFrom([]string{":", "=", "!=", "<", "<=", ">", ">="}).Draw(t, "op")
			switch field := rapid.SampledFrom([]string{"model", "key", "user", "rule", "upstream", "status", "ttft", "total"}).Draw(t, "field"); field {
			case "status":
				words = append(words, not+field+op+rapid.SampledFrom([]string{"200", "429", "500", "0", "599", "404.5"}).Draw(t, "status"))
			case "ttft", "total":
				words = append(words, not+field+op+rapid.SampledFrom([]string{"0", "1ms", "1.5", "300ms", "2s", "1h"}).Draw(t, "time"))
			default:
				words = append(words, not+field+rapid.SampledFrom([]string{":", "=", "!="}).Draw(t, "op of a name")+pattern.Draw(t, "pattern"))
			}
		}
		f, err := parseExchangeFilter(strings.Join(words, " "))
		if err != nil {
			t.Fatal(err)
		}
		first := rapid.Float64Range(0, 4000).Draw(t, "first token")
		x := api.Exchange{
			Status:       rapid.SampledFrom([]int{0, 101, 200, 302, 404, 429, 499, 500, 504, 599}).Draw(t, "status of it"),
			FirstTokenMS: first, DurationMS: first + rapid.Float64Range(0, 4000).Draw(t, "rest"),
			Model: name.Draw(t, "model"), Key: name.Draw(t, "key"), User: name.Draw(t, "user"), Rule: name.Draw(t, "rule"), Upstream: name.Draw(t, "upstream"),
		}
		q := f.query(time.Hour)
		if f.takes(&tailRow{ended: &x}) && !takesAsTheGateway(&q, &x) {
			t.Fatalf("%s takes %+v, and the gateway would not send it: %+v", f.text, x, q)
		}
	})
}
