package admin

import (
	"context"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// caller is who makes a call, and how that is known.
type caller struct {
	User      string        // name; that of localUser and openUser is nobody's
	UserID    string        // empty where there is no such user
	Role      accounts.Role // in force for this call
	Via       string        // one of those below
	From      string        // "socket", or an address
	Peer      string        // what wrong passwords from there are counted under
	Session   string        // ID of the login or of the personal access token
	ExpiresAt time.Time     // of that; zero: never
}

// How a caller is known: api.Me.Via.
const (
	viaSocket = "socket" // may open the admin socket, so is the gateway's own user
	viaLogin  = "login"  // has the access token of a login
	viaToken  = "token"  // has a personal access token
	viaOpen   = "open"   // nobody is asked who they are
)

// The names of callers who are no users.
const (
	localUser = "local"
	openUser  = "open"
)

// checkUserName says what is wrong with the name of a user to be. Those of
// callers who are no users stand in logs and in the audit for nobody.
func checkUserName(field, name string) []api.Problem {
	switch {
	case !accounts.ValidName(name):
		return []api.Problem{badName(field)}
	case name == localUser || name == openUser:
		return []api.Problem{{Field: field, Message: "is kept for callers who are no users"}}
	}
	return nil
}

// callerKey is where a context keeps its caller.
type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerOf is who makes the call. A context that knows nobody gives a caller
// who may do nothing.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// by says who makes a change of a kind, noun.verb.
func by(ctx context.Context, kind string) accounts.Meta {
	c := callerOf(ctx)
	return accounts.Meta{Kind: kind, Actor: c.User, From: c.From}
}

// isSubject says whether a change of that subject may have changed what the
// caller may do.
func (c caller) isSubject(subject string) bool {
	return c.Session != "" && (subject == "user:"+c.UserID || subject == "session:"+c.Session || subject == everything)
}

// owns says whether something that belongs to userID is the caller's own.
func (c caller) owns(userID string) bool { return c.UserID != "" && c.UserID == userID }

// sees says whether the caller may know of what belongs to userID: whoever is
// no mere member sees everything.
func (c caller) sees(userID string) bool { return c.Role.Covers(accounts.RoleViewer) || c.owns(userID) }

// handles says whether the caller may change what belongs to userID.
func (c caller) handles(userID string) bool {
	return c.Role.Covers(accounts.RoleOperator) || c.owns(userID)
}

// mayReference refuses references to the gateway's variables and files to whoever
// is no admin: with an upstream of their own they could have sent there whatever
// the gateway's user can read.
func mayReference(ctx context.Context) error {
	if callerOf(ctx).Role.Covers(accounts.RoleAdmin) {
		return nil
	}
	return denied("a credential by reference, and the address of an upstream that has one, need the role admin",
		"give the secret itself: llmgw upstreams credential set NAME --credential -")
}
