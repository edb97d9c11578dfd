package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// Bounds of the copy on the shelf. It is for a node that has none of its own, so
// it need not name every key.
const (
	shelveCopyFor   = 24 * time.Hour         // an older one is not taken
	shelveCopyApart = 5 * time.Second        // between two that one node puts
	shelveCopyFresh = 5 * time.Minute        // one that is no older is as good as this node's
	copyOnShelf     = largestPut / 2         // bytes before they are sealed
	shelfWithin     = time.Second            // each question of the one who writes
	startShelf      = 500 * time.Millisecond // what a start waits for it
)

// shelfCopy is what the copier knows of the copy on the shelf. It belongs to the
// goroutine that writes.
type shelfCopy struct {
	next   *sealedCopy // to be put there; nil: nothing new
	urgent bool        // the one there may name what was dropped
	put    instant     // when this node last looked
}

// copyName is where the copy stands. Nodes that have the same secret key and a
// database of the same name share it; nothing has to be asked of the database.
func copyName(key accounts.Sealer, database string) (string, error) {
	sealed, err := key.Seal("", nil)
	if err != nil {
		return "", fmt.Errorf("naming copy: %w", err)
	}
	by, _ := accounts.SealedBy(sealed)
	sum := sha256.Sum256([]byte(database))
	return "llmgw:copy:" + by + ":" + hex.EncodeToString(sum[:8]), nil
}

// shelve puts the copy on the shelf where it is time to.
func (c *copier) shelve(ctx context.Context) {
	w, s := c.store.wares, &c.shelf
	if w == nil || s.next == nil || w.away.Load() || now().since(s.put) < shelveCopyApart {
		return
	}
	s.put = now()
	if err := c.shelveNow(ctx, w.shelf); err != nil {
		c.count.unshelved.Add(1)
		return // it is tried again
	}
	s.next, s.urgent = nil, false
}

func (c *copier) shelveNow(ctx context.Context, on Shelf) error {
	name, err := copyName(c.store.options.Secret, c.database)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, shelfWithin)
	defer cancel()
	there, err := on.Take(ctx, name)
	if err != nil {
		return err
	}
	if c.yields(there) {
		c.count.shelfNewer.Add(1)
		return nil
	}
	b, err := c.shelf.next.seal(c.store.options.Secret, c.database, copyOnShelf)
	if err != nil {
		return err
	}
	if err := on.Put(ctx, name, b, shelveCopyFor); err != nil {
		return err
	}
	c.count.shelved.Add(1)
	return nil
}

// yields says whether what is on the shelf stays there: it is further in the same
// log, or says the same and is not old. Of another log it stays where this node
// cannot tell which one holds.
func (c *copier) yields(there []byte) bool {
	other, _, err := unsealCopy(c.store.options.Secret, c.database, there)
	if err != nil {
		return false
	}
	mine := c.shelf.next.line()
	switch {
	case other.lineage != mine.lineage:
		return c.store.reader.away.Load()
	case other.seq != mine.seq:
		return other.seq > mine.seq
	}
	return !c.shelf.urgent && mine.at.Sub(other.at) < shelveCopyFresh
}

// findCopy gives the copy to start from, while the database is away: this node's
// own, or that of the shelf where it is further in the same log, or where there is
// none here. One that cannot be used is said, and is none.
//
// So whoever may write to the shelf cannot take a node back behind what is in its
// data directory. One that has none can be given any copy that a node sealed in
// the last day.
func findCopy(ctx context.Context, o *Options) *sealedCopy {
	own := o.ownCopy()
	shelved := o.shelvedCopy(ctx)
	switch {
	case shelved == nil:
		return own
	case own == nil:
		return shelved
	case own.top.Head.Lineage != shelved.top.Head.Lineage || own.top.Head.Seq >= shelved.top.Head.Seq:
		return own
	}
	return shelved
}

func (o *Options) ownCopy() *sealedCopy {
	b, err := readCopyFile(o.Copy)
	if err == nil && b == nil {
		return nil
	}
	var c *sealedCopy
	if err == nil {
		c, err = openCopy(o.Secret, o.Postgres.config.Database, b)
	}
	if err == nil {
		err = c.plausible()
	}
	if err != nil {
		o.Log.Error().Str("file", o.Copy).Str("cause", err.Error()).Msg("the sealed copy of the configuration cannot be used")
		return nil
	}
	return c
}

func (o *Options) shelvedCopy(ctx context.Context) *sealedCopy {
	if o.Shelf == nil {
		return nil
	}
	name, err := copyName(o.Secret, o.Postgres.config.Database)
	if err != nil {
		return nil // what seals does not; the database will say so
	}
	ctx, cancel := context.WithTimeout(ctx, startShelf)
	defer cancel()
	b, err := o.Shelf.Take(ctx, name)
	if err != nil {
		o.Log.Warn().Err(err).Msg("cannot look for a sealed copy of the configuration on the bus")
		return nil
	}
	if b == nil {
		return nil
	}
	c, err := openCopy(o.Secret, o.Postgres.config.Database, b)
	if err == nil {
		err = c.plausible()
	}
	if err == nil && time.Since(c.top.At) > shelveCopyFor {
		err = fmt.Errorf("it is of %s", c.top.At.Format(time.RFC3339))
	}
	if err != nil {
		o.Log.Error().Str("name", name).Str("cause", err.Error()).Msg("the sealed copy of the configuration on the bus cannot be used")
		return nil
	}
	return c
}

// copyAhead is how far the clock of whoever made a copy may be ahead.
const copyAhead = time.Minute

// plausible refuses a copy whose age cannot be told.
func (c *sealedCopy) plausible() error {
	if time.Until(c.top.At) > copyAhead {
		return fmt.Errorf("it is of %s, which is yet to come; is the clock right?", c.top.At.Format(time.RFC3339))
	}
	return nil
}
