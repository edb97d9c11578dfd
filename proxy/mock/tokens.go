package mock

import (
	"unicode"
	"unicode/utf8"
)

// tokenRunes is how much of a word one token holds.
const tokenRunes = 8

// firstToken gives the length in bytes of the first token of text: the white
// space it begins with, then up to tokenRunes characters of the word behind it.
func firstToken(text string) int {
	word := 0
	for i, r := range text {
		space := unicode.IsSpace(r)
		if word > 0 && space || word == tokenRunes {
			return i
		}
		if !space {
			word++
		}
	}
	return len(text)
}

// countTokens says how many tokens text has.
func countTokens(text string) int {
	n := 0
	for ; text != ""; n++ {
		text = text[firstToken(text):]
	}
	return n
}

// splitTokens cuts text into its tokens; put together they are text again.
func splitTokens(text string) []string {
	tokens := make([]string, 0, len(text)/6+1)
	for text != "" {
		n := firstToken(text)
		tokens = append(tokens, text[:n])
		text = text[n:]
	}
	return tokens
}

// brief gives the beginning of text, at most so many runes.
func brief(text string, runes int) string {
	for i := range text {
		if runes == 0 {
			return text[:i] + "…"
		}
		runes--
	}
	return text
}

// insideRune gives the index behind the first byte of the first character of p
// that has several, len(p) where there is none.
func insideRune(p []byte) int {
	for i, c := range p {
		if c >= utf8.RuneSelf && utf8.RuneStart(c) && i+1 < len(p) {
			return i + 1
		}
	}
	return len(p)
}
