package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func newHealth(a *app) *cobra.Command {
	var (
		at      string
		live    bool
		timeout time.Duration
	)
	c := &cobra.Command{
		Use:   "health",
		Short: "exit 0 when the gateway is ready (container health check)",
		Args:  takes(),
		RunE: a.does(func(ctx context.Context, _ []string) error {
			s, err := a.settings()
			if err != nil {
				return err
			}
			if at == "" {
				at = localURL(s)
			}
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			if err := askProbe(ctx, s, strings.TrimRight(at, "/")+probe(live)); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, "ok")
			return err
		}),
	}
	c.Flags().StringVar(&at, "url", "", "the proxy's address; default: what LLMGW_LISTEN or the configuration file says (`URL`)")
	c.Flags().BoolVar(&live, "live", false, "ask only whether it is alive")
	c.Flags().Bool("ready", false, "ask whether it is ready (the default)")
	c.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "bound of the whole check (`TIME`)")
	c.MarkFlagsMutuallyExclusive("live", "ready")
	return c
}

func probe(live bool) string {
	if live {
		return "/healthz"
	}
	return "/readyz"
}

// askProbe asks one probe; an error where the answer is no. Nothing secret is
// sent, so a certificate for another name does not matter to the question whether
// this one answers.
func askProbe(ctx context.Context, s *settings, at string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil || request.URL.Host == "" {
		return usage("--url is not a URL; write http://HOST:PORT")
	}
	client, err := proxyClient(s)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if untrusted(err) {
		return failed(err, "%s: %s", at, reason(err)).withHint("%s", nameTheCertificate)
	}
	if err != nil {
		return failed(err, "%s: %s", at, reason(err))
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return failed(err, "%s: %s", at, reason(err))
	}
	text := oneLine(strings.TrimSpace(string(said)))
	if response.StatusCode != http.StatusOK {
		return failed(nil, "%s: %d %s", at, response.StatusCode, text)
	}
	return nil
}

// localURL is where the gateway of these settings answers clients, as seen
// from the same machine.
func localURL(s *settings) string {
	scheme := "http"
	if s.text("tls-cert") != "" {
		scheme = "https"
	}
	return scheme + "://" + reachable(s.text("listen"))
}

// reachable turns an address to listen at into one to connect to.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// proxyClient speaks to the proxy port. It trusts the gateway's own
// certificate beside those of the system, whatever name it is for, and uses no
// proxy from the environment: keys go out through it.
func proxyClient(s *settings) (*http.Client, error) {
	t := &http.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12},
		DialContext:        (&net.Dialer{Timeout: 5 * time.Second}).DialContext,

		ResponseHeaderTimeout: 10 * time.Minute, // more than the gateway gives an upstream
	}
	if file := s.text("tls-cert"); file != "" {
		chain, err := os.ReadFile(file)
		if err != nil {
			return nil, invalid("reading tls_cert: %v", errors.Unwrap(err))
		}
		t.TLSClientConfig = pinned(chain)
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// pinned trusts one certificate chain for any name: the chain is the one that
// this machine's gateway was given.
func pinned(chain []byte) *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chain)
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // the name is not checked; VerifyConnection checks the rest
		VerifyConnection: func(state tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, c := range state.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
			return err
		},
	}
}

// reason is the innermost fact of a network error.
func reason(err error) string {
	var (
		errno    syscall.Errno
		name     *net.DNSError
		stranger x509.UnknownAuthorityError
		other    x509.HostnameError
		outer    *url.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &name):
		return fmt.Sprintf("name %q does not resolve", name.Name)
	case errors.As(err, &stranger):
		return "its certificate is of no authority that this machine trusts"
	case errors.As(err, &other):
		return "its certificate is not for " + other.Host
	case errors.As(err, &outer):
		return outer.Err.Error()
	}
	return err.Error()
}

// untrusted says whether it was the certificate that was not believed. Commands
// believe the one that the settings name, which they do not know where it was
// given to serve as a flag.
func untrusted(err error) bool {
	var refused *tls.CertificateVerificationError
	return errors.As(err, &refused)
}

// nameTheCertificate is what to do where the gateway's own is untrusted.
const nameTheCertificate = "name the gateway's own: LLMGW_TLS_CERT=FILE, or tls_cert in the configuration file"
