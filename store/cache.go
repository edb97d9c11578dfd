package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/llmgw/llmgw/accounts"
)

// Bounds of the key cache. It is split by hash, so that callers on different
// processors seldom meet.
const (
	cacheShards      = 64
	knownPerShard    = 1024 // 65,536 keys
	unknownPerShard  = 128  // 8,192 hashes that are no key
	rememberSubjects = 4096 // invalidations kept by name
	lookTries        = 4    // readings of one key that changes may overtake
)

// finding is what the database said of one hash.
type finding struct {
	who     *accounts.Identity // nil: there is no such key
	seq     int64              // of the log, in the same moment
	mark    mark               // of that moment
	shelved bool               // another node has read it, or this one, some time ago
}

// keyCache keeps in memory whose key a hash is.
//
// What an invalidation named must not come back from a reading that began
// before it. So a reading carries the seq at which it was made, and is thrown
// away, and made again, where an invalidation of what it depends on has come
// in with a later one.
type keyCache struct {
	read    func(context.Context, accounts.KeyHash) (finding, error)
	shelf   *wares // nil: there is none
	count   outcomes
	shards  []shard
	dropped dropped

	steady  sync.RWMutex            // held for writing while what the log named goes out of memory
	learned atomic.Int64            // counts keys that came in
	swept   func(subjects []string) // is told what was dropped, nil: everything; may be nil itself
}

// outcomes are counters, one for each way that asking the cache can end.
type outcomes struct{ hit, shelf, miss, unknownHit, unknownMiss, unavailable func() }

// shard is one part of the cache. The lock is held for moments only.
type shard struct {
	mu      sync.RWMutex
	known   ring
	unknown ring
	flights map[accounts.KeyHash]*flight
}

// flight is a reading under way, and those who wait for it.
type flight struct {
	done    chan struct{}
	who     *accounts.Identity
	shelved bool // who was on the shelf
	err     error
}

func newCache(shards, known, unknown int, count outcomes, read func(context.Context, accounts.KeyHash) (finding, error)) *keyCache {
	c := &keyCache{read: read, count: count, shards: make([]shard, shards)}
	c.dropped.limit = rememberSubjects
	c.dropped.clear()
	for i := range c.shards {
		c.shards[i].known.limit = known
		c.shards[i].unknown.limit = unknown
		c.shards[i].reset()
	}
	return c
}

func (c *keyCache) shard(hash *accounts.KeyHash) *shard {
	return &c.shards[binary.LittleEndian.Uint64(hash[:8])%uint64(len(c.shards))]
}

// remembered answers from memory, and allocates nothing. ok is false where
// memory does not know; nil with ok is a hash that is known to be no key.
func (c *keyCache) remembered(hash *accounts.KeyHash) (who *accounts.Identity, ok bool) {
	s := c.shard(hash)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e := s.known.find(hash); e != nil {
		return e.who, true
	}
	return nil, s.unknown.find(hash) != nil
}

// identify answers from memory, or waits for a reading, which is shared by all
// who ask for the same hash. start begins one that outlives its first asker.
func (c *keyCache) identify(ctx context.Context, hash accounts.KeyHash, start func(func(context.Context)) bool) (*accounts.Identity, error) {
	who, ok := c.remembered(&hash)
	switch {
	case !ok:
		return c.wait(ctx, hash, start)
	case who == nil:
		c.count.unknownHit()
		return nil, unknownKey()
	}
	c.count.hit()
	return who, nil
}

func (c *keyCache) wait(ctx context.Context, hash accounts.KeyHash, start func(func(context.Context)) bool) (*accounts.Identity, error) {
	f, mine := c.join(&hash)
	if mine && !start(func(ctx context.Context) { c.fly(ctx, f, hash) }) {
		c.land(f, &hash, fmt.Errorf("finding key: %w", errClosed()))
	}
	select {
	case <-f.done:
		c.countFlight(f)
		return f.who, f.err
	case <-ctx.Done():
		c.count.unavailable()
		return nil, fmt.Errorf("finding key: %w", unavailable(ctx.Err()))
	}
}

func unknownKey() error { return fmt.Errorf("key: %w", accounts.ErrNotFound) }

func (c *keyCache) countFlight(f *flight) {
	switch {
	case f.shelved:
		c.count.shelf()
	case f.err == nil:
		c.count.miss()
	case errors.Is(f.err, accounts.ErrNotFound):
		c.count.unknownMiss()
	default:
		c.count.unavailable()
	}
}

// join finds the flight for a hash, or makes it: mine.
func (c *keyCache) join(hash *accounts.KeyHash) (f *flight, mine bool) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[*hash]; f != nil {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	s.flights[*hash] = f
	return f, true
}

