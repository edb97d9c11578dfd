package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/proxy"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/redis"
)

func newServe(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "start the gateway",
		Long: "Starts the gateway. Every flag is also a variable (--admin-listen is LLMGW_ADMIN_LISTEN)\n" +
			"and a key of the configuration file (admin_listen).\n\n" +
			"Traces are switched on by the standard variables: OTEL_EXPORTER_OTLP_ENDPOINT=URL.",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error { return a.serve(c.Context()) },
	}
	c.Flags().SortFlags = false
	addFlags(c.Flags(), serveOnly)
	return c
}

// node is one running gateway and what it holds. What a step of its start has
// opened is closed by the function that the step left in closers, last first.
type node struct {
	app      *app
	settings *settings
	begun    time.Time

	data     string // the data directory
	secret   *accounts.SecretKey
	keys     *accounts.Keyring // secret, and the one that it is exchanged for
	rotation rotation
	log      zerolog.Logger
	bus      *redis.Client // nil: alone
	busAt    string        // where it is, without who asks
	store    *store.Store
	vault    accounts.Vault
	local    map[string]string // see proxy.Options.Local
	tracing  *proxy.Tracing    // nil: off
	bodyLog  io.Writer         // nil: off
	proxy    *proxy.Proxy
	server   *proxy.Server
	registry *prometheus.Registry
	admin    *admin.Server
	firstKey accounts.Secret // made by this start; zero where there was a key

	certificates []tls.Certificate // of the proxy's port; none: no TLS

	listener  net.Listener // of the proxy
	proxyURL  atomic.Pointer[string]
	adminURL  atomic.Pointer[string]
	metricsAt string // where --metrics-listen is answered, if it is
	draining  atomic.Bool

	ctx     context.Context // ends when a part of the node fails
	parts   *errgroup.Group
	cancel  context.CancelFunc
	closers []func() error
}

// serve starts a gateway, runs it until a signal, and winds it down.
func (a *app) serve(ctx context.Context) (err error) {
	s, err := a.settings()
	if err != nil {
		return err
	}
	n := &node{app: a, settings: s, begun: time.Now()}
	n.ctx, n.cancel = context.WithCancel(ctx)
	n.parts, n.ctx = errgroup.WithContext(n.ctx)
	defer func() { err = errors.Join(err, n.close()) }()

	// The proxy listener is last: once it accepts, everything else answers.
	for _, step := range []func(context.Context) error{
		n.readCertificate, n.checkAdmin, n.openLog, n.openBus, n.openTracing, n.openBodyLog, n.openData, n.openSecretKey, n.openKeyring, n.openStore, n.prepareStore,
		n.startMock, n.openProxy,
		n.startSocket, n.startAdmin, n.startMetrics, n.startTail, n.joinFleet, n.startProxy, n.announce,
	} {
		if err := step(n.ctx); err != nil {
			return err
		}
	}
	return n.untilStopped()
}

// untilStopped waits for a signal, then lets streams end: SIGTERM keeps taking
// requests for a while so that load balancers can turn away, a second signal
// cuts what is left.
func (n *node) untilStopped() error {
	var first os.Signal
	select {
	case first = <-n.app.signals:
	case <-n.ctx.Done():
		return nil // close tells which part failed, and why
	}
	n.draining.Store(true)
	delay, limit := n.drainDelay(first), n.settings.duration("drain")
	n.log.Info().Stringer("signal", first).Dur("delay_ms", delay).Dur("limit_ms", limit).
		Int64("in_flight", n.proxy.Totals().InFlight).Msg("stopping")

	draining, cut := context.WithCancel(n.ctx)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		n.server.Drain(draining, delay, limit)
	}()
	select {
	case <-n.app.signals:
		n.log.Info().Msg("cutting what is left")
	case <-drained:
	}
	cut()
	<-drained
	n.log.Info().Msg("stopped")
	return nil
}

// drainDelay is how long new requests are taken after a signal. Where a person
// sits at the terminal nobody needs the time, unless they ask for it.
func (n *node) drainDelay(s os.Signal) time.Duration {
	asked := n.settings.originOf("drain-delay") != fromDefault
	if s != syscall.SIGTERM || n.app.outIsTerm && !asked {
		return 0
	}
	return n.settings.duration("drain-delay")
}

// close ends every part of the node and waits for it.
func (n *node) close() error {
	n.cancel()
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	return errors.Join(append(errs, n.parts.Wait())...)
}

func (n *node) onClose(f func() error) { n.closers = append(n.closers, f) }

