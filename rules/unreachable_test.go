package rules_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/llmgw/llmgw/rules"
)

func TestWhyADestinationCannotBeReached(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	dialled := func(err error) error {
		return fmt.Errorf("sending: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.1.2.3:443")), Err: err})
	}
	outOfTime := func(from, to time.Duration) error {
		return &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired,
			Cert: &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(to)}}}
	}
	for name, c := range map[string]struct {
		err     error
		want    string
		tooLong bool
	}{
		"nobody listens":               {dialled(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "connection refused", false},
		"no way there":                 {dialled(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "no route to host", false},
		"cut off":                      {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "connection reset by peer", false},
		"no such name":                 {dialled(&net.DNSError{Err: "no such host", Name: "a.invalid", IsNotFound: true}), `name "a.invalid" does not resolve`, false},
		"a resolver that is silent":    {dialled(&net.DNSError{Err: "i/o timeout", Name: "a.invalid", IsTimeout: true}), `name "a.invalid" does not resolve`, true},
		"a name that leads too far":    {dialled(&rules.ForbiddenError{}), "its address is link-local or a cloud's metadata service, which the gateway never calls", false},
		"a name that leads inside":     {dialled(&rules.ForbiddenError{Private: true}), "its address is not public, and this gateway calls no other (private_targets: deny)", false},
		"no answer of the system":      {dialled(os.NewSyscallError("connect", syscall.ETIMEDOUT)), "", true},
		"no answer in time":            {dialled(os.ErrDeadlineExceeded), "", true},
		"a bound that passed":          {fmt.Errorf("sending: %w", context.DeadlineExceeded), "", true},
		"expired for days":             {outOfTime(-time.Hour*100, -73*time.Hour), "TLS: certificate expired 3 days ago", false},
		"expired for hours":            {outOfTime(-time.Hour*100, -47*time.Hour), "TLS: certificate expired 47 h ago", false},
		"just expired":                 {outOfTime(-time.Hour*100, -time.Second), "TLS: certificate expired less than an hour ago", false},
		"not valid yet":                {outOfTime(time.Hour, 2*time.Hour), "TLS: certificate is not valid yet", false},
		"nobody vouches for it":        {x509.UnknownAuthorityError{}, "TLS: certificate is signed by an unknown authority", false},
		"for another name":             {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, "TLS: certificate is for another name", false},
		"no TLS":                       {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "TLS: it does not speak TLS", false},
		"the handshake is refused":     {fmt.Errorf("remote: %w", tls.AlertError(40)), "TLS: it broke off the handshake", false},
		"hung up":                      {fmt.Errorf("reading: %w", io.EOF), "it closed the connection", false},
		"hung up in the middle":        {io.ErrUnexpectedEOF, "it closed the connection", false},
		"what the other side may have": {errors.New(`malformed HTTP response "Bearer sk-secret"`), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rules.WhyUnreachable(c.err, now); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if got := rules.TookTooLong(c.err); got != c.tooLong {
				t.Errorf("took too long: %t", got)
			}
		})
	}
}
