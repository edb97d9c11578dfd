package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/jmoiron/sqlx"
)

// SchemaState says how far a store's tables are.
type SchemaState struct {
	Has   int64 // the schema that the store has; 0: there is none, or no store
	Knows int64 // the newest that this program has
}

// Schema says how far the tables of the store at o are, and changes nothing. The
// secret key is not asked for.
//
// Errors: *NewerSchemaError; accounts.ErrUnavailable.
func Schema(ctx context.Context, o *Options) (SchemaState, error) {
	if o.Postgres == nil {
		if _, err := os.Stat(o.Path); errors.Is(err, os.ErrNotExist) {
			knows, err := newestSchema()
			return SchemaState{Knows: knows}, err
		}
	}
	return lookAt(ctx, o, openToLook, func(context.Context, dialect, *sqlx.DB) error { return nil })
}

// Migrate brings the tables of the store at o up to date, and makes the store
// where there is none. It says how far they were before. The secret key is not
// asked for.
//
// Errors: those of Schema.
func Migrate(ctx context.Context, o *Options) (SchemaState, error) {
	if o.Postgres == nil {
		if err := ensureFile(o.Path); err != nil {
			return SchemaState{}, err
		}
	}
	return lookAt(ctx, o, openToMigrate, func(ctx context.Context, d dialect, db *sqlx.DB) error {
		return d.migrate(ctx, db, o)
	})
}

// lookAt opens the store at o, looks how far its tables are, and does what then is
// to be done.
func lookAt(ctx context.Context, o *Options, open func(*Options) (*sqlx.DB, error),
	then func(context.Context, dialect, *sqlx.DB) error,
) (state SchemaState, err error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	e := engineOf(o)
	defer func() {
		if server, ok := e.(*postgres); ok {
			err = server.explain(err)
		}
		if err != nil {
			err = fmt.Errorf("looking at the tables of store %s: %w", e, err)
		}
	}()
	db, err := open(o)
	if err != nil {
		return state, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	d := inSQLite()
	if o.Postgres != nil {
		d = inPostgres()
		if err := checkServer(ctx, session{on: db}); err != nil {
			return state, err
		}
	}
	if state.Has, err = d.schema(ctx, session{on: db}); err != nil {
		return state, err
	}
	if state.Knows, err = newestSchema(); err != nil {
		return state, err
	}
	if state.Has > state.Knows {
		return state, &NewerSchemaError{Has: state.Has, Knows: state.Knows, By: o.Version}
	}
	return state, then(ctx, d, db)
}

func openToLook(o *Options) (*sqlx.DB, error) {
	if o.Postgres == nil {
		return openReader(o.Path, 1)
	}
	return openPostgres(o.Postgres, asReader(), 1, &atomic.Int64{}), nil
}

func openToMigrate(o *Options) (*sqlx.DB, error) {
	if o.Postgres == nil {
		return openWriter(o.Path)
	}
	return openPostgres(o.Postgres, asMigrator(), migratingConnections, &atomic.Int64{}), nil
}
