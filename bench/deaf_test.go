package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// frame is one message of PostgreSQL's.
func frame(kind byte, text string) string {
	n := len(text) + 4
	return string([]byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + text
}

func TestASieveLosesMessagesAndNothingElse(t *testing.T) {
	const push = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$13\r\nhel\r\nlo\r\n$3\r\n\r\n"
	for name, c := range map[string]struct {
		pass      passing
		all, left string
		lost      int64
	}{
		"PostgreSQL": {passPostgres,
			frame('R', "\x00\x00\x00\x00") + frame('A', "pid\x00llmgw\x00{}") + frame('D', "A") + frame('A', "") + frame('Z', "I"),
			frame('R', "\x00\x00\x00\x00") + frame('D', "A") + frame('Z', "I"), 2},
		"Redis, RESP3": {passRedis, "+OK\r\n" + push + "%1\r\n$1\r\na\r\n*2\r\n:1\r\n_\r\n" + push + "$-1\r\n", "+OK\r\n%1\r\n$1\r\na\r\n*2\r\n:1\r\n_\r\n$-1\r\n", 2},
		"Redis, RESP2": {passRedis, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n*-1\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*-1\r\n", 1},
		"a text of Redis that reads as a message": {passRedis, "$21\r\n>3\r\n$7\r\nmessage\r\n0123\r\n|1\r\n+a\r\n+b\r\n:7\r\n", "$21\r\n>3\r\n$7\r\nmessage\r\n0123\r\n|1\r\n+a\r\n+b\r\n:7\r\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sieve{}
			var whole bytes.Buffer
			if err := c.pass(s, &whole, bufio.NewReader(strings.NewReader(c.all))); !errors.Is(err, io.EOF) || whole.String() != c.all {
				t.Errorf("passing on: %q, %v", whole.String(), err)
			}
			s.lose.Store(true)
			var left bytes.Buffer
			if err := c.pass(s, &left, bufio.NewReader(strings.NewReader(c.all))); !errors.Is(err, io.EOF) || left.String() != c.left {
				t.Errorf("losing: %q, %v, want %q", left.String(), err, c.left)
			}
			if s.lost.Load() != c.lost {
				t.Errorf("%d lost, want %d", s.lost.Load(), c.lost)
			}
		})
	}
}

func TestASieveEndsWhatIsNoProtocol(t *testing.T) {
	for name, c := range map[string]struct {
		pass passing
		text string
	}{
		"a length of nothing":        {passPostgres, "A\x00\x00\x00\x00"},
		"a length of half the world": {passPostgres, "D\xff\xff\xff\xff"},
		"a letter":                   {passRedis, "?1\r\n"},
		"no number":                  {passRedis, "*x\r\n"},
		"an empty line":              {passRedis, "\n"},
	} {
		if err := c.pass(&sieve{}, io.Discard, bufio.NewReader(strings.NewReader(c.text))); !errors.Is(err, errNotProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSieve(f *testing.F) {
	f.Add([]byte(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n+OK\r\n"))
	f.Add([]byte(frame('R', "\x00\x00\x00\x00") + frame('A', "x")))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, pass := range []passing{passPostgres, passRedis} {
			var out bytes.Buffer
			err := pass(&sieve{}, &out, bufio.NewReader(bytes.NewReader(text)))
			if err == nil || !bytes.HasPrefix(text, out.Bytes()) {
				t.Errorf("%q becomes %q, %v", text, out.Bytes(), err)
			}
		}
	})
}

func TestASieveCloses(t *testing.T) {
	server := upstreamOf(t, idling([]byte("+OK\r\n")))
	s, err := sift(t.Context(), server, passRedis)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on after its end")
	}
}
