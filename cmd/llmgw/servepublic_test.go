package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func TestAnAdminListenerThatGivesTooMuchAwayIsRefused(t *testing.T) {
	const insecure = "refusing admin API on %s without TLS: passwords would travel in clear. Give --tls-cert/--tls-key, or --admin-insecure-http behind a proxy that ends TLS"
	const open = "refusing admin API on %s without logins: whoever reaches it could change everything. Give --admin-auth required, or --admin-insecure-http as well"
	cert, key := certificate(t)
	for name, c := range map[string]struct {
		args []string
		at   string
		want string
	}{
		"every address":              {nil, "0.0.0.0:0", insecure},
		"every address, by no name":  {nil, ":0", insecure},
		"every IPv6 address":         {nil, "[::]:0", insecure},
		"a private address":          {nil, "10.1.2.3:0", insecure},
		"a name":                     {nil, "gw.example.com:0", insecure},
		"without logins":             {[]string{"--admin-auth", "disabled"}, "0.0.0.0:0", open},
		"without logins, with TLS":   {[]string{"--admin-auth", "disabled", "--tls-cert", cert, "--tls-key", key}, "0.0.0.0:0", open},
		"half a pair of certificate": {[]string{"--tls-cert", cert}, "0.0.0.0:0", "tls_cert and tls_key belong together"},
	} {
		t.Run(name, func(t *testing.T) {
			data := shortDir(t)
			args := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", c.at, "--color", "never"}, c.args...)
			code, shown := types(t, "", args...)
			if want := strings.ReplaceAll(c.want, "%s", c.at); !strings.Contains(shown, want) {
				t.Errorf("serve says %q, want %q", shown, want)
			}
			if want := exitUsage; code != want && !strings.Contains(c.want, "belong") {
				t.Errorf("serve ended with %d, want %d", code, want)
			}
			if left, err := os.ReadDir(data); err != nil || len(left) != 0 {
				t.Errorf("it left %v, %v", left, err)
			}
		})
	}
}

// logged is a gateway whose log is read.
type logged struct {
	*terminal
	data string
}

// serveLogged starts a gateway as a service does, without a terminal.
func serveLogged(t *testing.T, args ...string) *logged {
	t.Helper()
	g := &logged{terminal: &terminal{signals: make(chan os.Signal, 1)}, data: shortDir(t)}
	exit := make(chan int, 1)
	args = append([]string{"serve", "--no-detect", "--data", g.data, "--listen", "127.0.0.1:0"}, args...)
	go func() {
		exit <- run(context.Background(), shell{args: args, in: strings.NewReader(""), out: io.Discard, err: g, signals: g.signals})
	}()
	ready := regexp.MustCompile(`"msg":"ready"`)
	until(t, "the ready line", func() bool { return ready.MatchString(g.String()) })
	t.Cleanup(func() {
		g.signals <- os.Interrupt
		if code := <-exit; code != exitDone {
			t.Errorf("serve ended with %d", code)
		}
	})
	return g
}

func (g *logged) status(t *testing.T) api.Status {
	t.Helper()
	s, err := statusAt(t.Context(), filepath.Join(g.data, socketName))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at asks an address and gives the status of the answer.
func at(t *testing.T, client *http.Client, url string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

func TestThePublicAdminListenerSpeaksTLSAndTheLocalOneDoesNot(t *testing.T) {
	cert, key := certificate(t)
	pair := []string{"--tls-cert", cert, "--tls-key", key}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}

	public := serveLogged(t, append(pair, "--admin-listen", "0.0.0.0:0")...)
	base := public.status(t).Admin
	if !strings.HasPrefix(base, "https://") {
		t.Fatalf("the admin API is at %s", base)
	}
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 200, "/openapi.json": 200, "/api/v1/status": 401} {
		if status, err := at(t, client, base+path); status != want || err != nil {
			t.Errorf("%s answers %d, %v", path, status, err)
		}
	}
	if status, err := at(t, client, "http"+strings.TrimPrefix(base, "https")+"/healthz"); status != 400 || err != nil {
		t.Errorf("without TLS it answers %d, %v", status, err)
	}
	if _, err := at(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, base+"/healthz"); err == nil {
		t.Error("whoever does not know the certificate is content with it")
	}

	local := serveLogged(t, append(pair, "--admin-listen", "127.0.0.1:0")...)
	base = local.status(t).Admin
	if status, err := at(t, client, base+"/healthz"); status != 200 || err != nil || !strings.HasPrefix(base, "http://") {
		t.Errorf("the local one answers %d, %v at %s", status, err, base)
	}

	behind := serveLogged(t, "--admin-listen", "0.0.0.0:0", "--admin-insecure-http")
	base = behind.status(t).Admin
	if status, err := at(t, client, base+"/api/v1/status"); status != 401 || err != nil || !strings.HasPrefix(base, "http://") {
		t.Errorf("behind a proxy it answers %d, %v at %s", status, err, base)
	}
	if strings.Contains(public.String()+local.String(), "tls: ") && !strings.Contains(public.String(), `"level":"debug"`) {
		t.Errorf("handshakes that failed are in the log:\n%s", public.String())
	}
}

