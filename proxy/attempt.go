package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// attempt sends the request to the one upstream that was decided upon, and
// gives its answer, whose body is still to be read.
func (x *exchange) attempt() (*answer, *failure) {
	out, f := x.outbound()
	if f != nil {
		return nil, f
	}
	x.watch.start(x, x.target.timeouts)
	x.record.dispatched = time.Since(x.started)
	x.target.traffic.requests.Add(1)
	a, err := x.target.carrier.do(x.ctx, out)
	x.record.attempts, x.record.connect = max(1, out.dispatched), out.connect
	if err != nil {
		x.target.traffic.errors.Add(1)
		return nil, x.attemptFailed(out, err)
	}
	x.record.header = time.Since(x.started)
	if a.status == http.StatusUnauthorized && !x.target.secret.IsZero() {
		// Passed on, it would make the caller change a key that is right.
		a.close()
		x.target.traffic.errors.Add(1)
		return nil, credentialRefused(x.target.name)
	}
	return a, nil
}

// attemptFailed tells why no answer came.
func (x *exchange) attemptFailed(out *attempt, err error) *failure {
	name := x.target.publicName()
	switch reason := endedBy(x.ctx); reason {
	case "":
	case endClientGone:
		return clientGone()
	case endDrained:
		return drained()
	default:
		timeout, after := x.watch.expired(reason)
		return upstreamSlow(name, timeout, after, reason)
	}
	if out.dispatched == 0 {
		return unreachable(name, whyUnreachable(err), err)
	}
	return upstreamReset(name, err)
}

// publicName is what a caller may be told of where the request went.
func (t *target) publicName() string {
	if t.upstream == nil {
		return "target"
	}
	return t.name
}

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
		return "no connection in time (timeouts.connect)"
	}
	return "the connection failed"
}

func expiry(c *x509.Certificate, now time.Time) string {
	if c == nil || now.Before(c.NotBefore) {
		return "is not valid yet"
	}
	return fmt.Sprintf("expired %d days ago", int(now.Sub(c.NotAfter).Hours()/24))
}
