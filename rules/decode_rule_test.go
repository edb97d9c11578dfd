package rules_test

import (
	"strings"
	"testing"

	"github.com/llmgw/llmgw/rules"
)

func TestDecodeRuleReadsWhatIsShown(t *testing.T) {
	files, problems := rules.Decode("r.yaml", []byte(refusing))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, want := range files[0].Rules {
		got, problems := rules.DecodeRule("", want.YAML())
		if len(problems) > 0 || !got.Equal(want) {
			t.Errorf("%s\ncomes back as\n%s%v", want.YAML(), got.YAML(), problems)
		}
	}
}

func TestDecodeRuleSaysWhere(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":            {"", "1:1: there is no rule"},
		"only a comment":     {"# later\n", "1:1: there is no rule"},
		"an empty list":      {"[]", "1:1: the list holds 0 rules; this is the place of one"},
		"two rules":          {"- name: a\n- name: b\n", "1:1: the list holds 2 rules; this is the place of one"},
		"two documents":      {"name: a\n---\nname: b\n", "3:1: there is more than one document; this is the place of one rule"},
		"no YAML":            {"name: a\nmatch: {model: [a\n", "2:17: not YAML"},
		"no name":            {"match: {}\n", "1:1: the rule has no name"},
		"an unknown field":   {"name: a\nmatch:\n  modle: [a]\n", "3:3: unknown matcher \"modle\""},
		"within a list":      {"- name: a\n  match:\n    modle: [a]\n", "3:5: unknown matcher \"modle\""},
		"two destinations":   {"name: a\naction:\n  upstream: u\n  target: http://x\n", "3:3: more than one destination"},
		"a name that is bad": {"name: A b\n", "1:7: \"A b\" is not a name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := rules.DecodeRule("", []byte(c.text))
			if len(problems) != 1 {
				t.Fatalf("problems are %v", problems)
			}
			if got := problems[0].String(); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

func FuzzDecodeRule(f *testing.F) {
	f.Add("name: a\nmatch: {model: [a]}\naction: {upstream: b}\n")
	f.Add("- name: a\n  action: {respond: {status: 400, message: no}}\n")
	f.Add("&a {name: a, match: *a}")
	f.Fuzz(func(t *testing.T, text string) {
		r, problems := rules.DecodeRule("", []byte(text))
		if len(problems) > 0 {
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.Message == "" {
					t.Fatalf("a problem without its place: %+v", p)
				}
			}
			return
		}
		again, problems := rules.DecodeRule("", r.YAML())
		if len(problems) > 0 || !again.Equal(r) {
			t.Fatalf("%q gives\n%swhich gives %v\n%s", text, r.YAML(), problems, again.YAML())
		}
	})
}
