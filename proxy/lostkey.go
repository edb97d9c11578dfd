package proxy

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/llmgw/llmgw/accounts"
)

// The bounds of looking again at the keys of exchanges under way.
const (
	lookAgainAfter  = time.Second     // where nobody could say
	lookAgainWithin = 5 * time.Second // for one key
	keysAtOnce      = 8
	maxLostKeys     = 10_000 // waiting to be looked at; beyond it every key is
)

// lostKeys are the keys and users of which something was changed, until the
// exchanges that are under way for them have been looked at.
type lostKeys struct {
	told atomic.Uint64 // moves with each change, before exchanges are looked at; see authenticate
	wake chan struct{}
	ctx  context.Context
	end  context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	some suspects
}

// suspects are whose exchanges are to be looked at.
type suspects struct {
	keys, users map[string]struct{}
	all         bool
}

func (s *suspects) add(keyIDs, userIDs []string) {
	if s.all || len(s.keys)+len(s.users)+len(keyIDs)+len(userIDs) > maxLostKeys {
		*s = suspects{all: true}
		return
	}
	if s.keys == nil {
		s.keys, s.users = map[string]struct{}{}, map[string]struct{}{}
	}
	for _, id := range keyIDs {
		s.keys[id] = struct{}{}
	}
	for _, id := range userIDs {
		s.users[id] = struct{}{}
	}
}

func (s *suspects) has(who *accounts.Identity) bool {
	_, key := s.keys[who.KeyID]
	_, user := s.users[who.UserID]
	return s.all || key || user && who.UserID != ""
}

// Changed takes a change of the store over: it is what Ended is, for the keys
// and users that the change names. "*" stands for everything. It does not block.
func (p *Proxy) Changed(c accounts.Change) {
	var keys, users []string
	for _, subject := range c.Subjects {
		switch kind, id, _ := strings.Cut(subject, ":"); kind {
		case "*":
			p.lost.add(func(s *suspects) { *s = suspects{all: true} })
			return
		case "key":
			keys = append(keys, id)
		case "user":
			users = append(users, id)
		}
	}
	if len(keys)+len(users) > 0 {
		p.Ended(keys, users)
	}
}

// Ended looks again at the exchanges under way of keys and users that were
// changed, by their IDs, and cuts those whose key is in force no more, with the
// protocol's own error. A key that has only expired ends nothing, and neither
// does one that was revoked with its streams kept. The Source must know of the
// change. It does not block: a goroutine of the Proxy's looks.
func (p *Proxy) Ended(keyIDs, userIDs []string) {
	p.lost.add(func(s *suspects) { s.add(keyIDs, userIDs) })
}

func (l *lostKeys) add(how func(*suspects)) {
	l.mu.Lock()
	how(&l.some)
	l.mu.Unlock()
	l.told.Add(1)
	select {
	case l.wake <- struct{}{}:
	default: // it is awake already
	}
}

func (l *lostKeys) take() (some suspects) {
	l.mu.Lock()
	defer l.mu.Unlock()
	some, l.some = l.some, suspects{}
	return some
}

func newLostKeys() *lostKeys {
	l := &lostKeys{wake: make(chan struct{}, 1), done: make(chan struct{})}
	l.ctx, l.end = context.WithCancel(context.Background())
	return l
}

func (l *lostKeys) close() {
	l.end()
	<-l.done
}

// cutLost looks at exchanges as their keys are changed, until close.
func (p *Proxy) cutLost() {
	defer close(p.lost.done)
	again := time.NewTimer(lookAgainAfter)
	again.Stop()
	defer again.Stop()
	for {
		select {
		case <-p.lost.ctx.Done():
			return
		case <-p.lost.wake:
		case <-again.C:
		}
		some := p.lost.take()
		if unknown := p.cutThoseOf(&some); len(unknown) > 0 {
			p.lost.mu.Lock()
			p.lost.some.add(unknown, nil)
			p.lost.mu.Unlock()
			again.Reset(lookAgainAfter)
		}
	}
}

// cutThoseOf asks about every suspected key once. It gives those that nobody
// could tell about.
func (p *Proxy) cutThoseOf(some *suspects) (unknown []string) {
	var asking errgroup.Group
	asking.SetLimit(keysAtOnce)
	var mu sync.Mutex
	for hash, flying := range p.flights.byKey(some) {
		asking.Go(func() error {
			ctx, cancel := context.WithTimeout(p.lost.ctx, lookAgainWithin)
			defer cancel()
			who, err := p.options.Source.Identify(ctx, hash)
			if err != nil && !errors.Is(err, accounts.ErrNotFound) {
				mu.Lock()
				unknown = append(unknown, flying.keyID)
				mu.Unlock()
				return nil
			}
			if f := endsStreams(who, err); f != nil {
				for _, x := range flying.exchanges {
					x.cutFor(f)
				}
			}
			return nil
		})
	}
	_ = asking.Wait() // which fails of nothing
	return unknown
}

// endsStreams tells why exchanges under way are cut, from what the Source says
// of their key now; nil where they are not.
func endsStreams(who *accounts.Identity, err error) *failure {
	if err != nil {
		return revoked(invalidKey())
	}
	switch who.State(time.Now()) {
	case accounts.KeyActive, accounts.KeyExpired:
		return nil
	case accounts.KeyRevoked:
		if who.KeepStreams {
			return nil
		}
	}
	f, _ := keyFailure(who)
	return revoked(f)
}

// revoked is a failure that ends an exchange under way.
func revoked(f *failure) *failure {
	f.end = endRevoked
	return f
}
