package main

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/sdk/trace"
)

// spanQueue stands before OpenTelemetry's batching and counts what it does not
// tell: how many spans were dropped. No more than most are let in that no export
// has taken out again, so that the queue behind it is never full.
type spanQueue struct {
	trace.SpanProcessor
	most    int64
	waiting *atomic.Int64
	full    prometheus.Counter
	dropped *prometheus.CounterVec
}

func newSpanQueue(to trace.SpanExporter, most int) *spanQueue {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "llmgw_trace_spans_dropped_total", Help: "Spans that were not exported, by reason.",
	}, []string{"reason"})
	waiting := new(atomic.Int64)
	counting := &countingExporter{SpanExporter: to, waiting: waiting, failed: dropped.WithLabelValues("export_failed")}
	return &spanQueue{
		SpanProcessor: trace.NewBatchSpanProcessor(counting, trace.WithMaxQueueSize(most)),
		most:          int64(most), waiting: waiting, full: dropped.WithLabelValues("queue_full"), dropped: dropped,
	}
}

// OnEnd implements trace.SpanProcessor. It never waits.
func (q *spanQueue) OnEnd(s trace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.waiting.Add(1) > q.most {
		q.waiting.Add(-1)
		q.full.Inc()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// Describe implements prometheus.Collector.
func (q *spanQueue) Describe(out chan<- *prometheus.Desc) { q.dropped.Describe(out) }

// Collect implements prometheus.Collector.
func (q *spanQueue) Collect(out chan<- prometheus.Metric) { q.dropped.Collect(out) }

// countingExporter counts what leaves the queue, and what is lost behind it.
type countingExporter struct {
	trace.SpanExporter
	waiting *atomic.Int64
	failed  prometheus.Counter
}

// ExportSpans implements trace.SpanExporter.
func (e *countingExporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	e.waiting.Add(-int64(len(spans)))
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		e.failed.Add(float64(len(spans)))
		return fmt.Errorf("exporting %d spans: %w", len(spans), err)
	}
	return nil
}

// traceProblemPause is the least time between two lines about the export: a
// collector that is down would make one for each batch.
const traceProblemPause = 30 * time.Second

// maxTraceProblem bounds a line: a collector's answer is quoted in it.
const maxTraceProblem = 300

// traceProblems tells of what goes wrong in OpenTelemetry, once in a while.
type traceProblems struct {
	log    zerolog.Logger
	now    func() time.Time
	last   atomic.Int64 // UnixNano of the last line
	silent atomic.Int64 // lines not written since
}

// Handle implements otel.ErrorHandler.
func (p *traceProblems) Handle(err error) { p.tell(err.Error()) }

func (p *traceProblems) tell(text string) {
	now, last := p.now().UnixNano(), p.last.Load()
	if last != 0 && now-last < int64(traceProblemPause) || !p.last.CompareAndSwap(last, now) {
		p.silent.Add(1)
		return
	}
	if text = withoutURLs(text); len(text) > maxTraceProblem {
		text = strings.ToValidUTF8(text[:maxTraceProblem], "") + "…"
	}
	p.log.Warn().Str("code", "tracing").Str("cause", text).Int64("not_shown", p.silent.Swap(0)).Msg("error")
}

var urlInText = regexp.MustCompile(`\w+://[^\s"]+`)

// withoutURLs leaves of every URL in a text what is no secret: scheme and host.
// People put tokens into the rest.
func withoutURLs(text string) string {
	return urlInText.ReplaceAllStringFunc(text, func(found string) string {
		u, err := url.Parse(found)
		if err != nil || u.Host == "" {
			return "‹url›"
		}
		return u.Scheme + "://" + u.Host
	})
}
