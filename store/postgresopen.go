package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// oldestPostgres is the oldest server that is known to do; server_version_num.
const oldestPostgres = 130000

// takeTurn takes the lock that orders changes (see lockHead), for a transaction
// that writes beside the log. Changes run at READ COMMITTED: all of them take this
// lock first, so that what a statement behind it sees is what every change before
// has left, and nothing moves until the lock is given back. At a higher level the
// one who waited would be refused for having waited.
const takeTurn = `SELECT 1 FROM head FOR UPDATE`

// postgres is a store on a PostgreSQL server.
type postgres struct {
	options *Options
	at      *Postgres
}

func (e *postgres) String() string { return e.at.String() }

// stands is true: a server that leads elsewhere since a failover has a log that
// tells (see continues).
func (e *postgres) stands(*pools) (bool, error) { return true, nil }

func (e *postgres) open(ctx context.Context) (opened *pools, err error) {
	p := &pools{turn: takeTurn}
	defer func() {
		if err != nil {
			err = errors.Join(e.explain(err), p.close())
		}
	}()
	doubt := &atomic.Int64{}
	p.reader = openPostgres(e.at, asReader(), e.at.connections(), doubt)
	if err := checkServer(ctx, session{on: p.reader}); err != nil {
		return nil, err
	}
	if err := inPostgres().inspect(ctx, p.reader, e.options); err != nil {
		return nil, err
	}
	if err := e.migrate(ctx, doubt); err != nil {
		return nil, err
	}
	p.writer = openPostgres(e.at, asWriter(), 1, doubt)
	p.log = openPostgres(e.at, asReader(), 1, doubt)
	return p, p.prepare(ctx, e.options)
}

// migratingConnections is one that holds the lock, and one that migrates.
const migratingConnections = 2

// migrate has a pool of its own: bringing tables up to date may take longer than
// anything else may.
func (e *postgres) migrate(ctx context.Context, doubt *atomic.Int64) (err error) {
	db := openPostgres(e.at, asMigrator(), migratingConnections, doubt)
	defer func() { err = errors.Join(err, db.Close()) }()
	return inPostgres().migrate(ctx, db, e.options)
}

// checkServer refuses a database in which texts would not come back as they were.
func checkServer(ctx context.Context, s session) error {
	var server struct {
		Version  int    `db:"version"`
		Encoding string `db:"encoding"`
		Schema   string `db:"schema"`
	}
	err := s.one(ctx, &server, `SELECT current_setting('server_version_num')::int AS version,
		pg_encoding_to_char(encoding) AS encoding, coalesce(current_schema(), '') AS schema
		FROM pg_catalog.pg_database WHERE datname = current_database()`)
	switch {
	case err != nil:
		return unavailable(err)
	case server.Version < oldestPostgres:
		return fmt.Errorf("it is PostgreSQL %d, and 13 or newer is needed", server.Version/10000)
	case server.Encoding != "UTF8":
		return fmt.Errorf("its encoding is %s; make the database with ENCODING 'UTF8' TEMPLATE template0", server.Encoding)
	case server.Schema == "":
		return errors.New("its search_path leads to no schema that is there; make one, or set search_path among the parameters of the URL")
	}
	return nil
}

// explain says what failed without a word that a person would have to look up,
// and marks as unavailable what may be tried again.
func (e *postgres) explain(err error) error {
	if err == nil {
		return nil
	}
	if reason := unreachable(err); reason != "" {
		return &UnreachableError{Server: e.at.Server(), Reason: reason, Cause: err, Refused: refuses(err)}
	}
	return err
}

// oneSentence is a text of a library as it may stand within a sentence.
func oneSentence(text string) string {
	return strings.TrimPrefix(strings.Join(strings.Fields(text), " "), "pq: ")
}
