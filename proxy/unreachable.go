package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// publicName is what a caller may be told of where the request went.
func (t *target) publicName() string {
	if t.upstream == nil {
		return "target"
	}
	return t.name
}

const noConnectionInTime = "no connection in time (timeouts.connect)"

// whyUnreachable says in a few words what an operator needs to know first.
func whyUnreachable(err error) string {
	var dns *net.DNSError
	var expired x509.CertificateInvalidError
	var wrongHost x509.HostnameError
	var authority x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("name %q does not resolve", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, errForbiddenAddress):
		return "its address is link-local, where no request may go"
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		return "TLS: certificate " + expiry(expired.Cert, time.Now())
	case errors.As(err, &wrongHost):
		return "TLS: certificate is for another name"
	case errors.As(err, &authority):
		return "TLS: certificate is signed by an unknown authority"
	case errors.As(err, &record):
		return "TLS: it does not speak TLS"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return noConnectionInTime
	}
	return "the connection failed"
}

func expiry(c *x509.Certificate, now time.Time) string {
	if c == nil || now.Before(c.NotBefore) {
		return "is not valid yet"
	}
	return fmt.Sprintf("expired %d days ago", int(now.Sub(c.NotAfter).Hours()/24))
}
