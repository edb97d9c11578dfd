package store

import "github.com/prometheus/client_golang/prometheus"

// othersMetrics tells of the bus and the shelf, and nothing where there are none.
type othersMetrics struct {
	of *others

	connected, messages, asked, puts *prometheus.Desc
}

func newOthersMetrics(of *others) *othersMetrics {
	outcome := []string{"outcome"}
	return &othersMetrics{
		of:        of,
		connected: prometheus.NewDesc("llmgw_bus_connected", "Whether this node hears the bus (1) or not (0).", nil, nil),
		messages: prometheus.NewDesc("llmgw_bus_messages_total",
			"Messages of the bus: published; failed where the bus did not take one, dropped where too many waited for it; received, and bad where one was nobody's of this installation.", outcome, nil),
		asked: prometheus.NewDesc("llmgw_shelf_total",
			"Questions to the shelf that nodes share: taken; missing; stale where what was there may not hold any more; bad where it was nobody's of this installation; unanswered; skipped while it is away.", outcome, nil),
		puts: prometheus.NewDesc("llmgw_shelf_puts_total",
			"What was to be put on the shelf that nodes share: put, failed, or dropped where too much waited for it or it is away.", outcome, nil),
	}
}

// figure is a number of the bus or the shelf.
type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value int64
	label []string
}

func counted(of *prometheus.Desc, outcome string, n int64) figure {
	return figure{of, prometheus.CounterValue, n, []string{outcome}}
}

// Describe is prometheus.Collector's.
func (m *othersMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.connected, m.messages, m.asked, m.puts} {
		out <- d
	}
}

// Collect is prometheus.Collector's.
func (m *othersMetrics) Collect(out chan<- prometheus.Metric) {
	for _, f := range append(m.bus(), m.shelf()...) {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, float64(f.value), f.label...)
	}
}

func (m *othersMetrics) bus() []figure {
	if m.of.ear == nil {
		return nil
	}
	up := int64(0)
	if m.of.ear.connected.Load() {
		up = 1
	}
	c := &m.of.crier.count
	return []figure{
		{m.connected, prometheus.GaugeValue, up, nil},
		counted(m.messages, "published", c.published.Load()), counted(m.messages, "failed", c.failed.Load()), counted(m.messages, "dropped", c.dropped.Load()),
		counted(m.messages, "received", c.received.Load()), counted(m.messages, "bad", c.bad.Load()),
	}
}

func (m *othersMetrics) shelf() []figure {
	if m.of.wares == nil {
		return nil
	}
	c := &m.of.wares.count
	return []figure{
		counted(m.asked, "taken", c.taken.Load()), counted(m.asked, "missing", c.missing.Load()), counted(m.asked, "stale", c.stale.Load()),
		counted(m.asked, "bad", c.bad.Load()), counted(m.asked, "unanswered", c.unanswered.Load()), counted(m.asked, "skipped", c.skipped.Load()),
		counted(m.puts, "put", c.put.Load()), counted(m.puts, "failed", c.putFailed.Load()), counted(m.puts, "dropped", c.putDropped.Load()),
	}
}
