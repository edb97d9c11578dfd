package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// A store whose database does not answer when it is opened is open all the same,
// where Options.Copy says so. What it was told last time stands in the sealed copy;
// everything else is unavailable, until the database has been found and opened as
// it would have been. Nothing reaches it before that.
const (
	probeDatabase = time.Second            // what a start waits for an answer
	firstAgain    = 500 * time.Millisecond // until it is tried again
	longestAgain  = 2 * time.Second        // after some tries
)

// absence is a database that has not been opened yet.
type absence struct {
	err   error         // why
	spare *rules.Config // of the copy, not yet in force; nil: none. Of the one who advances
	part  Head          // of the log, that spare is of
	bare  bool          // nothing is known: the node will stand where it finds the database
	copy  time.Time     // as of when the copy is; zero: there is none
}

// Degraded tells of a database that does not answer.
type Degraded struct {
	Since time.Time     // when that was first noticed
	Why   string        // in a few words
	Copy  time.Time     // as of when the sealed copy is that is served; zero: no copy is
	Again time.Duration // in how much time it is tried again, at the latest
}

// Degraded says for how long the database has not answered; nil while it does.
func (s *Store) Degraded() *Degraded {
	l := s.reader.lost.Load()
	if l == nil {
		return nil
	}
	d := &Degraded{Since: l.since, Why: l.why, Again: s.options.PollEvery}
	if a := s.absent.Load(); a != nil {
		d.Copy, d.Again = a.copy, longestAgain
	}
	return d
}

// Opened is closed once the database has been opened.
func (s *Store) Opened() <-chan struct{} { return s.opened }

// start is what a store begins with.
type start struct {
	pools *pools
	at    Head
	kept  *sealedCopy // what is known of a database that is away
	away  error       // why it is; nil: it is there
}

// begin opens the database. Where it does not answer and a copy may be kept, it
// begins with that, or with nothing.
func (o *Options) begin(ctx context.Context, e engine) (*start, error) {
	p, at, err := o.reach(ctx, e)
	if err == nil {
		return &start{pools: p, at: at}, nil
	}
	if o.Copy == "" || o.Postgres == nil || !errors.Is(err, accounts.ErrUnavailable) {
		return nil, err
	}
	b := &start{kept: findCopy(ctx, o), away: err}
	if b.kept == nil && !isWaitedFor(err) {
		return nil, err
	}
	b.pools = &pools{turn: takeTurn, writer: absentPool(err), reader: absentPool(err), log: absentPool(err)}
	if b.kept != nil {
		b.at = b.kept.top.Head
		err := b.pools.issueWith(accounts.NewSecret(string(b.kept.top.Issuer)))
		return b, err
	}
	return b, nil
}

// isWaitedFor says whether a server is waited for of which nothing is known: one
// that may come. One that refuses the login is there, and the operator is told.
func isWaitedFor(err error) bool {
	var away *UnreachableError
	return errors.As(err, &away) && !away.Refused
}

// reach opens the database, after a short look whether anybody answers where
// being without it is an option.
func (o *Options) reach(ctx context.Context, e engine) (*pools, Head, error) {
	if server, ok := e.(*postgres); ok && o.Copy != "" {
		if err := server.probe(ctx); err != nil {
			return nil, Head{}, err
		}
	}
	p, err := e.open(ctx)
	if err != nil {
		return nil, Head{}, err
	}
	at, err := readHead(ctx, session{on: p.reader})
	if err != nil {
		return nil, Head{}, errors.Join(err, p.close())
	}
	return p, at, nil
}

// probe says whether the server answers.
func (e *postgres) probe(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, probeDatabase)
	defer cancel()
	db := openPostgres(e.at, asReader(), 1, &atomic.Int64{})
	defer func() { err = errors.Join(err, db.Close()) }()
	return e.explain(checkServer(ctx, session{on: db}))
}

// absentPool is one that never has a connection.
func absentPool(why error) *sqlx.DB { return sqlx.NewDb(sql.OpenDB(absentServer{why}), "postgres") }

