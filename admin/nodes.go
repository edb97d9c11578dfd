package admin

import (
	"context"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// listNodes gives the gateways that run on the store. They are few, so that they
// come in one page.
func (s *Server) listNodes(ctx context.Context, _ *nothing) (api.List[api.Node], error) {
	nodes, err := s.store.Nodes(ctx)
	if err != nil {
		return api.List[api.Node]{}, err
	}
	return api.List[api.Node]{Items: viewNodes(nodes)}, nil
}

func viewNodes(nodes []accounts.Node) []api.Node {
	views := make([]api.Node, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		views[i] = api.Node{
			ID: n.ID, Name: n.Name, Version: n.Version, Self: n.Self, StartedAt: n.StartedAt, Bus: n.Bus,
			Revision: n.Revision, Applied: n.Applied, Behind: max(-1, n.Behind), SameLog: n.Behind >= 0,
			MaxStalenessS: n.MaxStaleness.Seconds(), FencedAfterS: n.FencedAfter().Seconds(),
			SilenceS: n.Silence.Seconds(), Silent: n.Silent(), Problem: n.Problem,
		}
	}
	return views
}
