package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/proxy"
)

// maxAdminConns is how many connections the admin listener has at a time, and
// that of metrics: whoever opens more must not take the files that the proxy
// needs for its own. Others wait until one is closed.
const maxAdminConns = 512

// openWarning is how often the log repeats that nobody is asked for a login.
const openWarning = time.Hour

// checkAdmin refuses an admin listener that would give too much away. It comes
// before anything is opened or locked.
func (n *node) checkAdmin(context.Context) error {
	at, told := n.settings.text("admin-listen"), n.settings.on("admin-insecure-http")
	switch {
	case loopback(at):
		return nil
	case n.adminOpen() && !told:
		return usage("refusing admin API on %s without logins: whoever reaches it could change everything. "+
			"Give --admin-auth required, or --admin-insecure-http as well", at)
	case !n.adminTLS() && !told:
		return usage("refusing admin API on %s without TLS: passwords would travel in clear. "+
			"Give --tls-cert/--tls-key, or --admin-insecure-http behind a proxy that ends TLS", at)
	}
	return nil
}

// loopback says whether an address is of this machine only.
func loopback(at string) bool {
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// adminTLS says whether the admin listener speaks TLS, with the certificate of
// the proxy. On a loopback address it does not: nobody listens in there, and the
// certificate is not for that address.
func (n *node) adminTLS() bool {
	return len(n.certificates) > 0 && !loopback(n.settings.text("admin-listen")) && !n.settings.on("admin-insecure-http")
}

// adminOpen says whether nobody is asked for a login.
func (n *node) adminOpen() bool { return n.settings.text("admin-auth") == "disabled" }

// startAdmin serves the admin API behind logins.
func (n *node) startAdmin(ctx context.Context) error {
	l, err := n.listen(ctx, "admin-listen", n.settings.text("admin-listen"))
	if err != nil {
		return err
	}
	at := "http://" + reachable(l.Addr().String())
	l = netutil.LimitListener(l, maxAdminConns)
	if n.adminTLS() {
		at = "https://" + reachable(l.Addr().String())
		l = tls.NewListener(l, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: n.certificates, NextProtos: []string{"http/1.1"},
		})
	}
	n.adminURL.Store(&at)
	n.serveHTTP("admin-listen", n.adminServer(n.admin.Public()), l)
	if n.adminOpen() {
		n.parts.Go(func() error { warnOpen(n.ctx, n.log, at); return nil })
	}
	return n.register(n.admin.Collector())
}

// warnOpen says again and again that nobody is asked for a login.
func warnOpen(ctx context.Context, log zerolog.Logger, at string) {
	again := time.NewTicker(openWarning)
	defer again.Stop()
	for {
		log.Warn().Str("admin", at).Str("setting", "admin_auth: disabled").
			Msg("ADMIN API WITHOUT LOGINS: whoever reaches it can change everything")
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// startMetrics serves what needs no login on a port of its own.
func (n *node) startMetrics(ctx context.Context) error {
	if n.settings.text("metrics-listen") == "" {
		return nil
	}
	l, err := n.listen(ctx, "metrics-listen", n.settings.text("metrics-listen"))
	if err != nil {
		return err
	}
	n.serveHTTP("metrics-listen", n.adminServer(n.admin.Health()), netutil.LimitListener(l, maxAdminConns))
	n.metricsAt = l.Addr().String()
	return nil
}

// peer gives the address that a request to the admin API comes from, as the
// proxy finds out that of its own.
func (n *node) peer() (func(*http.Request) netip.Addr, error) {
	trusted, err := parseNetworks(n.settings.text("trusted-proxies"))
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) netip.Addr { return proxy.SourceOf(r, trusted) }, nil
}

// hasAdmin says whether anybody could log in who may do everything.
func (n *node) hasAdmin(ctx context.Context) (bool, error) {
	users, err := n.store.Users(ctx)
	for i := range users {
		if users[i].Role == accounts.RoleAdmin && !users[i].Disabled {
			return true, err
		}
	}
	return false, err
}

// serverLog takes what net/http wants to say, of handshakes that failed above
// all: whoever is at the other end decides how much that is.
type serverLog struct{ log zerolog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	l.log.Debug().Str("part", "admin").Bytes("error", bytes.TrimSpace(line)).Msg("connection failed")
	return len(line), nil
}
