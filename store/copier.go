package store

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// When the sealed copy is written. Something in it that was dropped, and another
// configuration, are worth it at once; keys that were learned, and that the node
// is still in step, every now and then. A copy that takes long is made so seldom
// that it costs a hundredth of the time.
const (
	copyApart = time.Second     // between two writes
	copyIdle  = 5 * time.Second // for keys that were learned
	copyFresh = time.Minute     // for the time alone
	copyShare = 100
)

// copier keeps the sealed copy of what this node knows: in a file, and on the
// shelf for nodes that have none. It holds nobody up: what it is told it notes, and
// it writes in a goroutine of its own.
//
// From the moment that a dropped key is out of memory until the next copy is in
// its place, a crash leaves one that names it. That is some milliseconds for the
// first, and copyApart where one follows another; a copy says up to which change
// it is complete, so the first look at the database puts it right.
type copier struct {
	store    *Store
	path     string
	database string
	log      zerolog.Logger

	soon chan struct{} // one place: the copy says what does not hold any more
	end  context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	holds   map[string]bool // keys and users that the copy names
	writing bool            // one is being made, of which it is not known yet what it will name

	// Of the goroutine that writes.
	learned int64 // the cache's, at the last copy
	seen    instant
	wrote   instant
	took    time.Duration
	told    string // the failure that was logged last
	shelf   shelfCopy

	count copyCounters
}

// copyCounters count what became of copies.
type copyCounters struct {
	written, failed                atomic.Int64 // in the file
	shelved, shelfNewer, unshelved atomic.Int64 // on the shelf
}

// beginCopying begins to keep a copy, if one is wanted.
func (s *Store) beginCopying() {
	o := &s.options
	if o.Copy == "" || o.Postgres == nil {
		return
	}
	c := &copier{store: s, path: o.Copy, database: o.Postgres.config.Database, log: s.log, soon: make(chan struct{}, 1)}
	c.seen = *s.reader.good.Load()
	s.copier, s.reader.keeps = c, true
	s.keys.swept = c.dropped
	ctx, cancel := context.WithCancel(context.Background())
	c.end = cancel
	c.done.Go(func() { c.run(ctx) })
}

// stop writes a last copy. Nothing of the store changes any more.
func (c *copier) stop() {
	if c == nil {
		return
	}
	c.end()
	c.done.Wait()
}

// renew has the copy written anew.
func (c *copier) renew() {
	if c == nil {
		return
	}
	select {
	case c.soon <- struct{}{}:
	default: // it is to be anyhow
	}
}

// dropped is told what went out of memory: nil for everything.
func (c *copier) dropped(subjects []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if subjects == nil || c.writing || slices.ContainsFunc(subjects, func(s string) bool { return c.holds[s] }) {
		c.renew()
	}
}

func (c *copier) run(ctx context.Context) {
	tick := time.NewTicker(copyApart)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			c.write()
			return
		case <-c.soon:
			c.shelf.urgent = true
			c.write()
			c.shelve(ctx)
			pause(ctx, copyApart)
		case <-tick.C:
			if c.due() {
				c.write()
			}
			c.shelve(ctx)
		}
	}
}

// due says whether the copy is to be written though nothing in it is wrong.
func (c *copier) due() bool {
	since, least := now().since(c.wrote), copyShare*c.took
	switch {
	case c.told != "": // it may have been for a key that was revoked
		return since >= copyIdle
	case c.store.keys.learned.Load() != c.learned:
		return since >= max(copyIdle, least)
	case *c.store.reader.good.Load() != c.seen:
		return since >= max(copyFresh, least)
	}
	return false
}

// write makes a copy and puts it in its place. A failure is logged when it is
// another than the last one, and counted; the copy that is there stays.
func (c *copier) write() {
	begun := now()
	c.begin()
	learned, seen := c.store.keys.learned.Load(), *c.store.reader.good.Load()
	fresh := c.store.copyOf()
	if fresh == nil {
		c.finish(nil)
		return
	}
	b, err := fresh.seal(c.store.options.Secret, c.database, mostCopied)
	if err == nil {
		err = replaceFile(c.path, b)
	}
	c.wrote, c.took = now(), now().since(begun)
	if err != nil {
		c.keepHolding(fresh)
		c.failed(err)
		return
	}
	c.finish(fresh)
	c.learned, c.seen = learned, seen
	c.shelf.next = fresh
	c.count.written.Add(1)
	if c.told != "" {
		c.told = ""
		c.log.Info().Str("file", c.path).Msg("the sealed copy of the configuration is written again")
	}
}

func (c *copier) failed(err error) {
	c.count.failed.Add(1)
	if c.told != err.Error() {
		c.told = err.Error()
		c.log.Error().Err(err).Str("file", c.path).
			Msg("cannot write the sealed copy of the configuration; a start while the store is away would find an older one, or none")
	}
}

func (c *copier) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = true
}

// finish notes what a copy in its place names; nil: it was not made.
func (c *copier) finish(fresh *sealedCopy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	if fresh != nil {
		c.holds = fresh.subjects()
	}
}

// keepHolding notes what a copy names of which it is not known whether it is in
// its place, beside what the one before named.
func (c *copier) keepHolding(fresh *sealedCopy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	before := c.holds
	c.holds = fresh.subjects()
	for subject := range before {
		c.holds[subject] = true
	}
}

func (c *sealedCopy) subjects() map[string]bool {
	all := make(map[string]bool, len(c.known))
	for i := range c.known {
		who := c.known[i].Who
		all[subjectOf(who)] = true
		if owner := ownerOf(who); owner != "" {
			all[owner] = true
		}
	}
	return all
}

// copyOf is what this node knows; nil where nothing is in force yet. When the last
// good look began comes first, so that nothing in the copy is older than it says.
func (s *Store) copyOf() *sealedCopy {
	good := *s.reader.good.Load()
	config, inForce := s.reader.configuration()
	p := s.pools.Load()
	if config == nil || p.issuer == nil {
		return nil
	}
	head, known := s.keys.holdings()
	if head.Lineage == "" {
		return nil // it is being dropped
	}
	return &sealedCopy{
		top: copyTop{
			At: good.wall.UTC(), Language: rules.Language, Head: head, InForce: inForce, Issuer: []byte(p.secret.Reveal()),
			Config: shelvedConfig{Files: config.Files, Upstreams: config.Upstreams, Bindings: config.Bindings},
		},
		known: known,
	}
}

// holdings is what is in memory, and up to where in the log it holds. What was
// read ahead of that is left out: the database may lose those changes.
func (c *keyCache) holdings() (Head, []copiedKey) {
	c.steady.RLock()
	defer c.steady.RUnlock()
	head := c.dropped.head()
	var asked, rest []copiedKey
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		for _, e := range s.known.slots {
			if e.who.Seq > head.Seq {
				continue
			}
			k := copiedKey{Hash: e.hash[:], Who: e.who}
			if e.asked.Load() {
				asked = append(asked, k)
			} else {
				rest = append(rest, k)
			}
		}
		s.mu.RUnlock()
	}
	return head, append(asked, rest...)
}

// recover takes in what a copy knows.
func (c *keyCache) recover(known []copiedKey) {
	for i := range known {
		hash := accounts.KeyHash(known[i].Hash)
		s := c.shard(&hash)
		s.mu.Lock()
		s.known.put(newSlot(hash, known[i].Who))
		s.mu.Unlock()
	}
}
