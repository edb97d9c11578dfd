package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// SourceOf is the peer whose address rules see: the socket's, or, behind
// proxies that the operator trusts, the nearest hop of X-Forwarded-For that is
// none of them. What stands further left there, anybody may have written.
func SourceOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer := addressOf(r.RemoteAddr)
	if len(trusted) == 0 {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !trusts(trusted, peer) {
			return peer
		}
		next := addressOf(strings.TrimSpace(hop))
		if !next.IsValid() {
			return peer
		}
		peer = next
	}
	return peer
}

func trusts(trusted []netip.Prefix, peer netip.Addr) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// addressOf reads an address with or without a port; the zero Addr is none.
func addressOf(text string) netip.Addr {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
