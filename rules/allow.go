package rules

import (
	"fmt"
	"strings"
)

// ModelAllowed says whether an allow-list takes a model. Patterns are those of
// rules: * is any run of characters, ! excludes, and a list of exclusions alone
// means all but these. An empty list takes everything. It allocates nothing.
func ModelAllowed(patterns []string, model string) bool {
	taken, asked := false, false
	for _, pattern := range patterns {
		name, excluded := strings.CutPrefix(pattern, "!")
		switch {
		case excluded && globTakes(name, model):
			return false
		case !excluded:
			asked = true
			taken = taken || globTakes(name, model)
		}
	}
	return taken || !asked
}

// CheckModels says what is wrong with a list of model patterns: an allow-list,
// or the models of a binding.
func CheckModels(patterns []string) error {
	for _, pattern := range patterns {
		if problem := modelGlobProblem(pattern); problem != "" {
			return fmt.Errorf("%q: %s", shorten(pattern), problem)
		}
	}
	return nil
}

// notAllowed asks the caller's allow-list about every model that the request
// names, in its query too, which only one wire format has it in: a server may
// look there on any path. It gives the first that is not allowed, "" for none
// that can be read.
func (q *Request) notAllowed() (model string, refused bool) {
	switch {
	case len(q.Allowed) == 0:
		return "", false
	case !q.HasModel:
		return "", true
	case !ModelAllowed(q.Allowed, q.Model):
		return q.Model, true
	}
	for rest := q.RawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		if unescape(name) != modelParameter {
			continue
		}
		if value = unescape(value); !ModelAllowed(q.Allowed, value) {
			return value, true
		}
	}
	return "", false
}

// modelNotAllowed tells the caller what it may use instead.
func (q *Request) modelNotAllowed() Refusal {
	model, _ := q.notAllowed()
	if !q.HasModel {
		return refuse(CodeModelNotAllowed, "key %q may use %s only, and this request does not show a model", q.Key, allowedText(q.Allowed))
	}
	return refuse(CodeModelNotAllowed, "key %q may not use %q; it may use %s", q.Key, cut(model), allowedText(q.Allowed))
}

// allowedText writes an allow-list in words.
func allowedText(patterns []string) string {
	var take, except []string
	for _, pattern := range patterns {
		if name, excluded := strings.CutPrefix(pattern, "!"); excluded {
			except = append(except, name)
		} else {
			take = append(take, pattern)
		}
	}
	text := "all models"
	if len(take) > 0 {
		text = someOf(take)
	}
	if len(except) > 0 {
		text += " but " + someOf(except)
	}
	return text
}

// someOf lists as many texts as a message has room for.
func someOf(texts []string) string {
	shown := make([]string, 0, min(len(texts), maxShown+1))
	for i, text := range texts {
		if i == maxShown {
			shown = append(shown, "…")
			break
		}
		shown = append(shown, plain(text))
	}
	return strings.Join(shown, ", ")
}
