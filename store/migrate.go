package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/migrations"
)

// versionTable is goose's, where it writes down how far it came.
const versionTable = "goose_db_version"

// inspect looks at what is there before anything is written: whose tables,
// which schema, sealed with which key.
func inspect(ctx context.Context, db *sqlx.DB, o *Options) error {
	s := session{on: db}
	var tables, ours int
	if err := s.one(ctx, &tables, countTables); err != nil {
		return unavailable(err)
	}
	if err := s.one(ctx, &ours, findTable, versionTable); err != nil {
		return unavailable(err)
	}
	switch {
	case tables == 0:
		return nil
	case ours == 0:
		return errors.New("it is a database of something else: it has tables, but none of llmgw's")
	}
	var has sql.NullInt64
	if err := s.one(ctx, &has, `SELECT max(version_id) FROM `+versionTable); err != nil {
		return unavailable(err)
	}
	knows, err := newestSchema()
	if err != nil {
		return err
	}
	if has.Int64 > knows {
		return &NewerSchemaError{Has: has.Int64, Knows: knows, By: o.Version}
	}
	if has.Int64 == 0 {
		return nil // goose was cut off before its first text
	}
	_, err = readIssuer(ctx, s, o.Secret)
	if errors.Is(err, accounts.ErrNotFound) {
		return nil // cut off between the tables and what goes into them
	}
	return opensAll(ctx, s, o.Secret, err)
}

// sqliteTexts gives the texts without their folder.
func sqliteTexts() (fs.FS, error) { return fs.Sub(migrations.SQLite, "sqlite") }

// newestSchema is the number of the last text.
func newestSchema() (int64, error) {
	texts, err := sqliteTexts()
	if err != nil {
		return 0, err
	}
	sources, err := fs.Glob(texts, "*.sql")
	if err != nil {
		return 0, err
	}
	if len(sources) == 0 {
		return 0, errors.New("no migrations are built in")
	}
	return goose.NumericComponent(sources[len(sources)-1])
}

// migrateTries is how often migrating is tried. It fails when another process
// does the same at the same moment, and then is done when tried again.
const migrateTries = 5

// migrate runs the texts that the database does not have yet, each in a
// transaction of its own.
func migrate(ctx context.Context, db *sqlx.DB) error {
	texts, err := sqliteTexts()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.DB, texts,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	for try := 1; ; try++ {
		_, err = provider.Up(ctx)
		if err == nil {
			return nil
		}
		if try == migrateTries {
			return fmt.Errorf("migrating: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("migrating: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
