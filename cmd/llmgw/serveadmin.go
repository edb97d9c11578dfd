package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/proxy/mock"
	"github.com/llmgw/llmgw/store"
)

// mockHost is the host of the upstream mock's URL. It exists in this process
// only; see proxy.Options.Local.
const mockHost = "mock.llmgw.internal"

// adminStore is the store as package admin wants to see it: the State that a
// change works on is an interface there.
type adminStore struct{ *store.Store }

func (s adminStore) Change(ctx context.Context, m accounts.Meta, f func(admin.State) error) (accounts.Change, error) {
	return s.Store.Change(ctx, m, func(st *store.State) error { return f(st) })
}

func (s adminStore) Look(ctx context.Context, f func(admin.State) error) error {
	return s.Store.Look(ctx, func(st *store.State) error { return f(st) })
}

func (s adminStore) Audit(ctx context.Context, q admin.AuditQuery) ([]accounts.Audit, error) {
	return s.Store.Audit(ctx, store.AuditQuery(q))
}

// startMock serves the built-in mock on a loopback port that nobody needs to
// know.
func (n *node) startMock(ctx context.Context) error {
	if n.settings.on("no-mock") {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return failed(err, "cannot listen for the built-in mock: %s", reason(err))
	}
	n.local = map[string]string{mockHost + ":80": l.Addr().String()}
	n.serveHTTP("mock", mock.NewServer(mock.Options{}), l)
	return nil
}

// startSocket opens the admin API to whoever may open the socket.
func (n *node) startSocket(ctx context.Context) error {
	peer, err := n.peer()
	if err != nil {
		return err
	}
	server, err := admin.New(admin.Options{
		Accounts: n.store, Open: n.adminOpen(), Peer: peer,
		Version: version, Store: adminStore{n.store}, Issuer: n.store.Issuer, Vault: n.vault, SecretKey: n.secretKey(), Backup: n.backup,
		Status: n.status, Ready: n.proxy.Ready, Gatherer: n.registry, Node: liveNode{n.proxy, n.store}, Fleet: n.fleet(), LastErrors: n.lastErrors, InFlight: n.proxy.InFlight, UnderWay: func() int64 { return n.proxy.Totals().InFlight },
		Settings: n.settings.told(),
		Client:   n.testClient(), Reach: n.reach(), Log: n.log,
	})
	if err != nil {
		return err
	}
	n.admin = server
	l, err := listenSocket(ctx, n.data)
	if err != nil {
		return err
	}
	n.onClose(func() error { return removeSocket(n.data) })
	n.serveHTTP("admin socket", n.adminServer(server.API()), l)
	return nil
}

// maxAdminHead bounds what anybody at all may send before they are asked who
// they are.
const maxAdminHead = 64 << 10

func (n *node) adminServer(h http.Handler) *http.Server {
	return &http.Server{
		ErrorLog:          log.New(serverLog{n.log}, "", 0),
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute, // an upstream test takes its time
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxAdminHead,
	}
}

// testClient sends the requests of upstream tests. It goes where the proxy goes,
// and no further.
func (n *node) testClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         n.proxy.Dial,
		TLSHandshakeTimeout: 5 * time.Second,
		DisableKeepAlives:   true,
		ForceAttemptHTTP2:   true,
	}}
}

func (n *node) register(c prometheus.Collector) error {
	if err := n.registry.Register(c); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// registerBuild adds what every Go program tells, and which one this is.
func (n *node) registerBuild() error {
	b := binary()
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "llmgw_build_info", Help: "Which binary this is; always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "go": b.Go},
	}, func() float64 { return 1 })
	for _, c := range []prometheus.Collector{
		info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := n.register(c); err != nil {
			return err
		}
	}
	return nil
}

// status is what only the running node knows of itself.
func (n *node) status(context.Context) api.Status {
	total := n.proxy.Totals()
	ready := n.proxy.Ready()
	_, revision := n.store.Applied()
	s := api.Status{
		Version: version, Node: nodeName(), PID: os.Getpid(), StartedAt: n.begun.UTC(),
		Proxy: told(&n.proxyURL), Admin: told(&n.adminURL), Data: n.data,
		Ready: ready == nil && n.proxyURL.Load() != nil, Draining: n.draining.Load(), InFlight: total.InFlight,
		Traffic: api.Traffic{
			Requests: total.Requests, Errors: total.Errors,
			InputTokens: total.InputTokens, OutputTokens: total.OutputTokens,
		},
		Rules: api.RulesStatus{Revision: revision},
		Store: n.storeStatus(), Bus: n.busStatus(), ConfigAgeS: n.store.Age().Seconds(),
		Problem: n.store.Problem(),
	}
	if ready != nil {
		s.NotReady = ready.Error()
	}
	for _, u := range n.proxy.Upstreams() {
		s.Upstreams = append(s.Upstreams, api.UpstreamStatus{
			Name: u.Name, Enabled: u.Enabled, Draining: u.Draining, Usable: u.Problem == nil, Requests: u.Requests, Errors: u.Errors,
		})
	}
	return s
}

// told gives what was stored, or "" before that.
func told(p *atomic.Pointer[string]) string {
	if text := p.Load(); text != nil {
		return *text
	}
	return ""
}
