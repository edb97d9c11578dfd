package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"github.com/rs/zerolog"
)

// bellChannel is the channel of NOTIFY that nodes tell each other of changes on.
const bellChannel = "llmgw"

// longestNotice is how long the text of a NOTIFY may be; the server refuses 8000
// bytes, and the change with it.
const longestNotice = 7999

// Bounds of the connection that listens. A server that does not answer a question
// in time is taken for gone.
const (
	listenWithin  = 5 * time.Second // connecting, and each question
	listenAsks    = 5 * time.Second // between questions whether anybody is there
	relistenFirst = 250 * time.Millisecond
	relistenMost  = 5 * time.Second
)

// postgresBell rings at the nodes that share a PostgreSQL server, by NOTIFY.
type postgresBell struct {
	at  *Postgres
	log zerolog.Logger
}

// notice is a Hint as it stands in a NOTIFY.
type notice struct {
	Lineage  string   `json:"lineage"`
	Seq      int64    `json:"seq"`
	ID       string   `json:"id"`
	Subjects []string `json:"subjects,omitempty"`
}

// ring tells of a change within its transaction: the server passes it on when it
// commits, and not at all where it does not. A change with more subjects than fit
// names none; whoever hears of it looks.
func (b *postgresBell) ring(ctx context.Context, on session, h Hint) error {
	n := notice{Lineage: h.Lineage, Seq: h.Seq, ID: h.ID}
	bare, err1 := json.Marshal(n)
	n.Subjects = h.Subjects
	text, err2 := json.Marshal(n)
	if len(text) > longestNotice {
		text = bare
	}
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("writing notice: %w", err)
	}
	_, err := on.run(ctx, `SELECT pg_notify(?, ?)`, bellChannel, string(text))
	return unavailable(err)
}

// listen hears what other nodes ring until ctx ends, and connects again whenever
// the connection breaks. What was rung in between is lost; so each connection
// begins with a Hint that says no more than that.
func (b *postgresBell) listen(ctx context.Context, hear func(Hint)) {
	again, told := backoff{first: relistenFirst, most: relistenMost}, ""
	for ctx.Err() == nil {
		var since time.Time // that it hears
		err := b.listenOnce(ctx, hear, func() {
			since = time.Now()
			if told != "" {
				b.log.Info().Str("server", b.at.Server()).Msg("listening for changes again")
			}
			told = ""
			hear(Hint{})
		})
		if ctx.Err() != nil {
			return
		}
		if !since.IsZero() && time.Since(since) > listenAsks { // it was there for a while
			again.anew()
		}
		if reason := b.reason(err); reason != told {
			b.log.Warn().Str("server", b.at.Server()).Str("cause", reason).
				Msg("not listening for changes; the poll finds them until this is over")
			told = reason
		}
		again.pause(ctx)
	}
}

func (b *postgresBell) reason(err error) string {
	if reason := unreachable(err); reason != "" {
		return reason
	}
	return oneSentence(err.Error())
}

// listenOnce listens on one connection until it breaks or ctx ends. begun is called
// once it does, beside hear; neither is called any more when it returns.
func (b *postgresBell) listenOnce(ctx context.Context, hear func(Hint), begun func()) error {
	rung := make(chan *pq.Notification, 32)
	conn, err := pq.NewListenerConn(b.at.sourceName().Reveal(), rung)
	if err != nil {
		return err
	}
	ctx, broken := context.WithCancel(ctx)
	var asking sync.WaitGroup
	var unanswered error
	asking.Go(func() { unanswered = b.keepAsking(ctx, conn, begun) })
	for n := range rung { // closed once the connection is
		hear(hintOf(n.Extra))
	}
	broken()
	asking.Wait()
	if unanswered != nil {
		return unanswered
	}
	return conn.Err()
}

// keepAsking has the server ring on conn, and asks it now and then whether it is
// there. It closes conn where it is not, which is an error, and when ctx ends.
func (b *postgresBell) keepAsking(ctx context.Context, conn *pq.ListenerConn, begun func()) error {
	defer func() { _ = conn.Close() }() // an error of it says that it is closed
	if err := ask(conn, `LISTEN `+bellChannel); err != nil {
		return err
	}
	begun()
	again := time.NewTicker(listenAsks)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
		if err := ask(conn, `SELECT 1`); err != nil {
			return err
		}
	}
}

// ask runs a statement, and closes conn where that is not answered in time.
func ask(conn *pq.ListenerConn, text string) error {
	var late atomic.Bool
	end := time.AfterFunc(listenWithin, func() { late.Store(true); _ = conn.Close() })
	defer end.Stop()
	_, err := conn.ExecSimpleQuery(text)
	if late.Load() {
		return context.DeadlineExceeded
	}
	return err
}

// hintOf reads a notice. Whoever may log in to the database can send one; one that
// is none still wakes a node up, which does no harm.
func hintOf(text string) Hint {
	var n notice
	if json.Unmarshal([]byte(text), &n) != nil {
		return Hint{}
	}
	return Hint(n)
}
