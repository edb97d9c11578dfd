package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Nothing that is asked of PostgreSQL takes longer than its context allows, even
// where the server has gone without a word: every connection has a deadline on the
// wire, that of the context of the call under way.
//
// The driver's own way, a request to cancel on a second connection, waits for
// answers itself and marks the connection bad anyhow; so it is not used. A
// statement whose caller gave up costs its connection, and the server ends it by
// its own bounds.

const (
	askWithin   = 10 * time.Second       // what has no deadline of its own
	endWithin   = time.Second            // ROLLBACK and goodbye
	doubtWithin = 500 * time.Millisecond // whether a connection that is in doubt still answers
)

// connector makes the connections of one pool.
type connector struct {
	config pq.Config
	doubt  *atomic.Int64 // counts calls that were not answered, of all pools of a store
}

// openPostgres makes a pool. It does not connect yet.
func openPostgres(p *Postgres, r role, connections int, doubt *atomic.Int64) *sqlx.DB {
	db := sql.OpenDB(&connector{config: p.configOf(r), doubt: doubt})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxLifetime(poolLifetime)
	db.SetConnMaxIdleTime(poolIdle)
	return sqlx.NewDb(db, "postgres")
}

// Connections are made anew now and then, so that a name that leads elsewhere
// since a failover, and a server whose settings were changed, are noticed.
const (
	poolLifetime = 5 * time.Minute
	poolIdle     = time.Minute
)

// Driver is driver.Connector's.
func (c *connector) Driver() driver.Driver { return pq.Driver{} }

// Connect is driver.Connector's. The driver takes notice of ctx while it dials
// only; the deadline holds for all of it. Of several servers each gets its share,
// so that one that is silent does not keep the next from being asked.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	config := c.config.Clone()
	until := time.Now().Add(connectWithin)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	config.ConnectTimeout = max(time.Until(until)/time.Duration(1+len(config.Multi)), time.Millisecond)
	dialer := &wireDialer{within: config.ConnectTimeout, doubt: c.doubt}
	made, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	made.Dialer(dialer)
	doubt := c.doubt.Load()
	conn, err := made.Connect(context.WithoutCancel(ctx))
	switch {
	case err == nil:
	case isStandby(err):
		return nil, fmt.Errorf("%s: %w", standby, err)
	default:
		return nil, err
	}
	wire := dialer.wire
	wire.floor = time.Time{}
	inner, ok := conn.(postgresDriverConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connection lacks what this program needs of it"), conn.Close())
	}
	return &boundConn{postgresDriverConn: inner, wire: wire, all: c.doubt, seen: doubt}, nil
}

// postgresDriverConn is what a connection of the driver does.
type postgresDriverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.QueryerContext
	driver.ExecerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// boundConn keeps each call on a connection to the deadline of its context.
type boundConn struct {
	postgresDriverConn

	wire *wire
	all  *atomic.Int64
	seen int64     // the count of calls without an answer up to which this connection was tried
	ends time.Time // of the transaction under way
}

// bound sets the deadline of ctx on the wire, and gives a context without one:
// with one, the driver would try to cancel by itself.
func (c *boundConn) bound(ctx context.Context) context.Context {
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(askWithin)
	}
	c.wire.until(until)
	return context.WithoutCancel(ctx)
}

// QueryContext is driver.QueryerContext's.
func (c *boundConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	return c.postgresDriverConn.QueryContext(c.bound(ctx), text, args)
}

// ExecContext is driver.ExecerContext's.
func (c *boundConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	return c.postgresDriverConn.ExecContext(c.bound(ctx), text, args)
}

// PrepareContext is driver.ConnPrepareContext's. Nothing here prepares; what a
// library does keeps to the deadline of its preparing.
func (c *boundConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	return c.postgresDriverConn.PrepareContext(c.bound(ctx), text)
}

