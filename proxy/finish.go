package proxy

import (
	"context"
	"time"
)

// finishWithin bounds how long an upstream is read on after the client has
// left, where a rule wants its exact usage.
const finishWithin = 5 * time.Minute

// outlivingClient gives the context of an attempt that goes on when the client
// leaves, for on_client_gone: finish. What the gateway itself ends still ends
// it, and so does finishWithin.
func (x *exchange) outlivingClient() (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(x.ctx))
	stop := context.AfterFunc(x.ctx, func() {
		if reason := endedBy(x.ctx); reason != endClientGone {
			cancel(&endCause{reason: reason, said: toldBy(x.ctx)})
			return
		}
		bound := time.AfterFunc(finishWithin, func() { cancel(&endCause{reason: endTotalTimeout}) })
		context.AfterFunc(ctx, func() { bound.Stop() })
	})
	x.outlives.Store(&cancel)
	return ctx, func(cause error) {
		stop()
		cancel(cause)
	}
}

// leftBehind says whether the client is gone and the answer is read on without
// it.
func (x *exchange) leftBehind() bool {
	if !x.decision.FinishWhenGone || endedBy(x.ctx) != endClientGone {
		return false
	}
	x.broken = true
	x.record.end(endClientGone, "")
	return true
}

// readOn reads the rest of an answer that no client waits for, for what it says
// of its usage, where the rule wants that.
func (x *exchange) readOn(a *answer, buf []byte, err error) {
	if !x.decision.FinishWhenGone {
		return
	}
	x.cancel(nil) // of a client that only stalled, too: from here finishWithin counts
	for err == nil {
		var n int
		n, err = a.body.Read(buf)
		x.observer.write(buf[:n])
		x.try.watch.hear()
	}
	x.observer.end()
}
