package proxy

import (
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// log writes the one line of an exchange. Names of keys may stand in it; keys
// and bodies never.
func (x *exchange) log() {
	line := x.p.options.Log.Info()
	if line == nil {
		return
	}
	r := &x.record
	line.Str("request_id", x.id)
	if id := x.trace.id(); id != "" {
		line.Str("trace_id", id)
	}
	line.Str("method", loggable(x.request.Method)).
		Str("path", loggable(x.request.Path)).
		Int("status", r.status).
		Str("end_reason", string(r.reason)).
		Str("key", x.keyName()).
		Str("user", x.userName()).
		Str("rule", x.ruleName()).
		Str("upstream", x.upstreamName()).
		Str("wire", x.request.Wire.String()).
		Str("model", loggable(x.request.Model)).
		Str("upstream_model", loggable(x.model)).
		Bool("stream", r.stream || x.request.Stream).
		Float64("duration_ms", ms(r.duration)).
		Float64("upstream_ms", ms(r.upstream()))
	if r.firstToken > 0 {
		line.Float64("first_token_ms", ms(r.firstToken))
	}
	line.Int64("overhead_us", r.overhead().Microseconds()).
		Int64("request_bytes", r.requestBytes).
		Int64("response_bytes", r.responseBytes)
	usage := x.usage()
	usage.Each(func(name string, n int64) { line.Int64(name, n) })
	line.Int("attempts", r.attempts).
		Int64("revision", x.revision()).
		Str("node", x.p.options.Node).
		Str("error", r.code)
	if x.observer != nil && r.reason != endComplete {
		line.Str("last_event", loggable(x.observer.lastEvent()))
	}
	if x.observer != nil && x.observer.whyUnread() != "" {
		line.Str("answer_unread", x.observer.whyUnread())
	}
	line.Msg("request")
}

// ms gives milliseconds with three decimals.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (x *exchange) keyName() string {
	if x.who == nil {
		return ""
	}
	return x.who.KeyName
}

func (x *exchange) userName() string {
	if x.who == nil {
		return ""
	}
	return x.who.UserName
}

func (x *exchange) ruleName() string {
	if x.decision.Rule == nil {
		return ""
	}
	return x.decision.Rule.Name
}

func (x *exchange) upstreamName() string {
	if x.target == nil {
		return ""
	}
	return x.target.name
}

func (x *exchange) revision() int64 {
	if x.snap == nil {
		return 0
	}
	return x.snap.set.Revision()
}

func (x *exchange) usage() accounts.Usage {
	if x.observer == nil {
		return accounts.Usage{}
	}
	return x.observer.usage()
}
