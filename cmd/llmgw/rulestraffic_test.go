package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rulesWithTraffic are answers of a gateway with five rules, and what it says of
// their traffic; "" where it does not know the question.
func rulesWithTraffic(traffic string) map[string]string {
	var items []string
	for i, name := range []string{"fast-lane", "anthropic", "openai", "quiet"} {
		items = append(items, fmt.Sprintf(`{"position":%d,"set":"main","name":%q,"enabled":true,"match":{"model":["m%d"]},"action":{"upstream":"up"}}`, i+1, name, i))
	}
	answers := map[string]string{"GET /rules": `{"items":[` + strings.Join(items, ",") + `],"revision":41}`}
	if traffic != "" {
		asked := url.Values{"window": {"15m0s"}, "points": {"1"}, "by": {"rule"}, "names": {"1000"}}
		answers["GET /traffic?"+asked.Encode()] = traffic
	}
	return answers
}

func TestRulesAreListedWithWhatTheyDid(t *testing.T) {
	const shares = `"by":[
		{"kind":"rule","name":"openai","requests":18060,"errors":36,"first_token_p95_ms":460.4},
		{"kind":"rule","name":"anthropic","requests":60,"errors":3,"first_token_p95_ms":1430},
		{"kind":"rule","name":"fast-lane","requests":6},
		{"kind":"rule","name":"","requests":7}]`
	const table = "" +
		"#  NAME       ON  MATCH     ACTION  REQ/MIN  ERR   P95 TTFT\n"
	for name, test := range map[string]struct{ traffic, want string }{
		"on a gateway that has been up for long": {`{"since_seconds":900,` + shares + `}`, table +
			"1  fast-lane  ●   model=m0  → up    0.4      0.0%  -\n" +
			"2  anthropic  ●   model=m1  → up    4.0      5.0%  1.4 s\n" +
			"3  openai     ●   model=m2  → up    1204     0.2%  460 ms\n" +
			"4  quiet      ●   model=m3  → up    0        -     -\n" +
			"4 of 4 enabled · revision 41\n"},
		"on one that was just started": {`{"since_seconds":1,"by":[{"kind":"rule","name":"openai","requests":5}]}`, "" +
			"#  NAME       ON  MATCH     ACTION  REQ/MIN  ERR   P95 TTFT\n" +
			"1  fast-lane  ●   model=m0  → up    0        -     -\n" +
			"2  anthropic  ●   model=m1  → up    0        -     -\n" +
			"3  openai     ●   model=m2  → up    5.0      0.0%  -\n" +
			"4  quiet      ●   model=m3  → up    0        -     -\n" +
			"4 of 4 enabled · revision 41\n"},
		"where there are too many names, and a node is silent": {`{"since_seconds":900,"other_kinds":["rule"],"partial":{"nodes":["b1","c1"],"problem":"no answer"},` + shares + `}`, table +
			"1  fast-lane  ●   model=m0  → up    0.4      0.0%  -\n" +
			"2  anthropic  ●   model=m1  → up    4.0      5.0%  1.4 s\n" +
			"3  openai     ●   model=m2  → up    1204     0.2%  460 ms\n" +
			"4  quiet      ●   model=m3  → up    -        -     -\n" +
			"4 of 4 enabled · revision 41 · traffic without b1, c1: no answer\n"},
		"of an older gateway": {"", "" +
			"#  NAME       ON  MATCH     ACTION  REQ/MIN  ERR  P95 TTFT\n" +
			"1  fast-lane  ●   model=m0  → up    -        -    -\n" +
			"2  anthropic  ●   model=m1  → up    -        -    -\n" +
			"3  openai     ●   model=m2  → up    -        -    -\n" +
			"4  quiet      ●   model=m3  → up    -        -    -\n" +
			"4 of 4 enabled · revision 41\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeAPI(t, rulesWithTraffic(test.traffic))
			code, out, errs := scripted(t, f.URL, "", "rules", "list")
			if code != exitDone || errs != "" {
				t.Errorf("it ended with %d: %s", code, errs)
			}
			if diff := cmp.Diff(test.want, out); diff != "" {
				t.Error(diff)
			}
			if asked := f.questions(); len(asked) != 2 {
				t.Errorf("it asked %q", asked)
			}
		})
	}
}

func TestRulesAreListedForProgramsWithWhatTheyDid(t *testing.T) {
	for name, test := range map[string]struct{ traffic, filter, want string }{
		"what is known": {
			`{"since_seconds":900,"by":[{"kind":"rule","name":"openai","requests":45,"errors":9,"first_token_p95_ms":460.5}]}`,
			`.items[2] | "\(.name) \(.traffic.requests) \(.traffic.requests_per_minute) \(.traffic.errors) \(.traffic.error_rate) \(.traffic.first_token_p95_ms)"`,
			"openai 45 3 9 0.2 460.5\n",
		},
		"of an older gateway, the rules alone":            {"", `[.items[] | has("traffic")] | "\(any) \(length)"`, "false 4\n"},
		"what is not an answer is no reason to list none": {`[`, `.items | length`, "4\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeAPI(t, rulesWithTraffic(test.traffic))
			code, out, errs := scripted(t, f.URL, "", "rules", "list", "-o", "json", "--jq", test.filter)
			if code != exitDone || out != test.want {
				t.Errorf("it ended with %d: %s%s", code, out, errs)
			}
			if told := strings.Contains(errs, "what the rules did lately is not known: "); told != (test.traffic == "[") {
				t.Errorf("on stderr is %q", errs)
			}
		})
	}
}
