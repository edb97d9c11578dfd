package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// curlCall is a curl command line as it is read.
type curlCall struct {
	method  string
	url     string
	headers [][2]string
	data    []string // each joined to the last with &
	form    []formField
	json    bool
	get     bool // data goes into the query
	head    bool
}

// formField is one -F: a text, or the name of a file.
type formField struct {
	name, value string
	isFile      bool
}

// requestFromCurl reads a curl command, as a shell's history or a browser's
// "copy as cURL" has it, into the request that it would send.
func requestFromCurl(command string) (api.ExplainRequest, error) {
	words, err := shellWords(strings.TrimPrefix(strings.TrimSpace(command), "$ "))
	if err != nil {
		return api.ExplainRequest{}, err
	}
	var c curlCall
	if err := c.read(words[1:]); err != nil {
		return api.ExplainRequest{}, err
	}
	return c.request()
}

// curlSilent are flags of curl without a value that change nothing of what is
// sent, as far as rules can see it.
func curlSilent() []string {
	return strings.Fields("-s --silent -S --show-error -v --verbose -i --include -k --insecure -L --location -N --no-buffer -f --fail " +
		"--fail-with-body -g --globoff -n -O --remote-name -J -j -l -q --disable -# --progress-bar --compressed --compressed-ssh --http1.0 " +
		"-0 --http1.1 --http2 --http2-prior-knowledge --http3 --tlsv1.2 --tlsv1.3 -4 --ipv4 -6 --ipv6 --path-as-is --no-progress-meter " +
		"--no-keepalive --raw --tcp-nodelay --location-trusted")
}

// curlWithValue are the flags that have a value: those of curlCall.option, and
// others that change nothing of what is sent.
func curlWithValue() []string {
	return strings.Fields("-X --request --url -H --header -A --user-agent -e --referer -b --cookie -u --user -d --data --data-ascii --data-raw " +
		"--data-binary --json --data-urlencode -F --form --form-string -o --output -m --max-time --connect-timeout --retry --retry-delay --retry-max-time -w --write-out -D --dump-header " +
		"-c --cookie-jar --cacert --capath -E --cert --key --resolve --connect-to -x --proxy --noproxy --interface --unix-socket --limit-rate " +
		"--keepalive-time --ciphers --trace --trace-ascii --stderr -K --config --speed-limit -Y --speed-time -y")
}

// read takes the words behind curl itself.
func (c *curlCall) read(words []string) error {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if !strings.HasPrefix(word, "-") || word == "-" {
			if c.url != "" {
				return fmt.Errorf("the command has two URLs")
			}
			c.url = word
			continue
		}
		name, value, attached := splitCurlFlag(word)
		if slices.Contains(curlSilent(), name) || c.toggle(name) {
			if attached && !strings.HasPrefix(name, "--") { // -sS: what follows is another flag
				words = append([]string{"-" + value}, words...)
			}
			continue
		}
		switch {
		case !slices.Contains(curlWithValue(), name):
			return fmt.Errorf("the curl option %s is not known here; leave it out", name)
		case !attached && len(words) == 0:
			return fmt.Errorf("curl's %s has no value", name)
		case !attached:
			value, words = words[0], words[1:]
		}
		if err := c.option(name, value); err != nil {
			return err
		}
	}
	return nil
}

// splitCurlFlag takes -XPOST apart, and --request=POST.
func splitCurlFlag(word string) (name, value string, attached bool) {
	if strings.HasPrefix(word, "--") {
		return strings.Cut(word, "=")
	}
	return word[:2], word[2:], len(word) > 2
}

func (c *curlCall) toggle(name string) bool {
	switch name {
	case "-G", "--get":
		c.get = true
	case "-I", "--head":
		c.head = true
	default:
		return false
	}
	return true
}

// option takes a flag that has a value.
func (c *curlCall) option(name, value string) error {
	switch name {
	case "-X", "--request":
		c.method = strings.ToUpper(value)
	case "--url":
		c.url = value
	case "-H", "--header":
		return c.header(value)
	case "-A", "--user-agent":
		c.headers = append(c.headers, [2]string{"User-Agent", value})
	case "-e", "--referer":
		c.headers = append(c.headers, [2]string{"Referer", value})
	case "-b", "--cookie":
		c.headers = append(c.headers, [2]string{"Cookie", value})
	case "-u", "--user":
		c.headers = append(c.headers, [2]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(value))})
	case "-d", "--data", "--data-ascii", "--data-raw", "--data-binary", "--json", "--data-urlencode":
		c.json = c.json || name == "--json"
		return c.addData(name, value)
	case "-F", "--form", "--form-string":
		return c.addField(name, value)
	}
	return nil
}

