// Package storetest answers one question: does a store keep its promises,
// whatever database is below it? Run is the contract, seen from outside; every
// database has to pass all of it.
//
//  1. Whoever tests a database hands Run a function that makes an empty one.
//  2. Each test takes an empty database, and opens one store on it, or two, as
//     two nodes would.
//
// What is special to one database (files, locks, crashes) is tested beside it,
// not here.
package storetest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

// Database makes an empty database and gives what opens a store on it, as a node
// named a1 (store.Options.Node). Every store must be closed when its test ends.
type Database func(t *testing.T) (open func(t *testing.T) *store.Store)

// Run holds a database to the contract.
func Run(t *testing.T, empty Database) {
	for name, test := range map[string]func(*testing.T, Database){
		"changes":           testChanges,
		"refused changes":   testRefusedChanges,
		"rules":             testRules,
		"one rule":          testOneRule,
		"upstreams":         testUpstreams,
		"upstreams in use":  testUpstreamsInUse,
		"keys":              testKeys,
		"deleted keys":      testDeletedKeys,
		"users":             testUsers,
		"deleted users":     testDeletedUsers,
		"bindings":          testBindings,
		"identify":          testIdentify,
		"owners":            testOwners,
		"sessions":          testSessions,
		"tokens":            testTokens,
		"renewed sessions":  testRenewedSessions,
		"uses":              testUses,
		"audit":             testAudit,
		"audit chain":       testAuditChain,
		"audit queries":     testAuditQueries,
		"looks":             testLook,
		"sealed":            testSealed,
		"follow":            testFollow,
		"nodes":             testNodes,
		"listeners":         testListeners,
		"history":           testHistory,
		"rules of the past": testRulesOfThePast,
		"texts":             testTexts,
		"together":          testTogether,
	} {
		t.Run(name, func(t *testing.T) { test(t, empty) })
	}
}

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

func one(t *testing.T, empty Database) *store.Store {
	t.Helper()
	return empty(t)(t)
}

func two(t *testing.T, empty Database) (*store.Store, *store.Store) {
	t.Helper()
	open := empty(t)
	return open(t), open(t)
}

// must makes a change that has to succeed.
func must(t *testing.T, s *store.Store, f func(*store.State) error) accounts.Change {
	t.Helper()
	c, err := s.Change(t.Context(), meta(), f)
	if err != nil {
		t.Fatalf("changing: %v", err)
	}
	return c
}

func meta() accounts.Meta {
	return accounts.Meta{Kind: "test.change", Actor: "tester", From: "socket", Why: "because"}
}

func upstream(name string) accounts.Upstream {
	return accounts.Upstream{
		ID: "up_" + name, Name: name, Provider: accounts.ProviderOpenAI, URL: "https://" + name + ".example/v1", Enabled: true,
	}
}

// file is a set of rules that all send to one upstream.
func file(set string, order int, upstream string, names ...string) rules.File {
	f := rules.File{Set: set, Order: order}
	for _, name := range names {
		f.Rules = append(f.Rules, rules.Rule{Name: name, Action: rules.Action{Upstream: upstream}})
	}
	return f
}

func key(name string, secrets ...string) accounts.Key {
	k := accounts.Key{ID: "key_" + name, Name: name, Tags: map[string]string{"team": "search"}}
	for _, secret := range secrets {
		k.Secrets = append(k.Secrets, accounts.KeySecret{Hash: accounts.HashKey(secret), Last4: "last"})
	}
	return k
}

func putKey(k accounts.Key) func(*store.State) error {
	return func(st *store.State) error { return st.PutKey(k) }
}

func putUpstream(u accounts.Upstream) func(*store.State) error {
	return func(st *store.State) error { return st.PutUpstream(u) }
}

// putConfig puts an upstream and sets of rules.
func putConfig(u accounts.Upstream, files ...rules.File) func(*store.State) error {
	return func(st *store.State) error {
		if err := st.PutUpstream(u); err != nil {
			return err
		}
		for _, f := range files {
			if err := st.PutFile(f); err != nil {
				return err
			}
		}
		return nil
	}
}

func load(t *testing.T, s *store.Store) rules.Config {
	t.Helper()
	c, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func head(t *testing.T, s *store.Store) store.Head {
	t.Helper()
	h, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// text shows a value for comparing.
func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for: %s", patience, what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}
