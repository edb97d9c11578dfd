package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/store/redis"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// works holds a location to what a node needs of it.
func works(t *testing.T, location string) {
	t.Helper()
	c := connect(t, location)
	eventually(t, "something is put and taken", func() bool {
		if c.Put(t.Context(), "n", []byte("x"), time.Minute) != nil {
			return false
		}
		what, err := c.Take(t.Context(), "n")
		return err == nil && string(what) == "x"
	})
	heard := make(chan string, 10)
	listening := make(chan struct{})
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		ended <- c.Listen(ctx, "c", func(m []byte) {
			if m == nil {
				close(listening)
				return
			}
			heard <- string(m)
		})
	}()
	select {
	case <-listening:
	case err := <-ended:
		t.Fatalf("listening: %v", err)
	}
	if err := c.Publish(t.Context(), "c", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-heard:
		if m != "hello" {
			t.Errorf("heard %q", m)
		}
	case <-time.After(patience):
		t.Error("nothing is heard")
	}
	cancel()
	<-ended
}

func passwordOf(t *testing.T, r *servers.Redis) string {
	t.Helper()
	u, err := url.Parse(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return password
}

func TestASocket(t *testing.T) {
	r := servers.PrivateRedis(t, servers.RedisOptions{})
	works(t, fmt.Sprintf("unix://:%s@%s?db=2", passwordOf(t, r), filepath.Join(r.Dir(), "redis.sock")))
}

func TestACluster(t *testing.T) {
	r := servers.PrivateRedis(t, servers.RedisOptions{Settings: []string{"cluster-enabled yes", "databases 1"}})
	if err := raw(t, r.URL()).ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	works(t, fmt.Sprintf("redis-cluster://:%s@%s,127.0.0.1:1", passwordOf(t, r), r.Address()))
}

func TestSentinels(t *testing.T) {
	r := servers.PrivateRedis(t, servers.RedisOptions{})
	host, port, err := net.SplitHostPort(r.Address())
	if err != nil {
		t.Fatal(err)
	}
	own := freePort(t)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nrequirepass guard\nsentinel monitor main %s %s 1\nsentinel auth-pass main %s\n",
		own, filepath.Dir(config), host, port, passwordOf(t, r))
	write(t, config, []byte(text))
	sentinel := exec.CommandContext(t.Context(), "redis-server", config, "--sentinel")
	if err := sentinel.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sentinel.Process.Kill(); _ = sentinel.Wait() })
	works(t, fmt.Sprintf("redis-sentinel://:%s@127.0.0.1:%s/main/1?sentinel_password=guard", passwordOf(t, r), own))
}

func TestTLS(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	for _, path := range []string{dir, filepath.Dir(dir)} { // the server is another user
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	authority := certificates(t, dir)
	r := servers.PrivateRedis(t, servers.RedisOptions{Settings: []string{
		"tls-port " + port, "tls-auth-clients no", "tls-cert-file " + filepath.Join(dir, "cert.pem"),
		"tls-key-file " + filepath.Join(dir, "key.pem"), "tls-ca-cert-file " + authority,
	}})
	at := fmt.Sprintf("rediss://:%s@127.0.0.1:%s", passwordOf(t, r), port)
	works(t, at+"?ca="+authority+"&server_name=redis.example")
	for name, c := range map[string]struct{ location, want string }{
		"a certificate that nobody knows":    {at + "?server_name=redis.example", "certificate signed by unknown authority"},
		"a certificate for another name":     {at + "?ca=" + authority, "cannot validate certificate for 127.0.0.1"},
		"a name that the certificate is not": {at + "?ca=" + authority + "&server_name=other.example", "not other.example"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := connect(t, c.location).Take(t.Context(), "n")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), passwordOf(t, r)) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestACAThatCannotBeRead(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.pem")
	noise := filepath.Join(t.TempDir(), "noise.pem")
	write(t, noise, []byte("noise"))
	for path, want := range map[string]string{none: "no such file", noise: "has no certificate"} {
		l, err := redis.Parse("rediss://:hunter2@h?ca=" + path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := redis.Open(l); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error is %v", err)
		}
	}
}

func TestWhatIsNoTextIsNothing(t *testing.T) {
	at := servers.RedisDatabase(t)
	if err := raw(t, at).HSet(t.Context(), "n", "field", "x").Err(); err != nil {
		t.Fatal(err)
	}
	if what, err := connect(t, at).Take(t.Context(), "n"); what != nil || err != nil {
		t.Errorf("%q, %v", what, err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// certificates writes cert.pem and key.pem for redis.example, and gives the file
// of who signed them.
func certificates(t *testing.T, dir string) (authority string) {
	t.Helper()
	make509 := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return key, der
	}
	text := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	signer, der := make509(ca, ca, nil)
	authority = filepath.Join(dir, "ca.pem")
	write(t, authority, text("CERTIFICATE", der))
	key, der := make509(&x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"redis.example"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}, ca, signer)
	write(t, filepath.Join(dir, "cert.pem"), text("CERTIFICATE", der))
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "key.pem"), text("EC PRIVATE KEY", private))
	return authority
}
