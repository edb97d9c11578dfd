package main

import (
	"context"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

// firstKeyName is the key that a first start on a terminal makes.
const firstKeyName = "default"

// firstConfig fills an empty store: the mock, and every provider whose key is
// in the environment. Their rules go into a set of their own that every other
// set comes before.
func (n *node) firstConfig(ctx context.Context) error {
	head, err := n.store.Head(ctx)
	if err != nil || head.Seq > 0 {
		return err
	}
	upstreams := n.firstUpstreams(time.Now())
	builtin := rules.File{Set: rules.BuiltinSet, Order: rules.BuiltinOrder}
	for _, u := range upstreams {
		builtin.Rules = append(builtin.Rules, rules.Rule{
			Name: u.Name, Match: rules.Match{Model: u.models}, Action: rules.Action{Upstream: u.Name},
		})
	}
	_, err = n.store.Change(ctx, local("gateway.create", "first start"), func(st *store.State) error {
		for _, u := range upstreams {
			if err := st.PutUpstream(u.Upstream); err != nil {
				return err
			}
		}
		return st.PutFile(builtin)
	})
	return err
}

func local(kind, why string) accounts.Meta {
	return accounts.Meta{Kind: kind, Actor: "local", From: "serve", Why: why}
}

// builtinUpstream is an upstream with the models that its rule takes.
type builtinUpstream struct {
	accounts.Upstream
	models []string
}

// firstUpstreams lists what there is to send to.
func (n *node) firstUpstreams(now time.Time) []builtinUpstream {
	var all []builtinUpstream
	add := func(u accounts.Upstream, models ...string) {
		u.ID, u.Enabled, u.CreatedAt = accounts.NewID("up", now), true, now
		all = append(all, builtinUpstream{u, models})
	}
	if !n.settings.on("no-mock") {
		add(accounts.Upstream{
			Name: "mock", Provider: accounts.ProviderGeneric, URL: "http://" + mockHost, Auth: accounts.AuthNone, Websocket: true,
		}, "mock", "mock-*")
	}
	if n.settings.on("no-detect") {
		return all
	}
	for _, k := range knownProviders() {
		if variable := k.variable(); variable != "" {
			add(accounts.Upstream{
				Name: k.name, Provider: k.provider, URL: k.url,
				Credentials: []accounts.Credential{{
					ID: accounts.NewID("cred", now), Name: "default", Reference: "env:" + variable, Enabled: true, CreatedAt: now,
				}},
			}, k.models...)
		}
	}
	return all
}

// makeFirstKey makes a key where there never was one and somebody sees it: its
// secret is shown on a terminal and nowhere else. It comes after the proxy's port
// is bound, so that a start that fails on it loses no key that nobody saw.
func (n *node) makeFirstKey(ctx context.Context) error {
	if n.away() {
		return nil
	}
	keys, err := n.store.Keys(ctx)
	if err != nil || len(keys) > 0 {
		return err
	}
	if !n.app.outIsTerm {
		n.log.Warn().Str("next", "llmgw keys create NAME").Msg("no key yet")
		return nil
	}
	secret, err := n.store.Issuer().Issue()
	if err != nil {
		return err
	}
	now := time.Now()
	key := accounts.Key{
		ID: accounts.NewID("key", now), Name: firstKeyName, CreatedAt: now,
		Secrets: []accounts.KeySecret{{Hash: accounts.HashKey(secret.Reveal()), Last4: secret.Last4(), CreatedAt: now}},
	}
	_, err = n.store.Change(ctx, local("key.create", "first start"), func(st *store.State) error { return st.PutKey(key) })
	n.firstKey = secret
	return err
}
