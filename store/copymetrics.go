package store

import "github.com/prometheus/client_golang/prometheus"

// copyMetrics tells of the sealed copy, and nothing where none is kept.
type copyMetrics struct {
	of     *Store
	copies *prometheus.Desc
}

func newCopyMetrics(of *Store) *copyMetrics {
	return &copyMetrics{of: of, copies: prometheus.NewDesc("llmgw_store_copies_total",
		"Sealed copies of what this node knows, for a start while the store is away: written or failed in the data directory (file); written, failed, or left out because another node's is further (newer) on the shelf that nodes share.",
		[]string{"place", "outcome"}, nil)}
}

// Describe is prometheus.Collector's.
func (m *copyMetrics) Describe(out chan<- *prometheus.Desc) { out <- m.copies }

// Collect is prometheus.Collector's.
func (m *copyMetrics) Collect(out chan<- prometheus.Metric) {
	if m.of.copier == nil {
		return
	}
	count := func(place, outcome string, n int64) {
		out <- prometheus.MustNewConstMetric(m.copies, prometheus.CounterValue, float64(n), place, outcome)
	}
	c := &m.of.copier.count
	count("file", "written", c.written.Load())
	count("file", "failed", c.failed.Load())
	if m.of.wares == nil {
		return
	}
	count("shelf", "written", c.shelved.Load())
	count("shelf", "failed", c.unshelved.Load())
	count("shelf", "newer", c.shelfNewer.Load())
}
