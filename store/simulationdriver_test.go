package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// simulated is an engine whose every statement passes through a node of a
// simulation, before it reaches SQLite and when its answer comes back.
type simulated struct {
	engine
	n *simNode
}

func (e simulated) open(ctx context.Context) (*pools, error) {
	p, err := e.engine.open(ctx)
	if err != nil {
		return nil, err
	}
	return e.led(p), nil
}

// led leads open pools through the node.
func (e simulated) led(p *pools) *pools {
	q := *p
	q.writer, q.reader, q.log = ledThrough(e.n, p.writer, 1), ledThrough(e.n, p.reader, readers), ledThrough(e.n, p.log, 1)
	return &q
}

func ledThrough(n *simNode, to *sqlx.DB, connections int) *sqlx.DB {
	db := sqlx.NewDb(sql.OpenDB(&simConnector{n, to}), "sqlite3")
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

type simConnector struct {
	n  *simNode
	to *sqlx.DB
}

func (c *simConnector) Driver() driver.Driver { return c.to.Driver() }

func (c *simConnector) Close() error { return c.to.Close() }

// Connect takes a connection of the pool behind, for good.
func (c *simConnector) Connect(ctx context.Context) (driver.Conn, error) {
	held, err := c.to.Conn(ctx)
	if err != nil {
		return nil, err
	}
	conn := &simConn{n: c.n, held: held}
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
	n    *simNode
	held *sql.Conn
}

func (c *simConn) Close() error { return c.held.Close() }

func (c *simConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.n.step(); err != nil {
		return nil, err
	}
	tx, err := c.sqliteConn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		c.n.world.writing = true
	}
	led := &simTx{tx, c.n, !o.ReadOnly}
	if err := c.n.step(); err != nil {
		return nil, errors.Join(err, led.Rollback())
	}
	return led, nil
}

func (c *simConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.n.step(); err != nil {
		return nil, err
	}
	result, err := c.sqliteConn.ExecContext(ctx, text, args)
	if err != nil {
		return nil, err
	}
	return result, c.n.step()
}

func (c *simConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if text == identifyText {
		defer c.n.reads(args[0].Value)()
	}
	if err := c.n.step(); err != nil {
		return nil, err
	}
	rows, err := c.sqliteConn.QueryContext(ctx, text, args)
	if err != nil {
		return nil, err
	}
	if err := c.n.step(); err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return rows, nil
}

type simTx struct {
	driver.Tx
	n      *simNode
	writes bool
}

// Commit that fails before it has reached the database leaves a transaction that
// nobody will end: the database takes it back when the connection breaks.
func (t *simTx) Commit() error {
	if err := t.n.step(); err != nil {
		return errors.Join(err, t.Rollback())
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	if t.writes {
		t.n.world.writing = false
		t.n.committed()
	}
	return t.n.step()
}

func (t *simTx) Rollback() error {
	if t.writes {
		t.n.world.writing = false
	}
	return t.Tx.Rollback()
}
