package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds on what is read, so that no file can hold up who reads it.
const (
	// maxSource is the size of a rules file, in bytes; 10,000 rules of two
	// hundred bytes are half of it.
	maxSource = 4 << 20
	// maxValues is the number of values in a file once its aliases are written
	// out, against the few lines that unfold into millions.
	maxValues = 1 << 20
	// maxProblems is the number of problems of one file that are reported.
	maxProblems = 200
	// maxLocated is the size of a file in which a syntax error is looked for
	// by reading the file again and again.
	maxLocated = 256 << 10
)

// Documents reads YAML that is not yet rules, or says where it stops being
// YAML. The configuration file is read with it as well, so that there is one
// answer to what a text in this language means. Documents that hold nothing are
// left out.
func Documents(name string, source []byte) ([]*yaml.Node, *Problem) {
	// A mark at the beginning of the text, as editors put it there.
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	documents, err := parseYAML(source)
	if err == nil {
		return documents, nil
	}
	at, message := syntaxError(source, err)
	return nil, &Problem{File: name, Line: at.line, Column: at.column, Message: message}
}

// parseYAML gives the documents of a stream. Documents that hold nothing are
// left out: a file may begin with ---.
func parseYAML(source []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var documents []*yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return documents, err
		}
		if len(document.Content) == 1 && document.Content[0].Tag != "!!null" {
			documents = append(documents, document.Content[0])
		}
	}
}

// syntaxError describes a text that is not YAML, where it stops being it.
func syntaxError(source []byte, err error) (where mark, message string) {
	message = reason(err)
	if len(source) > maxLocated {
		return mark{line: reportedLine(err), column: 1}, "not YAML: " + message
	}
	// The library names the line that a block began on rather than the one that
	// is wrong, and no column. The shortest beginning of the text that is wrong
	// for the same reason ends where the error is. Whole lines first: half a
	// line may be wrong that is right when it is complete.
	wrong := func(beginning string) bool {
		_, found := parseYAML([]byte(beginning))
		return found != nil && reason(found) == message
	}
	lines := strings.SplitAfter(string(source), "\n")
	starts := make([]int, len(lines)+1)
	for i, line := range lines {
		starts[i+1] = starts[i] + len(line)
	}
	text := string(source)
	n := sort.Search(len(lines)-1, func(n int) bool { return wrong(text[:starts[n+1]]) })
	line := strings.TrimRight(lines[n], "\r\n")
	end := sort.Search(len(line), func(end int) bool { return wrong(text[:starts[n]+end]) })
	// What is wrong is the last character of that beginning.
	return mark{line: n + 1, column: max(1, utf8.RuneCountInString(line[:end]))}, "not YAML: " + message
}

var yamlPrefix = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func reason(err error) string {
	return yamlPrefix.ReplaceAllString(err.Error(), "")
}

func reportedLine(err error) int {
	found := yamlPrefix.FindStringSubmatch(err.Error())
	if len(found) < 2 || found[1] == "" {
		return 1
	}
	line, _ := strconv.Atoi(found[1]) // digits, or 0 where there are too many of them
	return max(1, line)
}

// kind names what a node is, for people.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "fields"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	case "!!str":
		return "text"
	}
	return fmt.Sprintf("a value tagged %s", shorten(n.Tag))
}

// shorten keeps a message short that repeats what somebody wrote.
func shorten(text string) string {
	const most = 64
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}
