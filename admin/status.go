package admin

import (
	"context"
	"errors"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// storeLook bounds how long a status waits for the store: a gateway whose store
// is away must still say so.
const storeLook = 2 * time.Second

// showStatus answers with the store away, too: with what the node knows.
func (s *Server) showStatus(ctx context.Context, _ *nothing) (api.Status, error) {
	status := s.status(ctx)
	if status.Upstreams == nil {
		status.Upstreams = []api.UpstreamStatus{}
	}
	status.Nodes = []api.Node{}
	ctx, cancel := context.WithTimeout(ctx, storeLook)
	defer cancel()
	begun := time.Now()
	change, err := s.store.LastConfigChange(ctx)
	status.Store.LatencyMS = float64(time.Since(begun).Microseconds()) / 1000
	if err == nil || errors.Is(err, accounts.ErrNotFound) { // nothing was ever changed
		err = s.count(ctx, &status, change)
	}
	status.Store.OK = err == nil
	if err != nil {
		s.log.Warn().Err(err).Msg("status without the store")
		status.Store.Error = "store unreachable; see the log of llmgw serve"
	}
	return status, nil
}

// count fills in what the store knows.
func (s *Server) count(ctx context.Context, status *api.Status, change accounts.Change) error {
	config, err := s.store.Load(ctx)
	if err != nil {
		return err
	}
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return err
	}
	nodes, err := s.store.Nodes(ctx)
	if err != nil {
		return err
	}
	status.Nodes = viewNodes(nodes)
	status.Rules.Enabled, status.Rules.Disabled = countRules(config.Files)
	status.Rules.ChangedAt, status.Rules.ChangedBy = change.At, change.Actor
	if status.Rules.Revision == 0 {
		status.Rules.Revision = config.Revision
	}
	status.Keys = 0
	for i := range keys {
		if !oneUse(&keys[i]) {
			status.Keys++
		}
	}
	return nil
}

func countRules(files []rules.File) (enabled, disabled int) {
	for _, file := range files {
		for i := range file.Rules {
			if file.Rules[i].Disabled {
				disabled++
			} else {
				enabled++
			}
		}
	}
	return enabled, disabled
}
