package rules

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// metadataHosts are the names under which clouds answer who the machine is and
// with which credentials.
var metadataHosts = []string{"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}

// metadataAddresses are the addresses of the same that are not link-local:
// Amazon's over IPv6, of machines and of pods, Google's and Oracle's over IPv6,
// Alibaba's, Azure's and Oracle's.
var metadataAddresses = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd00:ec2::23"),
	netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("fd00:c1::a9fe:a9fe"),
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("192.0.0.192"),
}

// ForbiddenAddress says whether nothing may be sent to an address, because it
// is link-local or a cloud's metadata service. Who dials asks again, for the
// address that a name led to; see Reach.
func ForbiddenAddress(a netip.Addr) bool {
	a = embedded(a.WithZone("").Unmap())
	return a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || slices.Contains(metadataAddresses, a)
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")
	compatible = netip.MustParsePrefix("::/96")
)

// embedded gives the IPv4 address that an IPv6 one leads to: through NAT64 (RFC
// 6052; RFC 8215, with an IPv4 address at its end), through 6to4 (RFC 3056), or
// as IPv4-compatible addresses did (RFC 4291, section 2.5.5.1).
func embedded(a netip.Addr) netip.Addr {
	if !a.Is6() || a.IsUnspecified() || a.IsLoopback() {
		return a
	}
	b := a.As16()
	switch {
	case nat64.Contains(a), localNAT64.Contains(a), compatible.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// ForbiddenURL says whether the host of a URL is, as it is written, one that
// ForbiddenAddress or a cloud's name for it forbids. Numbers that some
// resolvers read as addresses (0xA9FEA9FE, 2852039166, 169.254.43518) are
// forbidden too.
func ForbiddenURL(text string) bool {
	host, ok := hostIn(text)
	if !ok {
		return true
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return ForbiddenAddress(a)
	}
	return slices.Contains(metadataHosts, host) || endsInNumber(host)
}

// hostIn gives the host of a URL, without a port, in lower case and without the
// root's dot.
func hostIn(text string) (host string, ok bool) {
	u, err := url.Parse(text)
	if err != nil {
		return "", false
	}
	return strings.TrimRight(strings.ToLower(u.Hostname()), "."), true
}

// endsInNumber tells the hosts that the URL standard reads as IPv4 addresses.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return !strings.ContainsFunc(hex, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
	}
	return last != "" && !strings.ContainsFunc(last, func(r rune) bool { return r < '0' || r > '9' })
}
