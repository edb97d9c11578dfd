package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store"
)

// copyFileName is the sealed copy in the data directory of what the store told
// last; see store.Options.Copy.
const copyFileName = "store.copy"

// prepareAgain is when it is tried again to do what a start does in a store that
// went away once more.
const prepareAgain = 2 * time.Second

// away says whether the store has yet to be opened.
func (n *node) away() bool {
	select {
	case <-n.store.Opened():
		return false
	default:
		return true
	}
}

// prepareStore does what a start does in the store: at once, or as soon as it
// answers.
func (n *node) prepareStore(ctx context.Context) error {
	if !n.away() {
		return n.prepareNow(ctx)
	}
	n.log.Error().Msg(n.awayText(n.store.Degraded()))
	n.parts.Go(func() error { return n.prepareLater(n.ctx) })
	return nil
}

func (n *node) prepareNow(ctx context.Context) error {
	if err := n.resumeRotation(ctx); err != nil {
		return err
	}
	return n.firstConfig(ctx)
}

// prepareLater waits for the store. There may be nobody at the terminal any more,
// so that no first key is shown: the log says how to make one.
func (n *node) prepareLater(ctx context.Context) error {
	select {
	case <-n.store.Opened():
	case <-ctx.Done():
		return nil
	}
	for {
		err := n.prepareNow(ctx)
		if err == nil {
			err = errors.Join(n.warnOfNoKey(ctx), n.announceAdmin(ctx))
		}
		if !errors.Is(err, accounts.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		n.log.Warn().Err(err).Msg("cannot prepare the store yet")
		select {
		case <-time.After(prepareAgain):
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *node) warnOfNoKey(ctx context.Context) error {
	keys, err := n.store.Keys(ctx)
	if err == nil && len(keys) == 0 {
		n.log.Warn().Str("next", "llmgw keys create NAME").Msg("no key yet")
	}
	return err
}

// awayText says that the store does not answer, and what is to be done.
func (n *node) awayText(d *store.Degraded) string {
	if d == nil { // it answers by now
		return ""
	}
	at, err := n.settings.postgres()
	if err != nil || at == nil {
		return "the store does not answer"
	}
	return fmt.Sprintf("cannot reach Postgres at %s (%s), trying again in %.0f s. Check %s, or start without it: llmgw serve --store sqlite",
		at.Server(), d.Why, d.Again.Seconds(), n.settings.storeSource())
}

// servingText says what is served meanwhile.
func (n *node) servingText(d *store.Degraded) string {
	if n.proxy.Ready() != nil {
		return "not ready: every request is answered with 503 until it is back"
	}
	_, revision := n.store.Applied()
	text := fmt.Sprintf("traffic continues with revision %d, changes are refused", revision)
	if d.Copy.IsZero() {
		return text
	}
	return text + "; from the sealed copy of " + d.Copy.UTC().Format(time.RFC3339) + " (" + age(time.Since(d.Copy)) + " old)"
}

// announceAway is announce while the store does not answer.
func (n *node) announceAway(d *store.Degraded, took time.Duration) error {
	if !n.app.outIsTerm {
		line := n.log.Warn().Str("proxy", n.listener.Addr().String()).Str("admin", hostOf(told(&n.adminURL))).
			Str("data", n.data).Str("store", n.store.Kind()).Str("state", n.servingText(d)).Int64("ms", took.Milliseconds())
		if n.metricsAt != "" {
			line.Str("metrics", n.metricsAt)
		}
		if n.proxy.Ready() != nil {
			line.Msg("not ready")
			return nil
		}
		line.Msg("ready, degraded")
		return nil
	}
	_, err := io.WriteString(n.app.out, n.app.outStyle().plain(n.awayBanner(d, took)))
	return err
}

func (n *node) awayBanner(d *store.Degraded, took time.Duration) string {
	return fmt.Sprintf("  proxy     %s\n  admin     %s\n  data      %s\n  store     %s\n  %s\n  listening after %s, Ctrl-C stops\n",
		told(&n.proxyURL), told(&n.adminURL), shortPath(n.data), n.awayText(d), n.servingText(d), seconds(took))
}

// storeStatus says how the store is, as far as that needs no question to it.
func (n *node) storeStatus() api.StoreStatus {
	s := api.StoreStatus{Kind: n.store.Kind(), Place: n.storePlace()}
	d := n.store.Degraded()
	if d == nil {
		return s
	}
	since := d.Since.UTC().Truncate(time.Second)
	s.Since, s.Reason = &since, d.Why
	if !d.Copy.IsZero() {
		at := d.Copy.UTC().Truncate(time.Second)
		s.CopyOf = &at
	}
	return s
}
