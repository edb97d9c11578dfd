package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// collector takes spans over OTLP/HTTP, as a real one does.
type collector struct {
	t    testing.TB
	url  string
	mu   sync.Mutex
	raw  bytes.Buffer
	got  []*wire.Span
	more chan struct{}
}

func newCollector(t testing.TB) *collector {
	c := &collector{t: t, more: make(chan struct{})}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var request collect.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(raw, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(raw)
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.got = append(c.got, scope.Spans...)
		}
	}
	close(c.more)
	c.more = make(chan struct{})
}

// trace waits for a whole trace: it ends with its exchange. The spans come by
// their names, numbered where there are several of one.
func (c *collector) trace(id string) map[string]*wire.Span {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		got, more := c.got, c.more
		c.mu.Unlock()
		spans, whole := map[string]*wire.Span{}, false
		for _, span := range got {
			if fmt.Sprintf("%x", span.TraceId) != id {
				continue
			}
			whole = whole || span.Kind == wire.Span_SPAN_KIND_SERVER
			name := span.Name
			for n := 2; spans[name] != nil; n++ {
				name = fmt.Sprintf("%s %d", span.Name, n)
			}
			spans[name] = span
		}
		if whole {
			return spans
		}
		select {
		case <-more:
		case <-deadline:
			c.t.Fatalf("no trace %s among %d spans", id, len(got))
		}
	}
}