type absentServer struct{ why error }

// Connect is driver.Connector's.
func (a absentServer) Connect(context.Context) (driver.Conn, error) { return nil, a.why }

// Driver is driver.Connector's.
func (a absentServer) Driver() driver.Driver { return pq.Driver{} }

// standIn notes what a store begins with whose database is away.
func (s *Store) standIn(b *start) {
	a := &absence{err: b.away, bare: b.kept == nil}
	s.reader.away.Store(true)
	s.reader.lose(b.away)
	if b.kept != nil {
		config := b.kept.config()
		a.spare, a.part, a.copy = &config, b.kept.top.InForce, b.kept.top.At
		s.reader.good.Store(atWall(b.kept.top.At))
		s.keys.recover(b.kept.known)
		// What was changed since is not known, and no hint told of it.
		s.keys.dropped.doubt()
	}
	s.absent.Store(a)
}

// atWall is a moment of which only the wall clock is known.
func atWall(t time.Time) *instant {
	at := now()
	return &instant{monotonic: at.monotonic.Add(-max(0, at.wall.Sub(t))), wall: t}
}

// serveCopy puts the copy's configuration in force, once there is who takes it, and
// says why there is no other.
func (s *Store) serveCopy(ctx context.Context, a *absence) error {
	apply, _ := s.reader.wants()
	if a.spare == nil || apply == nil {
		return a.err
	}
	if err := apply(ctx, *a.spare); err != nil {
		s.reader.failures.Add(1)
		return errors.Join(a.err, fmt.Errorf("applying configuration %d of the sealed copy: %w", a.spare.Revision, err))
	}
	s.reader.done(a.part, a.spare)
	a.spare = nil
	s.copier.renew() // it may have been the shelf's
	return a.err
}

// regain tries to open a database that is away, beside the following, until that
// has worked or what stop gives is called. What no other try will cure comes out of
// the channel.
func (s *Store) regain(ctx context.Context) (lost <-chan error, stop func()) {
	if s.absent.Load() == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	failed := make(chan error, 1)
	var trying sync.WaitGroup
	trying.Go(func() {
		if err := s.tryAgain(ctx); err != nil {
			failed <- err
		}
	})
	return failed, func() { cancel(); trying.Wait() }
}

func (s *Store) tryAgain(ctx context.Context) error {
	told := s.absent.Load().err.Error()
	for wait := firstAgain; ; wait = min(2*wait, longestAgain) {
		pause(ctx, wait)
		if ctx.Err() != nil {
			return nil
		}
		err := s.open(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, accounts.ErrUnavailable) {
			return fmt.Errorf("opening store %s: %w", s.engine, err)
		}
		if told != err.Error() {
			told = err.Error()
			s.log.Error().Err(err).Dur("again_ms", longestAgain).Msg("the store cannot be opened yet")
		}
	}
}

// open opens the database that was away, and has Follow look at it. A node that
// began with a copy takes it for a store that was silent for a while: what changed
// since is in its log, or the log is not the one that the node knows.
func (s *Store) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	p, at, err := s.options.reach(ctx, s.engine)
	if err != nil {
		return err
	}
	select {
	case s.reader.turn <- struct{}{}:
	case <-ctx.Done():
		return errors.Join(unavailable(ctx.Err()), p.close())
	}
	absent := s.pools.Swap(p)
	if s.absent.Load().bare {
		s.reader.at = at
		s.startOver(at)
	}
	s.absent.Store(nil)
	<-s.reader.turn
	close(s.opened)
	s.ring()
	s.log.Info().Stringer("store", s.engine).Int64("seq", at.Seq).Msg("the store answers; it is open now")
	if err := errors.Join(s.forget(ctx, s.options.Node.Replaces), absent.close()); err != nil {
		s.log.Warn().Err(err).Msg("cannot take away what this node's earlier run left")
	}
	return nil
}
