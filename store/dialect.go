package store

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"syscall"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite's side of what cannot be one text for every database: how it is
// opened, and how it says that something exists.

// readers is the number of connections for reading. A query takes far less
// than a millisecond, so that few are enough.
const readers = 8

// openWriter opens the one connection that writes. Its transactions take the
// lock at once (immediate): one that began by reading could not be promised
// the lock later.
//
// synchronous=FULL writes the log of SQLite through to the disk at each
// commit. A killed process would lose nothing with NORMAL either, since what
// it wrote is with the kernel; FULL is for a power cut, after which a key that
// was revoked must still be revoked. It costs one fsync a change, and changes
// are made by operators, not by traffic.
func openWriter(path string) (*sqlx.DB, error) {
	return openSQLite(path, 1, url.Values{
		"mode":          {"rw"},
		"_txlock":       {"immediate"},
		"_busy_timeout": {"5000"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"on"},
	})
}

// openReader opens connections that cannot write.
func openReader(path string, connections int) (*sqlx.DB, error) {
	return openSQLite(path, connections, url.Values{
		"mode":          {"ro"},
		"_busy_timeout": {"2000"},
		"_query_only":   {"on"},
	})
}

func openSQLite(path string, connections int, options url.Values) (*sqlx.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	options.Set("_time_format", "sqlite")
	options.Set("_timezone", "UTC")
	options.Set("_dqs", "false")
	name := url.URL{Scheme: "file", OmitHost: true, Path: absolute, RawQuery: options.Encode()}

	// sqlx knows the placeholders of SQLite under this name of another driver.
	db, err := sqlx.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db = sqlx.NewDb(db.DB, "sqlite3")
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func violatesUnique(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) &&
		(e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// full tells a disk that is full as the operating system does.
func full(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}

// Whether a database has tables of its own, and whether they are ours.
const (
	countTables = `SELECT count(*) FROM sqlite_master WHERE type = 'table'`
	findTable   = `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?`
)
