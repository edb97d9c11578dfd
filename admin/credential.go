package admin

import (
	"context"
	"strings"
	"unicode"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// defaultCredential is the name of a credential that was given none.
const defaultCredential = "default"

func (s *Server) setCredential(ctx context.Context, in *namedBody[api.NewCredential]) (api.Upstream, error) {
	secret, problems := s.checkCredential(&in.Body, "")
	if len(problems) > 0 {
		return api.Upstream{}, invalid(problems)
	}
	var upstream accounts.Upstream
	_, _, err := s.change(ctx, by(ctx, "upstream.credential.set"), func(st State) error {
		var err error
		if upstream, err = st.Upstream(in.Name); err != nil {
			return err
		}
		if err := s.credit(&upstream, &in.Body, secret); err != nil {
			return err
		}
		return st.PutUpstream(upstream)
	})
	if err != nil {
		return api.Upstream{}, found(err, "upstream", in.Name)
	}
	return s.viewUpstream(ctx, &upstream), nil
}

// checkCredential takes the secret out of what was sent, and says what is wrong
// with the rest. Fields are named behind prefix.
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
	switch {
	case secret.IsZero() == (in.Reference == ""):
		problems = append(problems, api.Problem{Field: prefix + "secret", Message: "give either a reference or a secret"})
	case in.Reference != "":
		if err := s.vault.References.Valid(in.Reference); err != nil {
			problems = append(problems, api.Problem{Field: prefix + "reference", Message: err.Error()})
		}
	case strings.ContainsFunc(secret.Reveal(), func(r rune) bool { return r > unicode.MaxASCII || r <= ' ' || r == 0x7f }):
		problems = append(problems, api.Problem{Field: prefix + "secret", Message: "must be one line of ASCII without spaces"})
	}
	return secret, problems
}

// credit gives u the credential that was asked for, in place of the one of that
// name. The list is copied: a State may share it.
func (s *Server) credit(u *accounts.Upstream, in *api.NewCredential, secret accounts.Secret) error {
	credential := accounts.Credential{
		ID: accounts.NewID("cred", s.now()), Name: in.Name, Reference: in.Reference,
		Weight: 1, Enabled: true, CreatedAt: s.now(),
	}
	if in.Reference == "" {
		if err := s.vault.Seal(u, &credential, secret); err != nil {
			return err
		}
	}
	credentials := make([]accounts.Credential, 0, len(u.Credentials)+1)
	replaced := false
	for _, old := range u.Credentials {
		if old.Name == credential.Name {
			credential.Weight, replaced = old.Weight, true
			credentials = append(credentials, credential)
			continue
		}
		credentials = append(credentials, old)
	}
	if !replaced {
		credentials = append(credentials, credential)
	}
	u.Credentials = credentials
	return nil
}

// viewCredential shows a credential and whether it can be read here and now.
func (s *Server) viewCredential(ctx context.Context, u *accounts.Upstream, c *accounts.Credential) api.Credential {
	view := api.Credential{
		ID: c.ID, Name: c.Name, Reference: c.Reference, Last4: c.Last4, Enabled: c.Enabled, CreatedAt: c.CreatedAt,
	}
	secret, err := s.vault.Read(ctx, u, c)
	if err != nil {
		view.Problem = err.Error()
		return view
	}
	view.Usable, view.Last4 = true, secret.Last4()
	return view
}
