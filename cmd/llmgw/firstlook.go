package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// How long a start waits for a store that has been opened a moment ago and does not
// answer in time: one look has a second, which a busy machine may take.
const (
	firstLookWithin = 10 * time.Second
	firstLookAgain  = 250 * time.Millisecond
)

// loadFirst takes the configuration over that is stored, where the store is there.
// Without it, Follow does so when it is back.
func (n *node) loadFirst(ctx context.Context) error {
	if n.away() {
		return n.store.Advance(ctx)
	}
	return lookPatiently(ctx, n.store.Advance)
}

// lookPatiently looks again while the store is unavailable, for firstLookWithin.
func lookPatiently(ctx context.Context, look func(context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, firstLookWithin)
	defer cancel()
	for {
		err := look(within)
		if !errors.Is(err, accounts.ErrUnavailable) {
			return err
		}
		select {
		case <-time.After(firstLookAgain):
		case <-within.Done():
			return fmt.Errorf("%w (tried for %s)", err, firstLookWithin)
		}
	}
}
