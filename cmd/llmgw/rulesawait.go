package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lookAgain is how long awaitRevision waits between two looks at the gateway.
const lookAgain = 50 * time.Millisecond

// awaitRevision returns once the node that was asked decides by revision, or by
// a later one. The change is stored by then, so that a node which has not got
// there within limit makes the command partly done.
func (a *app) awaitRevision(ctx context.Context, t talk, revision int64, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLags)
	defer cancel()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	behind := "the gateway has not told which revision it has"
	for {
		status, err := t.Status(ctx)
		switch {
		case err == nil && status.Rules.Revision >= revision:
			return nil
		case err == nil:
			behind = fmt.Sprintf("node %q has revision %d", status.Node, status.Rules.Revision)
		case ctx.Err() == nil:
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), errLags) {
				return context.Cause(ctx)
			}
			return &failure{
				exit: exitPartly, code: "partly", cause: errLags,
				message: fmt.Sprintf("revision %d is stored, but after %s %s", revision, limit, behind),
				hint:    "see why in the log of llmgw serve; look again: llmgw status",
			}
		}
	}
}

// errLags is why awaitRevision stops looking.
var errLags = errors.New("a node lags")
