package proxy

import (
	"cmp"
	"errors"
	"time"

	"github.com/llmgw/llmgw/rules"
)

// publicName is what a caller may be told of where the request went.
func (t *target) publicName() string {
	if t.upstream == nil {
		return "target"
	}
	return t.name
}

const noConnectionInTime = "no connection in time (timeouts.connect)"

// whyUnreachable says in a few words what an operator needs to know first.
func whyUnreachable(err error) string {
	why := rules.WhyUnreachable(err, time.Now())
	if why == "" && rules.TookTooLong(err) {
		return noConnectionInTime
	}
	return cmp.Or(why, "the connection failed")
}

// neverReached tells of a connection that could not be made. Where the address
// is one that none is made to, a retry cannot help.
func neverReached(upstream string, err error) *failure {
	f := unreachable(upstream, whyUnreachable(err), err)
	if forbidden := (*rules.ForbiddenError)(nil); errors.As(err, &forbidden) {
		f.noRetry, f.retryAfter = true, 0
	}
	return f
}
