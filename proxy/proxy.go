// Package proxy answers one question: how does a request get from a caller to
// an upstream, and the answer back, without a byte of it changing? It is the
// data plane, and reads in the order in which a request passes:
//
//  1. exchange.go      one value for one request; the steps, in order; one end
//  2. target.go        the request line: methods, sizes, the canonical path
//  3. authenticate.go  whose key it is, from memory; nothing of the body is read for a stranger
//  4. body.go          the body, read whole within its limit and the budget, and looked into once;
//     upload.go, where nothing in it is looked for, lets it pass as it comes
//  5. decide.go        rules.Decide, and what the caller hears when nothing takes the request
//  6. attempt.go       one try at an upstream; outbound.go makes its request, transport.go carries it:
//     wire.go          over HTTP/1.1, http2.go over HTTP/2; credential.go chooses what
//     it goes out with, refused.go chooses again where the provider refused that
//  7. stream.go        the answer copied and flushed; observe*.go looks on at the bytes;
//     websocket.go     or, after a 101, tunnel.go: both directions, until farewell.go
//  8. accesslog.go     one line, and metrics.go, when it has ended, for exactly one reason;
//     trace.go         the spans, bodylog.go the bodies, where either is on
//
// Beside that way: models*.go answers which models there are, asking the
// upstreams and the rules; failure.go writes the gateway's own errors in the
// caller's wire format and errorline.go tells why in the log; watch.go bounds
// every phase, pace.go how slow a client may be, visitors.go how many connections
// nobody answers for; interim.go passes 1xx answers; flights.go knows what is
// under way, seen.go and watchers.go show it to others, lostkey.go cuts what a key
// leaves behind; snapshot.go and reload.go hold the configuration, server.go the
// listener and its end.
//
// A failure at any step is a value that goes up to ServeHTTP, the only place
// that writes one. The package asks no store on the way of a request but the
// Source, which answers from memory; it keeps no usage beyond metrics and log.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// Source knows who a key belongs to.
type Source interface {
	// Identify gives the identity behind a hash, in whatever state its key is.
	// Errors are accounts.ErrNotFound, or accounts.ErrUnavailable where nobody
	// can say. It answers from memory where it can.
	Identify(ctx context.Context, hash accounts.KeyHash) (*accounts.Identity, error)

	// AgeAt bounds how old what this node knows was at a moment: its keys and the
	// configuration in force. It is asked on every request where MaxStaleness is
	// given, and must neither wait nor allocate.
	AgeAt(at time.Time) time.Duration
}

// Options are what a Proxy needs. Zero values of the optional ones mean the
// defaults beside them.
type Options struct {
	Source Source
	Issuer func() *accounts.Issuer // tells keys of this installation from any other text; asked each time, for a restored store has another
	Vault  accounts.Vault          // reads upstream credentials
	Log    zerolog.Logger          // access lines at info; errors at error
	Node   string                  // name of this node in log lines

	MaxBody    int64             // bytes of one request body; 64 MiB
	BodyBudget int64             // bytes of all request bodies in memory; a quarter of GOMEMLIMIT, 1 GiB where none is set
	Timeouts   accounts.Timeouts // of an upstream that names none; DefaultTimeouts
	WriteStall time.Duration     // a client that takes nothing for so long is cut; 30 s
	// MaxStaleness is the age of what the Source knows beyond which requests are
	// refused: another node may have changed it. 0: they never are.
	MaxStaleness time.Duration

	Recheck   time.Duration // the key of a WebSocket is looked at again so often; 5 s
	ReadStall time.Duration // a client that sends nothing of its body for so long is cut; 30 s

	// Connections on which no valid key has been shown yet: of one peer (where
	// they have had their grace), and of all. The oldest is closed where there
	// are more.
	PeerStrangers int           // 256
	StrangerGrace time.Duration // 2 s
	Strangers     int           // 8192, or a quarter of the files that may be open

	Tracing *Tracing  // makes spans of exchanges; nil: off, and trace headers pass as they came
	BodyLog io.Writer // takes the lines of the body log, one with each Write, from one goroutine; nil: off

	// TrustedProxies are believed about whom they forward for
	// (X-Forwarded-For); rules that match a source see that address then.
	TrustedProxies []netip.Prefix

	// Local maps "host:port" of an upstream URL to the address where this
	// process itself serves it.
	Local map[string]string

	// Reach is how far requests may go: checked for the resolved address of every
	// connection but those that Local names.
	Reach rules.Reach
}

// DefaultTimeouts bound the phases of an attempt where nobody says otherwise.
// Total is open: a stream may take as long as it goes on.
func DefaultTimeouts() accounts.Timeouts {
	return accounts.Timeouts{
		Connect:        5 * time.Second,
		ResponseHeader: 300 * time.Second,
		FirstToken:     300 * time.Second,
		Idle:           120 * time.Second,
	}
}

