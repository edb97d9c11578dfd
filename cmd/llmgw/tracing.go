package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/llmgw/llmgw/proxy"
)

// tracingFlush bounds how long the end of the process waits for the last spans.
const tracingFlush = 5 * time.Second

// openTracing begins to export spans where the standard variables of
// OpenTelemetry ask for it
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
// It sets no global provider. Like all that the gateway sends, spans go through
// no proxy of the environment.
func (n *node) openTracing(ctx context.Context) error {
	problems := &traceProblems{log: n.log, now: time.Now}
	if !tracingAsked(problems) {
		return nil
	}
	if err := tracingProtocol(); err != nil {
		return err
	}
	otel.SetErrorHandler(problems)
	otel.SetLogger(funcr.New(func(_, text string) { problems.tell(text) }, funcr.Options{Verbosity: 1}))
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithProxy(func(*http.Request) (*url.URL, error) { return nil, nil }))
	if err != nil {
		return invalid("starting the export of traces: %s", withoutURLs(err.Error()))
	}
	queue := newSpanQueue(exporter, spanQueueSize())
	if err := n.register(queue); err != nil {
		return err
	}
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(queue), trace.WithResource(tracingResource(ctx, problems)))
	n.onClose(func() error {
		flush, cancel := context.WithTimeout(context.Background(), tracingFlush)
		defer cancel()
		if err := provider.Shutdown(flush); err != nil {
			n.log.Warn().Str("cause", withoutURLs(err.Error())).Msg("the last spans were not exported")
		}
		return nil
	})
	n.tracing = &proxy.Tracing{
		Tracer:     provider.Tracer("github.com/llmgw/llmgw/proxy"),
		Propagator: tracePropagator(problems),
	}
	n.log.Info().Msg("exporting traces")
	return nil
}

// tracingAsked says whether the environment asks for traces: by an endpoint, or
// by name. Values that are not known are told of and taken as not given, as
// OpenTelemetry wants it.
func tracingAsked(problems *traceProblems) bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	asked := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	names := words("OTEL_TRACES_EXPORTER")
	if len(names) == 0 || slices.Contains(names, "otlp") {
		return asked || len(names) > 0
	}
	if !slices.Contains(names, "none") {
		problems.tell("OTEL_TRACES_EXPORTER knows otlp and none; no traces are exported")
	}
	return false
}

// tracingProtocol refuses the protocols that are not spoken: an exporter that
// sends to the wrong port loses every span and says so once in a while.
func tracingProtocol() error {
	for _, name := range [...]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch os.Getenv(name) {
		case "":
			continue
		case "http/protobuf":
			return nil
		}
		return invalid("%s: only http/protobuf is spoken", name).
			withHint("export %s=http/protobuf, and name the collector's HTTP port as the endpoint (4318 where nobody says otherwise)", name)
	}
	return nil
}

// tracePropagator reads OTEL_PROPAGATORS; W3C trace context and baggage unless it
// says otherwise.
func tracePropagator(problems *traceProblems) propagation.TextMapPropagator {
	names := words("OTEL_PROPAGATORS")
	if len(names) == 0 {
		names = []string{"tracecontext", "baggage"}
	}
	var all []propagation.TextMapPropagator
	for _, name := range slices.Compact(names) {
		switch name {
		case "tracecontext":
			all = append(all, propagation.TraceContext{})
		case "baggage":
			all = append(all, propagation.Baggage{})
		case "none":
		default:
			problems.tell("OTEL_PROPAGATORS knows tracecontext, baggage and none")
		}
	}
	return propagation.NewCompositeTextMapPropagator(all...)
}

// tracingResource says who exports: llmgw, unless the environment has another
// name for it.
func tracingResource(ctx context.Context, problems *traceProblems) *resource.Resource {
	r, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", "llmgw"),
			attribute.String("service.version", version),
			attribute.String("service.instance.id", nodeName()),
		),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(),
	)
	if err != nil {
		problems.tell(err.Error())
	}
	return r
}

// defaultSpanQueue is OpenTelemetry's own.
const defaultSpanQueue = 2048

// spanQueueSize is how many spans may wait for the exporter.
func spanQueueSize() int {
	if size, err := strconv.Atoi(os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE")); err == nil && size > 0 {
		return size
	}
	return defaultSpanQueue
}

// words reads a variable that lists words.
func words(variable string) []string {
	return strings.FieldsFunc(os.Getenv(variable), func(r rune) bool { return r == ',' || r == ' ' })
}
