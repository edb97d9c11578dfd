package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// How objects stand in the audit. Every field is named here, so that one which
// holds a secret cannot get in by being added somewhere else.

// fingerprintDigits is how much of a hash names a secret: enough to tell whether
// it changed, too little to test a guess against.
const fingerprintDigits = 8

func fingerprintOf(hash []byte) string {
	return "sha256:" + hex.EncodeToString(hash)[:fingerprintDigits]
}

// leaveOutEqual takes out of an object before and after what would make the audit
// grow with the size of the object rather than of the change: names of rules that
// stand in the same order, and secrets of a key that stay as they are.
func leaveOutEqual(before, after any) {
	switch was := before.(type) {
	case *auditSet:
		if is, ok := after.(*auditSet); ok && slices.Equal(was.Names, is.Names) {
			was.Names, is.Names = nil, nil
		}
	case *auditKey:
		if is, ok := after.(*auditKey); ok {
			old := was.Secrets
			was.Secrets = without(was.Secrets, is.Secrets)
			is.Secrets = without(is.Secrets, old)
		}
	}
}

// without gives the secrets that others do not have just so.
func without(secrets, others []auditSecret) (left []auditSecret) {
	for i := range secrets {
		if !slices.ContainsFunc(others, secrets[i].equal) {
			left = append(left, secrets[i])
		}
	}
	return left
}

// auditKey is a key; of one that was altered only those secrets stand in it that
// were.
type auditKey struct {
	Name        string            `json:"name"`
	UserID      string            `json:"user_id,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Models      []string          `json:"models,omitempty"`
	Limits      []string          `json:"limits,omitempty"`
	Enabled     bool              `json:"enabled"`
	CreatedAt   time.Time         `json:"created_at"`
	ExpiresAt   *time.Time        `json:"expires_at,omitempty"`
	RevokedAt   *time.Time        `json:"revoked_at,omitempty"`
	KeepStreams bool              `json:"keep_streams,omitempty"`
	Secrets     []auditSecret     `json:"secrets,omitempty"`
}

type auditSecret struct {
	Fingerprint string     `json:"fingerprint"`
	Last4       string     `json:"last4"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
}

func (s auditSecret) equal(other auditSecret) bool {
	sameEnd := s.ExpiresAt == nil && other.ExpiresAt == nil ||
		s.ExpiresAt != nil && other.ExpiresAt != nil && s.ExpiresAt.Equal(*other.ExpiresAt)
	return sameEnd && s.Fingerprint == other.Fingerprint && s.Last4 == other.Last4 && s.CreatedAt.Equal(other.CreatedAt)
}

func auditKeyOf(k *accounts.Key) *auditKey {
	a := &auditKey{
		Name: k.Name, UserID: k.UserID, Tags: k.Tags, Models: slices.Clone(k.Models), Enabled: !k.Disabled,
		CreatedAt: k.CreatedAt, ExpiresAt: someTime(k.ExpiresAt), RevokedAt: someTime(k.RevokedAt), KeepStreams: k.KeepStreams,
	}
	for _, l := range k.Limits {
		a.Limits = append(a.Limits, l.String())
	}
	for i := range k.Secrets {
		s := &k.Secrets[i]
		a.Secrets = append(a.Secrets, auditSecret{
			Fingerprint: fingerprintOf(s.Hash[:]), Last4: s.Last4, CreatedAt: s.CreatedAt, ExpiresAt: someTime(s.ExpiresAt),
		})
	}
	return a
}

func someTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type auditUser struct {
	Name      string            `json:"name"`
	Email     string            `json:"email,omitempty"`
	Role      string            `json:"role"`
	Tags      map[string]string `json:"tags,omitempty"`
	Enabled   bool              `json:"enabled"`
	Password  string            `json:"password"` // set or none
	CreatedAt time.Time         `json:"created_at"`
}

func auditUserOf(u *accounts.User) *auditUser {
	a := &auditUser{
		Name: u.Name, Email: u.Email, Role: string(u.Role), Tags: u.Tags, Enabled: !u.Disabled,
		Password: "set", CreatedAt: u.CreatedAt,
	}
	if u.Password.IsZero() {
		a.Password = "none"
	}
	return a
}

