package admin

import (
	"context"
	"errors"

	"github.com/llmgw/llmgw/accounts"
)

// errLeave ends a change that has nothing to store: everything is rolled back,
// no revision is made, and that is no failure.
var errLeave = errors.New("nothing to store")

// change runs f in one change of the store. It gives false where f left things
// as they were.
func (s *Server) change(ctx context.Context, meta accounts.Meta, f func(State) error) (accounts.Change, bool, error) {
	change, err := s.store.Change(ctx, meta, f)
	if errors.Is(err, errLeave) {
		return accounts.Change{}, false, nil
	}
	return change, err == nil, err
}
