package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// editUpstream changes what is given of an upstream and leaves the rest. Timeouts
// are given all at once.
func (s *Server) editUpstream(ctx context.Context, in *changedBody[api.EditUpstream]) (api.Upstream, error) {
	return s.changeUpstream(ctx, "upstream.edit", in.Name, in.IfMatch, func(st State, u *accounts.Upstream) error {
		name, context := u.Name, u.SealContext()
		if problems := editUpstream(u, &in.Body, s.reach); len(problems) > 0 {
			return invalid(problems)
		}
		if u.Name != name {
			if err := upstreamNameFree(st, u.Name); err != nil {
				return err
			}
		}
		if u.SealContext() != context {
			if slices.ContainsFunc(u.Credentials, func(c accounts.Credential) bool { return c.Reference != "" }) {
				if err := mayReference(ctx); err != nil {
					return err
				}
			}
			u.Credentials = slices.DeleteFunc(u.Credentials, func(c accounts.Credential) bool { return c.Reference == "" })
		}
		return s.rulesStand(st, u)
	})
}

// rulesStand refuses an edit of an upstream with which the rules in force could
// not be compiled any more, above all another name: rules call it by its name.
func (s *Server) rulesStand(st State, u *accounts.Upstream) error {
	files, err := st.Files()
	if err != nil {
		return err
	}
	upstreams, err := st.Upstreams()
	if err != nil {
		return err
	}
	upstreams = slices.Clone(upstreams)
	upstreams[slices.IndexFunc(upstreams, func(other accounts.Upstream) bool { return other.ID == u.ID })] = *u
	_, problems := rules.Compile(rules.Config{Revision: st.Revision() + 1, Files: files, Upstreams: upstreams, Reach: s.reach})
	bad := viewProblems(problems.Errors())
	if len(bad) == 0 {
		return nil
	}
	f := fail(http.StatusConflict, api.CodeInUse, "the rules do not go with this: "+oneLine(bad[0]), "change them first: llmgw rules list")
	f.Problems = bad
	return f
}

func editUpstream(u *accounts.Upstream, in *api.EditUpstream, reach rules.Reach) []api.Problem {
	var problems, found []api.Problem
	if in.URL != nil {
		if u.URL = strings.TrimRight(strings.TrimSpace(*in.URL), "/"); u.URL == "" {
			u.URL = providerURL(u.Provider)
		}
		problems = append(problems, checkURL(u.URL, reach)...)
	}
	if in.Timeouts != nil {
		u.Timeouts, found = readTimeouts(in.Timeouts)
		problems = append(problems, found...)
	}
	if in.IdleTimeout != nil {
		u.IdleTimeout, found = readIdleTimeout(*in.IdleTimeout)
		problems = append(problems, found...)
	}
	if in.Auth != nil {
		u.Auth = accounts.Auth(*in.Auth)
	}
	replace(&u.Name, in.Name)
	replace(&u.Wires, in.Wires)
	replace(&u.Models, in.Models)
	replace(&u.MaxIdle, in.MaxIdle)
	replace(&u.Websocket, in.Websocket)
	return append(problems, checkUpstream(u)...)
}

// replace puts a value in the place of another, where it is given.
func replace[T any](old, given *T) {
	if given != nil {
		*old = *given
	}
}
