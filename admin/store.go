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
	UserStore
	BindingStore
	AuditStore
	NodeStore

	// Change runs f on the state in force and commits what it did, all of it or,
	// where f fails, nothing; the error of f is in the chain of its own. It may
	// run f more than once.
	Change(ctx context.Context, meta accounts.Meta, f func(State) error) (accounts.Change, error)
	// Look runs f on everything as it is at one moment, where f changes nothing.
	Look(ctx context.Context, f func(State) error) error
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

// UserStore reads users, found by name or ID.
type UserStore interface {
	Users(ctx context.Context) ([]accounts.User, error)
	User(ctx context.Context, nameOrID string) (accounts.User, error)
}

// BindingStore reads bindings.
type BindingStore interface {
	Bindings(ctx context.Context) ([]accounts.Binding, error)
}

// AuditStore looks at what was done. A change is never cut in two: there may be
// more entries than the query's Limit.
type AuditStore interface {
	Audit(ctx context.Context, query AuditQuery) ([]accounts.Audit, error) // the newest first
}

// NodeStore knows which gateways run on the store.
type NodeStore interface {
	Nodes(ctx context.Context) ([]accounts.Node, error) // by name
}

// AuditQuery says which part of the audit is wanted. The zero value is all of
// it. Words are compared whole, but for an Action that ends in *.
type AuditQuery struct {
	Actor, Action, Subject, Name string

	Since, Until time.Time // from Since on, before Until; zero: no bound
	Before       int64     // changes with a lower number than this; 0: from the newest on
	Limit        int       // entries; 0: all
}

// AccountStore is what logins need to know and keep. Logins are no changes: what
// becomes of them is in no log.
type AccountStore interface {
	UserStore
	SessionStore

	// Sealed gives a secret of the installation, made by make once and for all.
	Sealed(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error)
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
	// NoteSessionUse notes when sessions were last used, by their IDs.
	NoteSessionUse(ctx context.Context, uses map[string]time.Time) error
}

// State is the truth within one change.
type State interface {
	Revision() int64 // of the config that is in force before the change
	Seq() int64      // of the newest change before this one
	RuleState
	UpstreamState
	KeyState
	UserState
	SessionState
	BindingState
}

// SessionState holds logins, personal access tokens and admin links. One that is
// put or deleted here stands in the audit.
type SessionState interface {
	Session(id string) (accounts.Session, error)
	Sessions(userID string) ([]accounts.Session, error) // "": of everybody
	PutSession(session accounts.Session) error
	DeleteSession(id string) error
}

// UserState holds the users, found by name or ID. A user who is disabled, or whose password becomes
// another, has no sessions any more once the change is made.
type UserState interface {
	Users() ([]accounts.User, error)
	User(nameOrID string) (accounts.User, error)
	PutUser(user accounts.User) error // replaces the one of that ID
	// DeleteUser takes the user's bindings and sessions along. It fails with
	// ErrInUse, its text naming the keys, where the user owns some that are not
	// revoked.
	DeleteUser(nameOrID string) error
}

// BindingState holds the bindings.
type BindingState interface {
	Bindings() ([]accounts.Binding, error)
	Binding(id string) (accounts.Binding, error)
	PutBinding(binding accounts.Binding) error // replaces the one of that ID
	DeleteBinding(id string) error
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
	PutKey(key accounts.Key) error   // replaces the one of that ID
	DeleteKey(nameOrID string) error // takes the key's bindings along
}
