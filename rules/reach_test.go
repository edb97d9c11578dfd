package rules_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

// verdict is what a Reach says, in a word.
func verdict(t *testing.T, err error) string {
	t.Helper()
	var forbidden *rules.ForbiddenError
	switch {
	case err == nil:
		return "may"
	case !errors.As(err, &forbidden):
		t.Fatalf("error is %v", err)
	case forbidden.Private:
		return "private"
	}
	return "never"
}

func TestHowFarARequestMayGoByAddress(t *testing.T) {
	for want, addresses := range map[string]string{
		"never": "169.254.169.254 169.254.0.1 fe80::1 fe80::1%eth0 ::ffff:169.254.169.254 fd00:ec2::254 100.100.100.200 224.0.0.1 ff02::1" +
			" 64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe:: ::169.254.169.254 64:ff9b::6464:64c8 168.63.129.16",
		"private": "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1 0.0.0.0 :: 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fd00::1 fc00::1 fec0::1" +
			" 100.64.0.1 100.127.255.255 239.1.1.1 ff0e::1 198.18.0.1 198.19.255.255 2001:2::1 240.0.0.1 255.255.255.255 192.0.2.1 2001:db8::1" +
			" 64:ff9b::7f00:1 64:ff9b::a00:1 2002:7f00:1:: 2002:c0a8:101:: ::127.0.0.1 64:ff9b:1::808:808 2001:0:4136:e378:8000:63bf:3fff:fdd2" +
			" ::ffff:10.0.0.1 100::1 5f00::1 4000::1",
		"may": "1.1.1.1 8.8.8.8 172.15.0.1 172.32.0.1 100.63.255.255 100.128.0.1 198.17.0.1 198.20.0.1 223.255.255.255 2606:4700::1111 2a00:1450::1" +
			" 64:ff9b::808:808 2002:808:808:: ::ffff:8.8.8.8 192.0.1.1",
	} {
		for address := range strings.FieldsSeq(addresses) {
			a := netip.MustParseAddr(address)
			if got := verdict(t, rules.PublicOnly.Address(a)); got != want {
				t.Errorf("public only: %s: %s, want %s", address, got, want)
			}
			if got := verdict(t, rules.Everywhere.Address(a)); (got == "never") != (want == "never") || got == "private" {
				t.Errorf("everywhere: %s: %s", address, got)
			}
		}
	}
}

func TestHowFarARequestMayGoByURL(t *testing.T) {
	for want, urls := range map[string]string{
		"never":   "http://169.254.169.254 http://[fe80::1%25eth0] http://metadata http://0x7f000001 http://2130706433 http://0177.0.0.1 http://127.1.1 http://127%2e0.0.1 http://%",
		"private": "http://127.0.0.1:8080 http://localhost http://LOCALHOST.:80 http://a.localhost/v1 http://[::1] http://10.1.1.1 http://[::ffff:a00:1]",
		"may":     "https://api.openai.com/v1 http://8.8.8.8 http://mock.llmgw.internal http://localhost.example.com http://internal",
	} {
		for url := range strings.FieldsSeq(urls) {
			if got := verdict(t, rules.PublicOnly.URL(url)); got != want {
				t.Errorf("public only: %s: %s, want %s", url, got, want)
			}
			if got := verdict(t, rules.Everywhere.URL(url)); (got == "never") != (want == "never") || got == "private" {
				t.Errorf("everywhere: %s: %s", url, got)
			}
		}
	}
}

func TestAnAddressIsForbiddenInEveryDressItWears(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		plain := netip.AddrFrom4(b)
		six := func(head ...byte) netip.Addr {
			var all [16]byte
			copy(all[:], head)
			copy(all[12:], b[:])
			return netip.AddrFrom16(all)
		}
		dressed := []netip.Addr{
			netip.AddrFrom16(plain.As16()), six(0x00, 0x64, 0xff, 0x9b), six(0x20, 0x02, b[0], b[1], b[2], b[3]),
		}
		for _, a := range dressed {
			if (rules.PublicOnly.Address(plain) == nil) != (rules.PublicOnly.Address(a) == nil) {
				t.Errorf("%s and %s are not treated alike", plain, a)
			}
			if rules.ForbiddenAddress(plain) != rules.ForbiddenAddress(a) {
				t.Errorf("%s and %s are not forbidden alike", plain, a)
			}
		}
	})
}
