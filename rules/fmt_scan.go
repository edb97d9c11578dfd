package rules

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// trivia is what stands in a file for its readers: a comment or a blank line.
type trivia struct {
	offset int
	line   int    // from 1
	column int    // from 1
	text   string // from the # on; empty for a blank line
	alone  bool   // nothing but dashes stands before it on its line
}

// scan finds the comments and blank lines of a text that is YAML. The parser's
// own comments are not used: it loses some and moves others.
type scan struct {
	text    string
	starts  []int              // where each line begins
	opaque  map[int]int        // quoted and block scalars: where they begin and end
	opens   map[int]*yaml.Node // where the bracket of a collection stands
	ends    map[*yaml.Node]int // behind the closing bracket of those
	closed  map[int]bool       // behind quotes and brackets, where a comment needs no blank
	open    []*yaml.Node       // brackets that are open where the scan is
	found   []trivia
	markers []int // where documents begin that say so: ---
	near    mark  // the node that was asked for last
	nearAt  int   // its offset
}

func scanTrivia(text string, documents []*yaml.Node) *scan {
	s := &scan{text: text, starts: lineStarts(text), opaque: map[int]int{}, opens: map[int]*yaml.Node{}, ends: map[*yaml.Node]int{}, closed: map[int]bool{}}
	for _, document := range documents {
		s.learn(document, 0)
	}
	s.read()
	return s
}

// lineStarts cuts a text where YAML 1.1 (§4.2) does, and so the parser.
func lineStarts(text string) []int {
	starts := []int{0}
	for i, r := range text {
		switch r {
		case '\r':
			if strings.HasPrefix(text[i+1:], "\n") {
				continue
			}
			starts = append(starts, i+1)
		case '\n', '\u0085', '\u2028', '\u2029':
			starts = append(starts, i+utf8.RuneLen(r))
		}
	}
	return starts
}

// offset gives the byte at which a node begins. Nodes are asked for in the order
// of the text, so that a long line is not counted from its beginning each time.
func (s *scan) offset(n *yaml.Node) int {
	if n.Line != s.near.line || n.Column < s.near.column {
		s.near, s.nearAt = mark{n.Line, 1}, s.lineStart(n.Line)
	}
	for ; s.near.column < n.Column; s.near.column++ {
		_, size := utf8.DecodeRuneInString(s.text[s.nearAt:])
		s.nearAt += size
	}
	return s.nearAt
}

// learn notes which parts of the text are no place for a comment. indent is
// that of the collection around n.
func (s *scan) learn(n *yaml.Node, indent int) {
	at := s.offset(n)
	switch {
	case n.Kind == yaml.AliasNode:
		return
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		at += strings.IndexAny(s.text[at:], `"'`) // an anchor or tag may stand before it
		s.opaque[at] = s.quoteEnd(at)
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		from, to := s.blockContent(at, indent)
		s.opaque[from] = to
	case n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle != 0:
		at += strings.IndexAny(s.text[at:], "[{")
		s.opens[at] = n
	}
	for i, inner := range n.Content {
		s.learn(inner, s.indentWithin(n, i))
	}
}

// indentWithin gives the indentation that the i-th node of a collection has to
// exceed.
func (s *scan) indentWithin(n *yaml.Node, i int) int {
	if n.Kind == yaml.MappingNode {
		return n.Content[i-i%2].Column - 1
	}
	return dashColumn(n, n.Content[i]) - 1
}

// dashColumn gives the column of a list's item's dash.
func dashColumn(list, item *yaml.Node) int {
	if list.Anchor == "" && list.Style&yaml.TaggedStyle == 0 {
		return list.Column
	}
	return max(1, item.Column-2)
}

// quoteEnd gives the place behind a quoted scalar.
func (s *scan) quoteEnd(at int) int {
	quote := s.text[at]
	for i := at + 1; i < len(s.text); i++ {
		switch {
		case s.text[i] == '\\' && quote == '"':
			i++
		case s.text[i] != quote:
		case quote == '\'' && strings.HasPrefix(s.text[i+1:], "'"):
			i++
		default:
			return i + 1
		}
	}
	return len(s.text)
}

