package proxy

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// outbound makes the request for an upstream: the path put behind its URL, the
// headers less everything that concerns only this connection or the caller's
// own key, the rule's edits, and last of all the upstream's credential.
func (x *exchange) outbound(to *rules.Candidate) (*attempt, *failure) {
	d, t := &x.decision, x.target
	destination, model, inBody, err := d.Destination(&x.request, to, x.read)
	if err != nil {
		return nil, badRewrite(d.RuleName(), err)
	}
	x.model = model
	content := x.body.bytes
	if inBody {
		var f *failure
		if content, f = x.withModel(model); f != nil {
			return nil, f
		}
	}
	header := outboundHeader(x.r.Header, x.secret)
	x.trace.inject(header, x.secret)
	x.skippedEdits(d.EditHeaders(&x.request, to, header) + d.SkippedEdits(&x.request, to))
	if x.request.Websocket {
		askForWebsocket(header, x.r.Header)
	}
	destination.RawQuery = withoutKeys(destination.RawQuery)
	if t.upstream != nil {
		destination.RawQuery = t.upstream.Authorize(header, destination.RawQuery, x.credential.reveal())
	}
	a := &attempt{method: x.request.Method, url: destination, header: header, body: content, lent: &x.lent, upgrade: x.request.Websocket}
	return a, x.sign(a)
}

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
	"Http2-Settings":      true,
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
		if hopByHop[name] || isCarrier(name) || namesKey(name) || holds(values, secret) {
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

// namesKey says whether the name of a header, in its canonical form, is made of
// a gateway key.
func namesKey(name string) bool { return strings.Contains(name, "k-Lgw-") }

// holds says whether a value contains the caller's key or any gateway key.
func holds(values []string, secret string) bool {
	for _, value := range values {
		if strings.Contains(value, accounts.KeyPrefix) || secret != "" && strings.Contains(value, secret) {
			return true
		}
	}
	return false
}

// withoutKeys drops the parameters that hold a gateway key, under whatever name
// somebody put it there.
func withoutKeys(rawQuery string) string {
	if plain, err := url.QueryUnescape(rawQuery); err == nil && !strings.Contains(plain, accounts.KeyPrefix) {
		return rawQuery
	}
	var kept []string
	for parameter := range strings.SplitSeq(rawQuery, "&") {
		if !holdsEscaped(parameter) {
			kept = append(kept, parameter)
		}
	}
	return strings.Join(kept, "&")
}

// holdsEscaped says whether a text contains a gateway key as it stands or
// percent-decoded. An escape that is none stands for itself, as it does for the
// servers that do not refuse it, so that it cannot hide a key beside it.
func holdsEscaped(text string) bool {
	if strings.Contains(text, accounts.KeyPrefix) {
		return true
	}
	before, rest, escaped := strings.Cut(text, "%")
	if !escaped {
		return false
	}
	plain := []byte(before)
	for escaped {
		if len(rest) >= 2 {
			if c, err := strconv.ParseUint(rest[:2], 16, 8); err == nil {
				plain, rest = append(plain, byte(c)), rest[2:]
			}
		}
		before, rest, escaped = strings.Cut(rest, "%")
		plain = append(plain, before...)
	}
	return strings.Contains(string(plain), accounts.KeyPrefix)
}

// skippedEdits counts the edits whose value would have held a control
// character.
func (x *exchange) skippedEdits(n int) {
	if n > 0 {
		x.p.metrics.editsSkipped.WithLabelValues(x.ruleName()).Add(float64(n))
	}
}

// sign signs the request where the upstream wants a signature instead of a
// credential.
func (x *exchange) sign(a *attempt) *failure {
	t := x.target
	if !t.signs() {
		return nil
	}
	if err := signAWS(context.WithoutCancel(x.ctx), a, x.credential.reveal()); err != nil {
		return noCredential(x.decision.RuleName(), t.name).because(err)
	}
	return nil
}

// answerHeader copies an upstream's header to the client, less what concerned
// only that connection. What the gateway has put there stays.
func answerHeader(out, in http.Header) {
	named := namedByConnection(in)
	for name, values := range in {
		if answerHop(name) || named[name] {
			continue
		}
		out[name] = values
	}
	if _, ok := out["Content-Type"]; !ok {
		out["Content-Type"] = nil // or the server would guess one
	}
}

// namedByConnection are the headers that the Connection header says concern
// this connection only (RFC 9110, section 7.6.1); nil where it names none.
func namedByConnection(in http.Header) map[string]bool {
	var named map[string]bool
	for _, list := range in["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			if named == nil {
				named = map[string]bool{}
			}
			named[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	return named
}

func answerHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"X-Llmgw-Request-Id", "X-Llmgw-Error":
		return true
	}
	return false
}
