package fleet

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters count what went over the bus, and what did not.
type counters struct {
	published, failed, received, bad, refused atomic.Int64
	leases                                    atomic.Int64 // now
	forwarded, dropped                        atomic.Int64 // exchanges and starts
}

// Describe and Collect are for Prometheus.
func (f *Fleet) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, to) }

// Collect tells what other nodes are shown. Without a bus there is nothing to tell.
func (f *Fleet) Collect(to chan<- prometheus.Metric) {
	if f.options.Bus == nil {
		return
	}
	messages := prometheus.NewDesc("llmgw_fleet_messages_total",
		"Messages by which nodes show each other what passes: published; failed where the bus did not take one; received; bad where one was nobody's of this installation or came again; refused where too many came at once.", []string{"outcome"}, nil)
	for _, m := range []struct {
		outcome string
		n       *atomic.Int64
	}{
		{"published", &f.count.published}, {"failed", &f.count.failed}, {"received", &f.count.received}, {"bad", &f.count.bad}, {"refused", &f.count.refused},
	} {
		to <- prometheus.MustNewConstMetric(messages, prometheus.CounterValue, float64(m.n.Load()), m.outcome)
	}
	watched := prometheus.NewDesc("llmgw_fleet_watchers", "Nodes that are shown what passes here.", nil, nil)
	events := prometheus.NewDesc("llmgw_fleet_events_total",
		"Exchanges and starts that nodes were to be shown of this one: forwarded, or dropped where there were too many.", []string{"outcome"}, nil)
	to <- prometheus.MustNewConstMetric(watched, prometheus.GaugeValue, float64(f.count.leases.Load()))
	to <- prometheus.MustNewConstMetric(events, prometheus.CounterValue, float64(f.count.forwarded.Load()), "forwarded")
	to <- prometheus.MustNewConstMetric(events, prometheus.CounterValue, float64(f.count.dropped.Load()), "dropped")
}
