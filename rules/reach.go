package rules

import (
	"net/netip"
	"strings"
)

// Reach says how far requests may go. No Reach leads to an address that is
// link-local or a cloud's metadata service; see ForbiddenAddress.
type Reach uint8

// The reaches. Everywhere is the default: models on one's own machine or in
// one's own network are what many gateways stand in front of.
const (
	Everywhere Reach = iota
	PublicOnly       // private_targets: deny
)

// ForbiddenError is why nothing is sent to a destination. It names no address.
type ForbiddenError struct {
	Private bool // it is forbidden only because private targets are
}

func (e *ForbiddenError) Error() string {
	if e.Private {
		return "its address is not public, and this gateway calls no other (private_targets: deny)"
	}
	return "its address is link-local or a cloud's metadata service, which the gateway never calls"
}

// Address says why nothing may be sent to an address; nil where it may. The
// error is a *ForbiddenError. Whoever dials asks for the address that a name led
// to, at every dial: what a name leads to changes.
func (r Reach) Address(a netip.Addr) error {
	switch {
	case ForbiddenAddress(a):
		return &ForbiddenError{}
	case r == PublicOnly && !public(a):
		return &ForbiddenError{Private: true}
	}
	return nil
}

// URL says why nothing may be sent to a URL, as far as that can be told without
// resolving its host; nil where it may. The error is a *ForbiddenError.
func (r Reach) URL(text string) error {
	if ForbiddenURL(text) {
		return &ForbiddenError{}
	}
	if r != PublicOnly {
		return nil
	}
	host, _ := hostIn(text)
	a, err := netip.ParseAddr(host)
	switch {
	case err == nil && !public(a), host == "localhost", strings.HasSuffix(host, ".localhost"): // RFC 6761, section 6.3
		return &ForbiddenError{Private: true}
	}
	return nil
}

// ownNetworks are the blocks that IANA's special-purpose registries
// (https://www.iana.org/assignments/iana-ipv4-special-registry) do not call
// globally reachable, and multicast.
var ownNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("10.0.0.0/8"),      // private
	netip.MustParsePrefix("100.64.0.0/10"),   // shared, behind a carrier's NAT
	netip.MustParsePrefix("127.0.0.0/8"),     // loopback
	netip.MustParsePrefix("169.254.0.0/16"),  // link-local
	netip.MustParsePrefix("172.16.0.0/12"),   // private
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.168.0.0/16"),  // private
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("224.0.0.0/3"),     // multicast, reserved, broadcast
	netip.MustParsePrefix("2001::/23"),       // protocol assignments: Teredo, benchmarking, ORCHID
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("3fff::/20"),       // documentation
}

// globalUnicast is all of IPv6 that has been given out to be reached from
// everywhere. Loopback, unique local, site-local and multicast addresses lie
// outside.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// public says whether an address is one of the internet's, and the IPv4 address
// within it, where there is one, too.
func public(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if inner := embedded(a); inner != a {
		return !localNAT64.Contains(a) && !compatible.Contains(a) && public(inner)
	}
	for _, own := range ownNetworks {
		if own.Contains(a) {
			return false
		}
	}
	return a.Is4() || globalUnicast.Contains(a)
}
