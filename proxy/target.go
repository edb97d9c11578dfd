package proxy

import (
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/llmgw/llmgw/rules"
)

// Limits of a request's head. The head's size in bytes is the server's
// MaxHeaderBytes.
const (
	maxTargetBytes  = 16 << 10
	maxHeaderFields = 100
)

// readTarget checks the request line and the number of header fields, and
// finds out what the path says. The string that the rules match is the string
// that is sent: an ambiguous path is refused, never cleaned.
func (x *exchange) readTarget() *failure {
	x.request.Method = x.r.Method // with regard to case (RFC 9110, section 9.1): an upstream may know get and GET apart
	x.request.RawQuery = x.r.URL.RawQuery
	x.request.Header = x.r.Header
	x.request.Host = hostOf(x.r.Host)
	x.request.Source = SourceOf(x.r, x.p.options.TrustedProxies)
	x.request.ID, x.request.Random = x.id, rand.Uint64()
	x.request.Path = x.r.URL.EscapedPath() // as it came, until it is known to be canonical

	switch target := x.r.RequestURI; {
	case x.r.Method == http.MethodConnect:
		return badMethod(x.r.Method)
	case len(target) > maxTargetBytes:
		return targetTooLong()
	case !strings.HasPrefix(target, "/"):
		return badPath("the request target must be a path")
	case strings.Contains(x.r.URL.RawQuery, "#"):
		return badPath("the request target has a fragment")
	case headerFields(x.r.Header) > maxHeaderFields:
		return tooManyHeaders()
	}
	if expected := x.r.Header.Get("Expect"); expected != "" && !strings.EqualFold(expected, "100-continue") {
		return unknownExpectation() // over HTTP/1 net/http says so before us
	}
	if !rules.KnownMethod(x.request.Method) {
		return badMethod(x.r.Method)
	}
	raw, _, _ := strings.Cut(x.r.RequestURI, "?")
	path, err := rules.CanonicalPath(raw)
	if err != nil {
		return badPath(err.Error())
	}
	x.request.Path = path
	x.read = rules.ReadTarget(path, x.request.RawQuery)
	x.request.Websocket = asksForWebsocket(x.r)
	x.request.Wire, x.request.Model = x.read.Wire, x.read.Model
	x.request.HasModel, x.request.Stream = x.read.HasModel, x.read.Stream
	return nil
}

func headerFields(h http.Header) (n int) {
	for _, values := range h {
		n += len(values)
	}
	return n
}

// hostOf gives the host of a Host header as rules see it: lower case, no port.
func hostOf(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(host)
}