// blockContent gives the lines of a block scalar, without its header, which may
// end in a comment, and without the blank lines behind it.
func (s *scan) blockContent(header, indent int) (from, to int) {
	number := s.lineAt(header)
	least := 0
	if digits := strings.Trim(s.headerWord(header), "|>+-"); digits != "" {
		least = indent + int(digits[0]-'0')
	}
	from = s.lineStart(number + 1)
	to = from
	for number++; number <= len(s.starts); number++ {
		content := s.lineText(number)
		blanks := len(content) - len(strings.TrimLeft(content, " "))
		if blanks == len(content) {
			continue
		}
		if least == 0 {
			least = max(blanks, indent+1)
		}
		if blanks < least {
			break
		}
		to = s.lineStart(number + 1)
	}
	return from, to
}

// headerWord gives the | or > of a block scalar with what belongs to it.
func (s *scan) headerWord(at int) string {
	rest := s.lineText(s.lineAt(at))[at-s.lineStart(s.lineAt(at)):]
	rest = rest[strings.IndexAny(rest, "|>"):]
	word, _, _ := strings.Cut(strings.TrimRight(rest, " \t"), " ")
	word, _, _ = strings.Cut(word, "\t")
	return word
}

// lineAt gives the number of the line that holds a byte.
func (s *scan) lineAt(offset int) int {
	low, high := 0, len(s.starts)
	for high-low > 1 {
		if middle := (low + high) / 2; s.starts[middle] <= offset {
			low = middle
		} else {
			high = middle
		}
	}
	return low + 1
}

func (s *scan) lineStart(number int) int {
	if number > len(s.starts) {
		return len(s.text)
	}
	return s.starts[number-1]
}

// lineText gives a line without its end.
func (s *scan) lineText(number int) string {
	return strings.TrimRight(s.text[s.lineStart(number):s.lineStart(number+1)], "\r\n\u0085\u2028\u2029")
}

func (s *scan) lineEnd(number int) int { return s.lineStart(number) + len(s.lineText(number)) }

// read goes through the text once.
func (s *scan) read() {
	for number := 1; number <= len(s.starts); number++ {
		at, end := s.lineStart(number), s.lineEnd(number)
		if _, content := s.opaque[at]; !content {
			if strings.TrimLeft(s.text[at:end], " \t") == "" {
				s.found = append(s.found, trivia{offset: at, line: number})
				continue
			}
			if len(s.open) == 0 && isMarker(s.text[at:end]) {
				s.markers = append(s.markers, at)
			}
		}
		for at < end {
			if to := s.opaque[at]; to > at {
				s.closed[to] = true
				number = s.lineAt(to - 1)
				at, end = to, s.lineEnd(number)
				continue
			}
			at = s.step(at, end, number)
		}
	}
}

// step reads one byte, or a comment, and gives the place behind it.
func (s *scan) step(at, end, number int) int {
	switch c := s.text[at]; {
	case s.opens[at] != nil:
		s.open = append(s.open, s.opens[at])
	case len(s.open) > 0 && (c == ']' || c == '}'):
		last := len(s.open) - 1
		s.ends[s.open[last]] = at + 1
		s.open, s.closed[at+1] = s.open[:last], true
	case c == '#' && s.beginsComment(at, number):
		s.comment(at, end, number)
		return end
	}
	return at + 1
}

func isMarker(text string) bool {
	rest, ok := strings.CutPrefix(text, "---")
	return ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t')
}

// beginsComment tells a # that begins a comment from one within plain text.
func (s *scan) beginsComment(at, number int) bool {
	if at == s.lineStart(number) || s.closed[at] {
		return true
	}
	before := s.text[at-1]
	return before == ' ' || before == '\t' || len(s.open) > 0 && strings.IndexByte(",[{", before) >= 0
}

func (s *scan) comment(at, end, number int) {
	start := s.lineStart(number)
	s.found = append(s.found, trivia{
		offset: at, line: number, column: utf8.RuneCountInString(s.text[start:at]) + 1,
		text:  strings.TrimRight(s.text[at:end], " \t"),
		alone: strings.Trim(s.text[start:at], "-?. \t") == "",
	})
}
