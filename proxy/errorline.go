package proxy

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/rs/zerolog"
)

// The lines with msg "error" stand beside the access line and say why: one for
// every failure of the gateway's own making, for every stream that broke, and
// for every attempt that another one made up for. Mistakes of callers are told
// at debug only: anybody can make them, as often as they like.

// errNoLastEvent is a stream that came to an end before its own.
var errNoLastEvent = errors.New("the answer ended without the last event of its protocol")

// maxCause bounds what an error line quotes: some errors of the transport hold
// a line that an upstream sent.
const maxCause = 400

// level is how much a failure is the business of whoever runs the gateway.
func (f *failure) level() zerolog.Level {
	switch {
	case f.code == codeDraining, f.code == codeNotReady, f.code == codeOverBudget, f.code == codeStale:
		return zerolog.WarnLevel // what it was told to do
	case f.status >= 500:
		return zerolog.ErrorLevel
	case f.cause != nil:
		return zerolog.WarnLevel // refused for something that an operator wrote
	}
	return zerolog.DebugLevel
}

// logFailure tells of a failure that ends the exchange.
func (x *exchange) logFailure(f *failure) {
	if line := x.p.options.Log.WithLevel(f.level()); line != nil {
		x.errorLine(line, f.code, f.why())
	}
}

// logRetried tells of an attempt that failed and is made up for by another one.
func (x *exchange) logRetried(a *answer, f *failure) {
	line := x.p.options.Log.Warn()
	if line == nil {
		return
	}
	line.Bool("retried", true)
	if f == nil {
		x.errorLine(line, codeUpstreamStatus, fmt.Sprintf("the upstream answered %d", a.status))
		return
	}
	x.errorLine(line, f.code, f.why())
}

// logBroken tells of a stream that did not come to its end; err is nil where
// the gateway itself ended it.
func (x *exchange) logBroken(reason endReason, err error) {
	level := zerolog.ErrorLevel
	if reason == endDrained || reason == endRevoked {
		level = zerolog.WarnLevel
	}
	line := x.p.options.Log.WithLevel(level)
	if line == nil {
		return
	}
	why := (&endCause{reason: reason}).Error()
	if err != nil {
		why = err.Error()
	}
	line.Str("end_reason", string(reason)).Int64("response_bytes", x.record.responseBytes)
	x.errorLine(line, codeStreamCut, why)
}

// errorLine writes a line. What is no answer may be an echo of the request, and
// the errors of the transport quote it; so no secret of either side is left in.
func (x *exchange) errorLine(line *zerolog.Event, code, cause string) {
	line.Str("request_id", x.id)
	if id := x.trace.id(); id != "" {
		line.Str("trace_id", id)
	}
	line.Str("code", code).
		Str("rule", x.ruleName()).
		Str("upstream", x.upstreamName())
	if x.record.attempts > 0 {
		line.Int("attempt", x.record.attempts)
	}
	text := string(masked([]byte(cause), x.secrets(), false))
	if len(text) > maxCause {
		text = strings.ToValidUTF8(text[:maxCause], "") + "…"
	}
	line.Str("phase", x.phase()).Str("cause", text).Msg("error")
}

// phase names how far the exchange has come, as the metrics do.
func (x *exchange) phase() string {
	if x.try == nil {
		return "request"
	}
	switch x.try.watch.phase.Load() {
	case awaitConnection:
		return "connect"
	case awaitHeader:
		return "header"
	case awaitToken:
		return "first_token"
	}
	return "body"
}

// logPanic writes where a panic came from. Its value may hold anything, so only
// its type is told.
func (p *Proxy) logPanic(id string, v any) {
	p.options.Log.Error().Str("request_id", id).Str("code", codeInternal).
		Str("cause", fmt.Sprintf("panic of type %T", v)).Bytes("stack", debug.Stack()).Msg("error")
}