// header takes "Name: value", and "Name;" for a header without a value. What
// ends in a colon takes one of curl's own away.
func (c *curlCall) header(text string) error {
	if strings.HasPrefix(text, "@") {
		return fmt.Errorf("headers from a file (-H @FILE) are not read; write them out")
	}
	name, value, ok := strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	if bare, empty := strings.CutSuffix(text, ";"); !ok && empty {
		name, ok = bare, true
	} else if ok && value == "" {
		return nil
	}
	if !ok {
		return fmt.Errorf("a header of the command is not NAME: VALUE")
	}
	c.headers = append(c.headers, [2]string{strings.TrimSpace(name), value})
	return nil
}

func (c *curlCall) addData(name, value string) error {
	file, fromFile := strings.CutPrefix(value, "@")
	switch {
	case name == "--data-urlencode":
		key, text, named := strings.Cut(value, "=")
		if !named {
			key, text = "", value
		}
		if value = url.QueryEscape(text); key != "" {
			value = key + "=" + value
		}
	case fromFile && name != "--data-raw":
		content, err := readBounded(file)
		if err != nil {
			return err
		}
		if name == "-d" || name == "--data" || name == "--data-ascii" {
			content = strings.NewReplacer("\r", "", "\n", "").Replace(content)
		}
		value = content
	}
	if name == "--json" && len(c.data) > 0 { // --json joins without &
		c.data[len(c.data)-1] += value
		return nil
	}
	c.data = append(c.data, value)
	return nil
}

// addField takes NAME=TEXT or NAME=@FILE, with what may follow a semicolon.
func (c *curlCall) addField(flag, text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("curl's %s wants NAME=CONTENT", flag)
	}
	field := formField{name: name, value: value}
	if flag != "--form-string" {
		for _, more := range []string{";type=", ";filename=", ";headers="} {
			field.value, _, _ = strings.Cut(field.value, more)
		}
		field.value, field.isFile = strings.CutPrefix(field.value, "@")
	}
	c.form = append(c.form, field)
	return nil
}

// readBounded reads a file that the command names, if it is of a size that a
// request can have.
func readBounded(file string) (string, error) {
	if file == "-" {
		return "", fmt.Errorf("data from stdin (@-) cannot be read here; write it into a file")
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("the command's data: %w", err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, largestRequest+1))
	if err == nil && len(content) > largestRequest {
		err = fmt.Errorf("%s is over %d MiB", file, largestRequest>>20)
	}
	return string(content), err
}

// request gives what curl would send.
func (c *curlCall) request() (api.ExplainRequest, error) {
	q := api.ExplainRequest{Method: http.MethodGet, Headers: map[string][]string{}}
	data := strings.Join(c.data, "&")
	host, path, err := splitAddress(c.url)
	if err != nil {
		return q, err
	}
	q.Host, q.Path = host, path
	contentType := ""
	switch {
	case c.get:
		q.Path = withQuery(q.Path, data)
	case len(c.form) > 0:
		q.Method = http.MethodPost
		q.Body, contentType = c.multipart()
	case len(c.data) > 0:
		q.Method, q.Body, contentType = http.MethodPost, []byte(data), "application/x-www-form-urlencoded"
	}
	if c.json {
		contentType = "application/json"
		q.Headers["Accept"] = []string{contentType}
	}
	if c.head {
		q.Method = http.MethodHead
	}
	if c.method != "" {
		q.Method = c.method
	}
	if contentType != "" {
		q.Headers["Content-Type"] = []string{contentType}
	}
	c.setHeaders(&q)
	return q, nil
}

// setHeaders puts the command's headers in, in place of curl's own.
func (c *curlCall) setHeaders(q *api.ExplainRequest) {
	own := q.Headers
	q.Headers = map[string][]string{}
	for _, h := range c.headers {
		addHeader(q, h[0], h[1])
	}
	for name, values := range own {
		if len(q.Headers[name]) == 0 {
			q.Headers[name] = values
		}
	}
}

// multipart writes the form without the files that it names: rules see fields.
func (c *curlCall) multipart() (body []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range c.form {
		if f.isFile {
			_, _ = w.CreateFormFile(f.name, f.value) // into memory, as all here
			continue
		}
		_ = w.WriteField(f.name, f.value)
	}
	_ = w.Close()
	return b.Bytes(), w.FormDataContentType()
}

func withQuery(path, query string) string {
	switch {
	case query == "":
		return path
	case strings.Contains(path, "?"):
		return path + "&" + query
	}
	return path + "?" + query
}
