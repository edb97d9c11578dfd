package proxy

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmgw/llmgw/rules"
)

// metrics are those of the data plane. Every label comes from a closed set:
// names of rules, upstreams and models that operators wrote, and words of ours.
type metrics struct {
	requests         *prometheus.CounterVec
	duration         prometheus.Histogram
	upstreamDuration *prometheus.HistogramVec
	firstToken       *prometheus.HistogramVec
	overhead         prometheus.Histogram
	streamsEnded     *prometheus.CounterVec
	inFlight         prometheus.GaugeFunc
	inFlightStreams  prometheus.Gauge
	tokens           *prometheus.CounterVec
	requestBytes     prometheus.Counter
	responseBytes    prometheus.Counter
	errors           *prometheus.CounterVec
	authFailures     *prometheus.CounterVec
	upstreamUp       *prometheus.GaugeVec
	retries          *prometheus.CounterVec
	editsSkipped     *prometheus.CounterVec
	bodiesDropped    prometheus.CounterFunc
	evicted          *prometheus.CounterVec
	strangers        prometheus.GaugeFunc
	unruled          *series // of requests that went nowhere, and that no rule took
	totals           traffic
}

// Buckets in seconds. Requests to models take from milliseconds to minutes;
// the gateway's own share is microseconds.
var (
	requestBuckets  = []float64{.005, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	overheadBuckets = []float64{.00005, .0001, .0002, .0005, .001, .002, .005, .01, .05, .1, 1}
)

func newMetrics(p *Proxy) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "llmgw_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "llmgw_" + name, Help: help, Buckets: buckets}, labels)
	}
	single := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "llmgw_" + name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		requests:         counter("requests_total", "Requests answered.", "rule", "upstream", "method", "code"),
		duration:         single("request_duration_seconds", "From the first byte of a request to the last of its answer.", requestBuckets),
		upstreamDuration: histogram("upstream_duration_seconds", "Time an upstream took, by phase.", requestBuckets, "upstream", "phase"),
		firstToken:       histogram("first_token_seconds", "From the first byte of a request to the first output of the model.", requestBuckets, "upstream"),
		overhead:         single("overhead_seconds", "The gateway's own share of a request.", overheadBuckets),
		streamsEnded:     counter("streams_ended_total", "Streams by the reason they ended.", "rule", "upstream", "reason"),
		inFlight: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "llmgw_in_flight_requests", Help: "Requests under way."},
			func() float64 { return float64(p.flights.count.Load()) }),
		inFlightStreams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "llmgw_in_flight_streams", Help: "Streams under way."}),
		tokens:          counter("tokens_total", "Tokens as the providers counted them.", "upstream", "model", "kind"),
		requestBytes:    prometheus.NewCounter(prometheus.CounterOpts{Name: "llmgw_request_bytes_total", Help: "Bytes of request bodies."}),
		responseBytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "llmgw_response_bytes_total", Help: "Bytes of answers' bodies."}),
		errors:          counter("errors_total", "Errors made by the gateway itself, by code.", "code"),
		authFailures:    counter("auth_failures_total", "Requests without a valid key, by reason.", "reason"),
		retries:         counter("retries_total", "Attempts after which another was made, by what became of them.", "upstream", "reason"),
		editsSkipped:    counter("edits_skipped_total", "Header edits left out because their value would have held a control character.", "rule"),
		evicted:         counter("connections_evicted_total", "Connections closed because too many had shown no valid key: of their peer, or in total.", "limit"),
		bodiesDropped: prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "llmgw_body_log_dropped_total", Help: "Exchanges that the body log could not take."},
			func() float64 { return p.bodyLog.lost() }),
		strangers: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "llmgw_unauthenticated_connections", Help: "Client connections on which no valid key has been shown yet."},
			func() float64 { return float64(p.door.count()) }),
		upstreamUp: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "llmgw_upstream_up", Help: "1 where the upstream takes requests (enabled, not draining) and has what it needs, 0 where not."},
			[]string{"upstream"}),
	}
	m.unruled = m.newSeries("", "")
	return m
}

func (m *metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.duration, m.upstreamDuration, m.firstToken, m.overhead, m.streamsEnded,
		m.inFlight, m.inFlightStreams, m.tokens, m.requestBytes, m.responseBytes, m.errors, m.authFailures, m.upstreamUp,
		m.retries, m.editsSkipped, m.bodiesDropped, m.evicted, m.strangers}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, part := range m.parts() {
		part.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, part := range m.parts() {
		part.Collect(out)
	}
}

func (m *metrics) authFailure(reason string) { m.authFailures.WithLabelValues(reason).Inc() }

// upstreams says which upstreams of a snapshot can be used.
func (m *metrics) upstreams(s *snapshot) {
	m.upstreamUp.Reset()
	for _, t := range s.upstreams {
		up := 0.0
		if t.upstream.TakesRequests() && t.problem == nil {
			up = 1
		}
		m.upstreamUp.WithLabelValues(t.name).Set(up)
	}
}

// series are the handles of one rule and one upstream, looked up once: a
// look-up by label costs fifty times what an addition does.
type series struct {
	metrics        *metrics
	rule, upstream string
	connect        prometheus.Observer
	header         prometheus.Observer
	token          prometheus.Observer
	total          prometheus.Observer
	firstToken     prometheus.Observer
	mu             sync.Mutex // held to add to requests
	requests       atomic.Pointer[[]requestCounter]
}

// requestCounter counts the requests of one method that ended in one status.
// A series has few of them, so they are looked through.
type requestCounter struct {
	method  string
	status  int
	counter prometheus.Counter
}

func (m *metrics) newSeries(rule, upstream string) *series {
	s := &series{metrics: m, rule: rule, upstream: upstream}
	s.requests.Store(&[]requestCounter{})
	if upstream != "" {
		s.connect = m.upstreamDuration.WithLabelValues(upstream, "connect")
		s.header = m.upstreamDuration.WithLabelValues(upstream, "header")
		s.token = m.upstreamDuration.WithLabelValues(upstream, "first_token")
		s.total = m.upstreamDuration.WithLabelValues(upstream, "total")
		s.firstToken = m.firstToken.WithLabelValues(upstream)
	}
	return s
}

// counter gives the counter of a method and status.
func (s *series) counter(method string, status int) prometheus.Counter {
	known := *s.requests.Load()
	for i := range known {
		if known[i].status == status && known[i].method == method {
			return known[i].counter
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.metrics.requests.WithLabelValues(s.rule, s.upstream, method, statusText(status))
	more := append(append([]requestCounter(nil), *s.requests.Load()...), requestCounter{method, status, c})
	s.requests.Store(&more)
	return c
}

// statusText writes a status as a label; one that no server should send is
// "other".
func statusText(status int) string {
	if status < 100 || status > 599 {
		return "other"
	}
	return string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)})
}

// methodLabel keeps what a client may write there to the methods there are.
func methodLabel(method string) string {
	if method == http.MethodConnect || rules.KnownMethod(method) {
		return method
	}
	return "other"
}
