package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// largestRequest bounds what is read as the body of a request: what a gateway
// takes by default.
const largestRequest = 64 << 20

// fileKind is what stands in a file behind -f of explain.
type fileKind uint8

const (
	unknownFile fileKind = iota
	rulesFile
	httpFile // an HTTP/1.1 message
	curlFile // a curl command
)

var (
	curlCommand = regexp.MustCompile(`^(\$ )?curl(\.exe)?[ \t\\]`)
	requestLine = regexp.MustCompile(`^[A-Z]{2,20} +(/|https?://)\S*( +HTTP/[0-9.]+)?[ \t\r]*$`)
)

// kindOf tells rules from requests: *.yaml and *.yml are rules, whatever else is
// known by its first line that is neither empty nor a comment.
func kindOf(source api.Source) fileKind {
	if slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(source.Name)) {
		return rulesFile
	}
	first := ""
	for line := range strings.Lines(source.Content) {
		line = strings.TrimRight(line, "\r\n")
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "#") && !strings.HasPrefix(text, "//") {
			first = strings.TrimLeft(line, " \t")
			break
		}
	}
	switch {
	case curlCommand.MatchString(first + " "):
		return curlFile
	case requestLine.MatchString(first):
		return httpFile
	case first == "---" || strings.HasPrefix(first, "{"), slices.Contains([]string{"version", "set", "order", "rules"}, strings.SplitN(first, ":", 2)[0]):
		return rulesFile
	}
	return unknownFile
}

// requestFromMessage reads an HTTP/1.1 message. Content-Length and chunks are
// not looked at: what stands behind the empty line is the body. In a *.http
// file comments come first, and ### ends the message.
func requestFromMessage(source api.Source) (api.ExplainRequest, error) {
	q := api.ExplainRequest{Headers: map[string][]string{}}
	rest := source.Content
	if slices.Contains([]string{".http", ".rest"}, filepath.Ext(source.Name)) {
		rest = firstMessage(rest)
	}
	line, rest := cutLine(skipComments(rest))
	words := strings.Fields(line)
	host, path, err := splitAddress(words[1])
	if err != nil {
		return q, err
	}
	q.Method, q.Host, q.Path = words[0], host, path
	for number := 2; rest != ""; number++ {
		if line, rest = cutLine(rest); line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return q, fmt.Errorf("header %d is not NAME: VALUE", number-1)
		}
		addHeader(&q, name, strings.TrimSpace(value))
	}
	if len(rest) > 0 {
		q.Body = []byte(rest)
	}
	return q, nil
}

// firstMessage leaves out what stands behind the ### that ends a message.
func firstMessage(text string) string {
	begun, end := false, 0
	for line := range strings.Lines(text) {
		separator := strings.HasPrefix(line, "###")
		if begun && separator {
			return text[:end]
		}
		begun = begun || requestLine.MatchString(strings.TrimRight(line, "\r\n"))
		end += len(line)
	}
	return text
}

// skipComments goes to the first line that says something.
func skipComments(text string) string {
	for text != "" {
		line, rest := cutLine(text)
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "//") {
			return text
		}
		text = rest
	}
	return text
}

func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// splitAddress takes the host and the path with its query from a URL or from
// the target of a request line, as they are written. A URL may lack its scheme,
// as curl has it.
func splitAddress(address string) (host, path string, err error) {
	if address == "" {
		return "", "", fmt.Errorf("there is no URL")
	}
	if strings.HasPrefix(address, "/") {
		return "", address, nil
	}
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		rest = address
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host, path = rest[:end], rest[end:]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 { // user and password
		host = host[at+1:]
	}
	if strings.Contains(host, "$") { // a variable of the shell's
		host = ""
	}
	return host, path, nil
}

// addHeader adds a header; Host is no header of a rule's.
func addHeader(q *api.ExplainRequest, name, value string) {
	name = http.CanonicalHeaderKey(name)
	if name == "Host" {
		q.Host = value
		return
	}
	if q.Headers == nil {
		q.Headers = map[string][]string{}
	}
	q.Headers[name] = append(q.Headers[name], value)
}