type auditBinding struct {
	KeyID        string    `json:"key_id,omitempty"`
	UserID       string    `json:"user_id,omitempty"`
	Tag          string    `json:"tag,omitempty"` // NAME=VALUE
	UpstreamID   string    `json:"upstream_id"`
	CredentialID string    `json:"credential_id,omitempty"`
	Order        int       `json:"order"`
	Weight       int       `json:"weight"`
	Models       []string  `json:"models,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
}

func auditBindingOf(b *accounts.Binding) *auditBinding {
	a := &auditBinding{
		KeyID: b.KeyID, UserID: b.UserID, UpstreamID: b.UpstreamID, CredentialID: b.CredentialID,
		Order: b.Order, Weight: b.Weight, Models: slices.Clone(b.Models), CreatedAt: b.CreatedAt,
	}
	if b.Tag != "" {
		a.Tag = b.Tag + "=" + b.TagValue
	}
	return a
}

type auditUpstream struct {
	Name        string            `json:"name"`
	Provider    string            `json:"provider"`
	URL         string            `json:"url"`
	Auth        string            `json:"auth,omitempty"`
	Enabled     bool              `json:"enabled"`
	Settings    json.RawMessage   `json:"settings"` // as they are stored
	Credentials []auditCredential `json:"credentials,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
}

type auditCredential struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Reference string    `json:"reference,omitempty"`
	Sealed    string    `json:"sealed,omitempty"` // fingerprint
	Last4     string    `json:"last4,omitempty"`
	Weight    int       `json:"weight"`
	Enabled   bool      `json:"enabled"`
	CreatedAt time.Time `json:"created_at"`
}

func auditUpstreamOf(u *accounts.Upstream) *auditUpstream {
	a := &auditUpstream{
		Name: u.Name, Provider: string(u.Provider), URL: u.URL, Auth: string(u.Auth), Enabled: u.Enabled, CreatedAt: u.CreatedAt,
		Settings: json.RawMessage("null"),
	}
	if row, err := upstreamRowOf(u); err == nil { // what is not stored is refused elsewhere
		a.Settings = json.RawMessage(row.Settings)
	}
	for i := range u.Credentials {
		c := &u.Credentials[i]
		shown := auditCredential{
			ID: c.ID, Name: c.Name, Reference: c.Reference, Last4: c.Last4, Weight: c.Weight, Enabled: c.Enabled, CreatedAt: c.CreatedAt,
		}
		if len(c.Sealed) > 0 {
			sum := sha256.Sum256(c.Sealed)
			shown.Sealed = fingerprintOf(sum[:])
		}
		a.Credentials = append(a.Credentials, shown)
	}
	return a
}

// auditSet is a set of rules with what the change did to it: only those rules
// stand in it that were added, changed or taken away, and the names of all only
// where they, or their order, are not the same.
type auditSet struct {
	Order int               `json:"order"`
	Names []string          `json:"names,omitempty"`
	Rules []json.RawMessage `json:"rules,omitempty"`
}

func (st *State) noteSet(set string, e *ruleEdits) {
	var before, after []ruleRow
	for _, row := range slices.Concat(e.insert, e.update) {
		stored, was := st.book.rules[row.Name]
		if was && stored.Body == row.Body && stored.Set == row.Set {
			continue // another place in its set
		}
		if was && stored.Set == set {
			before = append(before, stored)
		}
		if row.Set == set {
			after = append(after, row)
		}
	}
	for _, row := range e.deleteRules {
		if row.Set == set {
			before = append(before, row)
		}
	}
	var was, is *auditSet
	if order, there := st.book.sets[set]; there {
		at := slices.IndexFunc(st.book.stored, func(f rules.File) bool { return f.Set == set })
		was = auditSetOf(order, st.book.stored[at].Rules, before)
	}
	if f, there := st.book.wanted[set]; there {
		is = auditSetOf(f.Order, f.Rules, after)
	}
	st.note("set:"+set, set, unless(was == nil, was), unless(is == nil, is))
}

func auditSetOf(order int, all []rules.Rule, shown []ruleRow) *auditSet {
	a := &auditSet{Order: order}
	for i := range all {
		a.Names = append(a.Names, all[i].Name)
	}
	slices.SortFunc(shown, func(x, y ruleRow) int { return cmp.Compare(x.Position, y.Position) })
	for _, row := range shown {
		a.Rules = append(a.Rules, json.RawMessage(row.Body))
	}
	return a
}