func TestWithoutLoginsIsShouted(t *testing.T) {
	g := serveLogged(t, "--admin-listen", "127.0.0.1:0", "--admin-auth", "disabled")
	client := api.NewClient(api.Options{BaseURL: g.status(t).Admin})
	defer client.Close()
	if _, err := client.CreateKey(t.Context(), api.NewKey{Name: "k"}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(g.String(), `"level":"warn"`) || !strings.Contains(g.String(), "ADMIN API WITHOUT LOGINS") {
		t.Errorf("the log is\n%s", g.String())
	}
	if quiet := serveLogged(t, "--admin-listen", "127.0.0.1:0"); strings.Contains(quiet.String(), "WITHOUT LOGINS") {
		t.Errorf("with logins the log is\n%s", quiet.String())
	}
}

func TestItIsShoutedEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			warnOpen(ctx, zerolog.New(&log), "http://127.0.0.1:4101")
		}()
		<-time.After(3*time.Hour + time.Minute)
		cancel()
		<-done
		if n := strings.Count(log.String(), "WITHOUT LOGINS"); n != 4 {
			t.Errorf("in three hours it is shouted %d times:\n%s", n, log.String())
		}
	})
}

// TestTheFirstAdminComesByLink takes the way of whoever sets up a gateway, over
// its socket and then over TCP.
func TestTheFirstAdminComesByLink(t *testing.T) {
	g := serveLogged(t, "--admin-listen", "127.0.0.1:0")
	local := api.NewClient(api.Options{Socket: filepath.Join(g.data, socketName)})
	defer local.Close()
	link, err := local.AdminLink(t.Context(), api.NewAdminLink{})
	var refusal *api.Error
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		t.Skip("the store keeps no users yet")
	}
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(g.String(), `"msg":"no admin yet"`) {
		t.Errorf("the log does not say what to do:\n%s", g.String())
	}
	base, secret, _ := strings.Cut(link.URL, "/setup#")
	stranger := api.NewClient(api.Options{BaseURL: base})
	defer stranger.Close()
	tokens, err := stranger.Login(t.Context(), api.Login{Link: secret, New: "correct horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	boss := api.NewClient(api.Options{BaseURL: base, Bearer: func(context.Context) (accounts.Secret, error) {
		return accounts.NewSecret(tokens.Access), nil
	}})
	defer boss.Close()
	created, err := boss.CreateKey(t.Context(), api.NewKey{Name: "ci-bot"})
	if err != nil {
		t.Fatal(err)
	}
	me, err := boss.Me(t.Context())
	if err != nil || me.User != "admin" || me.Role != "admin" {
		t.Errorf("me is %+v, %v", me, err)
	}
	next, err := stranger.Refresh(t.Context(), tokens.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Logout(t.Context(), next.Refresh); err != nil {
		t.Error(err)
	}
	if _, err := boss.Me(t.Context()); err == nil {
		t.Error("after the logout the access token is still good")
	}
	for _, canary := range []string{secret, tokens.Access, tokens.Refresh, next.Refresh, created.Secret, "correct horse"} {
		if strings.Contains(g.String(), canary) {
			t.Error("the log has a secret in it")
		}
	}
}

// certificate writes a pair for this machine.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	public, err := x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: public}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
