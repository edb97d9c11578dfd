package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// streamBuffer is how much of each stream may wait here for a client that reads
// slowly. What keeps a connection honest (one that has died would otherwise
// swallow every stream on it) is what a client's is kept honest with: pingAfter,
// pongWithin.
const streamBuffer = 64 << 10

// errNotHTTP2: an upstream that chose HTTP/2 before did not choose it now.
var errNotHTTP2 = errors.New("the upstream no longer chooses HTTP/2")

// multiplexed carries attempts over HTTP/2, which http.Transport speaks. Which
// upstreams do is learnt when they are dialled, and learnt anew when they are
// dialled again: behind a load balancer it can change.
type multiplexed struct {
	http   *http.Transport
	chosen sync.Map // hosts that chose HTTP/2 when last dialled
}

func newMultiplexed(w *wire) *multiplexed {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	return &multiplexed{http: &http.Transport{
		Proxy:                  nil, // HTTP_PROXY would carry credentials elsewhere
		DialTLSContext:         w.dialHTTP2,
		DisableCompression:     true, // bytes as the upstream sent them
		MaxIdleConnsPerHost:    w.idle.most,
		IdleConnTimeout:        w.idle.longest,
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
		Protocols:              &protocols,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout:           pingAfter,
			PingTimeout:               pongWithin,
			MaxReceiveBufferPerStream: streamBuffer,
		},
	}}
}

func (m *multiplexed) speaks(host string) bool {
	_, ok := m.chosen.Load(host)
	return ok
}

// handedKey is under what the context of a request holds a connection that was
// made for it before it was known to be HTTP/2.
type handedKey struct{}

// dialHTTP2 takes the connection that was handed over, or makes one.
func (w *wire) dialHTTP2(ctx context.Context, _, address string) (net.Conn, error) {
	if handed, ok := ctx.Value(handedKey{}).(*atomic.Pointer[tls.Conn]); ok {
		if conn := handed.Swap(nil); conn != nil {
			return conn, nil
		}
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	socket, err := w.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn, err := shakeHands(ctx, socket, w.tls, host, []string{"h2", "http/1.1"})
	if err != nil {
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		_ = conn.Close()
		return nil, errNotHTTP2
	}
	return conn, nil
}

// doOn carries an attempt for which a connection has just been made.
func (m *multiplexed) doOn(ctx context.Context, conn *tls.Conn, a *attempt, connected func()) (*answer, error) {
	m.chosen.Store(a.url.Host, struct{}{})
	var handed atomic.Pointer[tls.Conn]
	handed.Store(conn)
	defer func() {
		if spare := handed.Swap(nil); spare != nil { // there was another one already
			_ = spare.Close()
		}
	}()
	return m.do(context.WithValue(ctx, handedKey{}, &handed), a, connected)
}

// do sends the request and waits for the answer's head. See transport.do.
func (m *multiplexed) do(ctx context.Context, a *attempt, connected func()) (*answer, error) {
	for refused := 1; ; refused++ {
		answer, err := m.once(ctx, a, connected)
		switch {
		case err == nil:
			a.body = nil // the answer lives on, and what made it with it
			return answer, nil
		case errors.Is(err, errNotHTTP2):
			m.chosen.Delete(a.url.Host)
			return nil, err
		case refused == maxRefusals || a.stream != nil || ctx.Err() != nil || !unprocessed(err):
			return nil, err
		}
	}
}

// detachedStream is a stream that can be closed while it is being read.
// http.Transport waits for a read under way before it tells that an upstream has
// given up, and a client may send nothing for long.
type detachedStream struct {
	*io.PipeReader
	begin func() // with the first read: nobody asks for a byte before
}

// detached gives a stream its own goroutine, which ends with it, or when whoever
// owns the stream ends the read.
func detached(stream io.Reader) *detachedStream {
	reader, writer := io.Pipe()
	return &detachedStream{reader, sync.OnceFunc(func() {
		go func() {
			buf := relayPool.Get().(*[relayBytes]byte)
			defer relayPool.Put(buf)
			_, err := io.CopyBuffer(writer, stream, buf[:])
			_ = writer.CloseWithError(err)
		}()
	})}
}

func (d *detachedStream) Read(b []byte) (int, error) {
	d.begin()
	return d.PipeReader.Read(b)
}

func (m *multiplexed) once(ctx context.Context, a *attempt, connected func()) (*answer, error) {
	request := (&http.Request{
		Method: a.method, URL: a.url, Header: a.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: a.contentLength(),
	}).WithContext(httptrace.WithClientTrace(ctx, a.watch(connected)))
	a.setBody(request)
	response, err := m.http.RoundTrip(request) //nolint:bodyclose // the answer has it; see answer.close
	if err != nil {
		return nil, err
	}
	if response.StatusCode < http.StatusOK {
		_ = response.Body.Close()
		return nil, errStatus
	}
	return &answer{
		status:  response.StatusCode,
		header:  response.Header,
		trailer: func() http.Header { return response.Trailer },
		body:    response.Body,
		length:  response.ContentLength,
		framed:  true,
	}, nil
}
