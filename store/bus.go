package store

import (
	"context"
	"time"
)

// Bus carries messages among the nodes of an installation. Any of them may be
// lost, come twice or late, or be somebody else's: the store seals what it sends
// and believes nothing that it cannot open.
type Bus interface {
	// Publish hands a message to whoever listens to the channel now, this node
	// included.
	Publish(ctx context.Context, channel string, message []byte) error

	// Listen calls hear with every message of the channel, and with nil each time
	// that it has begun to listen: what was sent before that was missed. It ends
	// with an error when it hears no more, and when ctx ends. It never calls hear
	// twice at once.
	Listen(ctx context.Context, channel string, hear func(message []byte)) error
}

// Shelf keeps bytes for all nodes of an installation, for a while: anything may
// be gone at any time, and may have been put there by anybody. The store seals
// what it puts and believes nothing that it cannot open.
type Shelf interface {
	// Take gives what stands under a name, nil where nothing does.
	Take(ctx context.Context, name string) ([]byte, error)

	// Put puts something under a name, in the place of what was there, until ttl
	// has passed.
	Put(ctx context.Context, name string, what []byte, ttl time.Duration) error
}

// spaceOf begins the names of one store on a bus or shelf that others may use, too.
func spaceOf(lineage string) string { return "llmgw:" + lineage + ":" }
