package rules

import (
	"errors"
	"net/url"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// KnownMethod says whether requests of a method are served, which is written in
// upper case.
func KnownMethod(method string) bool {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return true
	}
	return false
}

// ErrTwoContentTypes is for a request with more than one Content-Type: which of
// them counts is not for the gateway to guess.
var ErrTwoContentTypes = errors.New("the request has more than one Content-Type")

// ReadsWhole says whether a body is read whole before any rule is asked: those
// of every wire format but files, and JSON wherever it is sent. Any other passes
// to the upstream as it comes; what it holds is looked at by nobody. contentTypes
// are the values of that header; where there are two, the request is refused for
// that, and nothing of its body is passed on.
func (p PathRead) ReadsWhole(contentTypes []string) bool {
	if p.Wire != accounts.WireNone && p.Wire != accounts.WireOpenAIFiles || len(contentTypes) > 1 {
		return true
	}
	return isJSONType(mediaType(contentTypes))
}

// SizeOf gives the size that body_bytes compares: length, or -1, which is no
// size at all, for a body in chunks that is not read whole.
func (p PathRead) SizeOf(contentTypes []string, chunked bool, length int64) int64 {
	if chunked && !p.ReadsWhole(contentTypes) {
		return -1
	}
	return length
}

// mediaType is a content type without its parameters, in lower case.
func mediaType(contentTypes []string) string {
	kind, _, _ := strings.Cut(strings.Join(contentTypes, ""), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

func isJSONType(kind string) bool {
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// ReadBody looks for model and stream in a whole body: in the form or JSON of a
// wire format that has them there or, on a path that no format claims, in what
// the content type says is JSON. contentTypes are the values of that header. The
// error is ErrTwoContentTypes, ErrTwoModels or a *DuplicateKeyError; see
// RefuseBody.
func (p PathRead) ReadBody(contentTypes []string, body []byte) (Body, error) {
	switch {
	case p.twice:
		return Body{}, ErrTwoModels
	case len(body) == 0:
		return Body{}, nil
	}
	if len(contentTypes) > 1 {
		return Body{}, ErrTwoContentTypes
	}
	switch kind := mediaType(contentTypes); {
	case ReadsBody(p.Wire) && kind == "multipart/form-data":
		return ScanMultipart(contentTypes[0], body)
	case ReadsBody(p.Wire), p.Wire == accounts.WireNone && isJSONType(kind):
		return ScanBody(body)
	}
	return Body{}, nil
}

var errModelGone = &PathError{Reason: "the path edit took away the segment that names the model"}

// Destination gives the URL to which a request goes at c, less any credential,
// and the model it asks for there. inBody says that the model is another than
// the request's and stands in the body, whose bytes it replaces; see
// Body.WithModel. read is what the request's path says. The error is a
// *PathError, for RefuseRewrite.
func (d *Decision) Destination(q *Request, c *Candidate, read PathRead) (to *url.URL, model string, inBody bool, err error) {
	path, err := d.Path(q, c)
	if err != nil {
		return nil, "", false, err
	}
	model, rewritten := d.Model(q, c)
	query := q.RawQuery
	switch {
	case rewritten && read.inQuery:
		query = read.withQueryModel(query, model)
	case rewritten && read.HasModel:
		if path, err = withModel(path, model); err != nil {
			return nil, "", false, err
		}
	}
	query = StripQuery(query, func(name string) bool { return name == keyParameter })
	return JoinURL(c.Base, path, query), model, rewritten && !read.HasModel, nil
}

// withModel puts another model into the segment of a path that names one.
func withModel(path, model string) (string, error) {
	read := ReadPath(path)
	if !read.HasModel {
		return "", errModelGone
	}
	return CanonicalPath(read.WithModel(path, model))
}
