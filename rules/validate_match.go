package rules

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// match checks a block of matchers; path is "match", or "match.not".
func (c *checker) match(path string, m *Match) {
	c.paths(path+".path", &m.Path)
	c.lists(path, m)
	c.headerTests(path+".header.", m.Header)
	for _, name := range slices.Sorted(maps.Keys(m.Query)) {
		if name == "" {
			c.refuse(path+".query.", "", "a parameter's name is empty")
		}
		c.text(path+".query."+name, m.Query[name])
	}
	c.tags(path, m.Tag)
	if m.BodyBytes != nil {
		c.bounds(path+".body_bytes", m.BodyBytes)
	}
	if m.Not == nil {
		return
	}
	switch depth := strings.Count(path, ".not"); {
	case depth == maxNots:
		c.refuse(path+".not", "", "not is nested deeper than %d", maxNots)
	case m.Not.empty():
		c.refuse(path+".not", "leave the field out", "there is no matcher")
	default:
		c.match(path+".not", m.Not)
	}
}

func (c *checker) paths(path string, p *Paths) {
	for i, glob := range p.Globs {
		field := fmt.Sprintf("%s[%d]", path, i)
		if len(p.Globs) == 1 && c.rule.from != nil {
			if _, inList := c.rule.from.at[field]; !inList {
				field = path
			}
		}
		if problem, hint := pathGlobProblem(glob); problem != "" {
			c.refuse(field, hint, "%s", problem)
		}
	}
	if p.Regex != "" {
		c.regex(path+".regex", p.Regex)
		if len(p.Globs) > 0 {
			c.refuse(path, "give one of them", "both patterns and a regular expression")
		}
	}
}

// lists checks the matchers whose values are lists.
func (c *checker) lists(path string, m *Match) {
	item := func(field string, i int) string { return fmt.Sprintf("%s.%s[%d]", path, field, i) }
	for i, method := range m.Method {
		if !slices.Contains(methods, method) {
			c.refuse(item("method", i), "methods are "+strings.Join(methods, ", "), "unknown method %q", shorten(method))
		}
	}
	for i, host := range m.Host {
		if problem, hint := hostProblem(host); problem != "" {
			c.refuse(item("host", i), hint, "%s", problem)
		}
	}
	for i, glob := range m.Model {
		if problem := modelGlobProblem(glob); problem != "" {
			c.refuse(item("model", i), "", "%s", problem)
		}
	}
	c.callers(path+".key", "key", m.Key)
	c.callers(path+".user", "user", m.User)
	for i, network := range m.Source {
		if problem, hint := networkProblem(network); problem != "" {
			c.refuse(item("source", i), hint, "%s", problem)
		}
	}
}

// networkProblem says what is wrong with a CIDR.
func networkProblem(text string) (problem, hint string) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
			return "an address without the size of its network", fmt.Sprintf("for this address alone write %s/%d", address, address.BitLen())
		}
		return "not a network", "it looks like 10.0.0.0/8 or 2001:db8::/32"
	}
	switch {
	case network.Addr().Is4In6():
		return "an IPv4 network is written as such", "it looks like 10.0.0.0/8"
	case network != network.Masked():
		return "the address has bits beyond its network", "write " + network.Masked().String()
	}
	return "", ""
}

// callers checks patterns for names of keys or users.
func (c *checker) callers(path, field string, patterns []string) {
	for i, glob := range patterns {
		problem, hint := callerGlobProblem(glob, field)
		if glob == "" {
			problem, hint = "the pattern is empty", ""
		}
		if problem != "" {
			c.refuse(fmt.Sprintf("%s[%d]", path, i), hint, "%s", problem)
		}
	}
}

func (c *checker) tags(path string, tags map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		field := path + ".tag." + name
		if name == "" || hasControl(name) {
			c.refuseKey(field, "", "not the name of a tag")
		}
		if problem, hint := callerGlobProblem(tags[name], "tag"); problem != "" {
			c.refuse(field, hint, "%s", problem)
		}
	}
}

func (c *checker) bounds(field string, b *Bounds) {
	if b.GT == nil && b.LT == nil {
		c.refuse(field, "leave the field out", "there is no size")
		return
	}
	for _, bound := range []*int64{b.GT, b.LT} {
		if bound != nil && (*bound < 0 || *bound > maxSize) {
			c.refuse(field, sizeHint, "not a size")
		}
	}
	if ready := newBounds(b); ready.above+1 >= ready.below {
		c.refuse(field, "", "no size is more than gt and less than lt")
	}
}

// methods are those that the gateway takes.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// headerTests checks what is asked of headers; prefix ends in a dot.
func (c *checker) headerTests(prefix string, tests map[string]Text) {
	names := slices.Sorted(maps.Keys(tests))
	c.distinctHeaders(prefix, names)
	for _, name := range names {
		field := prefix + name
		switch strings.ToLower(name) {
		case "host":
			c.refuseKey(field, "use match.host", "the host is not matched as a header")
		case "transfer-encoding":
			c.refuseKey(field, "", "%q is about one connection and cannot be matched", name)
		}
		c.text(field, tests[name])
	}
}

// distinctHeaders refuses what is no header name, and names that differ only
// in case.
func (c *checker) distinctHeaders(prefix string, names []string) {
	seen := map[string]string{}
	for _, name := range names {
		if !validHeaderName(name) {
			c.refuseKey(prefix+name, "", "%q is not the name of a header", shorten(name))
			continue
		}
		if other, taken := seen[strings.ToLower(name)]; taken {
			c.refuseKey(prefix+name, "names of headers do not differ by case", "%q is given twice, also as %q", name, other)
		}
		seen[strings.ToLower(name)] = name
	}
}
