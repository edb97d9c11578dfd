package api

import (
	"context"
	"net/http"
	"time"
)

// SecretReport says what is sealed, with which keys, and whether it opens. Keys
// are named by their fingerprints.
type SecretReport struct {
	Fingerprint string             `json:"fingerprint"` // of the key that seals
	Sealed      int                `json:"sealed"`      // credentials, and secrets of the installation
	Readable    int                `json:"readable"`    // how many of them open
	ByKey       map[string]int     `json:"by_key"`      // how many each key sealed; "" for what is no sealed value
	Unreadable  []UnreadableSecret `json:"unreadable,omitempty"`
	Rotation    *SecretRotation    `json:"rotation,omitempty"` // the last since the gateway started
}

// UnreadableSecret is something sealed that does not open.
type UnreadableSecret struct {
	Name    string `json:"name"` // "credential openai/default", "secret issuer"
	Problem string `json:"problem"`
}

// SecretRotation is how far an exchange of the secret key has come.
type SecretRotation struct {
	From    string     `json:"from"` // fingerprint of the old key
	To      string     `json:"to"`   // and of the new one
	Done    int        `json:"done"`
	Of      int        `json:"of"`
	Running bool       `json:"running"`
	EndedAt *time.Time `json:"ended_at,omitempty"`
	Problem string     `json:"problem,omitempty"` // why it ended before it was done; both keys are needed still
	Next    string     `json:"next,omitempty"`    // what the operator has to do yet
}

// RotateSecret asks for an exchange of the secret key. Only the socket takes it.
type RotateSecret struct {
	Key string `json:"key"` // 32 bytes as base64 or hex
}

// SecretReport tries to open everything that is sealed.
func (c *Client) SecretReport(ctx context.Context) (SecretReport, error) {
	return call[SecretReport](ctx, c, http.MethodGet, "/secret", nil)
}

// RotateSecret begins to seal everything with another key, or goes on with that;
// SecretReport tells how far it is. CodeConflict where an exchange for yet
// another key is not done.
func (c *Client) RotateSecret(ctx context.Context, key string) (SecretRotation, error) {
	return call[SecretRotation](ctx, c, http.MethodPost, "/secret/rotate", RotateSecret{Key: key})
}
