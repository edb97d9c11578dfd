package store

import "github.com/prometheus/client_golang/prometheus"

// metrics is what the store tells of itself.
type metrics struct {
	gauges []prometheus.Collector
	cache  *prometheus.CounterVec
	others *othersMetrics
	copies *copyMetrics
}

func newMetrics(s *Store) *metrics {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	return &metrics{
		others: newOthersMetrics(&s.others),
		copies: newCopyMetrics(s),
		gauges: []prometheus.Collector{
			gauge("llmgw_config_revision", "Revision of the configuration in force on this node.",
				func() float64 { _, revision := s.Applied(); return float64(revision) }),
			gauge("llmgw_config_age_seconds", "Time since the start of the last look at the store after which this node was in step with it.",
				func() float64 { return s.Age().Seconds() }),
			gauge("llmgw_store_up", "Whether the store answered when it was last looked at (1) or not (0).",
				func() float64 {
					if s.reader.away.Load() {
						return 0
					}
					return 1
				}),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "llmgw_config_reload_failures_total",
				Help: "Configurations that could not be taken over; the last good one stayed in force.",
			}, func() float64 { return float64(s.reader.failures.Load()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "llmgw_config_log_breaks_total",
				Help: "Times that the store's log did not continue where this node stood (a failover that lost changes, a restore), so that everything was loaded anew.",
			}, func() float64 { return float64(s.reader.breaks.Load()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "llmgw_node_beat_failures_total",
				Help: "Times that this node could not tell the store that it lives.",
			}, func() float64 { return float64(s.presence.failures.Load()) }),
		},
		cache: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "llmgw_key_cache_total",
			Help: "Questions whose key a caller has, by how they were answered: hit and unknown_hit from memory, shelf from what another node has read, miss and unknown_miss from the store, unavailable not at all.",
		}, []string{"outcome"}),
	}
}

// outcomes gives the counters of the key cache, looked up once.
func (m *metrics) outcomes() outcomes {
	counter := func(outcome string) func() { return m.cache.WithLabelValues(outcome).Inc }
	return outcomes{
		hit: counter("hit"), shelf: counter("shelf"), miss: counter("miss"),
		unknownHit: counter("unknown_hit"), unknownMiss: counter("unknown_miss"),
		unavailable: counter("unavailable"),
	}
}

// Collector gives the store's metrics, to be registered once.
func (s *Store) Collector() prometheus.Collector { return s.metrics }

// Describe is prometheus.Collector's.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	m.cache.Describe(out)
	m.others.Describe(out)
	m.copies.Describe(out)
	for _, g := range m.gauges {
		g.Describe(out)
	}
}

// Collect is prometheus.Collector's.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.cache.Collect(out)
	m.others.Collect(out)
	m.copies.Collect(out)
	for _, g := range m.gauges {
		g.Collect(out)
	}
}
