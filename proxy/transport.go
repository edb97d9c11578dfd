package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
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
	reader     *bytes.Reader // of body, over HTTP/2; nil where there is none
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

// more says whether more of the body is likely to be there already, after a
// read that was full or not.
func (a *answer) more(full bool) bool {
	if k, ok := a.body.(*call); ok {
		return k.more()
	}
	return full
}

// transport carries attempts to one upstream: over HTTP/1.1, or over HTTP/2
// where an https upstream chooses it. What is above it knows nothing of that.
type transport struct {
	wire        *wire
	multiplexed *multiplexed
}

// Limits of an answer's head, and of the connections kept.
const (
	maxAnswerHeaderBytes = 256 << 10
	maxInformational     = 5
	defaultMaxIdle       = 512
	// uvicorn and Node close an idle connection after 5 s, and a request that
	// meets the closing is lost; so an idle one is given up a second earlier.
	defaultIdleTimeout = 4 * time.Second
	tlsTimeout         = 5 * time.Second
	// An attempt stops dialling when its own bound passes; this is for one that
	// has none.
	dialTimeout = 30 * time.Second
)

// transportKey names what the connections of an upstream depend on.
func transportKey(u *accounts.Upstream) string {
	return u.ID + " " + u.URL + " " + u.IdleTimeout.String() + " " + strconv.Itoa(u.MaxIdle)
}

func newTransport(u *accounts.Upstream, d dial) *transport {
	longest, most := u.IdleTimeout, u.MaxIdle
	if longest == 0 {
		longest = defaultIdleTimeout
	}
	if most == 0 {
		most = defaultMaxIdle
	}
	w := &wire{
		dial: d,
		tls:  &tls.Config{MinVersion: tls.VersionTLS12},
		idle: idle{most: most, longest: longest},
	}
	return &transport{w, newMultiplexed(w)}
}

func (t *transport) closeIdle() {
	t.wire.idle.close()
	t.multiplexed.http.CloseIdleConnections()
}

// do sends the request and waits for the answer's head; connected is called
// when it has a connection. Cancelling ctx ends it, and the body after it. A
// change of protocol is a thing of HTTP/1.1.
func (t *transport) do(ctx context.Context, a *attempt, connected func()) (*answer, error) {
	if a.url.Scheme == "https" && !a.upgrade && t.multiplexed.speaks(a.url.Host) {
		answer, err := t.multiplexed.do(ctx, a, connected)
		if !errors.Is(err, errNotHTTP2) {
			return answer, err
		}
	}
	answer, err := t.wire.do(ctx, a, connected)
	var chosen *offeredHTTP2
	if errors.As(err, &chosen) {
		return t.multiplexed.doOn(ctx, chosen.conn, a, connected)
	}
	return answer, err
}
