package proxy

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// watch bounds the phases of an attempt with one timer. A chunk that passes
// costs it two stores: the timer is not moved, but looks, when it fires,
// whether there was anything since, and goes on for what is left.
type watch struct {
	timer     *time.Timer
	cancel    context.CancelCauseFunc
	stream    bool // a stream was asked for
	timeouts  accounts.Timeouts
	began     time.Time
	phase     atomic.Int32
	heard     atomic.Int64 // nanoseconds after began: from when the phase's bound counts
	writing   atomic.Bool  // the client, not the upstream, is being waited for: to take more of the answer
	receiving atomic.Bool  // or to send more of its body
}

// The phases of an attempt, each with a bound of its own.
const (
	awaitConnection int32 = iota
	awaitHeader
	awaitToken
	awaitMore
)

func (w *watch) start(cancel context.CancelCauseFunc, t accounts.Timeouts, stream bool) {
	w.cancel, w.timeouts, w.stream, w.began = cancel, t, stream, time.Now()
	w.timer = time.AfterFunc(time.Hour, w.fire)
	w.timer.Reset(w.left(0))
}

// enter begins a phase. The wait for the first token goes on from the dispatch.
func (w *watch) enter(phase int32) {
	now := time.Since(w.began)
	if phase == awaitMore {
		w.heard.Store(int64(now))
	}
	w.phase.Store(phase)
	w.timer.Reset(w.left(now))
}

// hear notes that the upstream sent something. What comes before the first
// token (pings, an empty first event) does not extend the wait for it.
func (w *watch) hear() {
	if w.phase.Load() == awaitMore {
		w.heard.Store(int64(time.Since(w.began)))
	}
}

// took notes that the upstream has taken what the client had sent of its body
// so far, and wants more: until then it had nothing to answer.
func (w *watch) took() { w.heard.Store(int64(time.Since(w.began))) }

// stop ends the watch. A timer that fires all the same finds the exchange over.
func (w *watch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// bound is how long the phase may last (0 or less: as long as it goes on), and how the exchange ends when it
// lasts longer. A stream's header may come no later than its first token.
func (w *watch) bound() (time.Duration, endReason) {
	t := &w.timeouts
	switch w.phase.Load() {
	case awaitConnection:
		return t.Connect, endConnectError
	case awaitHeader:
		if w.stream && t.FirstToken > 0 && (t.ResponseHeader <= 0 || t.FirstToken < t.ResponseHeader) {
			return t.FirstToken, endFirstTokenTimeout
		}
		return t.ResponseHeader, endHeaderTimeout
	case awaitToken:
		return t.FirstToken, endFirstTokenTimeout
	}
	return t.Idle, endIdleTimeout
}

// left is how long the timer has to wait at a moment after start. Where neither
// phase nor total has a bound it looks again after an hour.
func (w *watch) left(now time.Duration) time.Duration {
	left := time.Hour
	if bound, _ := w.bound(); bound > 0 {
		left = time.Duration(w.heard.Load()) + bound - now
	}
	if total := w.timeouts.Total; total > 0 {
		left = min(left, total-now)
	}
	return max(left, time.Millisecond)
}

// fire ends the exchange when a bound has passed, and else waits on.
func (w *watch) fire() {
	now := time.Since(w.began)
	if total := w.timeouts.Total; total > 0 && now >= total {
		w.cancel(&endCause{reason: endTotalTimeout})
		return
	}
	if w.writing.Load() || w.receiving.Load() {
		w.heard.Store(int64(now))
	}
	bound, reason := w.bound()
	if bound > 0 && now-time.Duration(w.heard.Load()) >= bound {
		w.cancel(&endCause{reason: reason})
		return
	}
	for phase := int32(-1); phase != w.phase.Load(); { // a phase that begins just now moves the timer itself
		phase = w.phase.Load()
		w.timer.Reset(w.left(now))
	}
}

// expired names the timeout behind a reason, as it is configured.
func (w *watch) expired(reason endReason) (name string, after time.Duration) {
	switch reason {
	case endHeaderTimeout:
		return "response_header", w.timeouts.ResponseHeader
	case endFirstTokenTimeout:
		return "first_token", w.timeouts.FirstToken
	case endIdleTimeout:
		return "idle", w.timeouts.Idle
	}
	return "total", w.timeouts.Total
}
