package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// Options of a Store.
type Options struct {
	Path      string          // the database's file; made where there is none, in a directory that exists
	Postgres  *Postgres       // the database, where it is not a file
	Secret    accounts.Sealer // seals what must not be read; a Keyring where the key may be exchanged
	Log       zerolog.Logger
	PollEvery time.Duration // how often Follow looks for changes made elsewhere; default 2 s
	Version   string        // this program's, for the message that a schema is newer

	// KeepRevisions is how many of the newest config revisions keep their rules,
	// to be looked at and gone back to; default 1,000.
	KeepRevisions int

	// Node makes this a node, which others see: the store of a gateway. A tool
	// that opens a store for a moment leaves it out.
	Node Membership

	Bus   Bus   // tells other nodes of changes at once, and this one of theirs; nil: there is none
	Shelf Shelf // keeps for all nodes what one has read; nil: there is none

	// Copy is the file in which a sealed copy is kept of what this node knows, in a
	// folder that exists, where the database is PostgreSQL. Open then succeeds while
	// the database is away: with what the copy says, or that on the Shelf; else with
	// nothing, unless the server is there and refuses the login. Follow opens the
	// database once it answers. Empty: none is kept, and Open needs the database. A
	// file is its own copy, so that there is none of SQLite.
	Copy string

	// KeepSchema refuses a store whose tables are to be brought up to date first.
	KeepSchema bool
}

// defaultPoll is the PollEvery of Options that say none.
const defaultPoll = 2 * time.Second

// defaultKeep is the KeepRevisions of Options that say none. Fifty rules are
// some 15 KB, so that a thousand changes of them are 15 MB.
const defaultKeep = 1000

// Deadlines, of all statements of one piece of work together.
const (
	openWithin   = 30 * time.Second // migrations may move many rows
	changeWithin = 10 * time.Second
	readWithin   = 10 * time.Second
	logWithin    = time.Second     // looking whether anything changed
	beatWithin   = time.Second     // telling others that this node lives
	lookWithin   = 2 * time.Second // finding a key, waiting for a turn included
)

// Store keeps what outlives a request. Its methods may be called at any time
// from anywhere; after Close they fail with ErrUnavailable.
type Store struct {
	options Options
	log     zerolog.Logger

	engine  engine
	pools   atomic.Pointer[pools] // swapped where the file was replaced
	opening sync.Mutex            // held while they are swapped
	far     *postgresBell         // rings at other nodes; nil: there are none

	reader   follower
	presence presence
	keys     *keyCache
	looks    chan struct{} // held by each reading of a key
	metrics  *metrics
	bell     chan struct{} // one place: a ring that nobody heard yet is enough

	others

	copier *copier                 // nil: no copy is kept
	absent atomic.Pointer[absence] // nil: the database was opened
	opened chan struct{}           // closed then

	// commit ends a change's transaction; a test puts a failing one here.
	commit func(committer) error

	closing chan struct{}
	life    sync.Mutex // guards closed, and live.Add against live.Wait
	closed  bool
	live    sync.WaitGroup
}

type committer interface{ Commit() error }

// Open opens the store at o.Postgres or o.Path, and makes what it lacks.
//
// Errors: *accounts.WrongKeyError, *NewerSchemaError and *OlderSchemaError,
// wrapped, with nothing touched; accounts.ErrUnavailable, and nothing else, where
// the database does not answer, so that it may be tried again; see Options.Copy.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Secret == nil {
		return nil, errors.New("opening store: no secret key is given")
	}
	if o.PollEvery <= 0 {
		o.PollEvery = defaultPoll
	}
	if o.KeepRevisions <= 0 {
		o.KeepRevisions = defaultKeep
	}
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()

	e := engineOf(&o)
	if o.Postgres == nil {
		if err := ensureFile(o.Path); err != nil {
			return nil, fmt.Errorf("opening store %s: %w", e, err)
		}
	}
	from, err := o.begin(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("opening store %s: %w", e, err)
	}
	s := &Store{
		options: o, log: o.Log, engine: e,
		bell:    make(chan struct{}, 1),
		looks:   make(chan struct{}, o.lookers()),
		commit:  committer.Commit,
		closing: make(chan struct{}),
		opened:  make(chan struct{}),
	}
	if o.Postgres != nil {
		s.far = &postgresBell{at: o.Postgres, log: o.Log}
	}
	s.reader.begin(from.at)
	s.pools.Store(from.pools)
	s.metrics = newMetrics(s)
	s.keys = newCache(cacheShards, knownPerShard, unknownPerShard, s.metrics.outcomes(), s.lookUp)
	if err := s.join(ctx, from); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store %s: %w", e, err), s.Close())
	}
	if from.away != nil {
		s.standIn(from)
	} else {
		close(s.opened)
	}
	s.beginCopying()
	s.enroll(ctx)
	return s, nil
}

