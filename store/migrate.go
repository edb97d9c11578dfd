package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/llmgw/llmgw/accounts"
)

// versionTable is goose's, where it writes down how far it came.
const versionTable = "goose_db_version"

// inspect looks at what is there before anything is written: whose tables,
// which schema, sealed with which key.
func (d dialect) inspect(ctx context.Context, db *sqlx.DB, o *Options) error {
	s := session{on: db}
	has, err := d.schema(ctx, s)
	if err != nil {
		return err
	}
	knows, err := newestSchema()
	if err != nil {
		return err
	}
	if has > knows {
		return &NewerSchemaError{Has: has, Knows: knows, By: o.Version}
	}
	if has < knows && o.KeepSchema {
		return &OlderSchemaError{Has: has, Wants: knows, By: o.Version}
	}
	if has == 0 {
		return nil // empty, or goose was cut off before its first text
	}
	_, err = readIssuerSecret(ctx, s, o.Secret)
	if errors.Is(err, accounts.ErrNotFound) {
		return nil // cut off between the tables and what goes into them
	}
	return opensAll(ctx, s, o.Secret, err)
}

// schema is the number of the last text that was run, 0 for none. A database of
// somebody else's is an error.
func (d dialect) schema(ctx context.Context, s session) (int64, error) {
	var tables, ours int
	if err := s.one(ctx, &tables, d.countTables); err != nil {
		return 0, unavailable(err)
	}
	if err := s.one(ctx, &ours, d.findTable, versionTable); err != nil {
		return 0, unavailable(err)
	}
	switch {
	case tables == 0:
		return 0, nil
	case ours == 0:
		return 0, errors.New("it is a database of something else: it has tables, but none of llmgw's")
	}
	var has sql.NullInt64
	if err := s.one(ctx, &has, `SELECT max(version_id) FROM `+versionTable); err != nil {
		return 0, unavailable(err)
	}
	return has.Int64, nil
}

// newestSchema is the number of the last text, the same for every database.
func newestSchema() (int64, error) {
	d := inSQLite()
	sources, err := fs.Glob(d.texts, path.Join(d.folder, "*.sql"))
	if err != nil {
		return 0, err
	}
	if len(sources) == 0 {
		return 0, errors.New("no migrations are built in")
	}
	return goose.NumericComponent(sources[len(sources)-1])
}

// migrateTries is how often migrating is tried. In a database that takes no
// session locks it fails when another process does the same at the same moment,
// and then is done when tried again.
const migrateTries = 5

// Turns at migrating are asked for every lockPeriod, lockTries times.
const (
	lockPeriod = 1 // seconds; goose has no finer one
	lockTries  = 25
)

// migrate runs the texts that the database does not have yet, each in a
// transaction of its own. Where there is nothing to run, it waits for nobody.
func (d dialect) migrate(ctx context.Context, db *sqlx.DB, o *Options) error {
	has, err := d.schema(ctx, session{on: db})
	if err != nil {
		return err
	}
	knows, err := newestSchema()
	if err != nil || has >= knows {
		return err
	}
	provider, err := d.provider(db)
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	for try := 1; ; try++ {
		done, err := provider.Up(ctx)
		if err == nil {
			if len(done) > 0 {
				o.Log.Info().Int64("from", has).Int64("to", knows).Msg("the store's tables were brought up to date")
			}
			return nil
		}
		if refused := mayNotMigrate(err); refused != nil {
			return refused
		}
		if try == migrateTries || d.lock {
			return fmt.Errorf("migrating: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("migrating: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d dialect) provider(db *sqlx.DB) (*goose.Provider, error) {
	texts, err := fs.Sub(d.texts, d.folder)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger())}
	if d.lock {
		turns, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockTries))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(turns))
	}
	return goose.NewProvider(d.kind, db.DB, texts, options...)
}
