package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// making is one apply of all kinds while it is made. What can be put down to a
// place in the files is gathered in problems, and told at once; what the caller
// may not do ends it.
//
// What is named comes before what names it, and goes after it: first upstreams,
// users and keys, then rules and bindings; then what is to go, the other way
// round.
type making struct {
	server *Server
	st     State
	files  *rules.Objects
	prune  bool
	may    permission
	before *stored

	problems rules.Problems // for which it is refused
	warnings rules.Problems
	lost     []string // secrets that nothing brings back
	next     []string // what is left to do by hand

	bound  []accounts.Binding  // those of the files, without ID and birthday
	shrunk []accounts.Upstream // without the credentials that are to go, once no binding names them
}

// permission says whether what a single edit would need is had.
type permission struct {
	give      func(ctx context.Context, role accounts.Role) error
	reference func(ctx context.Context) error
	become    func(ctx context.Context, before, after *accounts.User) error
	keepAdmin func(ctx context.Context, st State, before ...*accounts.User) error
}

// asCaller is what the caller may do.
func asCaller() permission {
	return permission{give: mayGive, reference: mayReference, become: mayBecome, keepAdmin: keepsAdmin}
}

// justAsking is for who only wants to know, and changes nothing.
func justAsking() permission {
	return permission{
		give:      func(context.Context, accounts.Role) error { return nil },
		reference: func(context.Context) error { return nil },
		become:    func(context.Context, *accounts.User, *accounts.User) error { return nil },
		keepAdmin: func(context.Context, State, ...*accounts.User) error { return nil },
	}
}

// mayBecome keeps callers from locking themselves out.
func mayBecome(ctx context.Context, before, after *accounts.User) error {
	if !callerOf(ctx).owns(after.ID) || !after.Disabled && after.Role.Covers(before.Role) {
		return nil
	}
	return denied("nobody disables themselves or takes their own role away with an apply",
		"let another admin apply this, or take the user out of the files")
}

func (s *Server) newMaking(st State, files *rules.Objects, prune bool, may permission) (*making, error) {
	before, err := storedIn(st)
	if err != nil {
		return nil, err
	}
	return &making{server: s, st: st, files: files, prune: prune, may: may, before: before}, nil
}

func (m *making) all(ctx context.Context) error {
	for _, step := range []func(context.Context) error{m.users, m.upstreams, m.keys, m.resolve} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := m.refusal(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{m.rules, m.bindings, m.boundable, m.shrink, m.leave, m.keepAdmin} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// refusal tells all that was found wrong so far; nil where nothing was.
func (m *making) refusal() error {
	if len(m.problems) == 0 {
		return nil
	}
	m.problems.Sort()
	return invalid(viewProblems(m.problems))
}

func (m *making) refuse(object placed, field, message, hint string) {
	m.problems = append(m.problems, located(object, []api.Problem{{Field: field, Message: message, Hint: hint}})...)
}

func (m *making) users(ctx context.Context) error {
	for i := range m.files.Users {
		if err := m.user(ctx, &m.files.Users[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *making) user(ctx context.Context, written *rules.WrittenUser) error {
	before, err := m.st.User(written.Name)
	isNew := errors.Is(err, accounts.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	user := before
	if isNew {
		if problems := checkUserName("name", written.Name); problems != nil {
			m.problems = append(m.problems, located(written, problems)...)
			return nil
		}
		user = accounts.User{ID: accounts.NewID("user", m.server.now()), Name: written.Name, CreatedAt: m.server.now()}
	}
	user.Email, user.Role, user.Tags, user.Disabled = written.Email, written.Role, written.Tags, written.Disabled
	if !isNew && sameUser(&before, &user) {
		return nil
	}
	for _, role := range []accounts.Role{before.Role, user.Role} {
		if role == "" { // there was nobody yet
			continue
		}
		if err := m.may.give(ctx, role); err != nil {
			return err
		}
	}
	if !isNew {
		if err := m.may.become(ctx, &before, &user); err != nil {
			return err
		}
	}
	return m.st.PutUser(user)
}

// keepAdmin looks whether somebody is left who can log in and repair what an
// apply has done.
func (m *making) keepAdmin(ctx context.Context) error {
	before := make([]*accounts.User, 0, len(m.before.objects.Users))
	for i := range m.before.objects.Users {
		before = append(before, &m.before.objects.Users[i].User)
	}
	return m.may.keepAdmin(ctx, m.st, before...)
}

// sameUser compares what files say of users.
func sameUser(a, b *accounts.User) bool {
	changes, _ := rules.PlanObjects(
		&rules.Objects{Users: []rules.WrittenUser{{User: *a}}}, &rules.Objects{Users: []rules.WrittenUser{{User: *b}}})
	return len(changes) == 0
}

func (m *making) keys(context.Context) error {
	for i := range m.files.Keys {
		if err := m.key(&m.files.Keys[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *making) key(written *rules.WrittenKey) error {
	key, err := m.st.Key(written.Name)
	isNew := errors.Is(err, accounts.ErrNotFound)
	switch {
	case isNew:
		key = accounts.Key{ID: accounts.NewID("key", m.server.now()), Name: written.Name, CreatedAt: m.server.now()}
	case err != nil:
		return err
	case !key.RevokedAt.IsZero():
		m.refuse(written, "name", "the key was revoked, which is for good", "another name, or: llmgw keys delete "+key.Name)
		return nil
	case !isObject(&key):
		m.refuse(written, "name", "is that of a key of the gateway's own", "another name")
		return nil
	}
	if written.Owner == "" {
		key.UserID = ""
	} else if owner, err := m.st.User(written.Owner); errors.Is(err, accounts.ErrNotFound) {
		m.refuse(written, "user", fmt.Sprintf("no user %q in the files or the gateway", written.Owner), "")
		return nil
	} else if err != nil {
		return err
	} else {
		key.UserID = owner.ID
	}
	if end := written.ExpiresAt; !end.IsZero() && !end.Equal(key.ExpiresAt) && !end.After(m.server.now()) {
		m.warnings = append(m.warnings, located(written, []api.Problem{{Field: "expires", Message: "is in the past: the key is of no use"}})...)
	}
	key.Tags, key.Models, key.Limits = written.Tags, written.Models, written.Limits
	key.ExpiresAt, key.Disabled = written.ExpiresAt, written.Disabled
	if len(key.Secrets) == 0 {
		m.next = append(m.next, fmt.Sprintf("key %s has no secret yet: llmgw keys rotate %s", key.Name, key.Name))
	}
	return m.st.PutKey(key)
}

// rules compiles what is to be in force, also where no file has rules: upstreams
// may have changed under those that are.
func (m *making) rules(context.Context) error {
	before := m.before.objects.Sets
	after := before
	switch {
	case m.files.Holds(rules.KindRule) && m.prune:
		after = m.files.Sets
	case m.files.Holds(rules.KindRule):
		after = rules.Merge(before, m.files.Sets)
	}
	warnings, err := m.server.compileSets(m.st, after)
	if err != nil {
		return err
	}
	if m.files.Holds(rules.KindRule) {
		m.warnings = append(m.warnings, warnings...)
	}
	return storeSets(m.st, before, after)
}
