package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

type upstreamList struct {
	Name     string `query:"name" maxLength:"256" doc:"Of these names: a pattern, * is any run of characters"`
	Provider string `query:"provider" maxLength:"256" doc:"Of this provider"`
	State    string `query:"state" enum:"enabled,draining,disabled" doc:"In this state"`
	Limit    int    `query:"limit" minimum:"0" maximum:"1000" doc:"How many at most; 0: 100"`
	Cursor   string `query:"cursor" maxLength:"512" doc:"Next of the page before"`
}

func (s *Server) listUpstreams(ctx context.Context, in *upstreamList) (api.List[api.Upstream], error) {
	config, err := s.store.Load(ctx)
	if err != nil {
		return api.List[api.Upstream]{}, err
	}
	wanted := slices.DeleteFunc(config.Upstreams, func(u accounts.Upstream) bool {
		return !takesName(in.Name, u.Name) || in.Provider != "" && in.Provider != string(u.Provider) ||
			in.State != "" && in.State != upstreamState(&u)
	})
	under := s.underWay()
	return pageOf(page{in.Limit, in.Cursor}, wanted, func(u *accounts.Upstream) string { return u.Name },
		func(u *accounts.Upstream) api.Upstream { return s.viewUpstreamWith(ctx, u, under) })
}

func (s *Server) showUpstream(ctx context.Context, in *named) (api.Upstream, error) {
	upstream, err := s.upstream(ctx, in.Name)
	if err != nil {
		return api.Upstream{}, err
	}
	return s.viewUpstream(ctx, &upstream), nil
}

func (s *Server) upstream(ctx context.Context, name string) (accounts.Upstream, error) {
	config, err := s.store.Load(ctx)
	if err != nil {
		return accounts.Upstream{}, err
	}
	for _, upstream := range config.Upstreams {
		if upstream.Name == name || upstream.ID == name {
			return upstream, nil
		}
	}
	return accounts.Upstream{}, noSuch("upstream", name)
}

func (s *Server) createUpstream(ctx context.Context, in *body[api.NewUpstream]) (api.Upstream, error) {
	upstream, problems := newUpstream(&in.Body, s.reach)
	upstream.ID, upstream.CreatedAt = accounts.NewID("up", s.now()), s.now()
	if in.Body.Credential != nil {
		secret, found := s.checkCredential(in.Body.Credential, "credential.")
		problems = append(problems, found...)
		if len(problems) == 0 {
			if err := s.credit(&upstream, in.Body.Credential, secret); err != nil {
				return api.Upstream{}, err
			}
		}
	}
	if len(problems) > 0 {
		return api.Upstream{}, invalid(problems)
	}
	if c := in.Body.Credential; c != nil && c.Reference != "" {
		if err := mayReference(ctx); err != nil {
			return api.Upstream{}, err
		}
	}
	_, _, err := s.change(ctx, by(ctx, "upstream.create"), func(st State) (err error) {
		if err := upstreamNameFree(st, upstream.Name); err != nil {
			return err
		}
		upstream, err = putUpstream(st, upstream)
		return err
	})
	if err != nil {
		return api.Upstream{}, err
	}
	return s.viewUpstream(ctx, &upstream), nil
}

func upstreamNameFree(st State, name string) error {
	switch _, err := st.Upstream(name); {
	case err == nil:
		return nameTaken("upstream", name)
	case !errors.Is(err, accounts.ErrNotFound):
		return err
	}
	return nil
}

// putUpstream stores an upstream and gives it as it is then.
func putUpstream(st State, upstream accounts.Upstream) (accounts.Upstream, error) {
	err := st.PutUpstream(upstream)
	if errors.Is(err, accounts.ErrInUse) {
		return upstream, fail(http.StatusConflict, api.CodeInUse, err.Error(), "look at them: llmgw bindings list")
	}
	if err != nil {
		return upstream, err
	}
	return st.Upstream(upstream.ID)
}

// changeUpstream runs edit on an upstream within a change, and shows what became
// of it.
func (s *Server) changeUpstream(ctx context.Context, kind, name, ifMatch string, edit func(State, *accounts.Upstream) error) (api.Upstream, error) {
	var upstream accounts.Upstream
	_, _, err := s.change(ctx, by(ctx, kind), func(st State) error {
		var err error
		if upstream, err = st.Upstream(name); err != nil {
			return found(err, "upstream", name)
		}
		upstream.Credentials = slices.Clone(upstream.Credentials) // a State may share them
		if err := matches(ifMatch, upstream.Seq, "upstream", upstream.Name); err != nil {
			return err
		}
		if err := edit(st, &upstream); err != nil {
			return err
		}
		upstream, err = putUpstream(st, upstream)
		return err
	})
	if err != nil {
		return api.Upstream{}, err
	}
	return s.viewUpstream(ctx, &upstream), nil
}

func (s *Server) deleteUpstream(ctx context.Context, in *changed) error {
	_, _, err := s.change(ctx, by(ctx, "upstream.delete"), func(st State) error {
		upstream, err := st.Upstream(in.Name)
		if err != nil {
			return found(err, "upstream", in.Name)
		}
		if err := matches(in.IfMatch, upstream.Seq, "upstream", upstream.Name); err != nil {
			return err
		}
		return st.DeleteUpstream(upstream.ID)
	})
	if errors.Is(err, accounts.ErrInUse) {
		return fail(http.StatusConflict, api.CodeInUse, err.Error(), "change or delete them first: llmgw rules list, llmgw bindings list")
	}
	return err
}

func (s *Server) viewUpstream(ctx context.Context, u *accounts.Upstream) api.Upstream {
	return s.viewUpstreamWith(ctx, u, s.underWay())
}

// viewUpstreamWith shows an upstream with what is under way there, by its ID.
func (s *Server) viewUpstreamWith(ctx context.Context, u *accounts.Upstream, under map[string]int) api.Upstream {
	view := api.Upstream{
		ID: u.ID, Name: u.Name, Provider: string(u.Provider), URL: u.URL, Auth: string(u.Auth),
		Wires: u.Wires, Models: u.Models, Timeouts: viewTimeouts(u.Timeouts),
		MaxIdle: u.MaxIdle, IdleTimeout: viewDuration(u.IdleTimeout), Websocket: u.Websocket, Enabled: u.Enabled,
		Draining: u.Draining, State: upstreamState(u), InFlight: under[u.ID],
		Credentials: make([]api.Credential, 0, len(u.Credentials)), CreatedAt: u.CreatedAt, ETag: etag(u.Seq),
	}
	failed := s.lastErrors()
	for i := range u.Credentials {
		credential := s.viewCredential(ctx, u, &u.Credentials[i])
		credential.LastError = failed[credential.ID]
		view.Credentials = append(view.Credentials, credential)
	}
	return view
}

func (s *Server) lastErrors() map[string]string {
	if s.failed == nil {
		return nil
	}
	return s.failed()
}

func viewTimeouts(t accounts.Timeouts) *api.Timeouts {
	if t == (accounts.Timeouts{}) {
		return nil
	}
	return &api.Timeouts{
		Connect: viewDuration(t.Connect), ResponseHeader: viewDuration(t.ResponseHeader),
		FirstToken: viewDuration(t.FirstToken), Idle: viewDuration(t.Idle), Total: viewDuration(t.Total),
	}
}

func viewDuration(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < 0: // accounts.NoTimeout, as people write it
		return "0s"
	}
	return d.String()
}
