package accounts

import "time"

// Session is a login to the admin API, or a personal access token: what makes a
// token valid beyond its signature, so that taking it away ends the token at
// once, on every node.
type Session struct {
	ID        string
	UserID    string
	Name      string  // of a personal access token; empty for a login
	Hash      KeyHash // of the refresh token, or of the personal access token itself
	Last4     string
	Role      Role // at most the user's own at every use; a personal access token may have less
	CreatedAt time.Time
	UsedAt    time.Time // zero: never. Read only, to a minute
	ExpiresAt time.Time // zero: never; a login always ends
	From      string    // address that logged in
}
