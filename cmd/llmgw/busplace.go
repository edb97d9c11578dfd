package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/redis"
)

// busInMemory is the bus of a gateway that is alone.
const busInMemory = "memory"

// busURL takes memory, and where Redis is. That holds a password, so the value is
// not repeated.
func busURL(text string) error {
	if text == busInMemory {
		return nil
	}
	if _, err := redis.Parse(text); err != nil {
		return fmt.Errorf("%w; where there is no Redis, write memory", err)
	}
	return nil
}

// bus is where Redis is, nil where there is none.
func (s *settings) bus() (*redis.Location, error) {
	text := s.text("bus")
	if text == busInMemory {
		return nil, nil //nolint:nilnil // there is none
	}
	if s.originOf("bus") == fromFlag && busHoldsPassword(text) {
		return nil, usage("do not put a password on the command line (it shows in ps and shell history)").
			withHint("use LLMGW_BUS for the whole URL, or LLMGW_BUS_PASSWORD or LLMGW_BUS_PASSWORD_FILE beside --bus")
	}
	at, err := redis.Parse(text)
	if err != nil {
		return nil, invalid("bus: %v", err)
	}
	password, err := s.busPassword()
	if err != nil || password.IsZero() {
		return at, err
	}
	return at.WithPassword(password), nil
}

func (s *settings) busPassword() (accounts.Secret, error) {
	if text := s.text("bus-password"); text != "" {
		return accounts.NewSecret(text), nil
	}
	path := s.text("bus-password-file")
	if path == "" {
		return accounts.Secret{}, nil
	}
	text, err := readRegular(expandHome(path), longestSecret)
	if err != nil {
		return accounts.Secret{}, invalid("reading the bus's password: %s", reason(err))
	}
	return accounts.NewSecret(strings.TrimRight(string(text), "\r\n")), nil
}

// busHoldsPassword says whether there is a password in a URL of Redis.
func busHoldsPassword(text string) bool {
	before, query, _ := strings.Cut(text, "?")
	user, _, found := cutLast(before, "@")
	_, after, _ := strings.Cut(user, "://")
	return found && strings.Contains(after, ":") || strings.Contains(query, "sentinel_password=")
}

// maskedBus gives a URL of Redis without what is secret in it. It may name several
// hosts, so that it is no URL for package net/url.
func maskedBus(text string) string {
	before, query, asks := strings.Cut(text, "?")
	if user, hosts, found := cutLast(before, "@"); found {
		scheme, who, _ := strings.Cut(user, "://")
		name, _, _ := strings.Cut(who, ":")
		before = scheme + "://" + name + ":***@" + hosts
	}
	if !asks {
		return before
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return before + "?***"
	}
	if values.Has("sentinel_password") {
		values.Set("sentinel_password", "***")
	}
	return before + "?" + strings.ReplaceAll(values.Encode(), url.QueryEscape("***"), "***")
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+len(separator):], true
}

// openBus makes the connection to Redis, which need not be there yet.
func (n *node) openBus(context.Context) error {
	at, err := n.settings.bus()
	if err != nil || at == nil {
		return err
	}
	client, err := redis.Open(at)
	if err != nil {
		return invalid("bus: %v", err)
	}
	n.bus, n.busAt = client, at.String()
	n.onClose(client.Close)
	return nil
}

// withBus lets a store use the bus, if there is one.
func (n *node) withBus(o store.Options) store.Options {
	if n.bus != nil {
		o.Bus, o.Shelf = n.bus, n.bus
	}
	return o
}

// busStatus says how the bus is.
func (n *node) busStatus() string {
	connected, configured := n.store.BusConnected()
	switch {
	case !configured:
		return "in-process"
	case connected:
		return "redis ok " + n.busAt
	}
	return "redis unreachable " + n.busAt
}
