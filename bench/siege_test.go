package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The siege is made of requests that a server would take, were they not slow.
func TestTheSlowRequestsAreRequests(t *testing.T) {
	p := &participant{addr: "127.0.0.1:1", key: "sk-test"}
	for _, m := range slownesses() {
		text := m.open(p)
		if m.name == "slow heads" {
			text += "\r\n"
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		fields := 0
		for _, values := range r.Header {
			fields += len(values)
		}
		if fields > 100 || len(text) > 60<<10 {
			t.Errorf("%s: %d fields, %d bytes: it would be refused for that alone", m.name, fields, len(text))
		}
		if unfinished := m.name == "slow bodies"; unfinished != (r.ContentLength == 8192) {
			t.Errorf("%s: a body of %d bytes", m.name, r.ContentLength)
		}
	}
}

func TestAnUpstreamGivesAFloodWhereOneIsAskedFor(t *testing.T) {
	play, err := player(answerEither, 0)
	if err != nil {
		t.Fatal(err)
	}
	addr := upstreamOf(t, play)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, m := range slownesses() {
		if m.name == "slow readers" {
			_, err = io.WriteString(conn, m.open(&participant{addr: addr}))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1<<20) // more than any answer that ends
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.HasPrefix(got, []byte(streamHead)) {
		t.Errorf("%.100q, %v", got, err)
	}
	l := loadOn(t, addr, 1, false, chatReply())
	defer l.close()
	if r := l.roundOf(t.Context(), 3); r.tally[whole] != 3 {
		t.Errorf("%v, %v", r.tally, r.example)
	}
}

func TestWhatH2specSaysIsRead(t *testing.T) {
	const said = "...\nFailures: \n\nHypertext Transfer Protocol Version 2 (HTTP/2)\n  3. Starting HTTP/2\n    3.5. HTTP/2 Connection Preface\n" +
		"      × 2: Sends invalid connection preface\n        -> The endpoint MUST\n           Expected: x\n  8. HTTP Message Exchanges\n" +
		"        8.1.2.2. Connection-Specific Header Fields\n          × 1: Sends a HEADERS frame\n\nFinished in 11.1732 seconds\n145 tests, 142 passed, 1 skipped, 2 failed\n"
	c, err := parseSpec([]byte(said))
	want := []string{"3.5.: 2: Sends invalid connection preface", "8.1.2.2.: 1: Sends a HEADERS frame"}
	if err != nil || c.tests != 145 || c.passed != 142 || !slices.Equal(c.failed, want) {
		t.Errorf("%+v, %v", c, err)
	}
	if left := without(c.failed, want[:1]); !slices.Equal(left, want[1:]) {
		t.Errorf("left %q", left)
	}
	if c, err := parseSpec([]byte("Error: dial tcp: refused\n")); err == nil {
		t.Errorf("%+v", c)
	}
}