// Close ends what the store has running, waits for it, and closes the
// database.
func (s *Store) Close() error {
	s.life.Lock()
	if s.closed {
		s.life.Unlock()
		return nil
	}
	s.closed = true
	close(s.closing)
	s.life.Unlock()

	s.live.Wait()
	s.copier.stop()
	s.leave()
	s.others.leave()
	return s.pools.Load().close()
}

// enter notes that something is under way that Close has to wait for. Who got
// true calls s.live.Done in the end.
func (s *Store) enter() bool {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return false
	}
	s.live.Add(1)
	return true
}

// Issuer makes and checks this installation's keys. Ask for it each time: a
// file that was replaced may bring another.
func (s *Store) Issuer() *accounts.Issuer { return s.pools.Load().issuer }

// OnConfig sets what is called with each configuration that comes into force,
// never twice at once. What it returns an error for is not in force: the one
// before stays, and it is tried again at the next poll. It must not call
// Change or Advance.
func (s *Store) OnConfig(apply func(context.Context, rules.Config) error) {
	s.reader.mu.Lock()
	defer s.reader.mu.Unlock()
	s.reader.apply = apply
	s.reader.owed++
}

// Everything is the subject of the Change that OnChange's listeners get where the
// log does not continue: whatever they know may have changed.
const Everything = "*"

// OnChange adds a listener for changes, made here or elsewhere: each is told once
// this node has taken it over, in the order of the log. Where the configuration
// that came with it could not be taken over, it is told all the same, since its
// keys are in force. A listener must not block, and must not call Change or
// Advance. Add all of them before the first change.
func (s *Store) OnChange(hear func(accounts.Change)) {
	s.reader.mu.Lock()
	defer s.reader.mu.Unlock()
	s.reader.listeners = append(s.reader.listeners, hear)
}

// Ping asks the database for something small and says how long it took.
func (s *Store) Ping(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	_, err := s.Head(ctx)
	return time.Since(start), err
}

// Head says where the log stands in the database.
func (s *Store) Head(ctx context.Context) (Head, error) {
	var h Head
	err := s.read(ctx, "reading head", func(ctx context.Context, on session) (err error) {
		h, err = readHead(ctx, on)
		return err
	})
	return h, err
}

// read runs f in one read transaction: all it sees is of one moment.
func (s *Store) read(ctx context.Context, doing string, f func(context.Context, session) error) error {
	if !s.enter() {
		return fmt.Errorf("%s: %w", doing, errClosed())
	}
	defer s.live.Done()
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	tx, err := s.pools.Load().reader.BeginTxx(ctx, ofOneMoment())
	if err != nil {
		return fmt.Errorf("%s: %w", doing, unavailable(err))
	}
	defer func() { _ = tx.Rollback() }() // it only read
	if err := f(ctx, session{on: tx}); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// ofOneMoment is a transaction that only reads, all of it as of one moment.
func ofOneMoment() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

// write runs f in one transaction for what is no change. It waits for its turn as
// changes do, so that between two statements of f nothing that f has read moves.
func (s *Store) write(ctx context.Context, doing string, f func(context.Context, session) error) error {
	return s.beside(ctx, doing, func(ctx context.Context, on session, turn string) error {
		if turn != "" {
			if _, err := on.run(ctx, turn); err != nil {
				return fmt.Errorf("waiting for a turn: %w", unavailable(err))
			}
		}
		return f(ctx, on)
	})
}

// beside runs f in one transaction beside the log. Changes may go on meanwhile,
// unless f runs turn first.
func (s *Store) beside(ctx context.Context, doing string, f func(ctx context.Context, on session, turn string) error) error {
	if !s.enter() {
		return fmt.Errorf("%s: %w", doing, errClosed())
	}
	defer s.live.Done()
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	p, err := s.current(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	tx, err := p.writer.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, unavailable(err))
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := f(ctx, session{on: tx}, p.turn); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", doing, unavailable(err))
	}
	return nil
}
