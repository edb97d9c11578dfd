package api

import "time"

// User is a user as it is shown. A password is in none of its fields.
type User struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Email       string            `json:"email,omitempty"`
	Role        string            `json:"role" enum:"admin,operator,viewer,member"`
	Tags        map[string]string `json:"tags,omitempty"`
	Enabled     bool              `json:"enabled"`
	HasPassword bool              `json:"has_password"`
	Keys        int               `json:"keys"` // that are the user's and not revoked
	CreatedAt   time.Time         `json:"created_at"`
	LastLoginAt *time.Time        `json:"last_login_at,omitempty"`
	ETag        string            `json:"etag"`
}

// NewUser asks for a user. Without a password the user cannot log in with one.
type NewUser struct {
	Name     string            `json:"name"`
	Email    string            `json:"email,omitempty"`
	Role     string            `json:"role,omitempty"` // default: member
	Tags     map[string]string `json:"tags,omitempty"`
	Password string            `json:"password,omitempty"`
}

// EditUser changes what is given and leaves the rest.
type EditUser struct {
	Name    *string            `json:"name,omitempty"`
	Email   *string            `json:"email,omitempty"`
	Role    *string            `json:"role,omitempty"`
	Tags    *map[string]string `json:"tags,omitempty"`
	Enabled *bool              `json:"enabled,omitempty"`
}

// SetPassword gives a user a password, or, empty, takes it away; it ends the
// user's logins. Who changes their own says the one they have.
type SetPassword struct {
	Password string `json:"password"`
	Current  string `json:"current,omitempty"`
}

// Binding says which upstream, or which of its credentials, a caller uses.
type Binding struct {
	ID         string    `json:"id"`
	Key        string    `json:"key,omitempty"`  // a name; one of key, user and tag is given
	User       string    `json:"user,omitempty"` // a name
	Tag        string    `json:"tag,omitempty"`  // NAME=VALUE
	Upstream   string    `json:"upstream"`
	Credential string    `json:"credential,omitempty"`
	Order      int       `json:"order"`
	Weight     int       `json:"weight"`
	Models     []string  `json:"models,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	ETag       string    `json:"etag"`
}

// NewBinding asks for a binding.
type NewBinding struct {
	Key        string   `json:"key,omitempty"`
	User       string   `json:"user,omitempty"`
	Tag        string   `json:"tag,omitempty"` // NAME=VALUE
	Upstream   string   `json:"upstream"`
	Credential string   `json:"credential,omitempty"`
	Order      *int     `json:"order,omitempty"`  // default: 100
	Weight     int      `json:"weight,omitempty"` // default: 1
	Models     []string `json:"models,omitempty"`
}

// MoveBinding gives a binding another place among those of the same caller.
type MoveBinding struct {
	Order int `json:"order"`
}

// AuditEntry is one object that a change made, altered or took away.
type AuditEntry struct {
	Seq      int64          `json:"seq"`
	Revision int64          `json:"revision"`
	Time     time.Time      `json:"time"`
	Actor    string         `json:"actor"`
	From     string         `json:"from"`
	Action   string         `json:"action"`  // noun.verb as typed: key.revoke
	Subject  string         `json:"subject"` // "key:key_01…"
	Name     string         `json:"name"`
	Message  string         `json:"message,omitempty"`
	Before   map[string]any `json:"before,omitempty"`
	After    map[string]any `json:"after,omitempty"`
}

// AuditQuery filters the audit log; the zero value is all of it, the newest
// first. Words are compared whole, but for Action, which may end in *.
type AuditQuery struct {
	Actor, Action, Subject, Name string
	Since, Until                 time.Time
	Limit                        int    // 0: 100; at most 1,000
	Cursor                       string // AuditQuery's Next
}

// Login asks for a session with a password, or with the one-use secret of an
// admin link.
type Login struct {
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Link     string `json:"link,omitempty"`         // what stands behind the # of an admin link
	New      string `json:"new_password,omitempty"` // with Link: the password to set
}

// Tokens are what a login gives: a JWT for the calls of the next minutes, and
// what to get the next one with. Each Refresh is good for one use.
type Tokens struct {
	Access    string    `json:"access_token"`
	ExpiresAt time.Time `json:"expires_at"` // of Access
	Refresh   string    `json:"refresh_token"`
	User      string    `json:"user"`
	Role      string    `json:"role"`
}

// Refresh asks for new Tokens.
type Refresh struct {
	Refresh string `json:"refresh_token"`
}

// Me is who makes the call.
type Me struct {
	User      string     `json:"user"` // "local" on the socket
	Role      string     `json:"role"`
	Via       string     `json:"via" enum:"socket,login,token,open"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"` // of the login or token
}

// Token is a personal access token as it is shown, or a login.
type Token struct {
	ID        string     `json:"id"`
	Name      string     `json:"name,omitempty"` // empty for a login
	User      string     `json:"user"`
	Role      string     `json:"role"`
	Last4     string     `json:"last4"`
	From      string     `json:"from,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"used_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// NewToken asks for a personal access token of the caller's own.
type NewToken struct {
	Name      string     `json:"name"`
	Role      string     `json:"role,omitempty"` // at most the caller's, which is the default
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// CreatedToken is the answer to NewToken, and the only time the secret is seen.
type CreatedToken struct {
	Token
	Secret string `json:"secret"`
}

// AdminLink is a one-use link with which a user sets a password.
type AdminLink struct {
	URL       string    `json:"url"` // ends in # and the secret, which no server is sent
	User      string    `json:"user"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NewAdminLink asks for a link, on the socket only. A user who is not there is
// made, with the role admin.
type NewAdminLink struct {
	User string `json:"user,omitempty"` // default: admin
}
