package accounts

// What begins the secrets of the admin API, which are made and told from other
// texts as gateway keys are. No key is one of them, and none of them a key.
const (
	TokenPrefix   = "lgw_pat_" // of personal access tokens
	RefreshPrefix = "lgw_ref_" // of what a login gets its next access token with
)

// IssueToken makes the secret of a new personal access token. The error is that
// of the system's random source.
func (i *Issuer) IssueToken() (Secret, error) { return i.issue(TokenPrefix) }

// IssueRefresh makes a new refresh token. The error is that of the system's
// random source.
func (i *Issuer) IssueRefresh() (Secret, error) { return i.issue(RefreshPrefix) }

// IsToken says whether text is a personal access token that this installation
// could have issued. A wrong one costs no query.
func (i *Issuer) IsToken(text string) bool { return i.issued(TokenPrefix, text) }

// IsRefresh says whether text is a refresh token that this installation could
// have issued. A wrong one costs no query.
func (i *Issuer) IsRefresh(text string) bool { return i.issued(RefreshPrefix, text) }
