package admin

import (
	"context"

	"github.com/llmgw/llmgw/admin/api"
)

// listSettings gives those of the node that is asked: each has its own.
func (s *Server) listSettings(context.Context, *nothing) (api.List[api.Setting], error) {
	return api.List[api.Setting]{Items: append([]api.Setting{}, s.settings...)}, nil
}
