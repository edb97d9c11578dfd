package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// neverQuiet keeps the sweeper away from an exchange that reads its client's
// connection itself, and so knows when it ends.
const neverQuiet = math.MaxInt64

// tunnel is a WebSocket under way. Two loops copy, each in one direction, every
// byte as it came and at once; what follows the frames looks at what has passed.
//
// Whatever ends the session ends the context of its attempt, and the first cause
// stands. That wakes both loops, so that the one goroutine that is left when they
// have returned is alone with the client: it says the gateway's own Close, if
// there is one to be said and only whole frames have passed, and hangs up.
//
// A session may last for hours, and a stop is for minutes. So when the gateway
// takes no more requests, a session that rests (between two messages, no response
// under way) ends at once, and any other one as soon as it rests; the drain's
// limit cuts what is left.
type tunnel struct {
	x           *exchange
	ctx         context.Context
	client      net.Conn
	early       *bytes.Reader // of the client, before it was answered
	upstream    io.ReadWriteCloser
	clientSlow  *time.Timer // ends the session when the client takes nothing for too long
	upstreamBad *time.Timer // the same for the upstream
	recheck     *time.Timer
	interrupted chan struct{} // closed when interrupt is done

	mu    sync.Mutex // held while the client is written to
	down  messages   // what the upstream says
	going endReason  // why the session ends when nothing is being answered; "": it does not

	up     frames                     // what the client says
	byes   atomic.Uint32              // whose Close frame has passed
	closer atomic.Pointer[time.Timer] // bounds what follows the first of them

	uploaded, downloaded int64 // bytes
}

func newTunnel(x *exchange, client net.Conn, upstream io.ReadWriteCloser, early []byte) *tunnel {
	t := &tunnel{
		x: x, ctx: x.try.ctx, client: client, upstream: upstream,
		early:       bytes.NewReader(bytes.Clone(early)),
		down:        messages{to: x.observer},
		interrupted: make(chan struct{}),
	}
	t.clientSlow = t.stoppedTimer(endClientStalled)
	t.upstreamBad = t.stoppedTimer(endUpstreamError)
	return t
}

// stoppedTimer makes the timer of a write.
func (t *tunnel) stoppedTimer(reason endReason) *time.Timer {
	timer := time.AfterFunc(time.Hour, func() { t.end(reason) })
	timer.Stop()
	return timer
}

// run relays until the session has ended, and says why it has.
func (t *tunnel) run() endReason {
	t.x.try.watch.enter(awaitMore)
	context.AfterFunc(t.ctx, t.interrupt)
	stay := context.AfterFunc(t.x.p.leaving, func() { t.leave(endDrained) })
	t.recheck = time.AfterFunc(time.Hour, t.checkKey)
	t.recheck.Reset(t.x.p.options.Recheck)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.upload()
	}()
	t.download()
	<-done
	t.end(endComplete) // where nothing else has ended it
	<-t.interrupted
	stay()
	t.recheck.Stop()
	if closer := t.closer.Load(); closer != nil {
		closer.Stop()
	}
	reason := endedBy(t.ctx)
	t.hangUp(reason)
	return reason
}

// end ends the session. The first reason stands.
func (t *tunnel) end(reason endReason) { t.x.try.cancel(&endCause{reason: reason}) }

// interrupt wakes both loops, and leaves a little time for what the client is
// being told.
func (t *tunnel) interrupt() {
	defer close(t.interrupted)
	now := time.Now()
	_ = t.client.SetReadDeadline(now)
	if endedBy(t.ctx) != endClientStalled { // which has had its time
		now = now.Add(farewellTime)
	}
	_ = t.client.SetWriteDeadline(now)
	_ = t.upstream.Close()
}

