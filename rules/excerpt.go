package rules

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxExcerptLine is the longest line, in characters, of which an excerpt is
// worth showing.
const maxExcerptLine = 160

// Excerpt gives the line of source that the problem is about, and under it a
// mark, each ending in a line feed:
//
//	14 |       contians: sonnet
//	   |       ^^^^^^^^ did you mean "contains"?
//
// It gives nothing where the line could hold a secret: where the text is not
// YAML and nobody knows what stands where, in values that are sent or answered,
// on any line that speaks of credentials, and in all that is said of upstreams,
// users, keys and bindings.
func (p *Problem) Excerpt(source []byte) string {
	line, ok := lineOf(source, p.Line)
	if !ok || p.Field == "" || p.Column < 1 || isObjectPath(p.Field) || mayHoldSecret(p.Field) || mayHoldSecret(line) {
		return ""
	}
	before, rest, ok := cutAt(line, p.Column-1)
	if !ok || utf8.RuneCountInString(line) > maxExcerptLine {
		return ""
	}
	mark := strings.Repeat("^", max(1, utf8.RuneCountInString(wordAt(rest))))
	if p.Suggestion != "" {
		mark += fmt.Sprintf(" did you mean %q?", p.Suggestion)
	}
	gutter := fmt.Sprintf("%5d | ", p.Line)
	blank := strings.Repeat(" ", len(gutter)-2) + "| "
	return gutter + line + "\n" + blank + indentLike(before) + mark + "\n"
}

// secretWords stand in the fields whose values leave the gateway, and in the
// names that people give to credentials.
var secretWords = []string{
	"headers", "respond", "target", "authorization", "cookie", "token", "secret", "password",
	"passwd", "credential", "api-key", "apikey", "api_key", "x-key", "auth", "bearer", "sk-", "key:", "@", "://",
}

func mayHoldSecret(text string) bool {
	// Tokens that models count are no secret.
	text = strings.NewReplacer("first_token", "", " tokens/", "").Replace(strings.ToLower(text))
	for _, word := range secretWords {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// lineOf gives a line, counted from 1, without its end.
func lineOf(source []byte, number int) (string, bool) {
	if number < 1 || !utf8.Valid(source) {
		return "", false
	}
	text := string(source)
	for ; number > 1; number-- {
		_, after, found := strings.Cut(text, "\n")
		if !found {
			return "", false
		}
		text = after
	}
	line, _, _ := strings.Cut(text, "\n")
	line = strings.TrimSuffix(line, "\r")
	return line, !strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// cutAt splits a line behind so many characters.
func cutAt(line string, characters int) (before, rest string, ok bool) {
	for i := range line {
		if characters == 0 {
			return line[:i], line[i:], true
		}
		characters--
	}
	return line, "", characters == 0
}

// wordAt gives the scalar, or the bracket, that a text begins with.
func wordAt(text string) string {
	if text == "" {
		return ""
	}
	if quote := text[0]; quote == '"' || quote == '\'' {
		if end := strings.IndexByte(text[1:], quote); end >= 0 {
			return text[:end+2]
		}
		return text
	}
	if strings.ContainsRune("[]{}-", rune(text[0])) {
		return text[:1]
	}
	end := len(text)
	for _, stop := range []string{": ", ", ", "]", "}", " #"} {
		if at := strings.Index(text, stop); at >= 0 && at < end {
			end = at
		}
	}
	return strings.TrimRight(strings.TrimSuffix(text[:end], ":"), " ")
}

// indentLike gives blanks as wide as text, keeping its tabs.
func indentLike(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, text)
}
