package rules

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// WhyUnreachable is the one fact behind an error of whoever tried to reach a
// destination: what an operator can act on, in a few words, without the
// operations and addresses around it. It is "" for a wait that was too long,
// which only who waited can put a bound to, and for an error that says nothing
// of the kind: its text may quote what the other side sent.
func WhyUnreachable(err error, now time.Time) string {
	var forbidden *ForbiddenError
	var name *net.DNSError
	var system systemError
	switch {
	case errors.As(err, &forbidden):
		return forbidden.Error()
	case errors.As(err, &name):
		return fmt.Sprintf("name %q does not resolve", name.Name)
	case TookTooLong(err):
		return ""
	case errors.As(err, &system):
		return system.Error()
	}
	if problem := tlsProblem(err, now); problem != "" {
		return "TLS: " + problem
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it closed the connection"
	}
	return ""
}

// TookTooLong says whether an error is that a bound of time has passed.
func TookTooLong(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// systemError is a syscall.Errno, whose text is one fact already: connection
// refused.
type systemError interface {
	error
	Is(target error) bool
	Temporary() bool
}

func tlsProblem(err error, now time.Time) string {
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return expired(invalid.Cert, now)
	case errors.As(err, &authority):
		return "certificate is signed by an unknown authority"
	case errors.As(err, &host):
		return "certificate is for another name"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.As(err, &alert):
		return "it broke off the handshake"
	}
	return ""
}

// expired is said of a certificate outside of its time.
func expired(c *x509.Certificate, now time.Time) string {
	const day = 24 * time.Hour
	if c == nil || now.Before(c.NotBefore) {
		return "certificate is not valid yet"
	}
	switch since := now.Sub(c.NotAfter); {
	case since < time.Hour:
		return "certificate expired less than an hour ago"
	case since < 2*day:
		return fmt.Sprintf("certificate expired %d h ago", since/time.Hour)
	default:
		return fmt.Sprintf("certificate expired %d days ago", since/day)
	}
}
