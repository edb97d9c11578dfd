package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// The bounds of the listener. There is no timeout for a whole request or a
// whole answer, which would cut streams; what a client takes or gives is
// bounded by deadlines that move as it goes on.
const (
	readHeaderTimeout = 10 * time.Second
	clientIdleTimeout = 120 * time.Second
	headBytes         = 64 << 10
	headSlop          = 4 << 10 // net/http takes this much more than it is told
	afterCutTimeout   = 5 * time.Second
)

// The bounds of an HTTP/2 connection. The server itself ends one that floods it:
// 10,000 queued control frames, or a thousand requests that were taken back
// before they were begun.
const (
	maxStreams  = 250      // requests at the same time; what is more waits at the client
	frameBytes  = 16 << 10 // the protocol's smallest limit: it is buffered for strangers, too
	streamBytes = 1 << 20  // of a body on its way in before it is read: one round trip's worth
	connBytes   = 1 << 20  // the same for all bodies of a connection
	pingAfter   = 15 * time.Second
	pongWithin  = 5 * time.Second
)

func protocols() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

func streams(o *Options) *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReadFrameSize:              frameBytes,
		MaxReceiveBufferPerStream:     streamBytes,
		MaxReceiveBufferPerConnection: connBytes,
		SendPingTimeout:               pingAfter,
		PingTimeout:                   pongWithin,
		WriteByteTimeout:              o.WriteStall,
	}
}

// Server is the listener that a Proxy wants: net/http's, with bounds that suit
// streams, and an end of its own.
type Server struct {
	proxy *Proxy
	http  *http.Server
	tls   bool // http.TLSConfig does not say it: HTTP/2 puts one there by itself
}

// NewServer makes a server. With certificates it speaks TLS, and HTTP/2 to those
// who negotiate it; without, HTTP/2 to those who begin with it (RFC 9113, section
// 3.3). A request to upgrade to h2c is ignored (section 3.1).
func NewServer(p *Proxy, certificates ...tls.Certificate) *Server {
	s := &Server{proxy: p, http: &http.Server{
		Handler:                      p,
		ReadHeaderTimeout:            readHeaderTimeout,
		IdleTimeout:                  clientIdleTimeout,
		MaxHeaderBytes:               headBytes - headSlop,
		ConnContext:                  p.door.enter,
		ConnState:                    p.door.changed,
		Protocols:                    protocols(),
		HTTP2:                        streams(&p.options),
		ErrorLog:                     log.New(serverLog{p.options.Log}, "", 0),
		DisableGeneralOptionsHandler: true, // OPTIONS * is refused with the other odd targets
	}}
	if s.tls = len(certificates) > 0; s.tls {
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates}
	}
	return s
}

// Serve takes requests from l until Drain. It closes l.
func (s *Server) Serve(l net.Listener) error {
	var err error
	if s.tls {
		err = s.http.ServeTLS(polite{l}, "", "")
	} else {
		err = s.http.Serve(polite{l})
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Drain ends the server. From the first moment it says that it is not ready;
// new requests are still taken for delay, so that a load balancer has time to
// hear of it; then no more are, and those under way, WebSockets too, end within
// limit (0: in their own time). What is left then, or when ctx ends, is cut with
// the protocol's error.
func (s *Server) Drain(ctx context.Context, delay, limit time.Duration) {
	s.proxy.draining.Store(true)
	wait(ctx, delay)
	s.proxy.leave() // WebSockets end where nothing is being answered; see tunnel.leave
	ending := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		ending, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if s.http.Shutdown(ending) == nil && s.proxy.flights.landed(ending) {
		return
	}
	s.proxy.flights.cut(endDrained)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterCutTimeout)
	defer cancel()
	if s.http.Shutdown(after) != nil {
		_ = s.http.Close()
	}
	s.proxy.flights.landed(after)
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// serverLog takes what net/http has to say: handshakes that failed, mostly.
type serverLog struct{ log zerolog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	l.log.Debug().Str("code", "listener").Bytes("cause", line[:max(0, len(line)-1)]).Msg("error")
	return len(line), nil
}
