package faults_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/store/storetest/faults"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second       // for what comes
	silence  = 100 * time.Millisecond // for what must not come
)

// echo answers every line with the same line, and remembers them.
type echo struct {
	net.Listener
	mu    sync.Mutex
	lines []string
	ended []error // how reading ended, by connection
}

func serve(t *testing.T, network, address string) *echo {
	t.Helper()
	l, err := net.Listen(network, address)
	must(t, err)
	e := &echo{Listener: l}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { e.answer(c) })
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return e
}

func (e *echo) answer(c net.Conn) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		e.mu.Lock()
		if err != nil {
			e.ended = append(e.ended, err)
			e.mu.Unlock()
			return
		}
		e.lines = append(e.lines, strings.TrimSpace(line))
		e.mu.Unlock()
		if _, err := io.WriteString(c, line); err != nil {
			return // cut meanwhile
		}
	}
}

// heard is what the server has read so far.
func (e *echo) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.lines, ",")
}

func (e *echo) ends() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.ended)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func front(t *testing.T, e *echo) *faults.Proxy {
	t.Helper()
	p, err := faults.Listen(e.Addr().Network(), e.Addr().String())
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

func dial(t *testing.T, p *faults.Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Address(), patience)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func say(t *testing.T, c net.Conn, line string) {
	t.Helper()
	_, err := fmt.Fprintln(c, line)
	must(t, err)
}

func hear(t *testing.T, c net.Conn, within time.Duration) (string, error) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(within)))
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if got, err := hear(t, c, patience); got != want || err != nil {
		t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

func quiet(t *testing.T, c net.Conn) {
	t.Helper()
	if got, err := hear(t, c, silence); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v where nothing comes through", got, err)
	}
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !holds(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func TestAllPassesWhereNothingIsWrong(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run("to a server on "+network, func(t *testing.T) {
			e := serve(t, network, address)
			p := front(t, e)
			c := dial(t, p)
			say(t, c, "one")
			expect(t, c, "one")
			must(t, c.CloseWrite())
			if _, err := hear(t, c, patience); !errors.Is(err, io.EOF) {
				t.Errorf("after both sides said farewell: %v", err)
			}
			await(t, "the connection is over", func() bool { return p.Counts().Open == 0 })
			want := faults.Counts{Connections: 1, Up: 4, Down: 4}
			if got := p.Counts(); got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
		})
	}
}

func TestManyBytesArriveInOrderThoughLate(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p := front(t, e)
	must(t, p.Set(faults.Way{Down: faults.Direction{Delay: 20 * time.Millisecond}}))
	c := dial(t, p)
	var sent bytes.Buffer
	for i := range 50_000 {
		fmt.Fprintf(&sent, "line %d\n", i)
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		_, err := c.Write(sent.Bytes())
		if err := errors.Join(err, c.CloseWrite()); err != nil {
			t.Error(err)
		}
	})
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	got, err := io.ReadAll(c)
	writing.Wait()
	if err != nil || !bytes.Equal(got, sent.Bytes()) {
		t.Errorf("%d bytes came back of %d, %v", len(got), sent.Len(), err)
	}
}

func TestADelayIsThatOfOneDirection(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p := front(t, e)
	c := dial(t, p)
	for name, way := range map[string]faults.Way{
		"up":   {Up: faults.Direction{Delay: silence}},
		"down": {Down: faults.Direction{Delay: silence}},
		"both": {Up: faults.Direction{Delay: silence / 2}, Down: faults.Direction{Delay: silence / 2}},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, p.Set(way))
			begun := time.Now()
			say(t, c, name)
			expect(t, c, name)
			if took := time.Since(begun); took < silence {
				t.Errorf("the answer took %s, less than the delay of %s", took, silence)
			}
		})
	}
	t.Run("and ends when the way is well again", func(t *testing.T) {
		must(t, p.Set(faults.Way{Up: faults.Direction{Delay: time.Hour}}))
		say(t, c, "late")
		quiet(t, c)
		must(t, p.Set(faults.Way{}))
		expect(t, c, "late")
	})
}

