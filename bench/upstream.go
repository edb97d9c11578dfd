package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// What an upstream answers.
const (
	answerReply  = "reply"  // 1 KB of JSON
	answerStream = "stream" // a whole stream, head and body in one write
	answerEager  = "eager"  // the same in two writes, every second time before the request's body was read
	answerPaced  = "paced"  // stamped events without end, one at a time
	answerIdle   = "idle"   // one event, and then nothing
	answerEither = "either" // a reply, or events without a pause where floodID is asked for
	answerAtEase = "atease" // a reply, or where lastingID is asked for a whole stream, one event at a time
)

// serveUpstream is the role of a provider. It speaks HTTP/1.1 on a bare socket:
// what it sends in one write arrives at once, and it costs little.
func serveUpstream(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("upstream", flag.ContinueOnError)
	answer := flags.String("answer", answerReply, "what to answer")
	every := flags.Duration("every", time.Second, "time between paced events")
	if err := flags.Parse(args); err != nil {
		return err
	}
	play, err := player(*answer, *every)
	if err != nil {
		return err
	}
	l, err := announce(ctx, out)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed below
			}
			go converse(conn, play)
		}
	}()
	untilParentEnds(ctx, in)
	return l.Close()
}

// announce listens on a free port and tells the parent which.
func announce(ctx context.Context, out io.Writer) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	_, err = fmt.Fprintln(out, l.Addr())
	return l, err
}

// untilParentEnds waits for the end of stdin, which comes also where the parent
// was killed.
func untilParentEnds(ctx context.Context, in io.Reader) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, in)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// part is an upstream's part in one exchange. It says whether the connection
// goes on.
type part func(net.Conn, *bufio.Reader, asked) bool

// converse plays its part in each exchange of a connection.
func converse(conn net.Conn, play part) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for {
		asked, err := readRequest(r)
		if err != nil || !play(conn, r, asked) {
			return
		}
	}
}

// asked is what an upstream needs to know of a request's head.
type asked struct {
	length int
	id     string // of the exchange, where the client gave one
}

const idHeader = "X-Bench-Id"

// readRequest reads the head of a request.
func readRequest(r *bufio.Reader) (asked, error) {
	var a asked
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return a, nil
		}
		if first {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if a.length, err = strconv.Atoi(string(value)); err != nil {
				return a, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return a, errors.New("this upstream takes no chunked request")
		case bytes.EqualFold(name, []byte(idHeader)):
			a.id = string(value)
		}
	}
}

// player gives the part that makes an answer.
func player(answer string, every time.Duration) (part, error) {
	switch answer {
	case answerReply:
		return saying(wholeReply()), nil
	case answerStream:
		return saying(wholeStream()), nil
	case answerEager:
		return eager(wholeStream()), nil
	case answerEither:
		return either(floodID, saying(wholeReply()), flooding([]byte(streamHead), chunked(streamEvent(0)))), nil
	case answerAtEase:
		return either(lastingID, saying(wholeReply()), lasting(every)), nil
	case answerIdle:
		return idling(slices.Concat([]byte(streamHead), chunked(streamEvent(0)))), nil
	case answerPaced:
		return func(conn net.Conn, r *bufio.Reader, a asked) bool {
			if _, err := r.Discard(a.length); err == nil {
				pace(conn, every)
			}
			return false
		}, nil
	}
	return nil, fmt.Errorf("no answer %q", answer)
}

// saying reads the body and then says a text in one write.
func saying(text []byte) part {
	return func(conn net.Conn, r *bufio.Reader, a asked) bool {
		if _, err := r.Discard(a.length); err != nil {
			return false
		}
		_, err := conn.Write(text)
		return err == nil
	}
}

// eager says head and half of a text in one write, every second time as soon as
// it knows what it is asked (servers may do that, RFC 9112, section 9.3), and the
// rest a little later. A proxy that is still busy with the request when the
// answer begins has the most to get wrong then, and the most time to do it in.
func eager(text []byte) part {
	const pause = 2 * time.Millisecond
	var exchanges atomic.Int64
	return func(conn net.Conn, r *bufio.Reader, a asked) bool {
		early := exchanges.Add(1)%2 == 0
		if !early {
			if _, err := r.Discard(a.length); err != nil {
				return false
			}
		}
		if _, err := conn.Write(text[:len(text)/2]); err != nil {
			return false
		}
		if early {
			if _, err := r.Discard(a.length); err != nil {
				return false
			}
		}
		<-time.After(pause)
		_, err := conn.Write(text[len(text)/2:])
		return err == nil
	}
}

// idling says a text and then nothing, until the other side leaves.
func idling(text []byte) part {
	return func(conn net.Conn, r *bufio.Reader, _ asked) bool {
		if _, err := conn.Write(text); err == nil {
			_, _ = io.Copy(io.Discard, r)
		}
		return false
	}
}

// Ids of exchanges that ask for something else than a reply.
const (
	floodID   = "flood"
	lastingID = "lasting"
)

// either answers by one part, or by the other where an exchange has this id.
func either(id string, reply, other part) part {
	return func(conn net.Conn, r *bufio.Reader, a asked) bool {
		if a.id == id {
			return other(conn, r, a)
		}
		return reply(conn, r, a)
	}
}

// lasting says a whole stream, one event after the other with a pause between.
func lasting(every time.Duration) part {
	return func(conn net.Conn, r *bufio.Reader, a asked) bool {
		if _, err := r.Discard(a.length); err != nil {
			return false
		}
		_, err := io.WriteString(conn, streamHead)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; n < streamEvents && err == nil; n++ {
			_, err = conn.Write(chunked(streamEvent(n)))
			<-tick.C
		}
		if err == nil {
			_, err = io.WriteString(conn, lastChunk)
		}
		return err == nil
	}
}

// flooding says head and then the same text as long as anybody takes it.
func flooding(head, text []byte) part {
	const times = 64 // in one write
	text = bytes.Repeat(text, times)
	return func(conn net.Conn, r *bufio.Reader, a asked) bool {
		if _, err := r.Discard(a.length); err != nil {
			return false
		}
		_, err := conn.Write(head)
		for err == nil {
			_, err = conn.Write(text)
		}
		return false
	}
}

// pace sends events until the other side has left. Streams begin at a moment of
// their own, so that they do not all send at once.
func pace(conn net.Conn, every time.Duration) {
	if _, err := io.WriteString(conn, streamHead); err != nil {
		return
	}
	timer := time.NewTimer(rand.N(every))
	defer timer.Stop()
	<-timer.C
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := conn.Write(chunked(stampedEvent(time.Now()))); err != nil {
			return
		}
		<-tick.C
	}
}
