package rules

import (
	"net/textproto"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// placeholder is what ${…} stands for.
type placeholder uint8

const (
	literalText placeholder = iota
	keyName
	userName
	tagValue // of a tag
	requestModel
	requestID
	headerValue    // of a header
	parameterValue // of a query parameter
	ruleName
	upstreamName
)

// placeholders are the words that ${…} may hold; a word that ends in a dot goes
// on with a name.
var placeholders = [...]struct {
	word string
	is   placeholder
}{
	{"key.name", keyName}, {"user.name", userName}, {"tag.", tagValue}, {"model", requestModel}, {"request.id", requestID},
	{"header.", headerValue}, {"query.", parameterValue}, {"rule.name", ruleName}, {"upstream.name", upstreamName},
}

const placeholderHint = "placeholders are key.name, user.name, tag.NAME, model, request.id, header.NAME, query.NAME, rule.name, upstream.name"

// template is a text with placeholders, parsed once.
type template struct {
	text   string  // as written
	pieces []piece // nil where there is no placeholder
}

// piece is literal text, or what a placeholder stands for.
type piece struct {
	is   placeholder
	text string // literal; or the name of a tag, a header (canonical) or a parameter
}

// mistake is what is wrong with a template.
type mistake struct{ message, hint, suggestion string }

// parseTemplate reads a text with placeholders. groups says whether ${1} is a
// group of a regular expression and stays as it is.
func parseTemplate(text string, groups bool) (template, *mistake) {
	t := template{text: text}
	if !strings.Contains(text, "${") {
		return t, nil
	}
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "${")
		t.literal(before)
		if !found {
			break
		}
		word, behind, closed := strings.Cut(after, "}")
		if !closed {
			return t, &mistake{message: "a ${ without its closing brace", hint: placeholderHint}
		}
		if rest = behind; groups && isNumber(word) {
			t.literal("${" + word + "}")
			continue
		}
		p, err := parsePlaceholder(word)
		if err != nil {
			return t, err
		}
		t.pieces = append(t.pieces, p)
	}
	if !slices.ContainsFunc(t.pieces, func(p piece) bool { return p.is != literalText }) {
		t.pieces = nil
	}
	return t, nil
}

func (t *template) literal(text string) {
	if text != "" {
		t.pieces = append(t.pieces, piece{text: text})
	}
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

func parsePlaceholder(word string) (piece, *mistake) {
	for _, known := range placeholders {
		if word == known.word && !strings.HasSuffix(known.word, ".") {
			return piece{is: known.is}, nil
		}
		if name, ok := strings.CutPrefix(word, known.word); ok && strings.HasSuffix(known.word, ".") {
			return namedPlaceholder(known.is, name)
		}
	}
	return piece{}, &mistake{
		message: "unknown placeholder \"${" + shorten(word) + "}\"", hint: placeholderHint, suggestion: nearestPlaceholder(word),
	}
}

func namedPlaceholder(is placeholder, name string) (piece, *mistake) {
	switch {
	case name == "":
		return piece{}, &mistake{message: "a placeholder without a name", hint: placeholderHint}
	case is == headerValue && !validHeaderName(name):
		return piece{}, &mistake{message: "\"" + shorten(name) + "\" is not the name of a header"}
	case is == headerValue && isCarrier(name):
		return piece{}, &mistake{message: "\"" + name + "\" carries credentials and cannot be passed on"}
	case is == parameterValue && name == keyParameter:
		return piece{}, &mistake{message: "the parameter \"key\" carries credentials and cannot be passed on"}
	case is == headerValue:
		name = textproto.CanonicalMIMEHeaderKey(name)
	}
	return piece{is: is, text: name}, nil
}

// keyParameter is the query parameter in which Google's clients carry a key.
const keyParameter = "key"

// isCarrier says whether a header carries credentials of callers or upstreams.
func isCarrier(name string) bool {
	return slices.Contains(credentialHeaders, textproto.CanonicalMIMEHeaderKey(name))
}

// nearestPlaceholder gives the word that was probably meant; of one with a name,
// what stands before the name is compared.
func nearestPlaceholder(word string) string {
	var words []string
	for _, known := range placeholders {
		if !strings.HasSuffix(known.word, ".") {
			words = append(words, known.word)
		}
	}
	if near := nearestWord(word, words); near != "" {
		return "${" + near + "}"
	}
	first, name, ok := strings.Cut(word, ".")
	if near := nearestWord(first, []string{"tag", "header", "query"}); ok && near != "" {
		return "${" + near + "." + shorten(name) + "}"
	}
	return ""
}

// filling is what the placeholders of one rule stand for.
type filling struct {
	q        *Request
	rule     string
	upstream string
}

// fill writes the text out. ok is false where a value must not be passed on: it
// holds a control character, or a key of this gateway. Where escape is given,
// it writes each value. A text without placeholders costs nothing.
func (t *template) fill(f *filling, escape func(string) string) (text string, ok bool) {
	if t.pieces == nil {
		return t.text, true
	}
	var b strings.Builder
	for i := range t.pieces {
		p := &t.pieces[i]
		if p.is == literalText {
			b.WriteString(p.text)
			continue
		}
		value := f.value(p)
		if hasControl(value) || strings.Contains(value, accounts.KeyPrefix) {
			return "", false
		}
		if escape != nil {
			value = escape(value)
		}
		b.WriteString(value)
	}
	return b.String(), true
}

// value is what a placeholder stands for, "" where the request has no such
// thing; of several values the first.
func (f *filling) value(p *piece) string {
	switch p.is {
	case keyName:
		return f.q.Key
	case userName:
		return f.q.User
	case tagValue:
		value, _ := f.q.tag(p.text)
		return value
	case requestModel:
		return f.q.Model
	case requestID:
		return f.q.ID
	case headerValue:
		if values := f.q.Header[p.text]; len(values) > 0 {
			return values[0]
		}
	case parameterValue:
		return firstParameter(f.q.RawQuery, p.text)
	case ruleName:
		return f.rule
	case upstreamName:
		return f.upstream
	}
	return ""
}

// example is the text with something else in place of each placeholder.
func (t *template) example(value string) string {
	if t.pieces == nil {
		return t.text
	}
	var b strings.Builder
	for _, p := range t.pieces {
		if p.is == literalText {
			b.WriteString(p.text)
		} else {
			b.WriteString(value)
		}
	}
	return b.String()
}

// escapeSegment writes a value as a piece of one path segment: everything but
// the unreserved characters of RFC 3986 §2.3 escaped.
func escapeSegment(value string) string {
	out := make([]byte, 0, len(value))
	for i := range len(value) {
		out = appendEscape(out, value[i])
	}
	return string(out)
}
