package admin

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// defaultCredential is the name of a credential that was given none.
const defaultCredential = "default"

// setCredential gives an upstream a credential, in place of the one of that name.
// Without a secret or reference it gives the one that is there another weight,
// or takes it out of use.
func (s *Server) setCredential(ctx context.Context, in *changedBody[api.NewCredential]) (api.Upstream, error) {
	return s.putCredential(ctx, "upstream.credential.set", in, false)
}

// rotateCredential puts a secret in the place of another. Requests under way keep
// the one that they went out with, and there is no moment without one.
func (s *Server) rotateCredential(ctx context.Context, in *changedBody[api.NewCredential]) (api.Upstream, error) {
	if in.Body.Secret == "" && in.Body.Reference == "" {
		return api.Upstream{}, wrongField("secret", giveEither)
	}
	return s.putCredential(ctx, "upstream.credential.rotate", in, true)
}

func (s *Server) putCredential(ctx context.Context, kind string, in *changedBody[api.NewCredential], mustBe bool) (api.Upstream, error) {
	secret, problems := s.checkCredential(&in.Body, "")
	if len(problems) > 0 {
		return api.Upstream{}, invalid(problems)
	}
	if in.Body.Reference != "" {
		if err := mayReference(ctx); err != nil {
			return api.Upstream{}, err
		}
	}
	return s.changeUpstream(ctx, kind, in.Name, in.IfMatch, func(_ State, u *accounts.Upstream) error {
		if mustBe && credentialAt(u.Credentials, in.Body.Name) < 0 {
			return noSuchCredential(u.Name, in.Body.Name)
		}
		return s.credit(u, &in.Body, secret)
	})
}

type credentialOf struct {
	Name    string `path:"name" doc:"Name of the upstream"`
	ID      string `path:"id" doc:"Name or ID of the credential"`
	IfMatch string `header:"If-Match" maxLength:"256" doc:"ETag of the upstream as it was read"`
}

// clearCredential takes a credential away.
func (s *Server) clearCredential(ctx context.Context, in *credentialOf) (api.Upstream, error) {
	return s.changeCredential(ctx, "upstream.credential.clear", in, func(u *accounts.Upstream, at int) error {
		u.Credentials = slices.Delete(u.Credentials, at, at+1)
		return nil
	})
}

func (s *Server) enableCredential(ctx context.Context, in *credentialOf) (api.Upstream, error) {
	return s.changeCredential(ctx, "upstream.credential.enable", in, switchCredential(true))
}

func (s *Server) disableCredential(ctx context.Context, in *credentialOf) (api.Upstream, error) {
	return s.changeCredential(ctx, "upstream.credential.disable", in, switchCredential(false))
}

func switchCredential(enabled bool) func(*accounts.Upstream, int) error {
	return func(u *accounts.Upstream, at int) error {
		if u.Credentials[at].Enabled == enabled {
			return errLeave
		}
		u.Credentials[at].Enabled = enabled
		return nil
	}
}

func (s *Server) changeCredential(ctx context.Context, kind string, in *credentialOf, edit func(u *accounts.Upstream, at int) error) (api.Upstream, error) {
	return s.changeUpstream(ctx, kind, in.Name, in.IfMatch, func(_ State, u *accounts.Upstream) error {
		at := credentialAt(u.Credentials, in.ID)
		if at < 0 {
			return noSuchCredential(u.Name, in.ID)
		}
		return edit(u, at)
	})
}

const giveEither = "give either a reference or a secret"

// checkCredential takes the secret out of what was sent, and says what is wrong
// with the rest. Fields are named behind prefix. Without a secret and reference
// something else must be given, for a credential that is there.
func (s *Server) checkCredential(in *api.NewCredential, prefix string) (accounts.Secret, []api.Problem) {
	secret := accounts.NewSecret(strings.TrimSpace(in.Secret))
	in.Secret = ""
	if in.Name == "" {
		in.Name = defaultCredential
	}
	var problems []api.Problem
	if !accounts.ValidName(in.Name) {
		problems = append(problems, badName(prefix+"name"))
	}
	if in.Weight < 0 || in.Weight > maxWeight {
		problems = append(problems, api.Problem{Field: prefix + "weight", Message: "must be from 1 to 1,000,000"})
	}
	switch {
	case secret.IsZero() && in.Reference == "" && (in.Weight != 0 || in.Enabled != nil):
	case secret.IsZero() == (in.Reference == ""):
		problems = append(problems, api.Problem{Field: prefix + "secret", Message: giveEither})
	case in.Reference != "":
		if err := s.vault.References.Valid(in.Reference); err != nil {
			problems = append(problems, api.Problem{Field: prefix + "reference", Message: err.Error()})
		}
	case strings.ContainsFunc(secret.Reveal(), func(r rune) bool { return r > unicode.MaxASCII || r <= ' ' || r == 0x7f }):
		problems = append(problems, api.Problem{Field: prefix + "secret", Message: "must be one line of ASCII without spaces"})
	}
	return secret, problems
}

// credit gives u the credential that was asked for. The one of that name, if
// there is one, stays what it is in all that was not given, its ID above all:
// bindings name it. The list is copied: a State may share it.
func (s *Server) credit(u *accounts.Upstream, in *api.NewCredential, secret accounts.Secret) error {
	credential := accounts.Credential{
		ID: accounts.NewID("cred", s.now()), Name: in.Name, Weight: 1, Enabled: true, CreatedAt: s.now(),
	}
	credentials := slices.Clone(u.Credentials)
	at := slices.IndexFunc(credentials, func(c accounts.Credential) bool { return c.Name == in.Name })
	if at >= 0 {
		credential = credentials[at]
	}
	switch {
	case in.Reference != "":
		credential.Reference, credential.Sealed, credential.Last4 = in.Reference, nil, ""
	case !secret.IsZero():
		if err := s.vault.Seal(u, &credential, secret); err != nil {
			return err
		}
	case at < 0:
		return wrongField("secret", giveEither)
	}
	if in.Weight != 0 {
		credential.Weight = in.Weight
	}
	if in.Enabled != nil {
		credential.Enabled = *in.Enabled
	}
	if at >= 0 {
		credentials[at] = credential
	} else {
		credentials = append(credentials, credential)
	}
	u.Credentials = credentials
	return nil
}

// viewCredential shows a credential and whether it can be read here and now.
func (s *Server) viewCredential(ctx context.Context, u *accounts.Upstream, c *accounts.Credential) api.Credential {
	view := api.Credential{
		ID: c.ID, Name: c.Name, Reference: c.Reference, Last4: c.Last4, Weight: c.Weight, Enabled: c.Enabled,
		CreatedAt: c.CreatedAt,
	}
	secret, err := s.vault.Read(ctx, u, c)
	if err != nil {
		view.Problem = err.Error()
		return view
	}
	view.Usable, view.Last4 = true, secret.Last4()
	return view
}
