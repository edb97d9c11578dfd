package main

import (
	"context"
	"time"

	"github.com/dustin/go-humanize"
)

// How often it is written down when keys were used, and for how long that may
// be tried when the gateway stops.
const (
	usesEvery  = 30 * time.Second
	usesWithin = 2 * time.Second
)

// beginNotingUses writes down when keys were last used: every now and then, and
// once more when the gateway stops, before the store is closed. What cannot be
// written is told, and lost.
func (n *node) beginNotingUses() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.noteUses(n.ctx)
	}()
	n.onClose(func() error { <-done; return nil })
}

func (n *node) noteUses(ctx context.Context) {
	tick := time.NewTicker(usesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), usesWithin)
			defer cancel()
			n.noteUsesOnce(last)
			return
		case <-tick.C:
			n.noteUsesOnce(ctx)
		}
	}
}

func (n *node) noteUsesOnce(ctx context.Context) {
	uses := n.proxy.UsedKeys()
	if len(uses) == 0 {
		return
	}
	if err := n.store.NoteKeyUse(ctx, uses); err != nil {
		n.log.Warn().Str("code", "key_uses").Str("cause", err.Error()).Int("keys", len(uses)).Msg("error")
	}
}

// lastErrors tells what upstreams last said against credentials, by the IDs of
// these.
func (n *node) lastErrors() map[string]string {
	all := map[string]string{}
	for _, c := range n.proxy.Credentials() {
		if c.LastError != nil {
			all[c.ID] = c.LastError.Error() + " " + humanize.Time(c.LastError.At)
		}
	}
	return all
}