// serveHTTP runs an http.Server as a part of the node, to be cut with it:
// nothing it serves may hold a stop.
func (n *node) serveHTTP(name string, s *http.Server, l net.Listener) {
	n.parts.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving %s: %w", name, err)
		}
		return nil
	})
	n.onClose(s.Close)
}

func (n *node) openLog(context.Context) error {
	queue := newLogQueue(n.app.logWriter(n.settings))
	n.onClose(queue.close)
	level, err := zerolog.ParseLevel(n.settings.text("log-level"))
	if err != nil {
		return fmt.Errorf("reading log_level: %w", err)
	}
	n.log = zerolog.New(queue).Level(level).With().Timestamp().Logger()
	n.registry = prometheus.NewRegistry()
	if err := n.register(queue.collector()); err != nil {
		return err
	}
	return n.registerBuild()
}

func (n *node) openStore(ctx context.Context) error {
	o, err := n.storeOptions(n.keys)
	if err != nil {
		return err
	}
	o.Node, o.Copy = n.membership(), filepath.Join(n.data, copyFileName)
	opened, err := store.Open(ctx, n.withBus(o))
	if err != nil {
		return n.explainStore(err)
	}
	n.store = opened
	n.onClose(opened.Close)
	n.rememberNode()
	n.vault = accounts.Vault{Key: n.keys, References: references(n.ownKeys()...)}
	return n.register(opened.Collector())
}

// openProxy makes the data plane and gives it its first configuration.
func (n *node) openProxy(ctx context.Context) error {
	trusted, err := parseNetworks(n.settings.text("trusted-proxies"))
	if err != nil {
		return err
	}
	p, err := proxy.New(proxy.Options{
		Source: n.store, Issuer: n.store.Issuer, Vault: n.vault, Log: n.log, Node: nodeName(),
		MaxStaleness: n.settings.duration("max-staleness"),
		MaxBody:      n.settings.bytes("max-body"), TrustedProxies: trusted, Local: n.local, Reach: n.reach(),
		Tracing: n.tracing, BodyLog: n.bodyLog,
	})
	if err != nil {
		return err
	}
	n.proxy = p
	n.onClose(func() error { p.Close(); return nil })
	n.store.OnConfig(p.Reload)
	n.store.OnChange(p.Changed)
	if err := n.loadFirst(ctx); err != nil && !n.away() {
		return failed(err, "loading the configuration: %v", err)
	}
	n.parts.Go(n.follow)
	n.beginNotingUses()
	return n.register(p.Collector())
}

// follow keeps the node in step with the store. What keeps a store from being
// opened that was away at the start ends the node, as it would have then.
func (n *node) follow() error {
	if err := n.store.Follow(n.ctx); err != nil {
		return n.explainStore(err)
	}
	return nil
}

// reach is how far this gateway's requests may go, those of the upstream test
// too.
func (n *node) reach() rules.Reach {
	if n.settings.text("private-targets") == "deny" {
		return rules.PublicOnly
	}
	return rules.Everywhere
}

// startProxy binds the proxy's port, makes the first key where there is none
// yet, and takes requests.
func (n *node) startProxy(ctx context.Context) error {
	var err error
	if n.listener, err = n.listen(ctx, "listen", n.settings.text("listen")); err != nil {
		return err
	}
	if err := n.makeFirstKey(ctx); err != nil {
		return errors.Join(err, n.listener.Close())
	}
	n.proxyURL.Store(n.urlOf(n.listener))
	n.server = proxy.NewServer(n.proxy, n.certificates...)
	n.parts.Go(func() error { return n.server.Serve(n.listener) })
	n.onClose(func() error {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		n.server.Drain(gone, 0, 0)
		return nil
	})
	return nil
}

// readCertificate comes before anything is opened or locked: a mistake in it is
// no reason to touch the data.
func (n *node) readCertificate(context.Context) error {
	cert, key := n.settings.text("tls-cert"), n.settings.text("tls-key")
	switch {
	case cert == "" && key == "":
		return nil
	case cert == "" || key == "":
		return invalid("tls_cert and tls_key belong together, one of them is missing")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return invalid("reading the certificate: %v", err)
	}
	n.certificates = []tls.Certificate{pair}
	return nil
}

// urlOf is the proxy's address as seen from this machine.
func (n *node) urlOf(l net.Listener) *string {
	scheme := "http"
	if n.settings.text("tls-cert") != "" {
		scheme = "https"
	}
	at := scheme + "://" + reachable(l.Addr().String())
	return &at
}

func nodeName() string {
	name, err := os.Hostname()
	if err != nil {
		return "node"
	}
	return name
}
