package rules_test

import (
	"net/netip"
	"testing"

	"github.com/llmgw/llmgw/rules"
)

func TestForbiddenAddresses(t *testing.T) {
	for address, forbidden := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "fe80::1": true, "fe80::1%eth0": true, "::ffff:169.254.169.254": true,
		"fd00:ec2::254": true, "100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true, "ff02::1": true,
		"fd00:ec2::23": true, "fd20:ce::254": true, "fd00:c1::a9fe:a9fe": true,
		"64:ff9b::a9fe:a9fe": true, "2002:a9fe:a9fe::": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.168.0.1": false, "169.253.1.1": false, "1.1.1.1": false,
		"fd00::1": false, "64:ff9b::101:101": false, "2002:101:101::": false, "2001:db8::1": false,
	} {
		if got := rules.ForbiddenAddress(netip.MustParseAddr(address)); got != forbidden {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestForbiddenURLs(t *testing.T) {
	for url, forbidden := range map[string]bool{
		"http://169.254.169.254/latest/meta-data": true, "http://169.254.169.254.:80": true, "http://[fe80::1%25eth0]": true,
		"http://METADATA.google.internal": true, "http://metadata": true, "http://instance-data/": true,
		"http://2852039166": true, "http://0xA9FEA9FE": true, "http://169.254.43518": true, "http://0251.0376.0251.0376": true, "http://a.0x1": true,
		"http://%":              true,
		"http://127.0.0.1:8080": false, "http://localhost:11434/v1": false, "http://[::1]:8080": false, "https://api.openai.com/v1": false,
		"http://10.0.0.1": false, "https://metadata.example.com": false, "https://a.0xyz": false, "https://gpt4.example": false,
	} {
		if got := rules.ForbiddenURL(url); got != forbidden {
			t.Errorf("%s: %v", url, got)
		}
	}
}
