package proxy

import (
	"fmt"
	"net/http"
	"time"
)

// stale says whether what this node knows was too old at a moment to answer by:
// a key may have been revoked since. Where nobody asked for a bound, it never is.
func (p *Proxy) stale(at time.Time) bool {
	limit := p.options.MaxStaleness
	return limit > 0 && p.options.Source.AgeAt(at) > limit
}

func errStale(limit time.Duration) error {
	return fmt.Errorf("changes could not be looked for longer than %s (--max-staleness)", limit)
}

// staleConfiguration comes before the key is looked at: that a key is not valid
// may be out of date, too.
func (x *exchange) staleConfiguration() *failure {
	return (&failure{status: http.StatusServiceUnavailable, code: codeStale, retryAfter: staleRetry,
		message: "the gateway has not been able to look for changes of keys and rules for too long; try again"}).
		because(errStale(x.p.options.MaxStaleness))
}

// staleRetry is when a caller may try again: another gateway may be in step, and
// this one polls every two seconds.
const staleRetry = 2 * time.Second
