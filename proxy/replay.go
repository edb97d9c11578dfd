package proxy

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"time"
)

// maxRefusals is how often an HTTP/2 upstream may refuse a request before that
// is its answer.
const maxRefusals = 3

// watch looks on at what http.Transport does with the attempt.
func (a *attempt) watch(connected func()) *httptrace.ClientTrace {
	asked := time.Now()
	return &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			a.dispatched++
			connected()
			a.reused = got.Reused
			if !got.Reused {
				a.connect += time.Since(asked) // beside what it took to learn that this is HTTP/2
			}
		},
		WroteRequest: func(httptrace.WroteRequestInfo) { a.wrote() },
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			if a.informed++; a.informed > maxInformational {
				return errInformational
			}
			if a.inform != nil && status != http.StatusContinue && status != http.StatusSwitchingProtocols {
				a.inform(status, http.Header(header))
			}
			return nil
		},
	}
}

// setBody gives the request its body. There is no GetBody: http.Transport also
// sends a request again that was reset as malformed, which says nothing of what
// the upstream did before. See unprocessed.
func (a *attempt) setBody(r *http.Request) {
	switch {
	case a.stream != nil:
		r.Body = detached(a.stream)
	case len(a.body) > 0:
		a.reader = bytes.NewReader(a.body)
		a.lent.Add(1)
		r.Body = io.NopCloser(a.reader)
	case !safe(a.method):
		r.Body = io.NopCloser(bytes.NewReader(nil)) // or it would be taken for one that may be sent twice
	}
}

func (a *attempt) contentLength() int64 {
	if a.stream != nil {
		return a.length
	}
	return int64(len(a.body))
}

// wrote is called when the transport has written the request. It holds on to
// the request's body as long as the answer lasts; the bytes are taken out of
// it, so that they do not.
func (a *attempt) wrote() {
	if a.reader == nil {
		return
	}
	a.reader.Reset(nil)
	a.lent.Add(-1)
}

// unprocessed says whether an HTTP/2 upstream promised that it did nothing with
// the request: it refused the stream, or went away and named an earlier one as
// its last (RFC 9113, section 8.7). http.Transport tells that in words only.
func unprocessed(err error) bool {
	text := err.Error()
	return strings.Contains(text, "; REFUSED_STREAM") || strings.Contains(text, "graceful shutdown GOAWAY")
}
