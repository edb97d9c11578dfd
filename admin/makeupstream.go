package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

func (m *making) upstreams(ctx context.Context) error {
	for i := range m.files.Upstreams {
		if err := m.upstream(ctx, &m.files.Upstreams[i]); err != nil {
			return err
		}
	}
	return nil
}

// upstream makes an upstream what a file says. Credentials that the file does
// not name stay until shrink: bindings of before may still name them.
func (m *making) upstream(ctx context.Context, written *rules.WrittenUpstream) error {
	before, err := m.st.Upstream(written.Name)
	isNew := errors.Is(err, accounts.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	if !isNew && before.Provider != written.Provider {
		m.refuse(written, "provider", fmt.Sprintf("is %s, and an upstream keeps its provider", before.Provider),
			"another name, or: llmgw upstreams delete "+before.Name)
		return nil
	}
	u := written.Upstream
	u.ID, u.CreatedAt = before.ID, before.CreatedAt
	u.Draining = before.Draining && u.Enabled // a moment's work of an operator, which files know nothing of
	if isNew {
		u.ID, u.CreatedAt = accounts.NewID("up", m.server.now()), m.server.now()
	}
	if u.Credentials, err = m.credentials(ctx, &before, &u); err != nil {
		return err
	}
	if !isNew && u.SealContext() != before.SealContext() {
		if err := m.moves(ctx, &before, &u); err != nil {
			return err
		}
	}
	m.noteSecretless(&u)
	final := u
	for _, c := range before.Credentials {
		if credentialAt(u.Credentials, c.ID) < 0 {
			m.lost = append(m.lost, fmt.Sprintf("credential %s of upstream %s", c.Name, u.Name))
			u.Credentials = append(slices.Clip(u.Credentials), c)
		}
	}
	if len(u.Credentials) > len(final.Credentials) {
		m.shrunk = append(m.shrunk, final)
	}
	return m.st.PutUpstream(u)
}

// noteSecretless tells which credentials wait for a secret.
func (m *making) noteSecretless(u *accounts.Upstream) {
	for i := range u.Credentials {
		if c := &u.Credentials[i]; c.Reference == "" && c.Sealed == nil {
			m.next = append(m.next, fmt.Sprintf("credential %s of upstream %s has no secret yet: llmgw upstreams credential set %s --name %s --credential -",
				c.Name, u.Name, u.Name, c.Name))
		}
	}
}

// credentials gives those that the file names, as they are to be: each keeps the
// secret that is sealed under its name.
func (m *making) credentials(ctx context.Context, before, written *accounts.Upstream) ([]accounts.Credential, error) {
	credentials := make([]accounts.Credential, 0, len(written.Credentials))
	for _, w := range written.Credentials {
		c := accounts.Credential{ID: accounts.NewID("cred", m.server.now()), Name: w.Name, CreatedAt: m.server.now()}
		if at := slices.IndexFunc(before.Credentials, func(c accounts.Credential) bool { return c.Name == w.Name }); at >= 0 {
			c = before.Credentials[at]
		}
		if w.Reference != "" && w.Reference != c.Reference {
			if err := m.may.reference(ctx); err != nil {
				return nil, err
			}
			c.Sealed, c.Last4 = nil, ""
		}
		c.Reference, c.Weight, c.Enabled = w.Reference, w.Weight, w.Enabled
		credentials = append(credentials, c)
	}
	return credentials, nil
}

// moves takes the sealed secrets from an upstream that goes to another scheme,
// host or port: they are bound to the one they were given for.
func (m *making) moves(ctx context.Context, before, u *accounts.Upstream) error {
	referring := func(c accounts.Credential) bool { return c.Reference != "" }
	if slices.ContainsFunc(before.Credentials, referring) || slices.ContainsFunc(u.Credentials, referring) {
		if err := m.may.reference(ctx); err != nil {
			return err
		}
	}
	for i := range u.Credentials {
		if c := &u.Credentials[i]; c.Sealed != nil {
			c.Sealed, c.Last4 = nil, ""
			m.lost = append(m.lost, fmt.Sprintf("sealed secret of credential %s of upstream %s, which goes to another address", c.Name, u.Name))
		}
	}
	return nil
}

// shrink takes the credentials away that no file names.
func (m *making) shrink(context.Context) error {
	for i := range m.shrunk {
		if _, err := putUpstream(m.st, m.shrunk[i]); err != nil {
			return err
		}
	}
	return nil
}