// tracing makes a gateway export to a collector.
func (c *collector) tracing(t testing.TB, options ...sdk.TracerProviderOption) func(*setup) {
	t.Helper()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(c.url+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdk.NewTracerProvider(append(options, sdk.WithBatcher(exporter, sdk.WithBatchTimeout(time.Millisecond)))...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			t.Errorf("ending traces: %v", err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, canary := range []string{accounts.KeyPrefix, credentialCanary, "canary-body", "canary-query", "canary-header"} {
			if bytes.Contains(c.raw.Bytes(), []byte(canary)) {
				t.Errorf("spans contain %s", canary)
			}
		}
	})
	return func(s *setup) {
		s.options.Tracing = &Tracing{
			Tracer:     provider.Tracer("test"),
			Propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
		}
	}
}

// said gives the attributes of a span as text.
func attributesOf(span *wire.Span) map[string]string {
	all := map[string]string{}
	for _, one := range span.Attributes {
		switch v := one.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[one.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[one.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			all[one.Key] = fmt.Sprint(v.BoolValue)
		default:
			all[one.Key] = one.Value.String()
		}
	}
	return all
}

func failedSpan(span *wire.Span) bool {
	return span.Status.GetCode() == wire.Status_STATUS_CODE_ERROR
}

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
	traceparent  = "00-" + callersTrace + "-" + callersSpan + "-01"
)

func TestTheSpansOfAStream(t *testing.T) {
	var seen http.Header
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		seen = r.Header
		say(c, streamHead, chunk(firstEvent), chunk(`data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`+"\n\n"), chunk("data: [DONE]\n\n"), "0\r\n\r\n")
		return true
	})
	spans := newCollector(t)
	g := newGateway(t, up.url, spans.tracing(t), func(s *setup) { s.config.Upstreams[0].Models = []string{"gpt-x"} })
	r := g.post("/v1/chat/completions?q=canary-query", `{"model":"gpt-x","stream":true,"messages":"canary-body"}`)
	r.Header.Set("Traceparent", traceparent)
	r.Header.Set("Tracestate", "vendor=1")
	r.Header.Set("Baggage", "tenant=blue")
	r.Header.Set("X-Custom", "canary-header")
	response, body, err := g.do(r)
	if err != nil {
		t.Fatal(err)
	}
	line := g.line(response)
	if line["trace_id"] != callersTrace {
		t.Errorf("trace_id of the access line is %v", line["trace_id"])
	}

	got := spans.trace(callersTrace)
	exchange, attempt, stream := got["POST everything"], got["chat gpt-x"], got["stream"]
	if len(got) != 3 || exchange == nil || attempt == nil || stream == nil {
		t.Fatalf("spans %v", got)
	}
	for _, c := range []struct {
		name         string
		span, parent *wire.Span
		kind         wire.Span_SpanKind
	}{
		{"attempt", attempt, exchange, wire.Span_SPAN_KIND_CLIENT},
		{"stream", stream, attempt, wire.Span_SPAN_KIND_INTERNAL},
	} {
		if !bytes.Equal(c.span.ParentSpanId, c.parent.SpanId) || c.span.Kind != c.kind || failedSpan(c.span) {
			t.Errorf("%s: parent %x, kind %v, status %v", c.name, c.span.ParentSpanId, c.span.Kind, c.span.Status)
		}
		if c.span.StartTimeUnixNano < c.parent.StartTimeUnixNano || c.span.EndTimeUnixNano > c.parent.EndTimeUnixNano {
			t.Errorf("%s lies outside its parent", c.name)
		}
	}
	if fmt.Sprintf("%x", exchange.ParentSpanId) != callersSpan || exchange.TraceState != "vendor=1" || failedSpan(exchange) {
		t.Errorf("exchange: parent %x, state %q, status %v", exchange.ParentSpanId, exchange.TraceState, exchange.Status)
	}
	if len(stream.Events) != 1 || stream.Events[0].Name != "first_token" {
		t.Errorf("events of the stream: %v", stream.Events)
	}
	if want := fmt.Sprintf("00-%s-%x-01", callersTrace, attempt.SpanId); seen.Get("Traceparent") != want || seen.Get("Tracestate") != "vendor=1" || seen.Get("Baggage") != "tenant=blue" {
		t.Errorf("the upstream saw %v", seen)
	}

	host, port, _ := net.SplitHostPort(strings.TrimPrefix(up.url, "http://"))
	id, size := response.Header.Get("X-Llmgw-Request-Id"), fmt.Sprint(len(body))
	for name, c := range map[string]struct {
		span *wire.Span
		want map[string]string
	}{
		"exchange": {exchange, map[string]string{
			"llmgw.request_id": id, "http.request.method": "POST", "http.response.status_code": "200", "url.path": "/v1/chat/completions",
			"url.scheme": "http", "server.address": "127.0.0.1", "llmgw.end_reason": "complete", "llmgw.revision": "7", "llmgw.key": "ci-bot",
			"llmgw.rule": "everything", "llmgw.upstream": "up", "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-x",
			"llmgw.request_bytes": fmt.Sprint(r.ContentLength), "llmgw.response_bytes": size,
		}},
		"attempt": {attempt, map[string]string{
			"llmgw.request_id": id, "http.request.method": "POST", "http.response.status_code": "200", "url.scheme": "http",
			"server.address": host, "server.port": port, "llmgw.end_reason": "complete", "llmgw.key": "ci-bot", "llmgw.rule": "everything",
			"llmgw.upstream": "up", "gen_ai.operation.name": "chat", "gen_ai.provider.name": "generic", "gen_ai.request.model": "gpt-x",
			"gen_ai.request.stream": "true", "gen_ai.usage.input_tokens": "3", "gen_ai.usage.output_tokens": "4",
		}},
		"stream": {stream, map[string]string{"llmgw.response_bytes": size, "llmgw.end_reason": "complete"}},
	} {
		if diff := cmp.Diff(c.want, attributesOf(c.span)); diff != "" {
			t.Errorf("attributes of the %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryAttemptHasASpan(t *testing.T) {
	var parents []string
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		parents = append(parents, r.Header.Get("Traceparent"))
		if len(parents) == 1 {
			say(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
			return true
		}
		say(c, answerText("application/json", "{}"))
		return true
	})
	spans := newCollector(t)
	g := newGateway(t, up.url, spans.tracing(t), func(s *setup) {
		s.config.Files[0].Rules[0].Action.Retry = &rules.Retry{On: rules.RetryWhen(0, 503), Attempts: 2}
	})
	response, _, err := g.do(g.post("/v1/messages", `{"model":"made-up"}`))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.StatusCode, err)
	}
	id, _ := g.line(response)["trace_id"].(string)
	got := spans.trace(id)
	first, second, exchange := got["chat"], got["chat 2"], got["POST everything"]
	if len(got) != 3 || first == nil || second == nil || exchange == nil {
		t.Fatalf("spans %v", got)
	}
	if !failedSpan(first) || attributesOf(first)["error.type"] != "503" || attributesOf(first)["http.response.status_code"] != "503" {
		t.Errorf("first attempt: %v %v", first.Status, attributesOf(first))
	}
	if failedSpan(second) || attributesOf(second)["http.request.resend_count"] != "1" || attributesOf(second)["http.response.status_code"] != "200" {
		t.Errorf("second attempt: %v %v", second.Status, attributesOf(second))
	}
	if failedSpan(exchange) || len(exchange.ParentSpanId) != 0 {
		t.Errorf("exchange: %v", exchange)
	}
	for i, span := range []*wire.Span{first, second} {
		if want := fmt.Sprintf("00-%s-%x-01", id, span.SpanId); parents[i] != want || !bytes.Equal(span.ParentSpanId, exchange.SpanId) {
			t.Errorf("attempt %d: the upstream saw %s, want %s", i+1, parents[i], want)
		}
	}
}

