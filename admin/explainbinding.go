package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// binding tells which binding named the first candidate; nil where a rule did.
func (e *explainer) binding() *api.ExplainedBinding {
	b := e.decision.Bound
	if b == nil {
		return nil
	}
	of := "tag " + b.Tag + "=" + b.TagValue
	switch {
	case b.KeyID != "":
		of = "key " + e.question.Key
	case b.UserID != "":
		of = "user " + e.question.User
	}
	return &api.ExplainedBinding{ID: b.ID, Of: of, Order: b.Order}
}

// named lists the upstreams that the deciding rule names, or else those of the
// caller's bindings, in the order in which they are tried.
func (e *explainer) named() []string {
	if r := e.decision.Rule; r != nil {
		if names := e.written(r).Upstreams(); len(names) > 0 {
			return names
		}
	}
	var names []string
	upstreams := e.set.Upstreams()
	for _, b := range e.set.BindingsOf(&e.question.Request) {
		if at := slices.IndexFunc(upstreams, func(u *accounts.Upstream) bool { return u.ID == b.UpstreamID }); at >= 0 {
			names = append(names, upstreams[at].Name)
		}
	}
	return names
}

// pinned reads the one credential of u that the caller is bound to.
func (s *Server) pinned(ctx context.Context, u *accounts.Upstream, id string) (*accounts.Credential, accounts.Secret, error) {
	at := slices.IndexFunc(u.Credentials, func(c accounts.Credential) bool { return c.ID == id })
	if at < 0 {
		return nil, accounts.Secret{}, accounts.ErrNoCredential
	}
	c := &u.Credentials[at]
	if !c.Enabled {
		return nil, accounts.Secret{}, fmt.Errorf("the caller is bound to its credential %q, which is disabled", c.Name)
	}
	secret, err := s.vault.Read(ctx, u, c)
	return c, secret, err
}
