package proxy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The corpus of raw requests, testdata/raw/*.txt, is read as a reader reads it:
//
//	# what the case shows, as a sentence
//	> what the client sends; ends of lines only where \r and \n say so
//	< 400 bad_path       an answer: its status and x-llmgw-error
//	< 400 "text"         an answer of net/http's own, with its body
//	< kept               the connection takes another request afterwards; else: closed
//	^ POST /v1/x 17      a request that the upstream saw, with the length of its body
//	^ | Accept: */*      a header field of it, beyond Host, Content-Length and the credential
//
// In what is sent, \r \n \t \xHH and \\ stand for bytes, ${key}, ${other} for
// two gateway keys, ${text*N} for text N times, and ${end} for the end of what
// the client says. go test -run Raw -update writes the lines < and ^ anew.

// rawCase is one of them.
type rawCase struct {
	title   string
	script  []string // the lines "> ", without that
	outcome string   // the lines "< " and "^ ", as they stand
	comment string   // what stands above the title
}

var update = flag.Bool("update", false, "write testdata anew")

// readCorpus reads the cases of a file.
func readCorpus(t testing.TB, file string) (cases []*rawCase) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c *rawCase
	comment := ""
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		switch {
		case mark == "//":
			comment += line + "\n"
		case mark == "#":
			c = &rawCase{title: rest, comment: comment}
			comment = ""
			cases = append(cases, c)
		case line == "":
		case c != nil && mark == ">":
			c.script = append(c.script, rest)
		case c != nil && (mark == "<" || mark == "^"):
			c.outcome += line + "\n"
		default:
			t.Fatalf("%s:%d: %q is no line of a case", file, n+1, line)
		}
	}
	return cases
}

// corpusFiles lists the corpus.
func corpusFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/raw/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	return files
}

// writeCorpus writes a file with the outcomes that cases have now.
func writeCorpus(t testing.TB, file string, cases []*rawCase) {
	t.Helper()
	var out strings.Builder
	for n, c := range cases {
		if n > 0 {
			out.WriteString("\n")
		}
		if c.comment != "" {
			out.WriteString(c.comment + "\n")
		}
		fmt.Fprintf(&out, "# %s\n", c.title)
		for _, line := range c.script {
			out.WriteString("> " + line + "\n")
		}
		out.WriteString(c.outcome)
	}
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

var placeholder = regexp.MustCompile(`\$\{(key|other|end|[^}]*\*[0-9]+)\}`)

// sends gives the bytes that a case sends, and whether the client says that it
// has ended after them.
func (c *rawCase) sends(t testing.TB, key, other string) (all []byte, end bool) {
	t.Helper()
	for _, line := range c.script {
		line = placeholder.ReplaceAllStringFunc(line, func(found string) string {
			switch name := found[2 : len(found)-1]; name {
			case "key":
				return key
			case "other":
				return other
			case "end":
				end = true
				return ""
			default:
				at := strings.LastIndexByte(name, '*')
				times, err := strconv.Atoi(name[at+1:])
				if err != nil {
					t.Fatalf("%s: %v", c.title, err)
				}
				return strings.Repeat(name[:at], times)
			}
		})
		all = append(all, unescapeBytes(t, line)...)
	}
	return all, end
}

// unescapeBytes reads the escapes of a line.
func unescapeBytes(t testing.TB, line string) (out []byte) {
	t.Helper()
	for len(line) > 0 {
		if line[0] != '\\' {
			out, line = append(out, line[0]), line[1:]
			continue
		}
		value, _, rest, err := strconv.UnquoteChar(line, 0)
		if err != nil || value > 0xff {
			t.Fatalf("%q: no byte: %v", line, err)
		}
		out, line = append(out, byte(value)), rest
	}
	return out
}

// keeps says whether the connection is to be kept.
func (c *rawCase) keeps() bool { return strings.Contains(c.outcome, "< kept\n") }

var requestLine = regexp.MustCompile(`^([A-Z]+) \S+ HTTP/1\.\d\\r\\n`)

// methods lists the methods of a case's requests, in order: what is sent for
// HEAD is answered without a body.
func (c *rawCase) methods() (all []string) {
	for _, line := range c.script {
		if found := requestLine.FindStringSubmatch(line); found != nil {
			all = append(all, found[1])
		}
	}
	return all
}
