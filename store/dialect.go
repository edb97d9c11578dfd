package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"syscall"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/llmgw/llmgw/migrations"
)

// What cannot be one text for every database: how SQLite is opened (PostgreSQL is
// in postgres.go), how each says that something exists, and what is to be known
// for bringing its tables up to date.

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
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return pq.As(err, pqerror.UniqueViolation) != nil
}

// dialect is what of a schema is told to each database in its own words.
type dialect struct {
	kind        goose.Dialect
	countTables string // of the store's own, whosever they are
	findTable   string // how many there are of a name
	texts       fs.FS
	folder      string // of texts
	lock        bool   // whether several processes have to take turns
}

func inSQLite() dialect {
	return dialect{
		kind:        goose.DialectSQLite3,
		countTables: `SELECT count(*) FROM sqlite_master WHERE type = 'table'`,
		findTable:   `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?`,
		texts:       migrations.SQLite, folder: "sqlite",
	}
}

func inPostgres() dialect {
	return dialect{
		kind:        goose.DialectPostgres,
		countTables: `SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema()`,
		findTable:   `SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = ?`,
		texts:       migrations.Postgres, folder: "postgres",
		lock: true,
	}
}

// full tells a disk that is full as the operating system does.
func full(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}
