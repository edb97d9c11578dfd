package store

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jmoiron/sqlx"

	"github.com/llmgw/llmgw/accounts"
)

// files is the database, open: one connection that writes, some that read, and
// one that reads the log, so that looking for changes waits for nobody.
type files struct {
	writer *sqlx.DB
	reader *sqlx.DB
	log    *sqlx.DB
	issuer *accounts.Issuer
	id     os.FileInfo // which file it is, under whatever name
}

// ensureFile makes an empty file that only its owner may read. SQLite gives the
// files beside it the same rights. A file that is there is not even opened:
// closing it again would take this process's locks away from other connections
// (POSIX advisory locks belong to the process).
func ensureFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// openFiles looks at the file, then brings it up to date. Until it has been
// looked at, nothing of it is touched.
func openFiles(ctx context.Context, o *Options) (opened *files, err error) {
	f := &files{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err := inspectFile(ctx, o); err != nil {
		return nil, err
	}
	if f.id, err = narrow(o); err != nil {
		return nil, err
	}
	if f.writer, err = openWriter(o.Path); err != nil {
		return nil, err
	}
	if err := migrate(ctx, f.writer); err != nil {
		return nil, err
	}
	if err := settle(ctx, f.writer, o.Secret); err != nil {
		return nil, err
	}
	if err := beginHistory(ctx, f.writer); err != nil {
		// What is in force can be served all the same.
		o.Log.Warn().Err(err).Msg("the history misses the revision in force")
	}
	if f.issuer, err = readIssuer(ctx, session{on: f.writer}, o.Secret); err != nil {
		return nil, err
	}
	if f.reader, err = openReader(o.Path, readers); err != nil {
		return nil, err
	}
	f.log, err = openReader(o.Path, 1)
	return f, err
}

func inspectFile(ctx context.Context, o *Options) error {
	db, err := openReader(o.Path, 1)
	if err != nil {
		return err
	}
	return errors.Join(inspect(ctx, db, o), db.Close())
}

// narrow takes the file away from group and others, and tells which it is.
func narrow(o *Options) (os.FileInfo, error) {
	id, err := os.Stat(o.Path)
	if err != nil {
		return nil, err
	}
	if id.Mode().Perm()&0o077 == 0 {
		return id, nil
	}
	o.Log.Warn().Str("file", o.Path).Stringer("mode", id.Mode().Perm()).
		Msg("the store's file could be read by others; now only by its owner")
	return id, os.Chmod(o.Path, 0o600)
}

func (f *files) close() error {
	var errs []error
	for _, db := range []*sqlx.DB{f.log, f.reader, f.writer} { // the writer last: it tidies up
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// current gives the open files, after a look whether they still are what
// stands under the path. A database that was moved away would go on answering,
// and taking changes that nobody will ever find.
func (s *Store) current(ctx context.Context) (*files, error) {
	f := s.files.Load()
	same, err := f.stands(s.options.Path)
	if err != nil || same {
		return f, err
	}
	return s.reopen(ctx)
}

// stands says whether path still leads to the open file.
func (f *files) stands(path string) (bool, error) {
	id, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("looking for the store's file: %w", unavailable(err))
	}
	return os.SameFile(id, f.id), nil
}

func (s *Store) reopen(ctx context.Context) (*files, error) {
	s.opening.Lock()
	defer s.opening.Unlock()

	old := s.files.Load()
	if same, err := old.stands(s.options.Path); err != nil || same {
		return old, err // somebody else was first
	}
	s.log.Error().Str("file", s.options.Path).Msg("the store's file was replaced; opening the new one")
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	opened, err := openFiles(ctx, &s.options)
	if err != nil {
		return nil, fmt.Errorf("opening replaced store %s: %w", s.options.Path, unavailable(err))
	}
	s.files.Store(opened)
	s.keys.reset()
	if err := old.close(); err != nil {
		s.log.Warn().Err(err).Msg("closing the file that was replaced")
	}
	return opened, nil
}
