package rules

import (
	"net"
	"strings"
)

// host is a host pattern.
type host struct {
	name string // lower case; without the * where wild
	wild bool   // *.example.com: one label stands for the *
}

func newHost(pattern string) host {
	name, wild := strings.CutPrefix(pattern, "*")
	return host{name: name, wild: wild}
}

// takes asks a host that hostOnly made.
func (h *host) takes(text string) bool {
	if !h.wild {
		return foldEqual(text, h.name)
	}
	label := len(text) - len(h.name)
	return label > 0 && foldEqual(text[label:], h.name) && strings.IndexByte(text[:label], '.') < 0
}

// hostOnly cuts the port, the brackets of an IPv6 address and the root's dot.
func hostOnly(text string) string {
	if strings.HasPrefix(text, "[") {
		if end := strings.IndexByte(text, ']'); end > 0 {
			return text[1:end]
		}
		return text
	}
	if colon := strings.IndexByte(text, ':'); colon >= 0 {
		text = text[:colon]
	}
	return strings.TrimSuffix(text, ".")
}

// foldEqual compares ASCII without regard to case; lower is lower case.
func foldEqual(text, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// hostProblem says what is wrong with a host pattern.
func hostProblem(pattern string) (problem, hint string) {
	name := strings.TrimPrefix(pattern, "*.")
	switch {
	case strings.ToLower(name) != name:
		return "hosts are matched in lower case", "write " + shorten(strings.ToLower(pattern))
	case net.ParseIP(name) != nil && name == pattern:
		return "", ""
	case strings.Contains(name, "*"):
		return "* can only be the whole first label of a host", "it looks like *.example.com"
	case strings.ContainsAny(name, ":[]"):
		return "hosts are matched without their port", "leave the port out"
	case !validHost(name):
		return "not a host name", "it looks like llm.example.com or *.example.com"
	}
	return "", ""
}

// validHost tells names of letters, digits, hyphens and underscores, in lower
// case.
func validHost(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(name) <= 253
}
