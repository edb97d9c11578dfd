package rules

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/llmgw/llmgw/accounts"
)

// ModelsPath is answered by the gateway itself: which models there are is for
// its rules to say, not for one of its upstreams. GeminiModelsPath is the same
// in Gemini's API.
const (
	ModelsPath       = "/v1/models"
	GeminiModelsPath = "/v1beta/models"
)

// ModelsQuestion is what a request asks about models that the gateway answers
// by itself: which there are, or whether there is one.
type ModelsQuestion struct {
	Gemini bool   // it is asked as Gemini's clients do
	One    bool   // it is about Model alone
	Model  string // decoded; "" where it is none that could be
}

// AsksForModels says whether the gateway answers by itself, before any rule is
// asked: GET or HEAD of ModelsPath, of GeminiModelsPath, or of a model below
// one of them.
func (q *Request) AsksForModels() bool {
	_, ok := q.ModelsQuestion()
	return ok
}

// ModelsQuestion reads what a request asks about models; ok is false where
// AsksForModels is. A model of OpenAI's may be written with its slashes; below
// one of Gemini's there is more (operations), which is not the gateway's.
func (q *Request) ModelsQuestion() (asked ModelsQuestion, ok bool) {
	if q.Method != "GET" && q.Method != "HEAD" { //nolint:usestdlibvars // rules knows nothing of net/http
		return asked, false
	}
	rest, ok := strings.CutPrefix(q.Path, ModelsPath)
	if !ok {
		rest, asked.Gemini = strings.CutPrefix(q.Path, GeminiModelsPath)
		ok = asked.Gemini
	}
	switch {
	case !ok, rest != "" && rest[0] != '/':
		return ModelsQuestion{}, false
	case rest == "" || rest == "/":
		return asked, true
	}
	name := strings.TrimSuffix(rest[1:], "/")
	if asked.Gemini && strings.Contains(name, "/") || ReadPath(q.Path).Wire != accounts.WireNone {
		return ModelsQuestion{}, false
	}
	asked.One = true
	if model, err := url.PathUnescape(name); err == nil && len(model) <= maxModelBytes && utf8.ValidString(model) {
		asked.Model = model
	}
	return asked, true
}

// ExactModels lists the models that enabled rules take by their exact names,
// and the models that they send instead, each once, in the order of the rules.
// They are what can be offered by name; a glob or a placeholder stands for names
// nobody has written down.
func (s *Set) ExactModels() []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if name != "" && !seen[name] && !strings.ContainsAny(name, "*!") && !strings.Contains(name, "${") {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, r := range s.rules {
		if r.Continue {
			continue
		}
		for _, pattern := range r.rule.Match.Model {
			add(pattern)
		}
		a := &r.rule.Action
		add(a.Model)
		for _, entries := range [][]Entry{a.Upstreams, a.Fallback} {
			for i := range entries {
				add(entries[i].Model)
			}
		}
	}
	return names
}

// SendsTo says, for each of Upstreams, whether an enabled rule or a binding
// names it.
func (s *Set) SendsTo() []bool {
	named := slices.Clone(s.bindings.names)
	for _, r := range s.rules {
		for _, c := range r.candidates {
			if c.Index >= 0 {
				named[c.Index] = true
			}
		}
	}
	return named
}
