package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// Bounds of what is told to other nodes.
const (
	announcements = 256 // hints that wait for a bus that is slow
	publishWithin = time.Second
	lastWords     = 500 * time.Millisecond // for what still waits when the store is closed
	longestHint   = 64 << 10               // bytes of a message, sealed
	mostSubjects  = 1000                   // a change of more does not say which
)

// crier tells other nodes what has changed. It never holds a change up: what its
// queue has no room for, they find at their next poll.
type crier struct {
	bus   Bus
	key   accounts.Sealer
	queue chan Hint
	count busCounters
}

// message is a Hint as it goes over a bus, sealed for the lineage.
type message struct {
	Seq      int64    `json:"seq"`
	ID       string   `json:"id"`
	Subjects []string `json:"subjects,omitempty"`
}

func bellOf(lineage string) string { return spaceOf(lineage) + "bell" }

// announce queues the hint of a change that was made.
func (s *Store) announce(done *accounts.Change) {
	if s.crier == nil || done.ID == "" { // nothing changed
		return
	}
	lineage, _ := s.keys.dropped.stands()
	h := Hint{Lineage: lineage, Seq: done.Seq, ID: done.ID, Subjects: done.Subjects}
	select {
	case s.crier.queue <- h:
	default:
		s.crier.count.dropped.Add(1)
	}
}

// run publishes what is queued until closing, and then what is left.
func (c *crier) run(closing <-chan struct{}) {
	for {
		select {
		case <-closing:
			c.finish()
			return
		default: // the end comes before what else there is to do
		}
		select {
		case h := <-c.queue:
			c.publish(context.Background(), h)
		case <-closing:
		}
	}
}

// finish publishes what is left, within a bound of its own.
func (c *crier) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	for {
		select {
		case h := <-c.queue:
			c.publish(ctx, h)
		default:
			return
		}
	}
}

// publish counts what becomes of a hint. That the bus does not answer is said
// where it is listened to.
func (c *crier) publish(ctx context.Context, h Hint) {
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	sealed, err := sealHint(c.key, h)
	if err == nil {
		err = c.bus.Publish(ctx, bellOf(h.Lineage), sealed)
	}
	if err != nil {
		c.count.failed.Add(1)
		return
	}
	c.count.published.Add(1)
}

// sealHint makes a message that only nodes with the installation's key can make
// or read, and only for this lineage. A copy of it that comes later is a hint of
// what the log has already.
func sealHint(key accounts.Sealer, h Hint) ([]byte, error) {
	m := message{Seq: h.Seq, ID: h.ID, Subjects: h.Subjects}
	if len(m.Subjects) > mostSubjects {
		m.Subjects = nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing hint: %w", err)
	}
	return key.Seal("bell\x00"+h.Lineage, text)
}

func openHint(key accounts.Sealer, lineage string, sealed []byte) (Hint, error) {
	if len(sealed) > longestHint {
		return Hint{}, fmt.Errorf("reading hint: it has %d bytes", len(sealed))
	}
	text, err := key.Open("bell\x00"+lineage, sealed)
	if err != nil {
		return Hint{}, fmt.Errorf("reading hint: %w", err)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return Hint{}, fmt.Errorf("reading hint: %w", err)
	}
	return Hint{Lineage: lineage, Seq: m.Seq, ID: m.ID, Subjects: m.Subjects}, nil
}

// busCounters count what went over the bus, and what did not.
type busCounters struct{ published, failed, dropped, received, bad atomic.Int64 }
