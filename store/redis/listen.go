package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A connection that listens is silent for as long as nothing happens. It is asked
// for a sign of life, and is taken for broken where none comes.
const (
	signEvery  = 3 * time.Second
	signWithin = 9 * time.Second // of silence
)

// Listen is store.Bus's. A connection that says nothing for signWithin is taken
// for broken.
func (c *Client) Listen(ctx context.Context, channel string, hear func([]byte)) error {
	ctx, cancel := context.WithCancel(ctx)
	listening := c.commands.Subscribe(ctx) // connects with the subscription
	var beside sync.WaitGroup
	beside.Go(func() { askForSigns(ctx, listening) })
	defer beside.Wait()
	defer cancel()

	if err := listening.Subscribe(ctx, channel); err != nil {
		return errors.Join(fmt.Errorf("subscribing: %w", err), closed(listening))
	}
	err := receive(ctx, listening, hear)
	return errors.Join(err, closed(listening))
}

// closed closes what may be closed already: askForSigns does it when the listening
// is to end.
func closed(listening *goredis.PubSub) error {
	if err := listening.Close(); err != nil && !errors.Is(err, goredis.ErrClosed) {
		return fmt.Errorf("closing subscription: %w", err)
	}
	return nil
}

// askForSigns pings until ctx ends, and then closes the connection: nothing else
// wakes who waits for it.
func askForSigns(ctx context.Context, listening *goredis.PubSub) {
	defer func() { _ = closed(listening) }() // who listens tells why it ended
	every := time.NewTicker(signEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			within, cancel := context.WithTimeout(ctx, signEvery)
			_ = listening.Ping(within) // a sign that does not come is noticed by who listens
			cancel()
		}
	}
}

func receive(ctx context.Context, listening *goredis.PubSub, hear func([]byte)) error {
	for {
		got, err := listening.ReceiveTimeout(ctx, signWithin)
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		switch m := got.(type) {
		case *goredis.Message:
			hear([]byte(m.Payload))
		case *goredis.Subscription:
			if m.Kind == "subscribe" {
				hear(nil)
			}
		}
	}
}