// fly looks on the shelf, then reads until no invalidation has overtaken the
// reading. Whoever joined meanwhile gets what was read last, so that none sees
// what an invalidation before its asking has dropped.
func (c *keyCache) fly(ctx context.Context, f *flight, hash accounts.KeyHash) {
	if c.shelf != nil && c.flyToShelf(ctx, f, &hash) {
		return
	}
	for range lookTries {
		began := c.dropped.now()
		found, err := c.read(ctx, hash)
		if err != nil {
			c.land(f, &hash, err)
			return
		}
		if c.keep(f, &hash, found, began) {
			if c.shelf != nil && found.who != nil {
				c.shelf.putKey(hash, found)
			}
			return
		}
	}
	c.land(f, &hash, fmt.Errorf("finding key: %w: it changed faster than it could be read", accounts.ErrUnavailable))
}

// flyToShelf takes what another node has read, where that is known to hold.
func (c *keyCache) flyToShelf(ctx context.Context, f *flight, hash *accounts.KeyHash) bool {
	began := c.dropped.now()
	found, ok := c.shelf.takeKey(ctx, *hash)
	if !ok {
		return false
	}
	if !c.keep(f, hash, found, began) {
		c.shelf.count.stale.Add(1)
		return false
	}
	c.shelf.count.taken.Add(1)
	return true
}

// keep puts a finding into the cache and ends the flight, unless an
// invalidation has overtaken it. Looking and putting are one step for the
// shard: an invalidation is noted first and then goes through the shards, so
// it is either seen here or finds the entry there.
func (c *keyCache) keep(f *flight, hash *accounts.KeyHash, found finding, began beginning) bool {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.dropped.admit(&found, began) {
		return false
	}
	if found.who != nil {
		s.unknown.drop(hash)
		s.known.put(newSlot(*hash, found.who))
		c.learned.Add(1)
		f.who, f.shelved = found.who, found.shelved
	} else {
		s.unknown.put(&slot{hash: *hash})
		f.err = unknownKey()
	}
	delete(s.flights, *hash)
	close(f.done)
	return true
}

// land ends a flight that found nothing.
func (c *keyCache) land(f *flight, hash *accounts.KeyHash, err error) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.err = err
	delete(s.flights, *hash)
	close(f.done)
}

func subjectOf(who *accounts.Identity) string { return "key:" + who.KeyID }

// ownerOf is empty where the key is nobody's.
func ownerOf(who *accounts.Identity) string {
	if who.UserID == "" {
		return ""
	}
	return "user:" + who.UserID
}

// invalidate drops what depends on subjects, which changed at the numbers
// given, in entries of the log that lead to h. A key that changed may have a new
// secret, so hashes that were no key are asked about again.
func (c *keyCache) invalidate(subjects map[string]int64, h Head, entries []entry) {
	c.steady.Lock()
	defer c.steady.Unlock()
	matters, ofKeys := c.dropped.add(subjects, h, entries)
	if matters {
		c.sweep(slices.Collect(maps.Keys(subjects)), ofKeys)
	}
}

// drop is invalidate without a number: what changed is known, and where the log
// stands now is not. Readings under way are thrown away and made again. Where a
// user changed, all is dropped: which keys are the user's may have changed, too,
// without this node having heard of it.
func (c *keyCache) drop(subjects []string) {
	if !slices.ContainsFunc(subjects, identifies) {
		return
	}
	c.dropped.renew()
	if slices.ContainsFunc(subjects, isUser) {
		c.empty()
		return
	}
	c.sweep(subjects, true)
}

// hint drops what a hint names, unless the log has named it already. ahead says
// that it has not.
func (c *keyCache) hint(h Hint) (ahead bool) {
	ahead, fresh := c.dropped.hint(h)
	if fresh {
		c.drop(h.Subjects)
	}
	return ahead
}

// sweep takes out of every shard what depends on subjects, and, where keys are
// among them, what is known to be no key.
func (c *keyCache) sweep(subjects []string, ofKeys bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, subject := range subjects {
			s.known.dropSubject(subject)
		}
		if ofKeys {
			s.unknown.clear()
		}
		s.mu.Unlock()
	}
	c.tellSwept(subjects)
}

func (c *keyCache) tellSwept(subjects []string) {
	if c.swept != nil {
		c.swept(subjects)
	}
}

// reset drops everything, whatever numbers come next.
func (c *keyCache) reset() {
	c.dropped.clear()
	c.empty()
}

func (c *keyCache) empty() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.known.clear()
		s.unknown.clear()
		s.mu.Unlock()
	}
	c.tellSwept(nil)
}

func (s *shard) reset() {
	s.known.clear()
	s.unknown.clear()
	s.flights = make(map[accounts.KeyHash]*flight)
}