// Proxy is the data plane. It is an http.Handler; see Server for the listener
// that it wants.
type Proxy struct {
	options  Options
	dial     dial
	snapshot atomic.Pointer[snapshot]
	reloads  reloads
	flights  flights
	lost     *lostKeys
	watchers watchers
	door     *door
	budget   budget
	decoders budget // of the copies of encoded answers that observers look at
	metrics  *metrics
	lists    *modelLists
	bodyLog  *bodyLog // nil: none is kept
	draining atomic.Bool
	leaving  context.Context // ends when no more requests are taken: WebSockets are told
	leave    context.CancelFunc
	sweep    chan struct{} // closed by Close
	swept    chan struct{} // closed when the sweeper has ended
}

// New makes a Proxy. It answers 503 until the first Reload. Close ends it.
func New(o Options) (*Proxy, error) {
	if o.Source == nil || o.Issuer == nil {
		return nil, errors.New("making proxy: source and issuer must be given")
	}
	o.fillIn()
	p := &Proxy{
		options:  o,
		dial:     dialer(o.Local, o.Reach),
		budget:   budget{limit: o.BodyBudget},
		decoders: budget{limit: o.BodyBudget / 4},
		sweep:    make(chan struct{}),
		swept:    make(chan struct{}),
		lost:     newLostKeys(),
		bodyLog:  newBodyLog(o.BodyLog, o.Log),
	}
	p.leaving, p.leave = context.WithCancel(context.Background())
	p.metrics, p.lists = newMetrics(p), newModelLists(p)
	p.door = newDoor(o.PeerStrangers, o.Strangers, o.StrangerGrace, p.metrics.evicted)
	go p.sweepFlights()
	go p.cutLost()
	return p, nil
}

func (o *Options) fillIn() {
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 20
	}
	if o.BodyBudget == 0 {
		o.BodyBudget = defaultBodyBudget()
	}
	if o.WriteStall == 0 {
		o.WriteStall = 30 * time.Second
	}
	if o.ReadStall == 0 {
		o.ReadStall = 30 * time.Second
	}
	if o.Recheck == 0 {
		o.Recheck = 5 * time.Second
	}
	if o.PeerStrangers == 0 {
		o.PeerStrangers = defaultPeerStrangers
	}
	if o.StrangerGrace == 0 {
		o.StrangerGrace = defaultGrace
	}
	if o.Strangers == 0 {
		o.Strangers = defaultStrangers(openFiles())
	}
	o.Timeouts = o.Timeouts.Or(DefaultTimeouts())
}

// Close ends the proxy's own goroutines and idle connections. It cuts nothing:
// that is the business of Server.Drain.
func (p *Proxy) Close() {
	p.leave()
	close(p.sweep)
	<-p.swept
	p.lost.close()
	p.lists.close()
	p.bodyLog.close()
	p.closeTransports()
}

// Collector hands out the metrics of the data plane.
func (p *Proxy) Collector() prometheus.Collector { return p.metrics }

// Ready says why the proxy does not want requests now, or nil.
func (p *Proxy) Ready() error {
	switch {
	case p.draining.Load():
		return errors.New("draining")
	case p.snapshot.Load() == nil:
		return errors.New("no configuration yet")
	case p.stale(time.Now()):
		return errStale(p.options.MaxStaleness)
	}
	return nil
}

// ServeHTTP takes one request to its end.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Go's server takes Content-Length together with Transfer-Encoding and would
	// go on with whatever follows as a second request (RFC 9112, section 6.3). Of
	// an HTTP/1.0 request it forgets the Transfer-Encoding (section 6.1), so that
	// nobody can tell where such a request ends.
	if chunked(r) || !r.ProtoAtLeast(1, 1) || p.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	if r.ContentLength != 0 && r.ProtoMajor < 2 {
		// The server waits for what is left of a body that nobody reads, also
		// where the caller is a stranger. See bodyRead for where this ends.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(p.options.ReadStall))
	}
	if p.answerProbe(w, r) {
		return
	}
	x := p.begin(w, r)
	defer x.finish()
	if f := x.run(); f != nil {
		x.refuse(f)
	}
}

// answerProbe answers what needs no key: Claude Code's HEAD /, and the probes
// of load balancers.
func (p *Proxy) answerProbe(w http.ResponseWriter, r *http.Request) bool {
	path, _, _ := strings.Cut(r.RequestURI, "?") // as it was sent: /%68ealthz and http://gw/healthz are none
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !get || len(path) > len("/healthz") {
		return false
	}
	switch {
	case path == "/" && r.Method == http.MethodHead:
		return p.sayProbe(w, nil)
	case path == "/healthz":
		return p.sayProbe(w, nil)
	case path == "/readyz":
		return p.sayProbe(w, p.Ready())
	}
	return false
}

func (p *Proxy) sayProbe(w http.ResponseWriter, problem error) bool {
	// A deadline left by an earlier request on this connection may have passed.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(p.options.WriteStall))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if problem != nil {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, problem)
		return true
	}
	_, _ = fmt.Fprintln(w, "ok")
	return true
}