// BeginTx is driver.ConnBeginTx's. The deadline of ctx is that of the COMMIT too.
func (c *boundConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	free := c.bound(ctx)
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(askWithin)
	}
	tx, err := c.postgresDriverConn.BeginTx(free, options)
	if err != nil {
		return nil, err
	}
	c.ends = until
	return &boundTx{Tx: tx, on: c}, nil
}

// Ping is driver.Pinger's.
func (c *boundConn) Ping(ctx context.Context) error { return c.postgresDriverConn.Ping(c.bound(ctx)) }

// ResetSession is driver.SessionResetter's: asked before a connection is used
// again. After a call that was not answered, on whatever connection, each of the
// others has to show first that somebody is at its other end.
func (c *boundConn) ResetSession(ctx context.Context) error {
	if !c.IsValid() {
		return driver.ErrBadConn
	}
	if err := c.postgresDriverConn.ResetSession(ctx); err != nil {
		return err
	}
	doubts := c.all.Load()
	if c.seen == doubts {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, doubtWithin)
	defer cancel()
	if c.Ping(ctx) != nil {
		return driver.ErrBadConn
	}
	c.seen = doubts
	return nil
}

// IsValid is driver.Validator's. The driver does not see in every failure of TLS
// that the connection is no good any more.
func (c *boundConn) IsValid() bool {
	return !c.wire.broken.Load() && c.postgresDriverConn.IsValid()
}

// Close says goodbye, and does not wait for it to be heard. That a line is dead is
// a reason to close it, and no failure of closing.
func (c *boundConn) Close() error {
	c.wire.until(time.Now().Add(endWithin))
	if err := c.postgresDriverConn.Close(); !c.wire.broken.Load() {
		return err
	}
	return nil
}

// boundTx keeps the end of a transaction to its deadline.
type boundTx struct {
	driver.Tx

	on *boundConn
}

// Commit is driver.Tx's.
func (t *boundTx) Commit() error {
	t.on.wire.until(t.on.ends)
	return t.Tx.Commit()
}

// Rollback is driver.Tx's. What it cannot say in time the server finds out by
// itself, since the connection is closed.
func (t *boundTx) Rollback() error {
	if !t.on.IsValid() {
		return driver.ErrBadConn
	}
	t.on.wire.until(time.Now().Add(endWithin))
	return t.Tx.Rollback()
}

// wireDialer dials one connection, and keeps it for whoever sets its deadlines.
type wireDialer struct {
	within time.Duration // for each connection, until it may be used
	doubt  *atomic.Int64
	wire   *wire // the last one dialled
}

// keepAlive finds out within a quarter of a minute that a connection on which
// nothing is said leads nowhere.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 3 * time.Second, Count: 3}
}

// DialContext is pq.DialerContext's.
func (d *wireDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	until := time.Now().Add(d.within)
	dialer := net.Dialer{Deadline: until, KeepAliveConfig: keepAlive()}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.wire = &wire{Conn: conn, doubt: d.doubt, floor: until}
	return d.wire, nil
}

// Dial is pq.Dialer's.
func (d *wireDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is pq.Dialer's.
func (d *wireDialer) DialTimeout(network, address string, within time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// wire is the connection below the driver, and below TLS.
type wire struct {
	net.Conn

	doubt  *atomic.Int64
	broken atomic.Bool
	floor  time.Time // the deadline while connecting, which the driver would take away too early
}

func (w *wire) until(t time.Time) { _ = w.Conn.SetDeadline(t) } // of a closed one: the next call says so

// SetDeadline is the driver's, while it connects.
func (w *wire) SetDeadline(t time.Time) error {
	if t.IsZero() {
		t = w.floor
	}
	return w.Conn.SetDeadline(t)
}

// Read counts what was not answered in time.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.note(err)
	return n, err
}

// Write counts what could not even be said in time.
func (w *wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.note(err)
	return n, err
}

func (w *wire) note(err error) {
	if err == nil {
		return
	}
	w.broken.Store(true)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.doubt.Add(1)
	}
}
