package admin

import (
	"context"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// Store is the truth, as the admin API sees it. Its errors wrap the kinds of
// accounts: ErrNotFound, ErrExists, ErrInUse, ErrChanged, ErrUnavailable.
type Store interface {
	ConfigStore
	HistoryStore
	KeyStore

	// Change runs f on the state in force and commits what it did, all of it or,
	// where f fails, nothing; the error of f is in the chain of its own. It may
	// run f more than once.
	Change(ctx context.Context, meta accounts.Meta, f func(State) error) (accounts.Change, error)
}

// ConfigStore reads what is compiled.
type ConfigStore interface {
	Load(ctx context.Context) (rules.Config, error)
	LastConfigChange(ctx context.Context) (accounts.Change, error)
}

// HistoryStore looks back. Rules of old revisions may be gone while the revision
// is still known.
type HistoryStore interface {
	History(ctx context.Context, limit int) ([]rules.Revision, error) // the newest first
	Revision(ctx context.Context, number int64) (rules.Revision, error)
	RulesAt(ctx context.Context, number int64) ([]rules.File, error)
}

// KeyStore reads keys. Whatever is found by name is found by its ID, too.
type KeyStore interface {
	Keys(ctx context.Context) ([]accounts.Key, error)
	Key(ctx context.Context, name string) (accounts.Key, error)
	// Identify gives who calls with the key of a hash, its owner included.
	Identify(ctx context.Context, hash accounts.KeyHash) (*accounts.Identity, error)
}

// State is the truth within one change.
type State interface {
	Revision() int64 // of the config that is in force before the change
	RuleState
	UpstreamState
	KeyState
}

// RuleState holds the sets of rules.
type RuleState interface {
	Files() ([]rules.File, error)
	PutFile(file rules.File) error // replaces the set of that name
	DeleteSet(set string) error
}

// UpstreamState holds the upstreams, found by name, with their credentials.
type UpstreamState interface {
	Upstreams() ([]accounts.Upstream, error)
	Upstream(name string) (accounts.Upstream, error)
	PutUpstream(upstream accounts.Upstream) error // replaces the one of that ID
	// DeleteUpstream fails with ErrInUse, its text naming the rules, where rules
	// send requests to the upstream.
	DeleteUpstream(name string) error
}

// KeyState holds the keys, found by name.
type KeyState interface {
	Keys() ([]accounts.Key, error)
	Key(name string) (accounts.Key, error)
	PutKey(key accounts.Key) error // replaces the one of that ID
}
