package store

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/llmgw/llmgw/accounts"
)

// Postgres says where a PostgreSQL database is and how to log in to it. It prints
// as host and database, without user and password.
type Postgres struct {
	// Connections is how many connections read at most; 0 stands for 8. One that
	// writes, one that reads the log and one that listens come to these.
	Connections int

	config   pq.Config // without the password
	password accounts.Secret
}

// postgresReaders is the Connections of a Postgres that says none.
const postgresReaders = 8

// postgresParameters are those that a URL may have behind its question mark.
func postgresParameters() []string {
	return []string{
		"application_name", "dbname", "host", "load_balance_hosts", "options", "passfile", "password", "port", "search_path",
		"ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslkey", "sslmode", "sslnegotiation",
		"sslrootcert", "sslsni", "user",
	}
}

// ParsePostgres reads postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?PARAMETERS];
// a socket is given as host=/DIRECTORY among the parameters. Where the URL has no
// password, password is taken, and where that is empty too, PGPASSWORD and the
// password file that libpq reads (PGPASSFILE, ~/.pgpass).
//
// The connection is encrypted and the server's certificate checked
// (sslmode=verify-full) unless the URL says otherwise or the server is on this
// machine. In no error is a part of the URL but the names of its parameters.
func ParsePostgres(text string, password accounts.Secret) (*Postgres, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" || u.Fragment != "" {
		return nil, errors.New("it is not of the form postgres://USER@HOST:PORT/DATABASE" +
			" (in a user or password, write @ as %40, / as %2F, ? as %3F, # as %23 and % as %25)")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("its parameters are not of the form NAME=VALUE&NAME=VALUE")
	}
	if err := checkParameters(query); err != nil {
		return nil, err
	}
	if _, err := pq.NewConfig(""); err != nil {
		return nil, fmt.Errorf("the variables for PostgreSQL in the environment: %w", err)
	}
	config, err := pq.NewConfig(text)
	if err != nil { // it may repeat any part of the URL
		return nil, errors.New("its port or one of its parameters has a value that is not possible")
	}
	p := &Postgres{config: config, password: accounts.NewSecret(config.Password)}
	if _, said := u.User.Password(); !said && query.Get("password") == "" && !password.IsZero() {
		p.password = password
	}
	p.config.Password = ""
	if p.config.Database == "" {
		return nil, errors.New("it names no database; write postgres://USER@HOST:PORT/DATABASE")
	}
	if err := p.secure(query.Get("sslmode")); err != nil {
		return nil, err
	}
	if p.config.ApplicationName == "" {
		p.config.ApplicationName = "llmgw"
	}
	return p, nil
}

func checkParameters(query url.Values) error {
	known := postgresParameters()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch ok := slices.Contains(known, name); {
		case !ok && isWord(name):
			return fmt.Errorf("it has a parameter %q, which is none of %s", name, strings.Join(known, ", "))
		case !ok: // it may be the rest of a password with a question mark in it
			return errors.New("it has a parameter that is not known")
		case len(query[name]) > 1:
			return fmt.Errorf("its parameter %s stands there twice", name)
		}
	}
	return nil
}

