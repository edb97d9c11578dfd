package main

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestWhoeverOpensConnectionsWithoutEndTakesAFewOnly asks the socket meanwhile,
// which is another listener.
func TestWhoeverOpensConnectionsWithoutEndTakesAFewOnly(t *testing.T) {
	g := serveLogged(t, "--admin-listen", "127.0.0.1:0")
	base := g.status(t).Admin
	client := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	var open []net.Conn
	for range maxAdminConns {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, conn)
	}
	until(t, "the last connection", func() bool { _, err := at(t, client, base+"/healthz"); return err != nil })
	if g.status(t).Admin != base {
		t.Error("the socket does not answer")
	}
	for _, conn := range open[:8] {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "a free connection", func() bool { status, err := at(t, client, base+"/healthz"); return err == nil && status == 200 })
}
