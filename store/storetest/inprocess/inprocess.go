// Package inprocess answers: how do stores in one process tell each other of
// changes and share what they have read, where there is no server for it?
//
//  1. New makes an Exchange, which is a store.Bus and a store.Shelf.
//  2. A message goes to everybody who listens, in order, through a bounded queue:
//     who does not keep up loses messages, as with any bus.
//  3. Cut makes it a bus and a shelf that went away; Mend brings them back.
//
// It keeps to the same contract as package redis, and knows nothing of stores.
package inprocess

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// waiting is how many messages one listener may be behind.
const waiting = 1024

// ErrCut is the answer of an Exchange that was cut.
var ErrCut = errors.New("the exchange is cut")

// Exchange carries messages and keeps bytes for everybody who has it.
type Exchange struct {
	mu        sync.Mutex
	cut       bool
	listeners []*listener
	shelf     map[string]item
}

type listener struct {
	channel  string
	messages chan []byte
	gone     chan struct{} // closed when the exchange is cut
}

type item struct {
	what []byte
	ends time.Time
}

// New makes an Exchange on which nothing stands and nobody listens.
func New() *Exchange { return &Exchange{shelf: make(map[string]item)} }

// Publish is store.Bus's.
func (e *Exchange) Publish(ctx context.Context, channel string, message []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return err
	}
	for _, l := range e.listeners {
		if l.channel != channel {
			continue
		}
		select {
		case l.messages <- bytes.Clone(message):
		default: // lost
		}
	}
	return nil
}

// Listen is store.Bus's.
func (e *Exchange) Listen(ctx context.Context, channel string, hear func([]byte)) error {
	l, err := e.join(ctx, channel)
	if err != nil {
		return err
	}
	defer e.leave(l)
	hear(nil)
	for {
		select {
		case m := <-l.messages:
			hear(m)
		case <-l.gone:
			return ErrCut
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *Exchange) join(ctx context.Context, channel string) (*listener, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	l := &listener{channel: channel, messages: make(chan []byte, waiting), gone: make(chan struct{})}
	e.listeners = append(e.listeners, l)
	return l, nil
}

func (e *Exchange) leave(l *listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners = slices.DeleteFunc(e.listeners, func(other *listener) bool { return other == l })
}

// Take is store.Shelf's.
func (e *Exchange) Take(ctx context.Context, name string) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	i, ok := e.shelf[name]
	if !ok || !time.Now().Before(i.ends) {
		delete(e.shelf, name)
		return nil, nil
	}
	return bytes.Clone(i.what), nil
}

// Put is store.Shelf's.
func (e *Exchange) Put(ctx context.Context, name string, what []byte, ttl time.Duration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return err
	}
	e.shelf[name] = item{what: bytes.Clone(what), ends: time.Now().Add(ttl)}
	return nil
}

func (e *Exchange) usable(ctx context.Context) error {
	if e.cut {
		return ErrCut
	}
	return ctx.Err()
}

// Cut makes every call fail, and ends all listening.
func (e *Exchange) Cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut = true
	for _, l := range e.listeners {
		close(l.gone)
	}
	e.listeners = nil
}

// Mend undoes Cut. What stood on the shelf still does.
func (e *Exchange) Mend() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut = false
}

// Names lists what stands on the shelf, in order.
func (e *Exchange) Names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.shelf))
	for name := range e.shelf {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
