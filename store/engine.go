package store

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jmoiron/sqlx"

	"github.com/llmgw/llmgw/accounts"
)

// engine is a kind of database: SQLite in a file, or PostgreSQL on a server.
// Everything above it is one text for both.
type engine interface {
	// open looks at what is there, brings it up to date, and connects. Until it
	// has looked, nothing is touched.
	open(ctx context.Context) (*pools, error)
	// stands says whether the open pools still lead to what they were opened on.
	stands(p *pools) (bool, error)
	// String names the place for people: a path, or host and database. There is
	// no secret in it.
	String() string
}

// engineOf is the engine that o asks for.
func engineOf(o *Options) engine {
	if o.Postgres != nil {
		return &postgres{options: o, at: o.Postgres}
	}
	return &sqliteFile{options: o}
}

// pools is a database, open: one connection that writes, some that read, and one
// that reads the log, so that looking for changes waits for nobody.
type pools struct {
	writer *sqlx.DB
	reader *sqlx.DB
	log    *sqlx.DB
	issuer *accounts.Issuer // nil: its secret is not known
	secret accounts.Secret  // of issuer

	// turn is what a transaction beside the log runs first, to wait for its turn
	// as a change does. It is empty where the database has one writer anyway.
	turn string
	id   os.FileInfo // of the file, under whatever name; nil where there is none
}

func (p *pools) close() error {
	var errs []error
	for _, db := range []*sqlx.DB{p.log, p.reader, p.writer} { // the writer last: it tidies up
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// prepare fills in what a store has from its first moment, and reads what its
// keys are checked with. p.writer is open, and its tables are up to date.
func (p *pools) prepare(ctx context.Context, o *Options) error {
	if err := settle(ctx, p.writer, o.Secret); err != nil {
		return err
	}
	if err := beginHistory(ctx, p.writer); err != nil {
		// What is in force can be served all the same.
		o.Log.Warn().Err(err).Msg("the history misses the revision in force")
	}
	secret, err := readIssuerSecret(ctx, session{on: p.writer}, o.Secret)
	if err != nil {
		return err
	}
	return p.issueWith(secret)
}

func (p *pools) issueWith(secret accounts.Secret) (err error) {
	p.secret = secret
	p.issuer, err = accounts.NewIssuer([]byte(secret.Reveal()))
	return err
}

// current gives the open pools, after a look whether they still lead to what
// stands at the store's place. A database that was moved away would go on
// answering, and taking changes that nobody will ever find.
func (s *Store) current(ctx context.Context) (*pools, error) {
	p := s.pools.Load()
	same, err := s.engine.stands(p)
	if err != nil || same {
		return p, err
	}
	return s.reopen(ctx)
}

func (s *Store) reopen(ctx context.Context) (*pools, error) {
	s.opening.Lock()
	defer s.opening.Unlock()

	old := s.pools.Load()
	if same, err := s.engine.stands(old); err != nil || same {
		return old, err // somebody else was first
	}
	s.log.Error().Stringer("file", s.engine).Msg("the store's file was replaced; opening the new one")
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	opened, err := s.engine.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening replaced store %s: %w", s.engine, unavailable(err))
	}
	s.pools.Store(opened)
	s.keys.reset()
	if err := old.close(); err != nil {
		s.log.Warn().Err(err).Msg("closing the file that was replaced")
	}
	return opened, nil
}

// Kind is what the store is: "sqlite" or "postgres".
func (s *Store) Kind() string {
	if s.options.Postgres != nil {
		return "postgres"
	}
	return "sqlite"
}

// Place says where a store is: a path, or host and database.
func (o *Options) Place() string { return engineOf(o).String() }

// Place is that of its Options.
func (s *Store) Place() string { return s.engine.String() }
