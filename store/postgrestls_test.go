//go:build unix

package store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// certificate makes one that signs itself, for 127.0.0.1.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "db"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// speakTLS gives a server a certificate, starts it again, and gives the file that
// the certificate can be checked with.
func speakTLS(t *testing.T, server *servers.Postgres) string {
	t.Helper()
	db := rawPostgres(t, server.URL())
	var data string
	if err := db.QueryRowContext(t.Context(), `SHOW data_directory`).Scan(&data); err != nil {
		t.Fatal(err)
	}
	execute(t, db, `ALTER SYSTEM SET ssl = on`)
	stat, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := stat.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner")
	}
	cert, key := certificate(t)
	for name, text := range map[string][]byte{"server.crt": cert, "server.key": key} {
		path := filepath.Join(data, name)
		if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chown(path, int(owner.Uid), int(owner.Gid))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(server.Stop(), server.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.crt")
	if err := os.WriteFile(root, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestTheConnectionIsEncryptedAndTheCertificateChecked(t *testing.T) {
	plain(t)
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	root := speakTLS(t, server)
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		host    string
		query   url.Values
		problem string
	}{
		"checked":                       {"127.0.0.1", url.Values{"sslmode": {"verify-full"}, "sslrootcert": {root}}, ""},
		"encrypted, whoever it is":      {"127.0.0.1", url.Values{"sslmode": {"require"}}, ""},
		"an authority nobody knows":     {"127.0.0.1", url.Values{"sslmode": {"verify-full"}}, "its certificate is not trusted"},
		"a certificate for other hosts": {"localhost", url.Values{"sslmode": {"verify-full"}, "sslrootcert": {root}}, "its certificate is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			at := *u
			at.Host, at.RawQuery = net.JoinHostPort(c.host, u.Port()), c.query.Encode()
			s, err := store.Open(t.Context(), onPostgres(t, at.String()))
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) || !errors.Is(err, accounts.ErrUnavailable) {
					t.Errorf("error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			listens(t, s, server.URL())
			var open int
			err = rawPostgres(t, server.URL()).QueryRowContext(t.Context(),
				`SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'llmgw' AND NOT ssl`).Scan(&open)
			if err != nil || open > 0 {
				t.Errorf("%d connections are open to everybody, %v", open, err)
			}
		})
	}
}
