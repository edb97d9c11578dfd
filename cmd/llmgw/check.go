package main

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

// The checks of settings. None repeats what it was given where that could be a
// secret.

func address(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not an address; write HOST:PORT or :PORT", text)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is not a port; ports are 0 to 65535", port)
	}
	return nil
}

func networks(text string) error {
	_, err := parseNetworks(text)
	return err
}

// parseNetworks reads CIDRs, separated by commas. An address alone is a network
// of one.
func parseNetworks(text string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if a, err := netip.ParseAddr(part); err == nil {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network; write 10.0.0.0/8 or ::1/128, several with commas", part)
		}
		all = append(all, p)
	}
	return all, nil
}

func duration(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a duration; write 500ms, 30s or 10m", text)
	}
	if d < 0 {
		return fmt.Errorf("%q is negative", text)
	}
	return nil
}

func size(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return fmt.Errorf("%q is not a size; write 512KiB or 64MiB", text)
	}
	if n == 0 || n > math.MaxInt64 {
		return fmt.Errorf("%q is out of range", text)
	}
	return nil
}

func toggle(text string) error {
	if _, err := strconv.ParseBool(text); err != nil {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(text string) error {
		for _, word := range words {
			if text == word {
				return nil
			}
		}
		if near := nearest(text, words); near != "" {
			return fmt.Errorf("%q is unknown; did you mean %q?", text, near)
		}
		return fmt.Errorf("%q is unknown; there are %s", text, strings.Join(words, ", "))
	}
}

// storeURL takes sqlite://PATH and the URL of a PostgreSQL database. That holds a
// password, so the value is not repeated.
func storeURL(text string) error {
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case text == "sqlite":
		return nil
	case isPostgres(text):
		_, err := store.ParsePostgres(text, accounts.Secret{})
		return err
	case !ok || scheme != "sqlite":
		return fmt.Errorf("must be sqlite://PATH or postgres://USER@HOST:PORT/DATABASE")
	case rest == "":
		return fmt.Errorf("sqlite:// must be followed by a path")
	case strings.ContainsAny(rest, "?#"):
		return fmt.Errorf("sqlite://PATH takes no parameters")
	}
	return nil
}

// mostConnections is more than a server of any size has for one client.
const mostConnections = 1000

func connections(text string) error {
	if n, err := strconv.Atoi(text); err != nil || n < 1 || n > mostConnections {
		return fmt.Errorf("%q is not a number from 1 to %d", text, mostConnections)
	}
	return nil
}

func serverURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("is not a URL; write unix:///PATH/admin.sock or http://HOST:PORT")
	case u.User != nil:
		return fmt.Errorf("must not hold a user or password")
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		return nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return nil
	}
	return fmt.Errorf("must be unix:///PATH/admin.sock or http://HOST:PORT")
}

// leastStaleness is what a gateway with a store that answers never comes near:
// it looks every two seconds, and gives up on an answer after one.
const leastStaleness = 5 * time.Second

func staleness(text string) error {
	if err := duration(text); err != nil {
		return err
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 && d < leastStaleness {
		return fmt.Errorf("%q is too short: changes are looked for every 2 s; write %s or more, or 0 for no limit", text, leastStaleness)
	}
	return nil
}
