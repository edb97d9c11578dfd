package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// A browser sends a page's requests to wherever the page says, this machine
// included. Logins are sent in a header that no browser adds by itself, so a
// page has nothing of its visitor's to use; but where nobody is asked for a
// login, and to guess at passwords from within, it needs none.

// fromPage refuses what a page of another site sends: one that says so, or one
// whose name was made to lead here (DNS rebinding).
func (s *Server) fromPage(r *http.Request) *failure {
	if origin := r.Header.Get("Origin"); origin != "" && !sameHost(origin, r.Host) {
		return denied("the request comes from a page of another site", "the admin API answers its own pages, and programs")
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return denied("the request comes from a page of another site", "the admin API answers its own pages, and programs")
	}
	if (s.open || atLoopback(r)) && !s.forwarded(r) && !localName(r.Host) {
		return denied("the request names a host that is not this machine",
			"use http://127.0.0.1 with the port; for a proxy in front: --trusted-proxies")
	}
	return nil
}

// forwarded says whether a proxy in front, known as such, sent the request.
func (s *Server) forwarded(r *http.Request) bool {
	connected := addressOf(r)
	return connected.IsValid() && s.peer(r) != connected
}

// addressOf is the address that a connection comes from.
func addressOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // not of a network that has addresses
	}
	return at.Addr().Unmap().WithZone("")
}

// sameHost says whether an origin (RFC 6454) is that of the host asked for. The
// scheme is not compared: whatever ends TLS in front changes it.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// atLoopback says whether the connection came in at a loopback address.
func atLoopback(r *http.Request) bool {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	local, err := netip.ParseAddrPort(at.String())
	return err == nil && local.Addr().Unmap().IsLoopback()
}

// localName says whether a host is an address, or a name that nobody outside
// can make lead here: one without a dot, or below localhost (RFC 6761).
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host != "" && (!strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost"))
}