func TestWhatABlackholeHeldArrivesWhenItIsLifted(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p := front(t, e)
	old := dial(t, p)
	say(t, old, "before")
	expect(t, old, "before")
	must(t, p.Set(faults.Blackhole()))
	fresh := dial(t, p)
	say(t, old, "old")
	say(t, fresh, "fresh")
	must(t, fresh.CloseWrite())
	quiet(t, old)
	quiet(t, fresh)
	if got := e.heard(); got != "before" || e.ends() > 0 {
		t.Errorf("the server heard %q, and %d ends", got, e.ends())
	}
	must(t, p.Set(faults.Way{}))
	expect(t, old, "old")
	expect(t, fresh, "fresh")
}

func TestOneDirectionAloneCanBeHeld(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p := front(t, e)
	c := dial(t, p)
	must(t, p.Set(faults.Way{Down: faults.Direction{Hold: true}}))
	say(t, c, "done, but nobody knows")
	await(t, "the server hears it", func() bool { return e.heard() != "" })
	quiet(t, c)
	must(t, p.Set(faults.Way{Up: faults.Direction{Hold: true}}))
	expect(t, c, "done, but nobody knows")
	say(t, c, "not done")
	quiet(t, c)
	if got := e.heard(); strings.Contains(got, "not") {
		t.Errorf("the server heard %q", got)
	}
}

func TestACutIsAReset(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p := front(t, e)
	for name, way := range map[string]faults.Way{"on a way that is well": {}, "while everything is held": faults.Blackhole()} {
		t.Run(name, func(t *testing.T) {
			must(t, p.Set(faults.Way{}))
			c := dial(t, p)
			say(t, c, "hello")
			expect(t, c, "hello")
			must(t, p.Set(way))
			ends := e.ends()
			p.Cut()
			if _, err := hear(t, c, patience); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client: %v", err)
			}
			await(t, "the server notices", func() bool { return e.ends() == ends+1 })
			must(t, p.Set(faults.Way{}))
			again := dial(t, p)
			say(t, again, "again")
			expect(t, again, "again")
			must(t, again.Close())
			await(t, "nothing is left", func() bool { return p.Counts().Open == 0 && e.ends() == ends+2 })
		})
	}
	if got := p.Counts().Ended; got != 2 {
		t.Errorf("%d cuts counted", got)
	}
}

func TestAForgottenClientDoesNotNotice(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p := front(t, e)
	c := dial(t, p)
	say(t, c, "hello")
	expect(t, c, "hello")
	p.Forget()
	await(t, "the server's side is over", func() bool { return e.ends() == 1 })
	for range 3 {
		say(t, c, "is anybody there?")
		quiet(t, c)
	}
	if p.Counts().Open != 1 || e.heard() != "hello" {
		t.Errorf("counted %+v; the server heard %q", p.Counts(), e.heard())
	}
	must(t, c.Close())
	await(t, "nothing is left", func() bool { return p.Counts().Open == 0 })
}

func TestARefusingProxyKeepsWhatItHasAndOpensAgain(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p := front(t, e)
	c := dial(t, p)
	say(t, c, "one")
	expect(t, c, "one")
	for range 2 {
		must(t, p.Set(faults.Way{Refuse: true}))
		if _, err := net.DialTimeout("tcp", p.Address(), patience); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling: %v", err)
		}
		say(t, c, "two")
		expect(t, c, "two")
	}
	must(t, p.Set(faults.Way{}))
	fresh := dial(t, p)
	say(t, fresh, "three")
	expect(t, fresh, "three")
}

func TestAServerThatIsAwayIsAReset(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p := front(t, e)
	must(t, e.Close())
	c, err := net.DialTimeout("tcp", p.Address(), patience)
	if err == nil { // the reset may be there before the connection is
		defer c.Close()
		_, err = hear(t, c, patience)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client: %v", err)
	}
	await(t, "it is over", func() bool { return p.Counts().Open == 0 })
	if got := p.Counts(); got.Failed != 1 || got.Connections != 1 {
		t.Errorf("counted %+v", got)
	}
}

func TestAClosedProxyIsClosed(t *testing.T) {
	e := serve(t, "tcp", "127.0.0.1:0")
	p, err := faults.Listen("tcp", e.Addr().String())
	must(t, err)
	c := dial(t, p)
	must(t, p.Set(faults.Blackhole()))
	say(t, c, "held")
	must(t, p.Close())
	must(t, p.Close())
	if _, err := hear(t, c, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client: %v", err)
	}
	if err := p.Set(faults.Way{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("changing its way: %v", err)
	}
}
