package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"time"
)

var (
	errReplay        = errors.New("the request was already on its way")
	errInformational = errors.New("too many 1xx answers")
	errStatus        = errors.New("an answer with a status below 200")
)

// watch looks on at what the transport does with the attempt, and can tell
// whether anything of the request has been written.
func (a *attempt) watch(connected func()) (*httptrace.ClientTrace, func() bool) {
	var conn *countingConn
	var before int64
	var asked time.Time
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { asked = time.Now() },
		GotConn: func(got httptrace.GotConnInfo) {
			a.dispatched++
			connected()
			a.reused = got.Reused
			if !got.Reused {
				a.connect = time.Since(asked)
			}
			if conn = counted(got.Conn); conn != nil {
				before = conn.written.Load()
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
	sent := func() bool { return conn == nil || conn.written.Load() != before }
	return trace, sent
}

// setBody gives the request its body in the one form that costs the transport
// no extra write. http.Transport sends a request again by itself when it holds
// it to be safe, and takes a client's Idempotency-Key for a permission; so it
// can have the body again only while nothing of it has been written, and a
// request without one that is not safe gets an empty one to be asked for.
func (a *attempt) setBody(r *http.Request, sent func() bool) {
	if a.stream != nil {
		r.Body = io.NopCloser(a.stream) // read once, and so never sent again
		return
	}
	if len(a.body) == 0 && safe(a.method) {
		return
	}
	a.reader = bytes.NewReader(a.body)
	a.lent.Add(1)
	r.Body = io.NopCloser(a.reader)
	r.GetBody = func() (io.ReadCloser, error) {
		if sent() {
			return nil, errReplay
		}
		a.replayed.Store(true)
		a.lent.Add(1)
		return io.NopCloser(bytes.NewReader(a.body)), nil
	}
}

func (a *attempt) contentLength() int64 {
	if a.stream != nil {
		return a.length
	}
	return int64(len(a.body))
}

// wrote is called when the transport has written the request, or given up on
// it. It holds on to the request's body as long as the answer lasts; the bytes
// are taken out of it, so that they do not.
func (a *attempt) wrote() {
	if a.reader == nil {
		return
	}
	if !a.replayed.Load() {
		a.reader.Reset(nil)
	}
	a.lent.Add(-1)
}

// safe methods change nothing and may be sent twice (RFC 9110, section 9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// counted finds our connection below TLS.
func counted(conn any) *countingConn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*countingConn)
	return c
}
