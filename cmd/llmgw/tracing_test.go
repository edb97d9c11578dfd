package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/sdk/trace"
	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes spans over OTLP/HTTP and remembers who sent which.
type collector struct {
	mu    sync.Mutex
	lines []string // "service name: span name"
	raw   bytes.Buffer
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var request collect.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(raw, &request) != nil || r.URL.Path != "/v1/traces" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(raw)
	for _, group := range request.ResourceSpans {
		service := ""
		for _, one := range group.Resource.Attributes {
			if one.Key == "service.name" {
				service = one.Value.GetStringValue()
			}
		}
		for _, scope := range group.ScopeSpans {
			for _, span := range scope.Spans {
				c.lines = append(c.lines, service+": "+span.Name)
			}
		}
	}
}

type collectorKey struct{}

// collector: starts one, and sets COLLECTOR to its URL.
func startCollector(ts *testscript.TestScript, _ bool, _ []string) {
	c := &collector{}
	server := httptest.NewServer(c)
	ts.Defer(server.Close)
	ts.Setenv("COLLECTOR", server.URL)
	ts.Value(collectorKey{}).(map[string]*collector)[server.URL] = c
}

// spans: prints what the collector at $COLLECTOR got, a line for each span.
func exportedSpans(ts *testscript.TestScript, _ bool, _ []string) {
	c := ts.Value(collectorKey{}).(map[string]*collector)[ts.Getenv("COLLECTOR")]
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.lines)
	fmt.Fprintln(ts.Stdout(), strings.Join(c.lines, "\n"))
	if bytes.Contains(c.raw.Bytes(), []byte("sk-lgw-")) {
		ts.Fatalf("spans contain a gateway key")
	}
}

// slowExporter takes spans only when it is let.
type slowExporter struct {
	let  chan struct{}
	err  error
	took int
}

func (e *slowExporter) ExportSpans(_ context.Context, spans []trace.ReadOnlySpan) error {
	<-e.let
	e.took += len(spans)
	return e.err
}

func (*slowExporter) Shutdown(context.Context) error { return nil }

// counted gives what a counter says.
func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestSpansThatNobodyTakesAreCounted(t *testing.T) {
	const most, ended = 64, 1000
	exporter := &slowExporter{let: make(chan struct{})}
	queue := newSpanQueue(exporter, most)
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(queue))
	begun := time.Now()
	for range ended {
		_, span := provider.Tracer("test").Start(t.Context(), "x")
		span.End()
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("ending spans took %s while nobody takes them", took)
	}
	close(exporter.let)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := provider.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	dropped := int(counted(t, queue.full))
	if dropped == 0 || dropped+exporter.took != ended {
		t.Errorf("%d exported and %d dropped of %d", exporter.took, dropped, ended)
	}
	if waiting := queue.waiting.Load(); waiting != 0 {
		t.Errorf("%d still wait", waiting)
	}
}

func TestSpansThatAreRefusedAreCounted(t *testing.T) {
	exporter := &slowExporter{let: make(chan struct{}), err: errors.New("no")}
	close(exporter.let)
	counting := newSpanQueue(exporter, 10)
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(counting))
	_, span := provider.Tracer("test").Start(t.Context(), "x")
	span.End()
	_ = provider.Shutdown(t.Context()) // the exporter's own error, which is what is counted
	if got := counted(t, counting.dropped.WithLabelValues("export_failed")); got != 1 {
		t.Errorf("%v counted", got)
	}
	if unsampled := trace.NewTracerProvider(trace.WithSpanProcessor(counting), trace.WithSampler(trace.NeverSample())); unsampled != nil {
		_, span := unsampled.Tracer("test").Start(t.Context(), "x")
		span.End()
	}
	if n := counting.waiting.Load(); n != 0 {
		t.Errorf("%d wait that nobody sampled", n)
	}
}

func TestTroubleWithTheExportIsToldOnceInAWhile(t *testing.T) {
	var log bytes.Buffer
	at := time.Unix(1000, 0)
	p := &traceProblems{log: zerolog.New(&log), now: func() time.Time { return at }}
	for range 3 {
		p.Handle(errors.New(`traces export: Post "https://user:hunter2@collector.example:4318/v1/traces?token=hunter2": connection refused`))
	}
	at = at.Add(traceProblemPause)
	p.tell(strings.Repeat("é", maxTraceProblem))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `Post \"https://collector.example:4318\": connection refused`) || !strings.Contains(lines[1], `"not_shown":2`) {
		t.Errorf("log:\n%s", log.String())
	}
	if strings.Contains(log.String(), "hunter2") || len(lines[1]) > maxTraceProblem+200 {
		t.Errorf("log:\n%s", log.String())
	}
}

func TestWhenTracesAreExported(t *testing.T) {
	for name, c := range map[string]struct {
		set  map[string]string
		want bool
		told bool
	}{
		"nothing is set":            {},
		"an endpoint":               {set: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, want: true},
		"an endpoint for traces":    {set: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, want: true},
		"by name":                   {set: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, want: true},
		"by name among others":      {set: map[string]string{"OTEL_TRACES_EXPORTER": "console, otlp"}, want: true},
		"none":                      {set: map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}},
		"a name that is not known":  {set: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, told: true},
		"the kit is switched off":   {set: map[string]string{"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}},
		"the kit is not off at all": {set: map[string]string{"OTEL_SDK_DISABLED": "1", "OTEL_TRACES_EXPORTER": "otlp"}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
				t.Setenv(variable, c.set[variable])
			}
			var log bytes.Buffer
			got := tracingAsked(&traceProblems{log: zerolog.New(&log), now: time.Now})
			if got != c.want || (log.Len() > 0) != c.told {
				t.Errorf("asked %v, told %q", got, log.String())
			}
		})
	}
}

func TestWhichContextIsSpoken(t *testing.T) {
	for set, want := range map[string]string{
		"":                     "traceparent tracestate baggage",
		"tracecontext":         "traceparent tracestate",
		"baggage,tracecontext": "baggage traceparent tracestate",
		"none":                 "",
		"b3":                   "",
	} {
		t.Run(set, func(t *testing.T) {
			t.Setenv("OTEL_PROPAGATORS", set)
			var log bytes.Buffer
			fields := tracePropagator(&traceProblems{log: zerolog.New(&log), now: time.Now}).Fields()
			wanted := strings.Fields(want)
			slices.Sort(fields)
			slices.Sort(wanted)
			if !slices.Equal(fields, wanted) || (log.Len() > 0) != (set == "b3") {
				t.Errorf("headers %v, told %q", fields, log.String())
			}
		})
	}
}
