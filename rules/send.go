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

// ReadBody looks for model and stream in a whole body: in a form, or in JSON
// where the wire format of the path says so or, on a path that no format
// claims, the content type. contentTypes are the values of that header. The
// error is ErrTwoContentTypes or a *DuplicateKeyError; see RefuseBody.
func (p PathRead) ReadBody(contentTypes []string, body []byte) (Body, error) {
	if len(body) == 0 {
		return Body{}, nil
	}
	if len(contentTypes) > 1 {
		return Body{}, ErrTwoContentTypes
	}
	written := strings.Join(contentTypes, "")
	kind, _, _ := strings.Cut(written, ";")
	switch kind = strings.ToLower(strings.TrimSpace(kind)); {
	case kind == "multipart/form-data":
		return ScanMultipart(written, body)
	case ReadsBody(p.Wire), p.Wire == accounts.WireNone && (kind == "application/json" || strings.HasSuffix(kind, "+json")):
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
	if rewritten && read.HasModel {
		if path, err = withModel(path, model); err != nil {
			return nil, "", false, err
		}
	}
	query := StripQuery(q.RawQuery, func(name string) bool { return name == keyParameter })
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
