package store

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// sqliteFile is a store in a file.
type sqliteFile struct{ options *Options }

func (e *sqliteFile) String() string { return e.options.Path }

func (e *sqliteFile) open(ctx context.Context) (*pools, error) { return openFile(ctx, e.options) }

// stands says whether the path still leads to the open file.
func (e *sqliteFile) stands(p *pools) (bool, error) {
	id, err := os.Stat(e.options.Path)
	if err != nil {
		return false, fmt.Errorf("looking for the store's file: %w", unavailable(err))
	}
	return os.SameFile(id, p.id), nil
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

// openFile looks at the file, then brings it up to date.
func openFile(ctx context.Context, o *Options) (opened *pools, err error) {
	p := &pools{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := inspectFile(ctx, o); err != nil {
		return nil, err
	}
	if p.id, err = narrow(o); err != nil {
		return nil, err
	}
	if p.writer, err = openWriter(o.Path); err != nil {
		return nil, err
	}
	if err := inSQLite().migrate(ctx, p.writer, o); err != nil {
		return nil, err
	}
	if err := p.prepare(ctx, o); err != nil {
		return nil, err
	}
	if p.reader, err = openReader(o.Path, readers); err != nil {
		return nil, err
	}
	p.log, err = openReader(o.Path, 1)
	return p, err
}

func inspectFile(ctx context.Context, o *Options) error {
	db, err := openReader(o.Path, 1)
	if err != nil {
		return err
	}
	return errors.Join(inSQLite().inspect(ctx, db, o), db.Close())
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
