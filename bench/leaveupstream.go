package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// leftUpstream is an upstream that plays a part of an answer and then listens
// for the end of its connection.
type leftUpstream struct {
	l        net.Listener
	sends    atomic.Pointer[[]byte]
	requests atomic.Int64
	serving  sync.WaitGroup
	mu       sync.Mutex
	last     int
	expected map[string]*visit
	open     map[net.Conn]struct{}
}

// visit is one exchange as the upstream sees it.
type visit struct {
	id      string
	reached chan struct{}
	gone    chan time.Time
}

func listenForLeaving(ctx context.Context) (*leftUpstream, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	u := &leftUpstream{l: l, expected: map[string]*visit{}, open: map[net.Conn]struct{}{}}
	u.play(nil)
	u.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed by close
			}
			u.serving.Go(func() { u.serve(conn) })
		}
	})
	return u, nil
}

func (u *leftUpstream) addr() string { return u.l.Addr().String() }

// play says what is sent to those who come from now on.
func (u *leftUpstream) play(text []byte) { u.sends.Store(&text) }

func (u *leftUpstream) close() {
	_ = u.l.Close()
	u.mu.Lock()
	for conn := range u.open {
		_ = conn.Close()
	}
	u.mu.Unlock()
	u.serving.Wait()
}

// expect makes a name for an exchange and waits for it to come.
func (u *leftUpstream) expect() *visit {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last++
	v := &visit{id: strconv.Itoa(u.last), reached: make(chan struct{}, 1), gone: make(chan time.Time, 1)}
	u.expected[v.id] = v
	return v
}

func (u *leftUpstream) forget(v *visit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.expected, v.id)
}

// serve takes one request, plays its part, and tells when the connection ended.
func (u *leftUpstream) serve(conn net.Conn) {
	u.mu.Lock()
	u.open[conn] = struct{}{}
	u.mu.Unlock()
	defer func() {
		_ = conn.Close()
		u.mu.Lock()
		delete(u.open, conn)
		u.mu.Unlock()
	}()
	r := bufio.NewReader(conn)
	asked, err := readRequest(r)
	if err != nil {
		return
	}
	u.requests.Add(1)
	u.mu.Lock()
	v := u.expected[asked.id]
	u.mu.Unlock()
	if v == nil {
		return
	}
	if _, err := conn.Write(*u.sends.Load()); err != nil {
		return
	}
	v.reached <- struct{}{}
	_, _ = io.Copy(io.Discard, r) // an end or a reset: both are the end
	v.gone <- time.Now()
}

func (v *visit) untilReached(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	select {
	case <-v.reached:
		return nil
	case <-ctx.Done():
		return errors.New("the request did not reach the upstream")
	}
}

func (v *visit) untilGone(ctx context.Context) (time.Time, bool) { return within(ctx, v.gone) }

// within gives what comes before the bound of a leaving's being noticed.
func within(ctx context.Context, seen <-chan time.Time) (time.Time, bool) {
	ctx, cancel := context.WithTimeout(ctx, noticeBound)
	defer cancel()
	select {
	case at := <-seen:
		return at, true
	case <-ctx.Done():
		return time.Time{}, false
	}
}

// leaveUploads leaves the gateway in the middle of a body, n times, one after
// the other. Its access log says when it noticed; each has a path of its own to
// be known by.
func leaveUploads(ctx context.Context, u *leftUpstream, p *participant, n int) (*parting, error) {
	defer p.log.tell(nil)
	before := u.requests.Load()
	request := leavingRequest(p, "0", phase{upload: true})
	found := &parting{}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		path := "/v1/leave/" + strconv.Itoa(i)
		noticed := p.log.tellOf(`"path":"`+path+`"`, `"end_reason":"client_gone"`)
		w, err := dial(ctx, p.addr)
		if err != nil {
			return nil, err
		}
		if err := w.begin(bytes.Replace(request, []byte(chatPath), []byte(path), 1)); err != nil {
			return nil, errors.Join(err, w.conn.Close())
		}
		left := time.Now()
		w.close()
		seen, ok := within(ctx, noticed)
		found.note(seen.Sub(left), ok, nil)
	}
	if asked := u.requests.Load() - before; asked > 0 {
		return nil, fmt.Errorf("the upstream was asked %d times for requests that never were whole", asked)
	}
	return found, ctx.Err()
}

// tellOf tells when a line has come that holds all of the texts.
func (l *logTail) tellOf(texts ...string) <-chan time.Time {
	seen := make(chan time.Time, 1)
	l.tell(func(line []byte) {
		for _, text := range texts {
			if !bytes.Contains(line, []byte(text)) {
				return
			}
		}
		select {
		case seen <- time.Now():
		default: // the first such line counts
		}
	})
	return seen
}