func isWord(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// secure settles sslmode. Modes that fall back to an open connection without a
// word are refused.
func (p *Postgres) secure(said string) error {
	if said == "" {
		said = os.Getenv("PGSSLMODE")
	}
	switch mode := pq.SSLMode(said); mode {
	case "":
		p.config.SSLMode = pq.SSLModeVerifyFull
		if p.isLocal() {
			p.config.SSLMode = pq.SSLModeDisable
		}
	case pq.SSLModeDisable, pq.SSLModeRequire, pq.SSLModeVerifyCA, pq.SSLModeVerifyFull:
		p.config.SSLMode = mode
	default:
		return errors.New("its sslmode must be verify-full, verify-ca, require or disable;" +
			" without one it is verify-full, and disable for a server on this machine")
	}
	if p.isSocket() {
		p.config.SSLMode = pq.SSLModeDisable // as the driver has it: there is nobody in between
	}
	return nil
}

// isLocal says whether no network is between here and the server.
func (p *Postgres) isLocal() bool {
	if at := p.config.Hostaddr; at.IsValid() && !at.IsLoopback() {
		return false
	}
	for _, host := range p.hosts() {
		ip := net.ParseIP(host)
		if host != "localhost" && !isSocketPath(host) && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

func (p *Postgres) isSocket() bool { return isSocketPath(p.config.Host) && len(p.config.Multi) == 0 }

func isSocketPath(host string) bool { return filepath.IsAbs(host) || strings.HasPrefix(host, "@") }

func (p *Postgres) hosts() []string {
	hosts := []string{p.config.Host}
	for _, other := range p.config.Multi {
		hosts = append(hosts, other.Host)
	}
	return hosts
}

// Server is where the server is, HOST:PORT or the directory of its socket; of
// several the first.
func (p *Postgres) Server() string {
	if isSocketPath(p.config.Host) {
		return p.config.Host
	}
	return net.JoinHostPort(p.config.Host, strconv.Itoa(int(p.config.Port)))
}

// String is host and database.
func (p *Postgres) String() string { return p.Server() + "/" + p.config.Database }

// GoString keeps what %#v prints to the same.
func (p *Postgres) GoString() string { return "store.Postgres(" + p.String() + ")" }

func (p *Postgres) connections() int {
	if p.Connections > 0 {
		return p.Connections
	}
	return postgresReaders
}

// role is what connections are for.
type role struct {
	session   pq.TargetSessionAttrs // what the server must be
	statement time.Duration         // bound of one statement, and of waiting for a lock
}

// Bounds that the server keeps. They are less than the deadlines on this side, so
// that a server that is slow says so itself, and one that says nothing is taken
// for dead. idleWithin frees what a node locked that vanished in the middle of a
// change; it is less than lockWithin, so that who waits for such a lock gets it.
// noticeWithin is within what the server gives up a connection whose other end
// does not confirm what was sent.
const (
	statementWithin = 9 * time.Second // a little less than changeWithin and readWithin
	lockWithin      = 8 * time.Second
	idleWithin      = 5 * time.Second
	noticeWithin    = 10 * time.Second
	connectWithin   = 5 * time.Second
)

// The roles. A standby answers with what was; it is nobody's truth. What only
// reads may do so while somebody has switched the server to read-only.
func asWriter() role   { return role{pq.TargetSessionAttrsReadWrite, statementWithin} }
func asReader() role   { return role{pq.TargetSessionAttrsPrimary, statementWithin} }
func asMigrator() role { return role{pq.TargetSessionAttrsReadWrite, openWithin} }

// configOf is what the driver is told for connections in a role.
func (p *Postgres) configOf(r role) pq.Config {
	c := p.config.Clone()
	c.Password = p.password.Reveal()
	c.TargetSessionAttrs = r.session
	c.ConnectTimeout = connectWithin
	c.BinaryParameters = true // one round trip for a query with arguments instead of two
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	maps.Copy(c.Runtime, map[string]string{
		"timezone":                            "UTC",
		"statement_timeout":                   milliseconds(r.statement),
		"lock_timeout":                        milliseconds(min(r.statement, lockWithin)),
		"idle_in_transaction_session_timeout": milliseconds(idleWithin),
		"tcp_user_timeout":                    milliseconds(noticeWithin),
		"tcp_keepalives_idle":                 "5",
		"tcp_keepalives_interval":             "2",
		"tcp_keepalives_count":                "3",
	})
	return c
}

// sourceName is the same for the connection that listens, which the driver wants
// as a text.
func (p *Postgres) sourceName() accounts.Secret {
	c := p.config
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	put := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s='%s' ", name, quote.Replace(value))
		}
	}
	hosts, ports := p.hosts(), []string{strconv.Itoa(int(c.Port))}
	for _, other := range c.Multi {
		ports = append(ports, strconv.Itoa(int(other.Port)))
	}
	put("host", strings.Join(hosts, ","))
	put("port", strings.Join(ports, ","))
	put("dbname", c.Database)
	put("user", c.User)
	put("password", p.password.Reveal())
	put("passfile", c.Passfile)
	put("sslmode", string(c.SSLMode))
	put("sslrootcert", c.SSLRootCert)
	put("sslcert", c.SSLCert)
	put("sslkey", c.SSLKey)
	put("sslnegotiation", string(c.SSLNegotiation))
	put("ssl_min_protocol_version", string(c.SSLMinProtocolVersion))
	put("ssl_max_protocol_version", string(c.SSLMaxProtocolVersion))
	put("options", c.Options)
	put("application_name", c.ApplicationName)
	if len(c.Multi) > 0 { // of one server, LISTEN says itself that it is a standby
		put("target_session_attrs", string(pq.TargetSessionAttrsPrimary))
	}
	put("connect_timeout", strconv.Itoa(int(listenWithin.Seconds())))
	for _, name := range slices.Sorted(maps.Keys(c.Runtime)) {
		put(name, c.Runtime[name])
	}
	return accounts.NewSecret(b.String())
}
