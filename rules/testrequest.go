package rules

import (
	"encoding/json"

	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// TestRequestID is the id of every request of a test, for ${request.id}.
const TestRequestID = "req_test"

// requestReader reads the request of a test.
type requestReader struct {
	*decoder
	q      Request
	model  string // as the test says it
	body   string
	at     map[string]*yaml.Node // the fields that are given
	stream *bool
}

func (d *decoder) testRequest(path string, n *yaml.Node) Request {
	r := requestReader{decoder: d, q: Request{ID: TestRequestID, Method: "POST"}, at: map[string]*yaml.Node{}}
	note := func(name string, read func(path string, n *yaml.Node)) field {
		return field{name, func(path string, n *yaml.Node) {
			r.at[name] = n
			read(path, n)
		}}
	}
	seen := d.object(path, n, "field", "fields of a request are",
		note("method", r.readMethod),
		note("path", r.readPath),
		note("host", func(path string, n *yaml.Node) { r.q.Host = d.filled(path, n) }),
		note("model", func(path string, n *yaml.Node) { r.model = d.filled(path, n) }),
		note("stream", func(path string, n *yaml.Node) { r.stream = d.boolean(path, n) }),
		note("headers", r.readHeaders),
		note("query", r.readQuery),
		note("key", func(path string, n *yaml.Node) { r.q.Key = d.filled(path, n) }),
		note("user", func(path string, n *yaml.Node) { r.q.User = d.filled(path, n) }),
		note("tags", func(path string, n *yaml.Node) { r.q.Tags = d.textMap(path, n) }),
		note("source", r.readSource),
		note("body_bytes", r.readSize),
		note("body", r.readContent),
	)
	d.require(n, path, seen, "path", "it looks like /v1/chat/completions")
	r.look(path)
	return r.q
}

func (r *requestReader) readMethod(path string, n *yaml.Node) {
	method := r.filled(path, n)
	if method != "" && !KnownMethod(method) {
		r.suggest(at(n), path, "methods are "+strings.Join(methods, ", "), nearestWord(method, methods), "unknown method %q", shorten(method))
	}
	r.q.Method = method
}

// readPath reads the path with its query, if it has one.
func (r *requestReader) readPath(path string, n *yaml.Node) {
	value := r.filled(path, n)
	if value == "" {
		return
	}
	before, query, _ := strings.Cut(value, "?")
	canonical, err := CanonicalPath(before)
	if err != nil {
		r.refuse(at(n), path, "", "%v", err)
		return
	}
	r.q.Path = canonical
	r.q.RawQuery = strings.Trim(query+"&"+r.q.RawQuery, "&")
}

func (r *requestReader) readHeaders(path string, n *yaml.Node) {
	r.q.Header = map[string][]string{}
	r.pairs(path, n, func(key, value *yaml.Node) {
		inner, name := join(path, key.Value), textproto.CanonicalMIMEHeaderKey(key.Value)
		switch {
		case !validHeaderName(key.Value):
			r.refuse(at(key), inner, "", "%q is not the name of a header", shorten(key.Value))
		case name == "Host":
			r.refuse(at(key), inner, "use request.host", "the host is not among the headers")
		case r.q.Header[name] != nil:
			r.refuse(at(key), inner, "give several values as a list", "%q is given twice", key.Value)
		}
		values := r.values(inner, value)
		if slices.ContainsFunc(values, hasControl) {
			r.refuse(at(value), inner, "", "the value holds a control character")
		}
		r.q.Header[name] = values
	})
}

// values reads a text, or several in a list; here a text may be empty.
func (r *requestReader) values(path string, n *yaml.Node) []string {
	if r.resolve(n).Kind == yaml.SequenceNode {
		return r.texts(path, n)
	}
	return []string{r.text(path, n)}
}

func (r *requestReader) readQuery(path string, n *yaml.Node) {
	query := url.Values{}
	r.pairs(path, n, func(key, value *yaml.Node) { query[key.Value] = r.values(join(path, key.Value), value) })
	r.q.RawQuery = strings.Trim(r.q.RawQuery+"&"+query.Encode(), "&")
}

func (r *requestReader) readSource(path string, n *yaml.Node) {
	value := r.filled(path, n)
	if value == "" {
		return
	}
	source, err := netip.ParseAddr(value)
	if err != nil {
		r.refuse(at(n), path, "it looks like 10.1.2.3", "not an address")
	}
	r.q.Source = source.Unmap()
}

func (r *requestReader) readSize(path string, n *yaml.Node) {
	r.q.BodyBytes = int64(r.number(path, n, 0, int(maxSize)))
}

// readContent reads a body: text, or fields that are sent as JSON.
func (r *requestReader) readContent(path string, n *yaml.Node) {
	n = r.resolve(n)
	if n.Kind != yaml.MappingNode {
		r.body = r.text(path, n)
		return
	}
	var value map[string]any
	if err := n.Decode(&value); err != nil {
		r.refuse(at(n), path, "write it as text", "the fields cannot be written as JSON")
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		r.refuse(at(n), path, "write it as text", "the fields cannot be written as JSON")
	}
	r.body = string(text)
}

// look reads wire format, model and stream where the proxy finds them: in the
// path, or else in the body, for which the test's own model and stream stand
// where they are given.
func (r *requestReader) look(path string) {
	read := ReadTarget(r.q.Path, r.q.RawQuery)
	r.q.Websocket = AsksForWebsocket(r.q.Method, r.q.Header)
	r.q.Wire, r.q.Model, r.q.HasModel, r.q.Stream = read.Wire, read.Model, read.HasModel, read.Stream
	if content := r.at["body"]; content != nil {
		r.lookInto(read, content, path)
	} else if read.twice {
		r.refuse(at(r.at["path"]), join(path, "path"), "the gateway answers it with a 400 before any rule is asked", "%v", ErrTwoModels)
	}
	if r.model != "" {
		if r.q.HasModel && r.q.Model != r.model {
			r.refuse(at(r.at["model"]), join(path, "model"), "leave one of them out", "the request names another model already: %q", shorten(r.q.Model))
		}
		r.q.Model, r.q.HasModel = r.model, true
	}
	if r.stream != nil {
		if r.q.Stream && !*r.stream {
			r.refuse(at(r.at["stream"]), join(path, "stream"), "leave one of them out", "the request asks for a stream already")
		}
		r.q.Stream = *r.stream
	}
	if r.at["body"] == nil && r.at["body_bytes"] == nil && r.q.HasModel && !read.inQuery {
		r.q.BodyBytes = -1
	}
}

// lookInto reads a body that is written out. A test that names no content type
// means JSON.
func (r *requestReader) lookInto(read PathRead, content *yaml.Node, path string) {
	if size := r.at["body_bytes"]; size != nil {
		r.refuse(at(size), join(path, "body_bytes"), "leave it out", "the body is written out, so its size is known")
	}
	types := r.q.Header["Content-Type"]
	if types == nil {
		types = []string{"application/json"}
	}
	r.q.BodyBytes = read.SizeOf(types, r.q.Header["Transfer-Encoding"] != nil, int64(len(r.body)))
	found, err := read.ReadBody(types, []byte(r.body))
	if err != nil {
		r.refuse(at(content), join(path, "body"), "the gateway answers it with a 400 before any rule is asked", "%v", err)
	}
	if !r.q.HasModel && found.HasModel {
		r.q.Model, r.q.HasModel = found.Model, true
	}
	r.q.Stream = r.q.Stream || found.Stream
}
