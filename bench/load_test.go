package main

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// upstreamOf runs an upstream in this process.
func upstreamOf(t *testing.T, play part) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { converse(conn, play) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

func loadOn(t *testing.T, addr string, conns int, stream bool, want []byte) *load {
	t.Helper()
	l := newLoad(&participant{name: "upstream", addr: addr}, conns, chatRequest(addr, "sk-test", stream), want)
	t.Cleanup(l.close)
	return l
}

func TestWhatTheUpstreamSendsIsWhole(t *testing.T) {
	for answer, want := range map[string][]byte{answerReply: chatReply(), answerStream: streamBody(), answerEager: streamBody()} {
		t.Run(answer, func(t *testing.T) {
			play, err := player(answer, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			r := loadOn(t, upstreamOf(t, play), 8, answer != answerReply, want).roundOf(t.Context(), 500)
			if r.tally != (tally{whole: 500}) || r.example != nil || len(r.delays) != 500 {
				t.Errorf("%v, %d delays, %v", r.tally, len(r.delays), r.example)
			}
		})
	}
}

func TestALoadKeepsItsRate(t *testing.T) {
	play, err := player(answerReply, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	const rate, d = 200, 300 * time.Millisecond
	r, err := loadOn(t, upstreamOf(t, play), 4, false, chatReply()).roundAt(t.Context(), d, rate)
	if err != nil || r.tally != (tally{whole: 60}) {
		t.Errorf("%v, %v", r.tally, err)
	}
	if last := 59 * time.Second / rate; r.took < last {
		t.Errorf("it took %s, and the last request is due after %s", r.took, last)
	}
}

func TestALoadCountsEveryBrokenAnswer(t *testing.T) {
	good := wholeStream()
	worse := append([]byte(nil), good...)
	worse[len(worse)/2] ^= 1
	var n atomic.Int64
	addr := upstreamOf(t, func(conn net.Conn, r *bufio.Reader, a asked) bool {
		_, _ = r.Discard(a.length)
		answer, goesOn := good, true
		switch n.Add(1) % 10 {
		case 1:
			answer, goesOn = good[:len(good)/2], false
		case 2:
			answer = worse
		case 3:
			answer = []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		case 4:
			answer, goesOn = append([]byte(streamHead), lastChunk...), true
		case 5:
			answer, goesOn = nil, false
		}
		_, err := conn.Write(answer)
		return err == nil && goesOn
	})
	r := loadOn(t, addr, 4, true, streamBody()).roundOf(t.Context(), 1000)
	want := tally{whole: 500, cut: 100, hiddenCut: 100, altered: 100, failed: 200}
	if r.tally != want || r.example == nil {
		t.Errorf("got %v, want %v, for example %v", r.tally, want, r.example)
	}
	if r.broken() != 500 || r.problem("x") == nil {
		t.Errorf("%d are broken, problem %v", r.broken(), r.problem("x"))
	}
}

func TestALoadUsesItsConnectionsAgain(t *testing.T) {
	var dialled sync.Map
	play := saying(wholeReply())
	addr := upstreamOf(t, func(conn net.Conn, r *bufio.Reader, a asked) bool {
		dialled.Store(conn.RemoteAddr().String(), true)
		return play(conn, r, a)
	})
	l := loadOn(t, addr, 3, false, chatReply())
	for range 3 {
		if r := l.roundOf(t.Context(), 100); r.broken() > 0 {
			t.Fatal(r.example)
		}
	}
	n := 0
	dialled.Range(func(any, any) bool { n++; return true })
	if n > 3 {
		t.Errorf("%d connections for 3", n)
	}
}

func TestALoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := loadOn(t, "127.0.0.1:1", 2, false, nil).roundOf(ctx, 1000); r.all() != 0 {
		t.Errorf("asked %d times", r.all())
	}
}

func TestAnUpstreamThatIsNotThereIsAFailureEachTime(t *testing.T) {
	addr, err := freePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := loadOn(t, addr, 2, false, nil).roundOf(t.Context(), 10)
	if r.tally != (tally{failed: 10}) || r.example == nil {
		t.Errorf("%v, %v", r.tally, r.example)
	}
}

func TestHeadAndBodyOfAStreamAreOneWrite(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		saying(wholeStream())(server, bufio.NewReader(server), asked{})
	}()
	// What one Read of a pipe gives is of one Write.
	buf := make([]byte, 1<<20)
	n, err := client.Read(buf)
	_ = client.Close()
	if err != nil || n != len(wholeStream()) {
		t.Errorf("the first write has %d of %d bytes, %v", n, len(wholeStream()), err)
	}
}

func TestPacedStreamsComeWholeAndLate(t *testing.T) {
	play, err := player(answerPaced, 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	p := &participant{name: nameDirect, addr: upstreamOf(t, play)}
	f := &series{who: p}
	if err := f.pace(t.Context(), 20, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if f.tally != (tally{whole: 20}) || len(f.delays) < 20 {
		t.Errorf("%v, %d delays, %v", f.tally, len(f.delays), f.example)
	}
	for _, d := range f.delays {
		if d < 0 || d > 10*time.Second {
			t.Fatalf("an event took %s", d)
		}
	}
}

func TestAPacedStreamThatEndsIsBroken(t *testing.T) {
	addr := upstreamOf(t, func(conn net.Conn, r *bufio.Reader, a asked) bool {
		_, _ = r.Discard(a.length)
		_, _ = conn.Write(append([]byte(streamHead), chunked(stampedEvent(time.Now()))...))
		return false
	})
	c, err := gather(t.Context(), &participant{name: "upstream", addr: addr}, 5, func(int, []byte) {})
	if err != nil {
		t.Fatal(err)
	}
	c.reading.Wait()
	broken := c.broken.Load()
	c.close()
	if broken != 5 {
		t.Errorf("%d of 5 are broken", broken)
	}
}
