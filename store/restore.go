package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/llmgw/llmgw/accounts"
)

// besides are the files that SQLite keeps beside a database that is open, or was
// when its process was killed. They belong to it: next to another file of that
// name they would be taken for that one's.
func besides() []string { return []string{"-wal", "-shm", "-journal"} }

// Restore puts a backup in the place of the store at o.Path, and says where it
// left what was there, "" where there was nothing. Whoever calls it holds the
// lock of the data directory, so that no gateway starts meanwhile.
//
// The backup is verified first, and must open with o.Secret. Logins of then are
// not among what comes back; keys and tokens that were taken away since are. At every moment one
// whole store stands at o.Path, the old one or the new one.
//
// Errors: those of VerifyBackup and, for the secret key, of Open;
// accounts.ErrInUse where something has the store open. All with nothing changed.
func Restore(ctx context.Context, backup string, o Options) (aside string, err error) {
	ctx, cancel := context.WithTimeout(ctx, backupWithin)
	defer cancel()
	if _, err := VerifyBackup(ctx, backup); err != nil {
		return "", fmt.Errorf("restoring: %w", err)
	}
	if err := BackupOpens(ctx, backup, o.Secret); err != nil {
		return "", fmt.Errorf("restoring: %w", err)
	}
	fresh, err := copyBeside(backup, o.Path)
	if err != nil {
		return "", fmt.Errorf("restoring: copying the backup: %w", err)
	}
	if err := endLogins(ctx, fresh); err != nil {
		return "", fmt.Errorf("restoring: %w", errors.Join(err, removed(fresh)))
	}
	if aside, err = replaceStore(ctx, fresh, o.Path); err != nil {
		return aside, fmt.Errorf("restoring: %w", errors.Join(err, removed(fresh)))
	}
	return aside, nil
}

// BackupOpens says whether a secret key opens what is sealed in a backup: the
// store's own secret is opened, and no value names another key.
//
// Errors: *SealedError, which wraps an *accounts.WrongKeyError.
func BackupOpens(ctx context.Context, backup string, key accounts.Sealer) error {
	return inBackup(backup, func(on session) error {
		_, err := readIssuerSecret(ctx, on, key)
		return opensAll(ctx, on, key, err)
	})
}

// copyBeside copies a file into the folder of another, for its owner only.
func copyBeside(from, beside string) (path string, err error) {
	source, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	return keepBeside(beside, ".restore", source)
}

// replaceStore puts fresh at path, and what is there aside.
func replaceStore(ctx context.Context, fresh, path string) (aside string, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", place(fresh, path)
	} else if err != nil {
		return "", err
	}
	if err := claim(ctx, path); err != nil {
		return "", err
	}
	aside = path + ".before-" + time.Now().UTC().Format("20060102T150405.000Z")
	if err := linkOrRename(path, aside); err != nil {
		return "", fmt.Errorf("putting the store aside: %w", err)
	}
	for _, suffix := range besides() { // of one that could not be claimed in order, since it is broken
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return aside, fmt.Errorf("putting the store aside: %w", err)
		}
	}
	return aside, place(fresh, path)
}

// linkOrRename gives a file a second name, so that there is no moment at which
// the first one leads nowhere; where the file system has no links, another name.
func linkOrRename(path, other string) error {
	err := os.Link(path, other)
	if err == nil || errors.Is(err, os.ErrExist) { // a rename would overwrite it
		return err
	}
	return os.Rename(path, other)
}

func place(fresh, path string) error {
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// claim makes sure that nobody has the database open, and that all of it is in
// its one file: SQLite ends the mode in which it writes beside the file for the
// only connection there is, and for no other. A file that is no sound database is
// nobody's, and may be replaced as it is; SQLite is kept from one that does not
// even begin as a database does, since it would tidy up beside it.
func claim(ctx context.Context, path string) (err error) {
	if is, err := isDatabase(path); err != nil || !is {
		return err
	}
	db, err := openSQLite(path, 1, url.Values{"mode": {"rw"}, "_busy_timeout": {"1000"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var mode string
	err = session{on: db}.one(ctx, &mode, `PRAGMA journal_mode = DELETE`)
	var refused *sqlite.Error
	switch {
	case err == nil && mode == "delete":
		return nil
	case err == nil, errors.As(err, &refused) && refused.Code()&0xff == sqlite3.SQLITE_BUSY:
		return fmt.Errorf("the store %s is %w: stop the gateway first", path, accounts.ErrInUse)
	case errors.As(err, &refused) && (refused.Code()&0xff == sqlite3.SQLITE_NOTADB || refused.Code()&0xff == sqlite3.SQLITE_CORRUPT):
		return nil
	}
	return err
}

// isDatabase says whether a file begins as those of SQLite do
// (https://sqlite.org/fileformat.html, section 1.3).
func isDatabase(path string) (is bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const magic = "SQLite format 3\x00"
	var head [len(magic)]byte
	n, err := io.ReadFull(f, head[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return string(head[:n]) == magic, err
}
