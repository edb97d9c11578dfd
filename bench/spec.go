package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// conformity is what h2spec says of a server.
type conformity struct {
	tests, passed int
	failed        []string // the names of tests
}

// measureSpec has h2spec (https://github.com/summerwind/h2spec) try the gateway
// and Go's own server, over TLS and in clear text. What Go's server gets wrong
// is not ours to mend; anything beyond it is a failure.
func measureSpec(ctx context.Context, s *stand) error {
	cert, key, err := s.certificate()
	if err != nil {
		return err
	}
	t := newTable("", "over", "tests", "passed", "failed only here")
	var worse error
	for _, over := range []struct {
		name           string
		stock, gateway []string
	}{
		{"TLS", []string{"-tls-cert", cert, "-tls-key", key}, []string{"--tls-cert", cert, "--tls-key", key}},
		{"clear text", []string{"-h2c"}, nil},
	} {
		floor, err := s.specOfStock(ctx, over.stock)
		if err != nil {
			return err
		}
		ours, err := s.specOfGateway(ctx, over.gateway)
		if err != nil {
			return err
		}
		only := without(ours.failed, floor.failed)
		t.add(nameStock, over.name, strconv.Itoa(floor.tests), strconv.Itoa(floor.passed), strconv.Itoa(len(without(floor.failed, ours.failed))))
		t.add(nameGateway, over.name, strconv.Itoa(ours.tests), strconv.Itoa(ours.passed), strconv.Itoa(len(only)))
		if ours.passed < floor.passed {
			worse = errors.Join(worse, fmt.Errorf("over %s llmgw fails what Go's server does not:\n  %s", over.name, strings.Join(only, "\n  ")))
		}
	}
	return errors.Join(t.print(s.out), worse)
}

func (s *stand) specOfStock(ctx context.Context, args []string) (*conformity, error) {
	c, err := startRole(ctx, "stock", append([]string{"-to", "http://127.0.0.1:9"}, args...)...)
	if err != nil {
		return nil, err
	}
	s.started = append(s.started, c)
	return s.spec(ctx, c.said, args[0] != "-h2c")
}

func (s *stand) specOfGateway(ctx context.Context, args []string) (*conformity, error) {
	data, err := s.emptyStore()
	if err != nil {
		return nil, err
	}
	g, err := launch(ctx, s.binary, data, args...)
	if err != nil {
		return nil, err
	}
	s.started = append(s.started, g.child)
	if err := untilAccepting(ctx, g.addr); err != nil {
		return nil, fmt.Errorf("starting llmgw: %w\nits log: %s", err, g.log)
	}
	return s.spec(ctx, g.addr, len(args) > 0)
}

// untilAccepting waits until a port takes connections; then all else is ready.
func untilAccepting(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	for {
		if w, err := dial(ctx, addr); err == nil {
			w.close()
			return nil
		}
		if wait(ctx, 10*probeEvery) != nil {
			return fmt.Errorf("not accepting within %s", startBound)
		}
	}
}

// spec runs h2spec. That tests fail is no error; that it says nothing is.
func (s *stand) spec(ctx context.Context, addr string, encrypted bool) (*conformity, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	args := []string{"-h", host, "-p", port, "-P", "/readyz", "-o", "5"}
	if encrypted {
		args = append(args, "-t", "-k")
	}
	out, err := exec.CommandContext(ctx, s.tool, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("running %s (make h2spec builds it): %w", s.tool, err)
	}
	return parseSpec(out)
}

var specSummary = regexp.MustCompile(`(?m)^(\d+) tests, (\d+) passed, \d+ skipped, \d+ failed`)

// parseSpec reads the figures at the end, and the names of what failed, each
// with the section above it.
func parseSpec(out []byte) (*conformity, error) {
	sum := specSummary.FindSubmatch(out)
	if sum == nil {
		return nil, fmt.Errorf("reading what h2spec says: no figures in %.500q", out)
	}
	c := &conformity{}
	c.tests, _ = strconv.Atoi(string(sum[1])) // digits
	c.passed, _ = strconv.Atoi(string(sum[2]))
	_, failures, _ := bytes.Cut(out, []byte("Failures:"))
	section := ""
	for line := range strings.Lines(string(failures)) {
		switch text := strings.TrimSpace(line); {
		case strings.HasPrefix(text, "×"):
			c.failed = append(c.failed, section+": "+strings.TrimSpace(strings.TrimPrefix(text, "×")))
		case text != "" && text[0] >= '0' && text[0] <= '9':
			section, _, _ = strings.Cut(text, " ")
		}
	}
	return c, nil
}

// without gives those of all that are not in others.
func without(all, others []string) (left []string) {
	known := map[string]bool{}
	for _, name := range others {
		known[name] = true
	}
	for _, name := range all {
		if !known[name] {
			left = append(left, name)
		}
	}
	return left
}

// certificate writes a certificate for this run, and its key.
func (s *stand) certificate() (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(longest), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return "", "", fmt.Errorf("making a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	cert, key = filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	return cert, key, errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}
