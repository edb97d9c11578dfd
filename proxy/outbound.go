package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// outbound makes the request for an upstream: the path put behind its URL, the
// headers less everything that concerns only this connection or the caller's
// own key, the rule's edits, and last of all the upstream's credential.
func (x *exchange) outbound() (*attempt, *failure) {
	d, t := &x.decision, x.target
	path, err := d.Path(&x.request)
	if err != nil {
		return nil, badRewrite(d.Rule.Name, err)
	}
	x.model = x.request.Model
	content := x.body.bytes
	if model := d.Candidate.Model; model != "" && model != x.request.Model {
		x.model = model
		if path, content, err = x.withModel(path, model); err != nil {
			return nil, badRewrite(d.Rule.Name, err)
		}
	}
	query := rules.StripQuery(x.request.RawQuery, isKeyParameter)
	header := outboundHeader(x.r.Header, x.secret)
	x.applyEdits(header, d.Rule.Headers)
	if t.upstream != nil {
		query = t.upstream.Authorize(header, query, t.secret)
	}
	a := &attempt{
		method: x.request.Method,
		url:    rules.JoinURL(d.Candidate.Base, path, query),
		header: header,
		body:   content,
	}
	x.body.lent = &a.lent
	return a, x.sign(a)
}

var errModelGone = errors.New("the path edit took away the segment that names the model")

// withModel puts another model where the request says its own: into the path,
// or into the bytes of that one JSON string or form field.
func (x *exchange) withModel(path, model string) (string, []byte, error) {
	if !x.read.HasModel {
		return path, x.scan.WithModel(x.body.bytes, model), nil
	}
	read := rules.ReadPath(path)
	if !read.HasModel {
		return "", nil, errModelGone
	}
	path, err := rules.CanonicalPath(read.WithModel(path, model))
	return path, x.body.bytes, err
}

func isKeyParameter(name string) bool { return name == keyParameter }

// hopByHop are the headers that concern one connection only (RFC 9110, section
// 7.6.1), the framing that the transport writes anew, what was answered here
// (Expect), and what a proxy in front of the gateway says of the caller.
var hopByHop = map[string]bool{
	"Connection":          true,
	"Keep-Alive":          true,
	"Proxy-Connection":    true,
	"Proxy-Authenticate":  true,
	"Proxy-Authorization": true,
	"Te":                  true,
	"Trailer":             true,
	"Transfer-Encoding":   true,
	"Upgrade":             true,
	"Content-Length":      true,
	"Expect":              true,
	"Host":                true,
	"Forwarded":           true,
	"X-Forwarded-For":     true,
	"X-Forwarded-Host":    true,
	"X-Forwarded-Proto":   true,
}

// outboundHeader copies what an upstream may see. A gateway key is taken out
// wherever it stands, also in a header that no client of ours would use.
func outboundHeader(in http.Header, secret string) http.Header {
	out := make(http.Header, len(in)+2)
	for name, values := range in {
		if hopByHop[name] || isCarrier(name) || holds(values, secret) {
			continue
		}
		out[name] = values
	}
	for _, named := range in["Connection"] {
		for name := range strings.SplitSeq(named, ",") {
			delete(out, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = noUserAgent // or the transport would name itself
	}
	return out
}

var noUserAgent = []string{""}

// holds says whether a value contains the caller's key or any gateway key.
func holds(values []string, secret string) bool {
	for _, value := range values {
		if strings.Contains(value, accounts.KeyPrefix) || secret != "" && strings.Contains(value, secret) {
			return true
		}
	}
	return false
}

// applyEdits changes headers as a rule says.
func (x *exchange) applyEdits(h http.Header, edits []rules.HeaderEdit) {
	for i := range edits {
		switch e := &edits[i]; e.Op {
		case rules.RemoveHeader:
			delete(h, e.Name)
		case rules.SetHeader:
			h[e.Name] = []string{e.Value}
		case rules.AddHeader:
			// The values may be the request's own slice: grow a copy.
			h[e.Name] = append(h[e.Name][:len(h[e.Name]):len(h[e.Name])], e.Value)
		}
	}
}

// sign signs the request where the upstream wants a signature instead of a
// credential.
func (x *exchange) sign(a *attempt) *failure {
	t := x.target
	if t.upstream == nil || !t.upstream.Placement(t.secret).Signed {
		return nil
	}
	if err := signAWS(context.WithoutCancel(x.ctx), a, t.secret); err != nil {
		return noCredential(x.decision.Rule.Name, t.name).because(err)
	}
	return nil
}

// answerHeader copies an upstream's header to the client, less what concerned
// only that connection.
func answerHeader(out, in http.Header) {
	for name, values := range in {
		if answerHop(name) {
			continue
		}
		out[name] = values
	}
	for _, named := range in["Connection"] {
		for name := range strings.SplitSeq(named, ",") {
			delete(out, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
}

func answerHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"X-Llmgw-Request-Id", "X-Llmgw-Error":
		return true
	}
	return false
}
