package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// count adds an exchange that has ended to the metrics.
func (x *exchange) count() {
	r, m := &x.record, x.p.metrics
	s := x.series()
	s.counter(methodLabel(x.request.Method), r.status).Inc()
	m.totals.requests.Add(1)
	m.duration.Observe(r.duration.Seconds())
	m.overhead.Observe(r.overhead().Seconds())
	m.requestBytes.Add(float64(r.requestBytes))
	m.responseBytes.Add(float64(r.responseBytes))
	if r.code != "" && r.code != codeRule {
		m.errors.WithLabelValues(r.code).Inc()
	}
	if r.status >= 500 || x.broken && r.reason.isTheGateways() {
		m.totals.errors.Add(1)
	}
	if r.stream {
		m.streamsEnded.WithLabelValues(s.rule, s.upstream, string(r.reason)).Inc()
	}
	if x.target != nil && r.dispatched > 0 {
		x.countUpstream(s)
		x.countTokens()
	}
}

// series finds the handles of the exchange's rule and upstream.
func (x *exchange) series() *series {
	column := 0
	if x.target != nil {
		column = x.target.index + 1
	}
	switch {
	case x.decision.Rule != nil:
		row := x.snap.rules[x.decision.Rule.Index]
		return row.series(x.p.metrics, column, x.decision.Rule.Name, x.upstreamName())
	case column > 0: // where the caller is bound to
		return x.snap.unruled.series(x.p.metrics, column, "", x.upstreamName())
	}
	return x.p.metrics.unruled
}

func (x *exchange) countUpstream(s *series) {
	r := &x.record
	observe := func(to prometheus.Observer, d time.Duration) {
		if to != nil && d > 0 {
			to.Observe(d.Seconds())
		}
	}
	since := func(d time.Duration) time.Duration { return max(0, d-r.dispatched) }
	observe(s.connect, r.connect)
	observe(s.header, since(r.header))
	observe(s.token, since(r.firstToken))
	observe(s.total, since(r.duration))
	if r.stream {
		observe(s.firstToken, r.firstToken)
	}
}

// countTokens adds what the provider counted. The model is a label only where
// an operator wrote its name.
func (x *exchange) countTokens() {
	usage := x.usage()
	model := "other"
	if _, known := x.snap.models[x.model]; known {
		model = x.model
	}
	usage.Each(func(kind string, n int64) {
		x.p.metrics.tokens.WithLabelValues(x.upstreamName(), model, kind).Add(float64(n))
	})
	for _, to := range [...]*traffic{&x.p.metrics.totals, x.target.traffic} {
		to.inputTokens.Add(usage.InputTokens.N)
		to.outputTokens.Add(usage.OutputTokens.N)
	}
}
