package admin

import (
	"context"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// upstreamState is api.Upstream.State.
func upstreamState(u *accounts.Upstream) string {
	switch {
	case !u.Enabled:
		return "disabled"
	case u.Draining:
		return "draining"
	}
	return "enabled"
}

// underWay counts what is in flight by the ID of its upstream.
func (s *Server) underWay() map[string]int {
	if s.inFlight == nil {
		return nil
	}
	return s.inFlight()
}

func (s *Server) enableUpstream(ctx context.Context, in *changed) (api.Upstream, error) {
	return s.switchUpstream(ctx, "upstream.enable", in, true)
}

func (s *Server) disableUpstream(ctx context.Context, in *changed) (api.Upstream, error) {
	return s.switchUpstream(ctx, "upstream.disable", in, false)
}

// switchUpstream puts an upstream on or off. Either ends its draining.
func (s *Server) switchUpstream(ctx context.Context, kind string, in *changed, enabled bool) (api.Upstream, error) {
	return s.changeUpstream(ctx, kind, in.Name, in.IfMatch, func(_ State, u *accounts.Upstream) error {
		if u.Enabled == enabled && !u.Draining {
			return errLeave
		}
		u.Enabled, u.Draining = enabled, false
		return nil
	})
}

func (s *Server) drainUpstream(ctx context.Context, in *changed) (api.Upstream, error) {
	return s.setDraining(ctx, "upstream.drain", in, true)
}

func (s *Server) undrainUpstream(ctx context.Context, in *changed) (api.Upstream, error) {
	return s.setDraining(ctx, "upstream.undrain", in, false)
}

// setDraining leaves a disabled upstream as it is: it takes nothing already, and
// enabling it means to use it.
func (s *Server) setDraining(ctx context.Context, kind string, in *changed, draining bool) (api.Upstream, error) {
	return s.changeUpstream(ctx, kind, in.Name, in.IfMatch, func(_ State, u *accounts.Upstream) error {
		if !u.Enabled || u.Draining == draining {
			return errLeave
		}
		u.Draining = draining
		return nil
	})
}
