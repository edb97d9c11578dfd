package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// simulated is an engine whose every statement is led along a way, before it
// reaches SQLite and when its answer comes back.
type simulated struct {
	engine
	way way
}

// way is what happens to statements. A step may take its time, or fail.
type way interface {
	step(ctx context.Context) error
	reads(hash any) (done func()) // a key
	writes(is bool)               // a transaction has the lock of the database
	committed()
}

func (e simulated) open(ctx context.Context) (*pools, error) {
	p, err := e.engine.open(ctx)
	if err != nil {
		return nil, err
	}
	return e.led(p), nil
}

// led leads open pools along the way.
func (e simulated) led(p *pools) *pools {
	q := *p
	q.writer, q.reader, q.log = ledThrough(e.way, p.writer, 1), ledThrough(e.way, p.reader, readers), ledThrough(e.way, p.log, 1)
	return &q
}

func ledThrough(w way, to *sqlx.DB, connections int) *sqlx.DB {
	db := sqlx.NewDb(sql.OpenDB(&simConnector{w, to}), "sqlite3")
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

type simConnector struct {
	way way
	to  *sqlx.DB
}

func (c *simConnector) Driver() driver.Driver { return c.to.Driver() }

func (c *simConnector) Close() error { return c.to.Close() }

// Connect takes a connection of the pool behind, for good.
func (c *simConnector) Connect(ctx context.Context) (driver.Conn, error) {
	held, err := c.to.Conn(ctx)
	if err != nil {
		return nil, err
	}
	conn := &simConn{way: c.way, held: held}
	err = held.Raw(func(raw any) (err error) {
		var ok bool
		if conn.sqliteConn, ok = raw.(sqliteConn); !ok {
			err = fmt.Errorf("%T lacks what this wraps", raw)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return conn, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
}

type simConn struct {
	sqliteConn
	way  way
	held *sql.Conn
}

func (c *simConn) Close() error { return c.held.Close() }

func (c *simConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.way.step(ctx); err != nil {
		return nil, err
	}
	tx, err := c.sqliteConn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		c.way.writes(true)
	}
	led := &simTx{tx, c.way, !o.ReadOnly}
	if err := c.way.step(ctx); err != nil {
		return nil, errors.Join(err, led.Rollback())
	}
	return led, nil
}

func (c *simConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.way.step(ctx); err != nil {
		return nil, err
	}
	result, err := c.sqliteConn.ExecContext(ctx, text, args)
	if err != nil {
		return nil, err
	}
	return result, c.way.step(ctx)
}

func (c *simConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if text == identifyText {
		defer c.way.reads(args[0].Value)()
	}
	if err := c.way.step(ctx); err != nil {
		return nil, err
	}
	rows, err := c.sqliteConn.QueryContext(ctx, text, args)
	if err != nil {
		return nil, err
	}
	if err := c.way.step(ctx); err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return rows, nil
}

type simTx struct {
	driver.Tx
	way    way
	writes bool
}

// Commit that fails before it has reached the database leaves a transaction that
// nobody will end: the database takes it back when the connection breaks.
func (t *simTx) Commit() error {
	if err := t.way.step(context.Background()); err != nil {
		return errors.Join(err, t.Rollback())
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	if t.writes {
		t.way.writes(false)
		t.way.committed()
	}
	return t.way.step(context.Background())
}

func (t *simTx) Rollback() error {
	if t.writes {
		t.way.writes(false)
	}
	return t.Tx.Rollback()
}
