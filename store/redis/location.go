package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// Location says where Redis is and who asks. It is made by Parse.
type Location struct {
	kind      kind
	addresses []string // host:port, or the path of a socket
	tls       bool
	user      string
	password  accounts.Secret
	database  int
	master    string // of Sentinel

	sentinelUser     string
	sentinelPassword accounts.Secret

	authority  string // file of the CA that signed the server's certificate; empty: the system's
	serverName string // that the certificate must be for; empty: the host's
}

type kind uint8

const (
	single kind = iota
	sentinel
	cluster
)

// Forms is how a location may be written, for people.
const Forms = "redis://HOST[:PORT][/DB], rediss://… for TLS, unix:///PATH, redis-sentinel://HOST,HOST/MASTER or redis-cluster://HOST,HOST"

const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// scheme is what the part of a URL before :// means.
type scheme struct {
	kind kind
	tls  bool
	port string
}

func schemes(name string) (scheme, bool) {
	switch name {
	case "redis":
		return scheme{single, false, redisPort}, true
	case "rediss":
		return scheme{single, true, redisPort}, true
	case "unix":
		return scheme{kind: single}, true
	case "redis-sentinel":
		return scheme{sentinel, false, sentinelPort}, true
	case "rediss-sentinel":
		return scheme{sentinel, true, sentinelPort}, true
	case "redis-cluster":
		return scheme{cluster, false, redisPort}, true
	case "rediss-cluster":
		return scheme{cluster, true, redisPort}, true
	}
	return scheme{}, false
}

// Parse reads a location: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] and the other
// Forms, with parameters:
//
//	ca=FILE                 the CA that signed the server's certificate
//	server_name=NAME        that the certificate must be for, where it is not the host's
//	db=N                    the database, of a socket or beside a master's name
//	sentinel_username=NAME  who asks the sentinels
//	sentinel_password=TEXT
//
// No error repeats any of it but names of parameters.
func Parse(text string) (*Location, error) {
	name, rest, ok := strings.Cut(text, "://")
	s, known := schemes(name)
	if !ok || !known {
		return nil, errors.New("must be " + Forms)
	}
	rest, query, _ := strings.Cut(rest, "?")
	l := &Location{kind: s.kind, tls: s.tls}
	rest, err := l.readUser(rest)
	if err != nil {
		return nil, err
	}
	if name == "unix" {
		err = l.readSocket(rest)
	} else {
		err = l.readHosts(rest, s.port)
	}
	if err != nil {
		return nil, err
	}
	return l, l.readParameters(query)
}

// readUser takes who asks off the front.
func (l *Location) readUser(rest string) (string, error) {
	at := strings.LastIndex(rest, "@")
	if at < 0 {
		return rest, nil
	}
	user, password, _ := strings.Cut(rest[:at], ":")
	user, err1 := url.PathUnescape(user)
	password, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil || strings.Contains(rest[:at], "/") {
		return "", errors.New("what stands before @ must be percent-encoded")
	}
	l.user, l.password = user, accounts.NewSecret(password)
	return rest[at+1:], nil
}

func (l *Location) readSocket(rest string) error {
	name, err := url.PathUnescape(rest)
	if err != nil || !path.IsAbs(name) {
		return errors.New("unix:// must be followed by the absolute path of a socket")
	}
	l.addresses = []string{name}
	return nil
}

func (l *Location) readHosts(rest, port string) error {
	hosts, after, _ := strings.Cut(rest, "/")
	for host := range strings.SplitSeq(hosts, ",") {
		address, ok := withPort(host, port)
		if !ok {
			return errors.New("it names no host, or one with a port that is none")
		}
		l.addresses = append(l.addresses, address)
	}
	switch {
	case l.kind == single && len(l.addresses) > 1:
		return errors.New("redis:// takes one host; several are redis-sentinel:// or redis-cluster://")
	case l.kind == sentinel:
		return l.readMaster(after)
	case l.kind == cluster && after != "":
		return errors.New("a cluster has no databases")
	case after != "":
		return l.readDatabase(after)
	}
	return nil
}

func (l *Location) readMaster(after string) error {
	master, database, _ := strings.Cut(after, "/")
	if master == "" {
		return errors.New("redis-sentinel:// wants the name of the master after the hosts")
	}
	l.master = master
	if database == "" {
		return nil
	}
	return l.readDatabase(database)
}

func (l *Location) readDatabase(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("the database must be a number")
	}
	l.database = int(n)
	return nil
}

// withPort gives host:port; IPv6 addresses stand in brackets.
func withPort(host, port string) (string, bool) {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") || !strings.Contains(host, ":") {
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	name, number, err := net.SplitHostPort(host)
	if err != nil || name == "" {
		return "", false
	}
	if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 {
		return "", false
	}
	return host, true
}

func (l *Location) readParameters(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what stands after ? must be percent-encoded")
	}
	for name, all := range values {
		value := all[len(all)-1]
		switch name {
		case "ca":
			l.authority = value
		case "server_name":
			l.serverName = value
		case "sentinel_username":
			l.sentinelUser = value
		case "sentinel_password":
			l.sentinelPassword = accounts.NewSecret(value)
		case "db":
			if err := l.readDatabase(value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("the parameter %q is not known; there are ca, server_name, db, sentinel_username and sentinel_password", name)
		}
	}
	return l.consistent()
}

func (l *Location) consistent() error {
	switch {
	case !l.tls && (l.authority != "" || l.serverName != ""):
		return errors.New("ca and server_name are for TLS: rediss://")
	case l.kind == cluster && l.database != 0:
		return errors.New("a cluster has no databases")
	case l.kind != sentinel && (l.sentinelUser != "" || !l.sentinelPassword.IsZero()):
		return errors.New("sentinel_username and sentinel_password are for redis-sentinel://")
	}
	return nil
}

// WithPassword gives the location with another password, and the user where it
// names one.
func (l *Location) WithPassword(password accounts.Secret) *Location {
	changed := *l
	changed.addresses = slices.Clone(l.addresses)
	changed.password = password
	return &changed
}

// String says where Redis is, and not who asks.
func (l *Location) String() string { return strings.Join(l.addresses, ",") }