// leave ends the session because the gateway stops, or because its key was
// revoked and its streams kept: at once where nothing is being answered, and else
// when it has been; see deliver. Where the drain's limit passes before, the
// session is cut as any other exchange is.
func (t *tunnel) leave(why endReason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.going = why
	if t.down.atRest() && t.byes.Load() == 0 {
		t.end(why)
	}
}

// checkKey ends the session of a key that is valid no more. Where nobody can say,
// it goes on.
func (t *tunnel) checkKey() {
	if t.ctx.Err() != nil {
		return
	}
	who, err := t.x.p.options.Source.Identify(t.ctx, accounts.HashKey(t.x.secret))
	switch {
	case err == nil && who.KeepStreams && who.State(time.Now()) == accounts.KeyRevoked:
		t.leave(endRevoked)
	case errors.Is(err, accounts.ErrNotFound), err == nil && who.State(time.Now()) != accounts.KeyActive:
		t.end(endRevoked)
	default:
		t.recheck.Reset(t.x.p.options.Recheck)
	}
}

// download copies what the upstream says to the client.
func (t *tunnel) download() {
	buf := relayPool.Get().(*[relayBytes]byte)
	defer relayPool.Put(buf)
	for {
		n, err := t.upstream.Read(buf[:])
		if n > 0 && !t.deliver(buf[:n]) {
			return
		}
		if err != nil {
			t.upstreamEnded(err)
			return
		}
	}
}

// deliver gives bytes to the client. It is false when nothing more may follow.
func (t *tunnel) deliver(b []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.going != "" {
		return t.deliverFrames(b)
	}
	if !t.toClient(b) {
		return false
	}
	t.down.follow(b)
	t.noteClose(&t.down.frames, upstreamsBye)
	return true
}

// deliverFrames is deliver when the gateway stops: frame by frame, for the first
// moment at which the session is at rest ends it.
func (t *tunnel) deliverFrames(b []byte) bool {
	for len(b) > 0 {
		n := t.down.next(b)
		if !t.toClient(b[:n]) {
			return false
		}
		t.noteClose(&t.down.frames, upstreamsBye)
		if t.down.atRest() && t.byes.Load() == 0 {
			t.end(t.going)
			return false
		}
		b = b[n:]
	}
	return true
}

func (t *tunnel) toClient(b []byte) bool {
	if t.ctx.Err() != nil {
		return false
	}
	t.clientSlow.Reset(t.x.p.options.WriteStall)
	_, err := t.client.Write(b)
	t.clientSlow.Stop()
	if err != nil {
		t.clientLost()
		return false
	}
	t.downloaded += int64(len(b))
	t.x.record.sent.Store(t.downloaded)
	t.x.record.gaps.writes++
	t.x.try.watch.hear()
	return true
}

// upload copies what the client says to the upstream. An upstream that takes
// nothing more may still have something to say, so the client is read on; it
// must not take for a reset what is an end.
func (t *tunnel) upload() {
	buf := relayPool.Get().(*[relayBytes]byte)
	defer relayPool.Put(buf)
	for deaf := false; ; {
		n, err := t.readClient(buf[:])
		if n > 0 {
			t.uploaded += int64(n)
			t.x.try.watch.hear()
			t.followClient(buf[:n]) // first, for the upstream may end as soon as it has a Close
			deaf = deaf || !t.toUpstream(buf[:n])
		}
		if err != nil {
			t.clientEnded()
			return
		}
	}
}

func (t *tunnel) readClient(b []byte) (int, error) {
	if t.early.Len() > 0 {
		return t.early.Read(b)
	}
	return t.client.Read(b)
}

func (t *tunnel) toUpstream(b []byte) bool {
	t.upstreamBad.Reset(t.x.p.options.WriteStall)
	_, err := t.upstream.Write(b)
	t.upstreamBad.Stop()
	return err == nil
}

func (t *tunnel) followClient(b []byte) {
	for len(b) > 0 {
		n, _ := t.up.next(b)
		b = b[n:]
	}
	t.noteClose(&t.up, clientsBye)
}
