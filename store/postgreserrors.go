package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/llmgw/llmgw/accounts"
)

// UnreachableError says that a PostgreSQL server could not be asked, and why. It
// is accounts.ErrUnavailable: it may be tried again.
type UnreachableError struct {
	Server string // HOST:PORT, or the directory of its socket
	Reason string // in a few words
	Cause  error

	Refused bool // it answered, and does not let this user in, or not to this database
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach Postgres at %s (%s)", e.Server, e.Reason)
}

// Unwrap gives the kind of it and the cause.
func (e *UnreachableError) Unwrap() []error { return []error{accounts.ErrUnavailable, e.Cause} }

// unreachable says in a few words why the server did not answer, "" where it did.
func unreachable(err error) string {
	var said *pq.Error
	if errors.As(err, &said) {
		return refusal(said)
	}
	return silence(err)
}

// refuses says whether a server answered that lets nobody in by this name.
func refuses(err error) bool {
	var said *pq.Error
	return errors.As(err, &said) && (said.Code == pqerror.InvalidPassword ||
		said.Code == pqerror.InvalidAuthorizationSpecification || said.Code == pqerror.InvalidCatalogName)
}

// refusal is what a server says that lets nobody ask.
func refusal(said *pq.Error) string {
	switch said.Code {
	case pqerror.InvalidPassword:
		return "the password is wrong, or none was given"
	case pqerror.InvalidAuthorizationSpecification, pqerror.InvalidCatalogName, pqerror.TooManyConnections, pqerror.CannotConnectNow:
		return oneSentence(said.Message)
	case pqerror.ReadOnlySQLTransaction:
		return standby
	}
	switch said.Code.Class() {
	case pqerror.ClassConnectionException, pqerror.ClassInsufficientResources, pqerror.ClassOperatorIntervention, pqerror.ClassSystemError:
		return oneSentence(said.Message)
	}
	return ""
}

// standby is said of a server that only has what another one sent it.
const standby = "it is a standby (read-only)"

// silence is how a connection failed before the server said anything.
func silence(err error) string {
	var (
		name    *net.DNSError
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		verify  *tls.CertificateVerificationError
		network net.Error
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, os.ErrNotExist):
		return "no socket there"
	case errors.As(err, &name):
		return "no such host"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, pq.ErrSSLNotSupported):
		return "it does not offer TLS; sslmode=disable does without"
	case errors.As(err, &host), errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &verify):
		return "its certificate is not trusted: " + oneSentence(err.Error()) + "; name its authority with sslrootcert=FILE"
	case isStandby(err):
		return standby
	case errors.Is(err, driver.ErrBadConn), errors.As(err, &network):
		return "the connection broke"
	}
	return ""
}

// isStandby recognizes what the driver says of a server that is not what was asked
// for (target_session_attrs). It has no type for that.
func isStandby(err error) bool {
	for _, text := range []string{"server is in hot standby mode", "session is read-only"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// mayNotMigrate explains a refusal for want of rights, nil where it was none.
func mayNotMigrate(err error) error {
	said := pq.As(err, pqerror.InsufficientPrivilege)
	if said == nil {
		return nil
	}
	return fmt.Errorf("the role may not change its tables (%s): run llmgw migrate up as one that may, or GRANT USAGE, CREATE ON SCHEMA to this one",
		oneSentence(said.Message))
}
