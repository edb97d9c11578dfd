package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// lookAgain is how long awaitNodes waits between two looks at the nodes.
const lookAgain = 50 * time.Millisecond

// applied is what a change left in the store.
type applied struct{ seq, revision int64 }

// awaitNodes returns once no node answers a new request by what was in force
// before a change, be it rules or whose a key is: each has it or a later one, or
// certainly refuses requests because it could not look for changes
// (--max-staleness). The change is stored by then, so that a node which has not got
// there within limit makes the command partly done.
func (a *app) awaitNodes(ctx context.Context, t talk, what applied, limit time.Duration) (standing, error) {
	begun := time.Now() // the change was committed before
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLags)
	defer cancel()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	behind := "the gateway has not told which revision its nodes have"
	for {
		nodes, err := t.Nodes(ctx)
		switch {
		case err == nil && len(nodes) > 0:
			s := standing{nodes: nodes, applied: what, since: time.Since(begun)}
			if behind = s.behind(); behind == "" {
				return s, nil
			}
		case err == nil, ctx.Err() != nil, awayForNow(err):
		default:
			return standing{}, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), errLags) {
				return standing{}, context.Cause(ctx)
			}
			return standing{}, &failure{
				exit: exitPartly, code: "partly", cause: errLags,
				message: fmt.Sprintf("revision %d is stored, but after %s %s", what.revision, limit, behind),
				hint:    "see why in the log of llmgw serve; look again: llmgw status",
			}
		}
	}
}

// errLags is why awaitNodes stops looking.
var errLags = errors.New("a node lags")

// awayForNow says whether the store did not answer the gateway: it may be back
// before the waiting is over.
func awayForNow(err error) bool {
	var refused *api.Error
	return errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable
}

// standing is how far the nodes were a while after a change was made.
type standing struct {
	applied

	nodes []api.Node
	since time.Duration
}

// behind tells of the nodes that may still answer by what was in force before;
// empty where there is none.
func (s *standing) behind() string {
	var lag []string
	for i := range s.nodes {
		n := &s.nodes[i]
		if n.Has(s.seq, s.revision) || n.Refuses(s.since) {
			continue
		}
		lag = append(lag, s.lag(n))
	}
	return strings.Join(lag, ", ")
}

func (s *standing) lag(n *api.Node) string {
	label := nodeLabel(s.nodes, n)
	if n.Self {
		label = n.Name
	}
	var text string
	switch {
	case !n.SameLog:
		text = fmt.Sprintf("node %q follows a log that was replaced", n.Name)
	case n.Revision < s.revision:
		text = fmt.Sprintf("node %q has revision %d", label, n.Revision)
	default:
		text = fmt.Sprintf("node %q is %s behind", label, plural64(s.seq-n.Applied, "change"))
	}
	switch {
	case n.Problem != "":
		text += " (" + n.Problem + ")"
	case n.Silent:
		text += " (no sign of it for " + age(fromSeconds(n.SilenceS)) + ")"
	}
	return text
}

// text says which nodes have the revision, when none is behind.
func (s *standing) text() string {
	var have int
	var fenced []string
	for i := range s.nodes {
		n := &s.nodes[i]
		if n.Has(s.seq, s.revision) {
			have++
			continue
		}
		fenced = append(fenced, fmt.Sprintf("%s refuses requests until it is in step (--max-staleness %s)", n.Name, fromSeconds(n.MaxStalenessS)))
	}
	return strings.Join(append([]string{fmt.Sprintf("%d of %d nodes have it", have, len(s.nodes))}, fenced...), " · ")
}
