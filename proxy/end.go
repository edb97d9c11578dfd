package proxy

import (
	"context"
	"errors"
	"fmt"
)

// endReason is why an exchange ended: exactly one for each. It stands in the
// log line, in the metric, and in the usage row.
type endReason string

const (
	endComplete          endReason = "complete"
	endClientGone        endReason = "client_gone"
	endClientStalled     endReason = "client_stalled"
	endUpstreamError     endReason = "upstream_error"
	endUpstreamTruncated endReason = "upstream_truncated"
	endConnectError      endReason = "connect_error"
	endHeaderTimeout     endReason = "header_timeout"
	endFirstTokenTimeout endReason = "first_token_timeout"
	endIdleTimeout       endReason = "idle_timeout"
	endTotalTimeout      endReason = "total_timeout"
	endDrained           endReason = "drained"
	endRevoked           endReason = "revoked"
	endRejected          endReason = "rejected"
)

// isTheGateways says whether an exchange that broke off is an error: of the
// gateway's or its upstreams', and not what the client or an operator did.
func (r endReason) isTheGateways() bool {
	return r != endClientGone && r != endClientStalled && r != endRevoked
}

// endCause is why the gateway itself ended an exchange: the cause with which
// its context is cancelled.
type endCause struct {
	reason endReason
	said   *failure // what the caller hears, where the reason does not say it all
}

func (e *endCause) Error() string { return fmt.Sprintf("ended by the gateway: %s", e.reason) }

// endedBy tells why a context ended: for a reason of the gateway's, because the
// client left, or not at all ("").
func endedBy(ctx context.Context) endReason {
	if ctx.Err() == nil {
		return ""
	}
	var cause *endCause
	if errors.As(context.Cause(ctx), &cause) {
		return cause.reason
	}
	return endClientGone
}

// toldBy is what the caller hears of an exchange that the gateway has ended; nil
// where the reason says it all, or it was not the gateway.
func toldBy(ctx context.Context) *failure {
	var cause *endCause
	if ctx.Err() != nil && errors.As(context.Cause(ctx), &cause) {
		return cause.said
	}
	return nil
}
