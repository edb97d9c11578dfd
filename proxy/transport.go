package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// attempt is one request to an upstream. What the caller fills in stands
// first; the transport fills in the rest.
type attempt struct {
	method  string
	url     *url.URL
	header  http.Header
	body    []byte
	stream  io.Reader                            // the body, where it is passed on as it comes; body is empty then
	length  int64                                // of stream; -1: not known
	upgrade bool                                 // a change of protocol is asked for: header says which
	inform  func(status int, header http.Header) // told of every 1xx answer but 100 and 101 while do waits; may be nil

	dispatched int           // times the request was given to a connection
	reused     bool          // the last of these had been used before
	connect    time.Duration // how long a new connection took; 0 for a reused one
	lent       *atomic.Int32 // how many readers of body the transport may still be reading
	informed   int           // 1xx answers seen
	reader     *bytes.Reader // of body; nil where there is none
	replayed   atomic.Bool   // body was read anew
}

// answer is what an upstream answered. The trailers are there after EOF.
type answer struct {
	status  int
	header  http.Header
	trailer func() http.Header
	body    io.ReadCloser
	length  int64 // -1: not announced
	framed  bool  // the end of the body is marked: a bare end of the connection is an error

	// upgraded is the connection after a 101, beginning with whatever the
	// upstream sent behind its head; nil for every other answer.
	upgraded io.ReadWriteCloser
}

func (a *answer) close() { _ = a.body.Close() }

// transport carries attempts to one upstream. Behind it stands http.Transport;
// what is above it knows nothing of that.
type transport struct{ http *http.Transport }

// Limits of an answer's head, and of the connections kept.
const (
	maxAnswerHeaderBytes = 256 << 10
	maxInformational     = 5
	defaultMaxIdle       = 512
	// uvicorn and Node close an idle connection after 5 s, and a request that
	// meets the closing is lost; so an idle one is given up a second earlier.
	defaultIdleTimeout = 4 * time.Second
	tlsTimeout         = 5 * time.Second
	// An attempt stops waiting for its connection when its own bound passes;
	// dialling goes on for a little, since another may want it.
	dialTimeout = 30 * time.Second
)

// transportKey names what the connections of an upstream depend on.
func transportKey(u *accounts.Upstream) string {
	return u.ID + " " + u.URL + " " + u.IdleTimeout.String() + " " + strconv.Itoa(u.MaxIdle)
}

func newTransport(u *accounts.Upstream, d dial) *transport {
	idle, most := u.IdleTimeout, u.MaxIdle
	if idle == 0 {
		idle = defaultIdleTimeout
	}
	if most == 0 {
		most = defaultMaxIdle
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &transport{&http.Transport{
		Proxy:                  nil, // HTTP_PROXY would carry credentials elsewhere
		DialContext:            d,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    tlsTimeout,
		DisableCompression:     true, // bytes as the upstream sent them
		MaxIdleConns:           0,
		MaxIdleConnsPerHost:    most,
		IdleConnTimeout:        idle,
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
		Protocols:              &protocols,
	}}
}

func (t *transport) closeIdle() { t.http.CloseIdleConnections() }

// countingConn counts what was written, to know whether an upstream can have
// seen anything of a request.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// do sends the request and waits for the answer's head; connected is called
// when it has a connection. Cancelling ctx ends it, and the body after it.
func (t *transport) do(ctx context.Context, a *attempt, connected func()) (*answer, error) {
	trace, sent := a.watch(connected)
	request := (&http.Request{
		Method: a.method, URL: a.url, Header: a.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: a.contentLength(),
	}).WithContext(httptrace.WithClientTrace(ctx, trace))
	a.setBody(request, sent)
	response, err := t.http.RoundTrip(request) //nolint:bodyclose // the answer has it; see answer.close
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusSwitchingProtocols && a.upgrade {
		conn, ok := response.Body.(io.ReadWriteCloser)
		if !ok {
			_ = response.Body.Close()
			return nil, errStatus
		}
		return &answer{status: response.StatusCode, header: response.Header, body: response.Body, upgraded: conn}, nil
	}
	if response.StatusCode < http.StatusOK {
		// A 101 nobody asked for, or a number that is no status: what follows is
		// no answer (RFC 9110, section 15).
		_ = response.Body.Close()
		return nil, errStatus
	}
	a.body = nil // the answer lives on, and what made it with it
	return &answer{
		status:  response.StatusCode,
		header:  response.Header,
		trailer: func() http.Header { return response.Trailer },
		body:    response.Body,
		length:  response.ContentLength,
		framed:  response.ContentLength >= 0 || len(response.TransferEncoding) > 0,
	}, nil
}