func TestWhatBecomesOfTraceHeaders(t *testing.T) {
	const odd = "00-ZZ-nothing-01"
	key := accounts.KeyPrefix + "somebodys"
	for name, c := range map[string]struct {
		on      bool
		in      map[string]string
		change  func(*setup)
		want    map[string]string // "NEW": a trace of the gateway's own; absent: must not be there
		inTrace string
	}{
		"off, they pass as they came": {in: map[string]string{"Traceparent": odd, "Tracestate": "a=1,,b", "Baggage": "x=1;;"},
			want: map[string]string{"Traceparent": odd, "Tracestate": "a=1,,b", "Baggage": "x=1;;"}},
		"a malformed one begins a new trace": {on: true, in: map[string]string{"Traceparent": odd, "Tracestate": "a=1"},
			want: map[string]string{"Traceparent": "NEW"}},
		"without one a trace begins": {on: true, want: map[string]string{"Traceparent": "NEW"}},
		"a key in baggage goes nowhere": {on: true, in: map[string]string{"Baggage": "k=" + strings.ReplaceAll(key, "-", "%2D")},
			want: map[string]string{"Traceparent": "NEW"}},
		"a rule may take them off": {on: true, in: map[string]string{"Baggage": "tenant=blue"}, want: map[string]string{},
			change: func(s *setup) {
				s.config.Files[0].Rules[0].Action.Headers.Remove = []string{"traceparent", "baggage"}
			}},
		"what the propagator does not speak passes": {on: true, in: map[string]string{"Traceparent": odd, "X-B3-Traceid": "1"},
			want:   map[string]string{"Traceparent": odd, "X-B3-Traceid": "1"},
			change: func(s *setup) { s.options.Tracing.Propagator = propagation.NewCompositeTextMapPropagator() }},
	} {
		t.Run(name, func(t *testing.T) {
			var seen http.Header
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				seen = r.Header
				say(c, answerText("application/json", "{}"))
				return true
			})
			changes := []func(*setup){}
			if c.on {
				changes = append(changes, newCollector(t).tracing(t))
			}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			g := newGateway(t, up.url, changes...)
			r := g.post("/x", "{}")
			for name, value := range c.in {
				r.Header.Set(name, value)
			}
			response, _, err := g.do(r)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, name := range []string{"Traceparent", "Tracestate", "Baggage", "X-B3-Traceid"} {
				if value := seen.Get(name); value != "" {
					got[name] = value
				}
			}
			id, traced := g.line(response)["trace_id"].(string)
			if traced != c.on {
				t.Errorf("trace_id in the access line: %v", traced)
			}
			if strings.HasPrefix(got["Traceparent"], "00-"+id+"-") && id != "" {
				got["Traceparent"] = "NEW"
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the upstream saw (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhichSpansHaveFailed(t *testing.T) {
	for name, c := range map[string]struct {
		answer  string
		key     string
		rule    string // error.type of the exchange, "" for none
		attempt string // of the attempt
	}{
		"answered":                        {answer: answerText("application/json", "{}")},
		"a refusal of the provider":       {answer: "HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n"},
		"an error of the provider":        {answer: "HTTP/1.1 529 No\r\nContent-Length: 0\r\n\r\n", rule: "529", attempt: "529"},
		"a broken connection":             {answer: "", rule: codeUpstreamReset, attempt: codeUpstreamReset},
		"a broken stream":                 {answer: streamHead + chunk(firstEvent), rule: codeStreamCut, attempt: codeStreamCut},
		"a caller who is nobody":          {key: "nobody"},
		"our credential was not accepted": {answer: "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", rule: codeCredentialRefused, attempt: codeCredentialRefused},
	} {
		t.Run(name, func(t *testing.T) {
			up := newWireUpstream(t, func(conn net.Conn, _ *sent) bool { say(conn, c.answer); return false })
			spans := newCollector(t)
			g := newGateway(t, up.url, spans.tracing(t))
			r := g.post("/v1/chat/completions", `{"stream":true}`)
			r.Header.Set("Traceparent", traceparent)
			if c.key != "" {
				r.Header.Set("Authorization", "Bearer "+c.key)
			}
			_, _, _ = g.do(r)
			for name, span := range spans.trace(callersTrace) {
				want := c.attempt
				if span.Kind == wire.Span_SPAN_KIND_SERVER {
					want = c.rule
				}
				if got := attributesOf(span)["error.type"]; got != want || failedSpan(span) != (want != "") {
					t.Errorf("%s: error.type %q, status %v, want %q", name, got, span.Status, want)
				}
			}
		})
	}
}

func TestAClientThatLeavesMakesNoErrorSpan(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(firstEvent))
		<-r.gone
		return false
	})
	spans := newCollector(t)
	g := newGateway(t, up.url, spans.tracing(t))
	ctx, leave := context.WithCancel(t.Context())
	r := g.post("/v1/chat/completions", `{"stream":true}`).WithContext(ctx)
	r.Header.Set("Traceparent", traceparent)
	response, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	leave()
	_ = response.Body.Close()
	for name, span := range spans.trace(callersTrace) {
		if failedSpan(span) || attributesOf(span)["llmgw.end_reason"] != "client_gone" {
			t.Errorf("%s: %v %v", name, span.Status, attributesOf(span))
		}
	}
}

func TestTheSamplerDecides(t *testing.T) {
	var seen string
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		seen = r.Header.Get("Traceparent")
		say(c, answerText("application/json", "{}"))
		return true
	})
	spans := newCollector(t)
	g := newGateway(t, up.url, spans.tracing(t, sdk.WithSampler(sdk.ParentBased(sdk.NeverSample()))))
	response, _, err := g.do(g.post("/x", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := g.line(response)["trace_id"].(string)
	if len(id) != 32 || !strings.HasPrefix(seen, "00-"+id+"-") || !strings.HasSuffix(seen, "-00") {
		t.Errorf("the line has trace %q, the upstream saw %s", id, seen)
	}
	// One that the caller samples is exported, and nothing before it was.
	r := g.post("/x", "{}")
	r.Header.Set("Traceparent", traceparent)
	if _, _, err := g.do(r); err != nil {
		t.Fatal(err)
	}
	spans.trace(callersTrace)
	spans.mu.Lock()
	defer spans.mu.Unlock()
	for _, span := range spans.got {
		if fmt.Sprintf("%x", span.TraceId) != callersTrace {
			t.Errorf("a span that nobody sampled was exported: %v", span)
		}
	}
}

// BenchmarkTracing shows what an exchange costs without spans, with those that
// nobody samples, and with all.
func BenchmarkTracing(b *testing.B) {
	up := newWireUpstream(b, func(c net.Conn, _ *sent) bool {
		say(c, answerText("application/json", "{}"))
		return true
	})
	for name, change := range map[string]func(testing.TB) func(*setup){
		"off":     func(testing.TB) func(*setup) { return func(*setup) {} },
		"sampled": func(t testing.TB) func(*setup) { return newCollector(t).tracing(t) },
		"not sampled": func(t testing.TB) func(*setup) {
			return newCollector(t).tracing(t, sdk.WithSampler(sdk.NeverSample()))
		},
	} {
		b.Run(name, func(b *testing.B) {
			g := newGateway(b, up.url, change(b))
			caller := client(b)
			b.ReportAllocs()
			for b.Loop() {
				response, err := caller.Do(g.post("/v1/chat/completions", `{"model":"m"}`))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
	}
}
