package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// CountStatements has the server count what is asked of it, which takes a restart.
// It is false where the machine lacks the extension that does (pg_stat_statements,
// which some systems have in a package of its own).
func (p *Postgres) CountStatements(ctx context.Context) (bool, error) {
	var there bool
	if err := p.ask(ctx, &there, `SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements')`); err != nil || !there {
		return false, err
	}
	if err := p.Databases.do(ctx, `ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`); err != nil {
		return false, fmt.Errorf("counting statements: %w", err)
	}
	if err := errors.Join(p.Stop(), p.Start(ctx)); err != nil {
		return false, fmt.Errorf("counting statements: %w", err)
	}
	if err := p.Databases.do(ctx, `CREATE EXTENSION pg_stat_statements`); err != nil {
		return false, fmt.Errorf("counting statements: %w", err)
	}
	return true, nil
}

// Statements is how often the server was asked, since CountStatements and in all
// databases, something whose text contains this one. What was asked is forgotten
// where the server is killed, and where an older copy of its data is restored.
func (p *Postgres) Statements(ctx context.Context, containing string) (int64, error) {
	var n int64
	err := p.ask(ctx, &n, `SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE position($1 in query) > 0 AND query NOT LIKE '%pg_stat_statements%'`, containing)
	return n, err
}

// ask asks for one value.
func (p *Postgres) ask(ctx context.Context, into any, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, databaseBound)
	defer cancel()
	db, err := sql.Open("postgres", p.socketURL())
	if err != nil {
		return fmt.Errorf("asking PostgreSQL: %w", err)
	}
	if err := errors.Join(db.QueryRowContext(ctx, query, args...).Scan(into), db.Close()); err != nil {
		return fmt.Errorf("asking PostgreSQL: %w", err)
	}
	return nil
}

// Run runs statements in a database that was made here.
func (d *Databases) Run(ctx context.Context, at, statements string) error {
	ctx, cancel := context.WithTimeout(ctx, databaseBound)
	defer cancel()
	if _, err := nameIn(at); err != nil {
		return err
	}
	if err := run(ctx, at, statements); err != nil {
		return fmt.Errorf("running statements: %w", err)
	}
	return nil
}
