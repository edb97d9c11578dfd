package main

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shellWords splits one command as a POSIX shell does, $'…' too, up to the first
// pipe, redirection, semicolon or line end. Nothing is run or looked up: $NAME
// stays as it is written, and $(…) is refused.
func shellWords(command string) ([]string, error) {
	s := shellScanner{rest: command}
	for s.rest != "" {
		if done, err := s.step(); err != nil || done {
			return s.words, err
		}
	}
	s.endWord()
	return s.words, nil
}

var (
	errOpenQuote    = errors.New("a quote is not closed")
	errSubstitution = errors.New("$(…) and `…` are not run here; write what they give")
)

type shellScanner struct {
	rest   string
	words  []string
	word   strings.Builder
	inWord bool // a word has begun, be it empty: ''
	quoted bool // some of the word was quoted
}

// step reads what comes next; done says that the command ends here.
func (s *shellScanner) step() (done bool, err error) {
	switch c := s.rest[0]; {
	case strings.HasPrefix(s.rest, "\\\r\n"):
		s.rest = s.rest[3:]
	case strings.HasPrefix(s.rest, "\\\n"):
		s.rest = s.rest[2:]
	case c == ' ' || c == '\t' || c == '\r':
		s.endWord()
		s.rest = s.rest[1:]
	case c == '\n':
		s.endWord()
		s.rest = s.rest[1:]
		return len(s.words) > 0, nil
	case c == '#' && !s.inWord:
		_, after, _ := strings.Cut(s.rest, "\n")
		s.rest = "\n" + after
	case strings.IndexByte("|;&<>()", c) >= 0:
		s.endCommand(c)
		return true, nil
	default:
		s.inWord = true
		return false, s.character(c)
	}
	return false, nil
}

// endCommand ends the last word, unless it is the 2 of 2>file.
func (s *shellScanner) endCommand(operator byte) {
	if _, err := strconv.Atoi(s.word.String()); err == nil && !s.quoted && (operator == '>' || operator == '<') {
		return
	}
	s.endWord()
}

func (s *shellScanner) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord, s.quoted = false, false
}

// character reads one character of a word, or one quoted part of it.
func (s *shellScanner) character(c byte) error {
	switch {
	case strings.HasPrefix(s.rest, "$'"):
		s.quoted, s.rest = true, s.rest[2:]
		return s.ansi()
	case c == '\'':
		text, after, closed := strings.Cut(s.rest[1:], "'")
		if !closed {
			return errOpenQuote
		}
		s.word.WriteString(text)
		s.quoted, s.rest = true, after
	case c == '"':
		s.quoted, s.rest = true, s.rest[1:]
		return s.double()
	case c == '`', strings.HasPrefix(s.rest, "$("):
		return errSubstitution
	case c == '\\' && len(s.rest) > 1:
		_, size := utf8.DecodeRuneInString(s.rest[1:])
		s.word.WriteString(s.rest[1 : 1+size])
		s.rest = s.rest[1+size:]
	default:
		s.word.WriteByte(c)
		s.rest = s.rest[1:]
	}
	return nil
}

// double reads the rest of "…", where \ stands before $ ` " \ and line ends only.
func (s *shellScanner) double() error {
	for s.rest != "" {
		c := s.rest[0]
		switch {
		case c == '"':
			s.rest = s.rest[1:]
			return nil
		case c == '`', strings.HasPrefix(s.rest, "$("):
			return errSubstitution
		case c == '\\' && len(s.rest) > 1 && strings.IndexByte("$`\"\\\n", s.rest[1]) >= 0:
			if s.rest[1] != '\n' {
				s.word.WriteByte(s.rest[1])
			}
			s.rest = s.rest[2:]
		default:
			s.word.WriteByte(c)
			s.rest = s.rest[1:]
		}
	}
	return errOpenQuote
}

// ansi reads the rest of $'…', as browsers write what has line ends or quotes.
func (s *shellScanner) ansi() error {
	for s.rest != "" {
		switch c := s.rest[0]; {
		case c == '\'':
			s.rest = s.rest[1:]
			return nil
		case c == '\\' && len(s.rest) > 1:
			s.escape(s.rest[1])
		default:
			s.word.WriteByte(c)
			s.rest = s.rest[1:]
		}
	}
	return errOpenQuote
}

// escape reads one escape of $'…'; s.rest begins with its backslash.
func (s *shellScanner) escape(c byte) {
	if at := strings.IndexByte(`abefnrtv\'"?`, c); at >= 0 {
		s.word.WriteByte("\a\b\x1b\f\n\r\t\v\\'\"?"[at])
		s.rest = s.rest[2:]
		return
	}
	widths := map[byte]int{'x': 2, 'u': 4, 'U': 8}
	width, base, from := widths[c], 16, 2
	if c >= '0' && c <= '7' {
		width, base, from = 3, 8, 1
	}
	end := from
	for end < len(s.rest) && end-from < width && strings.IndexByte("0123456789abcdefABCDEF"[:base+6*(base/16)], s.rest[end]) >= 0 {
		end++
	}
	code, err := strconv.ParseUint(s.rest[from:end], base, 32)
	switch {
	case err != nil: // no escape of the shell's: both characters stand for themselves
		s.word.WriteString(s.rest[:2])
		s.rest = s.rest[2:]
		return
	case c == 'u' || c == 'U':
		s.word.WriteRune(rune(code)) // what is no character becomes U+FFFD
	default:
		s.word.WriteByte(byte(code)) // as the shell does: the low eight bits
	}
	s.rest = s.rest[end:]
}
