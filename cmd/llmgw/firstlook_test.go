package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// TestAStartWaitsForAStoreThatIsSlow gives a store that does not answer so often.
func TestAStartWaitsForAStoreThatIsSlow(t *testing.T) {
	slow := fmt.Errorf("reading log: %w", accounts.ErrUnavailable)
	wrong := errors.New("applying configuration 3: no")
	for name, c := range map[string]struct {
		slow int // looks that get no answer, each after a second
		then error
		want error
		took time.Duration
	}{
		"it answers at once":        {0, nil, nil, 0},
		"it answers the third look": {2, nil, nil, 2 * (time.Second + firstLookAgain)},
		"what it says is no use":    {1, wrong, wrong, time.Second + firstLookAgain},
		"it never answers":          {1000, nil, accounts.ErrUnavailable, firstLookWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				looks, begun := 0, time.Now()
				err := lookPatiently(t.Context(), func(ctx context.Context) error {
					if looks++; looks > c.slow {
						return c.then
					}
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
					return slow
				})
				if !errors.Is(err, c.want) || time.Since(begun) != c.took {
					t.Errorf("%v after %s and %d looks", err, time.Since(begun), looks)
				}
			})
		})
	}
}
