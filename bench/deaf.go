package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// sieve stands in front of PostgreSQL or Redis and passes everything on, but for
// the messages by which nodes tell each other of changes, when it is told to lose
// them. Nobody can notice: the connections stay whole.
type sieve struct {
	server string
	lose   atomic.Bool
	lost   atomic.Int64
	pass   passing
	door   net.Listener

	mu      sync.Mutex
	open    map[net.Conn]struct{} // nil: closed
	running sync.WaitGroup
}

// passing passes on what a server says, message by message.
type passing func(s *sieve, to io.Writer, from *bufio.Reader) error

// sift makes a sieve in front of a server. pass is passPostgres or passRedis.
func sift(ctx context.Context, server string, pass passing) (*sieve, error) {
	door, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening in front of a server: %w", err)
	}
	s := &sieve{server: server, pass: pass, door: door, open: map[net.Conn]struct{}{}}
	s.running.Go(func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				return // closed
			}
			s.running.Go(func() { s.lead(ctx, conn) })
		}
	})
	return s, nil
}

func (s *sieve) address() string { return s.door.Addr().String() }

func (s *sieve) lead(ctx context.Context, client net.Conn) {
	server, err := (&net.Dialer{Timeout: answerBound}).DialContext(ctx, "tcp", s.server)
	if err != nil {
		_ = client.Close() // the end is all that there is to tell
		return
	}
	if !s.enter(client, server) {
		return
	}
	defer s.leave(client, server)
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(server, client) // however it ends, so does the connection
		_ = server.Close()
	})
	_ = s.pass(s, client, bufio.NewReaderSize(server, 64<<10))
	_ = client.Close()
	up.Wait()
}

func (s *sieve) enter(pair ...net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range pair {
		if s.open == nil {
			_ = conn.Close()
			continue
		}
		s.open[conn] = struct{}{}
	}
	return s.open != nil
}

func (s *sieve) leave(pair ...net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range pair {
		_ = conn.Close()
		delete(s.open, conn)
	}
}

func (s *sieve) close() error {
	err := s.door.Close()
	s.mu.Lock()
	for conn := range s.open {
		_ = conn.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// losing says whether a message is to be lost, and counts it.
func (s *sieve) losing() bool {
	if !s.lose.Load() {
		return false
	}
	s.lost.Add(1)
	return true
}

const longestMessage = 64 << 20 // of either protocol; more is none

var errNotProtocol = errors.New("the server does not speak its protocol")

// passPostgres passes messages from PostgreSQL on, each a letter and a length; 'A'
// is a notification (PostgreSQL's manual, "Message Formats"). Clients here ask for
// no encryption, to which the answer would have no length.
func passPostgres(s *sieve, to io.Writer, from *bufio.Reader) error {
	for {
		head, err := from.Peek(5)
		if err != nil {
			return err
		}
		length := int64(binary.BigEndian.Uint32(head[1:]))
		if length < 4 || length > longestMessage {
			return errNotProtocol
		}
		into := to
		if head[0] == 'A' && s.losing() {
			into = io.Discard
		}
		if _, err := io.CopyN(into, from, 1+length); err != nil {
			return err
		}
	}
}

// passRedis passes values from Redis on. One that a channel was told is an array,
// or a push in RESP3, that begins with the word message.
func passRedis(s *sieve, to io.Writer, from *bufio.Reader) error {
	var value bytes.Buffer
	for {
		value.Reset()
		if err := readValue(from, &value); err != nil {
			return err
		}
		if isMessage(value.Bytes()) && s.losing() {
			continue
		}
		if _, err := to.Write(value.Bytes()); err != nil {
			return err
		}
	}
}

func isMessage(value []byte) bool {
	for _, form := range []string{"*3\r\n$7\r\nmessage\r\n", ">3\r\n$7\r\nmessage\r\n"} {
		if bytes.HasPrefix(value, []byte(form)) {
			return true
		}
	}
	return false
}

// readValue copies one value of RESP, with all that is in it.
func readValue(from *bufio.Reader, into *bytes.Buffer) error {
	for left := int64(1); left > 0; left-- {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return err
		}
		into.Write(line)
		more, err := readRest(line, from, into)
		if err != nil {
			return err
		}
		left += more
	}
	return nil
}

// readRest reads what a line announces: bytes, or as many more values.
func readRest(line []byte, from *bufio.Reader, into *bytes.Buffer) (more int64, err error) {
	kind, rest := line[0], bytes.TrimRight(line[1:], "\r\n")
	switch kind {
	case '+', '-', ':', '_', '#', ',', '(':
		return 0, nil
	case '$', '=', '!', '*', '>', '~', '%', '|':
	default:
		return 0, errNotProtocol
	}
	n, err := strconv.ParseInt(string(rest), 10, 64)
	switch {
	case err != nil || n > longestMessage:
		return 0, errNotProtocol
	case n < 0: // nothing, as RESP2 says it
		return 0, nil
	case kind == '*' || kind == '>' || kind == '~':
		return n, nil
	case kind == '%':
		return 2 * n, nil
	case kind == '|': // attributes stand before a value, and are none
		return 2*n + 1, nil
	}
	_, err = io.CopyN(into, from, n+2)
	return 0, err
}
