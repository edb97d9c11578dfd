package proxy

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Tracing makes spans of exchanges: one for each exchange, below it one for each
// attempt, and below that one for the stream, if the answer was one. They hold
// names, sizes, times and counts; no body, query, header or key.
type Tracing struct {
	Tracer trace.Tracer

	// Propagator reads the caller's trace context, and writes the attempt's for
	// the upstream. The headers that it speaks are then its own; all others pass
	// as they came.
	Propagator propagation.TextMapPropagator
}

// exchangeTrace is the spans of one exchange. Every method does nothing on nil,
// which is what an exchange has where tracing is off.
type exchangeTrace struct {
	by      *Tracing
	ctx     context.Context // holds the exchange's span, and the caller's baggage
	span    trace.Span
	trying  context.Context // holds the attempt's span
	attempt trace.Span      // nil where none is under way
	tries   int
}

// begin begins the span of an exchange. A trace context that cannot be read is
// none: the span begins a trace of its own.
func (t *Tracing) begin(r *http.Request, at time.Time) *exchangeTrace {
	if t == nil {
		return nil
	}
	ctx := t.Propagator.Extract(context.WithoutCancel(r.Context()), propagation.HeaderCarrier(r.Header))
	ctx, span := t.Tracer.Start(ctx, spanMethod(r.Method), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(at))
	return &exchangeTrace{by: t, ctx: ctx, span: span}
}

// id gives the trace's id as log lines have it, "" where there is none.
func (t *exchangeTrace) id() string {
	if t == nil || !t.span.SpanContext().HasTraceID() {
		return ""
	}
	return t.span.SpanContext().TraceID().String()
}

// beginAttempt begins the span of an attempt.
func (t *exchangeTrace) beginAttempt(x *exchange) {
	if t == nil {
		return
	}
	t.trying, t.attempt = t.by.Tracer.Start(t.ctx, x.attemptSpanName(), trace.WithSpanKind(trace.SpanKindClient))
}

// describeAttempt says where an attempt goes.
func (t *exchangeTrace) describeAttempt(x *exchange) {
	if t == nil {
		return
	}
	t.tries++
	if !t.attempt.IsRecording() {
		return
	}
	t.attempt.SetAttributes(x.attemptAttributes(x.try.to, t.tries)...)
	if x.model != "" {
		t.attempt.SetAttributes(attrRequestModel.String(loggable(x.model)))
	}
}

// inject puts the attempt's trace context into the headers for its upstream, in
// place of the caller's. What baggage brings from the caller is looked at as
// every header is: no key crosses over in it.
func (t *exchangeTrace) inject(header http.Header, secret string) {
	if t == nil {
		return
	}
	spoken := t.by.Propagator.Fields()
	for _, name := range spoken {
		delete(header, http.CanonicalHeaderKey(name))
	}
	t.by.Propagator.Inject(t.trying, propagation.HeaderCarrier(header))
	for _, name := range spoken {
		if name = http.CanonicalHeaderKey(name); holds(header[name], secret) {
			delete(header, name)
		}
	}
}

// answered notes the status that an upstream answered.
func (t *exchangeTrace) answered(status int) {
	if t == nil {
		return
	}
	t.attempt.SetAttributes(attrHTTPStatus.Int(status))
	if status >= http.StatusInternalServerError {
		failSpan(t.attempt, strconv.Itoa(status))
	}
}

// attemptFailed ends the span of an attempt that gave no answer, or none that is
// passed on; f is nil for the latter.
func (t *exchangeTrace) attemptFailed(f *failure) {
	if t == nil || t.attempt == nil {
		return
	}
	if f != nil {
		t.attempt.SetAttributes(attrEndReason.String(string(f.reason())))
		if f.end != endClientGone {
			failSpan(t.attempt, f.code)
		}
	}
	t.attempt.End()
	t.attempt = nil
}

// end ends the spans with the exchange.
func (t *exchangeTrace) end(x *exchange) {
	if t == nil {
		return
	}
	if t.attempt != nil {
		t.endAttempt(x)
	}
	if t.span.IsRecording() {
		t.span.SetName(x.spanName())
		t.span.SetAttributes(x.exchangeAttributes()...)
		if problem := x.errorType(); problem != "" {
			t.span.SetStatus(codes.Error, problem)
		}
	}
	t.span.End()
}

// endAttempt ends the attempt whose answer was passed on, or that ended with
// the exchange.
func (t *exchangeTrace) endAttempt(x *exchange) {
	if t.attempt.IsRecording() {
		if x.record.stream && x.record.firstByte > 0 {
			t.stream(x)
		}
		t.attempt.SetAttributes(attrEndReason.String(string(x.record.reason)))
		t.attempt.SetAttributes(usageAttributes(x.usage())...)
		if problem := x.errorType(); problem != "" {
			failSpan(t.attempt, problem)
		}
	}
	t.attempt.End()
}

// stream makes the span of a stream that has ended: from the first byte to the
// last. Made afterwards, it costs the stream nothing while it runs.
func (t *exchangeTrace) stream(x *exchange) {
	r := &x.record
	at := func(d time.Duration) trace.SpanEventOption { return trace.WithTimestamp(x.started.Add(d)) }
	_, span := t.by.Tracer.Start(t.trying, "stream", at(r.firstByte))
	if r.firstToken > 0 {
		span.AddEvent(eventFirstToken, at(r.firstToken))
	}
	span.SetAttributes(attrResponseBytes.Int64(r.responseBytes), attrEndReason.String(string(r.reason)))
	if problem := x.errorType(); problem != "" {
		failSpan(span, problem)
	}
	span.End(at(r.duration))
}

// failSpan marks a span as failed. The description is the type itself: what
// went wrong in words may quote an upstream, and stands in the log.
func failSpan(span trace.Span, problem string) {
	span.SetAttributes(attrErrorType.String(problem))
	span.SetStatus(codes.Error, problem)
}

// spanName names an exchange by what operators wrote: its rule, or the wire
// format where none took it. A path would make as many names as callers like.
func (x *exchange) spanName() string {
	of := x.ruleName()
	if of == "" {
		of = x.request.Wire.String()
	}
	if of == "" {
		return spanMethod(x.request.Method)
	}
	return spanMethod(x.request.Method) + " " + of
}

// attemptSpanName is the operation and the model, as the conventions have it,
// but only a model whose name an operator wrote.
func (x *exchange) attemptSpanName() string {
	name := operationOf(x.request.Wire)
	if name == "" {
		name = spanMethod(x.request.Method)
	}
	if _, known := x.snap.models[x.request.Model]; known {
		name += " " + x.request.Model
	}
	return name
}
