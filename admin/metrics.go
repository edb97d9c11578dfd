package admin

import "github.com/prometheus/client_golang/prometheus"

// What becomes of a password, or of an admin link, that somebody sends.
const (
	loginDone      = "done"
	loginRefused   = "refused"
	loginThrottled = "throttled" // too many wrong ones before
	loginBusy      = "busy"      // too many at once
)

func newLoginCounter() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "llmgw_admin_logins_total", Help: "Passwords and admin links that were sent to the admin API, by what became of them.",
	}, []string{"outcome"})
	for _, outcome := range []string{loginDone, loginRefused, loginThrottled, loginBusy} {
		c.WithLabelValues(outcome)
	}
	return c
}

// Collector gives the server's metrics.
func (s *Server) Collector() prometheus.Collector { return collectors{s.logins, s.tail, s.fleet} }

// collectors are several as one.
type collectors []prometheus.Collector

// Describe and Collect are for Prometheus.
func (c collectors) Describe(to chan<- *prometheus.Desc) {
	for _, one := range c {
		one.Describe(to)
	}
}

// Collect is the other half of Describe.
func (c collectors) Collect(to chan<- prometheus.Metric) {
	for _, one := range c {
		one.Collect(to)
	}
}
