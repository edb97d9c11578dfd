package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// named is a gateway that says its name, and whether it is ready.
func named(name string, isReady *atomic.Bool) part {
	return func(conn net.Conn, r *bufio.Reader, a asked) bool {
		if _, err := r.Discard(a.length); err != nil {
			return false
		}
		answer := "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
		switch {
		case a.id != "":
			answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name
		case isReady.Load():
			answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
		}
		_, err := io.WriteString(conn, answer)
		return err == nil
	}
}

func TestABalancerLeadsToThoseThatAreReady(t *testing.T) {
	var first, second atomic.Bool
	first.Store(true)
	second.Store(true)
	gone, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := balance(t.Context(), upstreamOf(t, named("1", &first)), upstreamOf(t, named("2", &second)), gone)
	if err != nil {
		t.Fatal(err)
	}
	who := func() string {
		w, err := dial(t.Context(), b.address())
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		if err := w.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w.conn, "GET / HTTP/1.1\r\n"+idHeader+": 1\r\n\r\n"); err != nil {
			return err.Error()
		}
		var name strings.Builder
		h, err := w.readHead()
		if err == nil {
			err = w.readBody(h, &name)
		}
		if err != nil {
			return "nobody"
		}
		return name.String()
	}
	led := func() string { return who() + who() + who() + who() }
	if got := led(); !strings.Contains(got, "1") || !strings.Contains(got, "2") || len(got) != 4 {
		t.Errorf("led to %q", got)
	}
	first.Store(false)
	becomes := func(want string) {
		t.Helper()
		_, err := until(t.Context(), want, 20*time.Second, func(context.Context) error {
			if got := led(); got != want {
				return io.ErrNoProgress
			}
			return nil
		})
		if err != nil {
			t.Errorf("never led to %q: %v", want, err)
		}
	}
	becomes("2222")
	second.Store(false)
	becomes(strings.Repeat("nobody", 4))
	if b.refused.Load() == 0 {
		t.Error("nobody was refused")
	}
	first.Store(true)
	becomes("1111")
	if err := b.close(); err != nil {
		t.Error(err)
	}
}

func TestABalancerPassesStreamsOnAndTheirEnd(t *testing.T) {
	var isReady atomic.Bool
	isReady.Store(true)
	playing := either(lastingID, named("1", &isReady), lasting(time.Millisecond))
	b, err := balance(t.Context(), upstreamOf(t, playing))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	v, _, err := askOnce(t.Context(), b.address(), lastingRequest("sk-test"), streamBody())
	if v != whole || err != nil {
		t.Errorf("%s, %v", v, err)
	}
}
