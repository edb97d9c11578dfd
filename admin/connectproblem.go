package admin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// connectProblem is the one fact behind an error of an HTTP client: what an
// operator can act on, without the URL and the operations around it.
func connectProblem(err error) string {
	var name *net.DNSError
	var number syscall.Errno
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf("name %q does not resolve", name.Name)
	case errors.As(err, &number):
		return number.Error()
	}
	if problem := tlsProblem(err); problem != "" {
		return "TLS: " + problem
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it closed the connection"
	}
	var dial *net.OpError
	if errors.As(err, &dial) {
		return dial.Err.Error()
	}
	// The text of other errors may quote what the upstream sent.
	return "it did not answer with HTTP"
}

func tlsProblem(err error) string {
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return expired(invalid.Cert)
	case errors.As(err, &authority):
		return "certificate signed by an unknown authority"
	case errors.As(err, &host):
		return fmt.Sprintf("certificate is not for %q", host.Host)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS"
	}
	return ""
}

func expired(certificate *x509.Certificate) string {
	if since := time.Since(certificate.NotAfter); since > 0 {
		return "certificate expired " + age(since)
	}
	return "certificate is not valid yet"
}

// age writes how long ago something was, in one unit.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", max(int(d.Seconds()), 0))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
