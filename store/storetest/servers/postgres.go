package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/lib/pq" // the driver that says hello
)

// The superuser of a throw-away PostgreSQL. The password is asked for by TCP
// only; it stands in URLs, as an operator's does.
const (
	postgresUser     = "llmgw"
	postgresPassword = "throw-away-postgres-password"
)

// PostgresOptions say how a PostgreSQL differs from the usual one.
type PostgresOptions struct {
	// Durable makes it write to the disk before it answers. Without it, what was
	// committed survives Kill, but not the machine's end: tests are faster.
	Durable bool
	// Settings are lines of postgresql.conf, which win over ours.
	Settings []string
}

// Postgres is a throw-away PostgreSQL server.
type Postgres struct {
	*process
	*Databases
	bin  string
	port int
}

// portTries is how often a server is given another port where somebody was faster
// to listen at it.
const portTries = 3

// StartPostgres makes a PostgreSQL and waits until it answers. ErrMissing where
// the programs are not on this machine. Close ends it.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	at, err := makePlace("llmgw-postgres-")
	if err != nil {
		return nil, err
	}
	keep, err := hire(at, endAtAll)
	if err != nil {
		return nil, err
	}
	p := &Postgres{process: &process{name: "PostgreSQL", at: at, keep: keep}, bin: bin}
	if err := p.begin(ctx, o); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Postgres) begin(ctx context.Context, o PostgresOptions) error {
	if err := p.initialise(ctx); err != nil {
		return err
	}
	for try := 1; ; try++ {
		var err error
		if p.port, err = freePort(); err != nil {
			return err
		}
		p.Databases = &Databases{admin: p.socketURL(), shown: p.URL(), of: p}
		if err := p.configure(o); err != nil {
			return err
		}
		err = p.Start(ctx)
		if err == nil || try == portTries || ctx.Err() != nil || !strings.Contains(err.Error(), "in use") {
			return err
		}
	}
}

// initialise makes the data directory.
func (p *Postgres) initialise(ctx context.Context) error {
	if err := p.at.write("password", postgresPassword); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "initdb"), "--pgdata", p.data(), "--username", postgresUser, "--pwfile", filepath.Join(p.at.dir, "password"),
		"--auth-local", "trust", "--auth-host", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	lower(cmd, p.at)
	cmd.Dir = p.at.dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making PostgreSQL's data directory: %w: %s", err, said)
	}
	return nil
}

// configure writes what differs from PostgreSQL's own defaults. It stands outside
// of the data directory, so that a restored copy of that is reached at the same
// port.
func (p *Postgres) configure(o PostgresOptions) error {
	lines := []string{
		"listen_addresses = '127.0.0.1'",
		"port = " + strconv.Itoa(p.port),
		"unix_socket_directories = '" + p.at.dir + "'",
		"max_connections = 200",
		"shared_buffers = 32MB",
		"timezone = UTC",
		"log_min_messages = warning",
		"data_directory = '" + p.data() + "'",
		"hba_file = '" + filepath.Join(p.data(), "pg_hba.conf") + "'",
		"ident_file = '" + filepath.Join(p.data(), "pg_ident.conf") + "'",
	}
	if !o.Durable {
		lines = append(lines, "fsync = off", "full_page_writes = off")
	}
	lines = append(lines, o.Settings...)
	return p.at.write("postgresql.conf", strings.Join(lines, "\n")+"\n")
}

func (p *Postgres) data() string { return filepath.Join(p.at.dir, "data") }

// Start starts the server again under the same address, after Stop or Kill.
//
// One that was killed may have left a process of its own that has yet to end, and
// with it the memory that they share: it is tried again then, as a supervisor does.
func (p *Postgres) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		err := p.startOnce(ctx)
		if err == nil || !strings.Contains(err.Error(), "pre-existing shared memory block") {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

func (p *Postgres) startOnce(ctx context.Context) error {
	return p.start(ctx, p.ready, filepath.Join(p.bin, "postgres"), "-c", "config_file="+filepath.Join(p.at.dir, "postgresql.conf"))
}

func (p *Postgres) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return run(ctx, p.socketURL(), "SELECT 1")
}

// Stop ends the server in good order: transactions are rolled back, connections
// are closed, everything is written down.
func (p *Postgres) Stop() error { return p.stop(endFast) }

// Address is where it listens: 127.0.0.1 and a port.
func (p *Postgres) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// URL is that of the database postgres, with the name and the password of the
// superuser. The databases of tests are made by Databases.
func (p *Postgres) URL() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(postgresUser, postgresPassword), Host: p.Address(), Path: "/postgres", RawQuery: "sslmode=disable"}
	return u.String()
}

// socketURL is the same by the server's socket, where no password is asked for.
func (p *Postgres) socketURL() string {
	q := url.Values{"host": {p.at.dir}, "port": {strconv.Itoa(p.port)}, "user": {postgresUser}, "sslmode": {"disable"}, "connect_timeout": {"5"}}
	u := url.URL{Scheme: "postgres", Path: "/postgres", RawQuery: q.Encode()}
	return u.String()
}

// run runs one statement on a connection of its own.
func run(ctx context.Context, at, statement string) error {
	db, err := sql.Open("postgres", at)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// Through gives the URL of the same thing by another address, such as that of a
// proxy in front of the server.
func Through(at, address string) (string, error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", errors.New("leading a URL through another address: it is none") // it holds a password
	}
	u.Host = address
	return u.String(), nil
}
