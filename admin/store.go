package admin

import (
	"context"
	"time"

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

// AccountStore is what logins need to know and keep. Sessions are no changes:
// what becomes of them is in no log.
type AccountStore interface {
	UserStore
	SessionStore

	// Sealed gives a secret of the installation, made by make once and for all.
	Sealed(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error)
}

// UserStore reads users, found by name or ID.
type UserStore interface {
	Users(ctx context.Context) ([]accounts.User, error)
	User(ctx context.Context, nameOrID string) (accounts.User, error)
	NoteLogin(ctx context.Context, userID string, at time.Time) error
}

// SessionStore keeps logins and personal access tokens.
type SessionStore interface {
	PutSession(ctx context.Context, session accounts.Session) error
	Session(ctx context.Context, id string) (accounts.Session, error)
	SessionByHash(ctx context.Context, hash accounts.KeyHash) (accounts.Session, error)
	Sessions(ctx context.Context, userID string) ([]accounts.Session, error) // "": of everybody
	// RenewSession gives a session another hash, atomically. A hash that was
	// replaced before ends the session and is ErrNotFound: somebody has a copy.
	RenewSession(ctx context.Context, old, renewed accounts.KeyHash, now, expires time.Time) (accounts.Session, error)
	DeleteSession(ctx context.Context, id string) error
}

// State is the truth within one change.
type State interface {
	Revision() int64 // of the config that is in force before the change
	RuleState
	UpstreamState
	KeyState
}

// UserState holds the users. A user who is disabled, or whose password becomes
// another, has no sessions any more once the change is made.
type UserState interface {
	User(nameOrID string) (accounts.User, error)
	PutUser(user accounts.User) error // replaces the one of that ID
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
