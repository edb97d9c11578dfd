package proxy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/llmgw/llmgw/rules"
)

// modelReaders are how servers find the model in a body.
var modelReaders = map[string]func(body []byte) string{
	"the last one counts, as in Python and JavaScript": func(body []byte) string {
		var read map[string]any
		if json.Unmarshal(body, &read) != nil {
			return ""
		}
		model, _ := read["model"].(string)
		return model
	},
	"the first one counts": func(body []byte) string {
		d := json.NewDecoder(bytes.NewReader(body))
		if _, err := d.Token(); err != nil {
			return ""
		}
		for d.More() {
			key, err := d.Token()
			var value any
			if err != nil || d.Decode(&value) != nil {
				return ""
			}
			if model, ok := value.(string); ok && key == "model" {
				return model
			}
		}
		return ""
	},
	"without regard to case, as in Go": func(body []byte) string {
		var read struct{ Model string }
		if json.Unmarshal(body, &read) != nil {
			return ""
		}
		return read.Model
	},
}

func inUTF16(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

// A rule that looks at the model sees the one that any upstream reads, or none,
// and then it takes no request.
func TestTheModelThatTheRulesSawIsTheOneThatAnUpstreamReads(t *testing.T) {
	arrived := make(chan []byte, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		arrived <- r.body
		say(c, answerText("application/json", "{}"))
		return true
	})
	g := newGateway(t, up.url, func(s *setup) {
		s.config.Files[0].Rules = []rules.Rule{
			{Name: "cheap", Match: rules.Match{Model: []string{"cheap*"}}, Action: rules.Action{Upstream: "up"}},
			{Name: "dear", Match: rules.Match{Model: []string{"dear*"}}, Action: rules.Action{Upstream: "up"}},
			{Name: "not-dear", Match: rules.Match{Model: []string{"!dear*"}}, Action: rules.Action{Upstream: "up"}},
			{Name: "rest", Action: rules.Action{Upstream: "up"}},
		}
	})
	huge := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct{ body, model, rule, code string }{
		"plain":                             {body: `{"model":"cheap"}`, model: "cheap", rule: "cheap"},
		"twice":                             {body: `{"model":"cheap","model":"dear"}`, code: rules.CodeDuplicateKey},
		"twice the same":                    {body: `{"model":"cheap","model":"cheap"}`, code: rules.CodeDuplicateKey},
		"twice, one of them escaped":        {body: `{"model":"cheap","mod\u0065l":"dear"}`, code: rules.CodeDuplicateKey},
		"twice, behind a huge value":        {body: `{"model":"cheap","a":"` + huge + `","model":"dear"}`, code: rules.CodeDuplicateKey},
		"twice, one of them null":           {body: `{"model":"cheap","model":null}`, code: rules.CodeDuplicateKey},
		"twice, in another case":            {body: `{"model":"cheap","Model":"dear"}`, code: rules.CodeDuplicateKey},
		"twice, in another case before":     {body: `{"MODEL":"dear","model":"cheap"}`, code: rules.CodeDuplicateKey},
		"twice, but the body is no JSON":    {body: `{"model":"cheap","model":"dear"`, rule: "rest"},
		"escaped":                           {body: `{"mod\u0065l":"ch\u0065ap"}`, model: "cheap", rule: "cheap"},
		"escaped in upper case digits":      {body: `{"\u006D\u006Fdel":"cheap"}`, model: "cheap", rule: "cheap"},
		"escaped characters in the name":    {body: `{"model":"cheap\/\"x\u00e9"}`, model: "cheap/\"xé", rule: "cheap"},
		"in another case alone":             {body: `{"Model":"dear"}`, rule: "rest"},
		"a name that only begins like it":   {body: `{"modelx":"dear","model":"cheap","mode":"dear","model ":"dear"}`, model: "cheap", rule: "cheap"},
		"a name with a NUL behind it":       {body: `{"model\u0000":"dear","model":"cheap"}`, model: "cheap", rule: "cheap"},
		"nested":                            {body: `{"a":{"model":"dear"},"model":"cheap","b":[{"model":"dear"}]}`, model: "cheap", rule: "cheap"},
		"only nested":                       {body: `{"a":{"model":"dear"}}`, rule: "rest"},
		"nested 9,000 deep":                 {body: `{"a":` + strings.Repeat(`{"model":`, 9000) + `1` + strings.Repeat(`}`, 9000) + `,"model":"cheap"}`, model: "cheap", rule: "cheap"},
		"nested deeper than anybody reads":  {body: `{"model":"dear","a":` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000) + `}`, rule: "rest"},
		"in the text of a string":           {body: `{"a":"\",\"model\":\"dear","model":"cheap"}`, model: "cheap", rule: "cheap"},
		"behind a huge value":               {body: `{"a":"` + huge + `","model":"cheap"}`, model: "cheap", rule: "cheap"},
		"behind a huge number":              {body: `{"a":1` + strings.Repeat("0", 1<<16) + `,"model":"cheap"}`, model: "cheap", rule: "cheap"},
		"behind a byte order mark":          {body: "\ufeff" + `{"model":"dear"}`, rule: "rest"},
		"in UTF-16":                         {body: inUTF16(`{"model":"dear"}`), rule: "rest"},
		"with invalid UTF-8 in the name":    {body: "{\"model\":\"dear\xff\"}", rule: "rest"},
		"with invalid UTF-8 elsewhere":      {body: "{\"a\":\"\xff\",\"model\":\"cheap\"}", model: "cheap", rule: "cheap"},
		"with half a surrogate pair":        {body: `{"model":"dear\ud800"}`, rule: "rest"},
		"with something behind the object":  {body: `{"model":"dear"}{"model":"cheap"}`, rule: "rest"},
		"with a comma too many":             {body: `{"model":"dear",}`, rule: "rest"},
		"with a comment":                    {body: `{"model":"dear"/* */}`, rule: "rest"},
		"in single quotes":                  {body: `{'model':'dear'}`, rule: "rest"},
		"with a bare control character":     {body: "{\"model\":\"dear\n\"}", rule: "rest"},
		"a number":                          {body: `{"model":5}`, rule: "rest"},
		"null":                              {body: `{"model":null}`, rule: "rest"},
		"a list":                            {body: `{"model":["dear"]}`, rule: "rest"},
		"an object":                         {body: `{"model":{"model":"dear"}}`, rule: "rest"},
		"empty":                             {body: `{"model":""}`, rule: "not-dear"},
		"an array around it":                {body: `[{"model":"dear"}]`, rule: "rest"},
		"longer than any":                   {body: `{"model":"dear` + strings.Repeat("x", 5000) + `"}`, rule: "rest"},
		"with white space around it":        {body: " \r\n\t{ \"model\" \n:\t\"cheap\" } \n", model: "cheap", rule: "cheap"},
		"no body that anybody would expect": {body: "\x00", rule: "rest"},
	} {
		t.Run(name, func(t *testing.T) {
			response, text, err := g.do(g.post("/v1/chat/completions", c.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := response.Header.Get("X-Llmgw-Error"); got != c.code {
				t.Fatalf("%d %s %s", response.StatusCode, got, text)
			}
			if c.code != "" {
				return
			}
			line, body := g.line(response), waitFor(t, arrived)
			if line["model"] != loggable(c.model) || line["rule"] != c.rule {
				t.Errorf("the rules saw %q, and %s took it", line["model"], line["rule"])
			}
			if string(body) != c.body {
				t.Errorf("%d bytes arrived, not those sent", len(body))
			}
			for how, read := range modelReaders {
				if model := read(body); c.model != "" && model != "" && model != c.model {
					t.Errorf("%s: an upstream reads %q", how, model)
				}
			}
		})
	}
	if len(arrived) != 0 {
		t.Error("a refused body was sent")
	}
}
