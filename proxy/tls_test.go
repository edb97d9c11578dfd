package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T, notAfter time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestAStreamPassesOverTLSAndALeavingClientIsNoticed(t *testing.T) {
	gone := make(chan struct{})
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(firstEvent))
		<-r.gone
		close(gone)
		return false
	})
	cert := certificate(t, time.Now().Add(time.Hour))
	g := newGateway(t, up.url, func(s *setup) { s.certificates = []tls.Certificate{cert} })
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	r := g.post("/v1/chat/completions", chatRequest)
	r.URL.Scheme = "https"
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	waitFor(t, gone)
	if line := g.line(response); line["end_reason"] != "client_gone" {
		t.Errorf("log says %v", line["end_reason"])
	}
}

func TestTLSProblemsOfAnUpstreamAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		notAfter time.Time
		want     string
	}{
		"nobody vouches for it": {time.Now().Add(time.Hour), "TLS: certificate is signed by an unknown authority"},
		"expired":               {time.Now().Add(-73 * time.Hour), "TLS: certificate expired 3 days ago"},
	} {
		t.Run(name, func(t *testing.T) {
			up := httptest.NewUnstartedServer(http.NotFoundHandler())
			up.Config.ErrorLog = NewServer(&Proxy{}).http.ErrorLog
			up.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, c.notAfter)}, MinVersion: tls.VersionTLS12}
			up.StartTLS()
			defer up.Close()
			g := newGateway(t, up.URL)
			response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
			if response.StatusCode != 502 || !strings.Contains(string(body), c.want) && !strings.Contains(c.want, "expired") {
				t.Errorf("%d %s", response.StatusCode, body)
			}
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			say(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_ = c.Close()
		}
	}()
	g := newGateway(t, "https://"+l.Addr().String())
	if response, body, _ := g.do(g.post("/x", "{}")); response.StatusCode != 502 || !strings.Contains(string(body), "it does not speak TLS") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}
