package proxy

import (
	"sync/atomic"
	"time"
)

// record is what an exchange leaves behind: in the log line, in the metrics,
// and later in the usage row. All times are from the start of the exchange.
type record struct {
	status     int
	reason     endReason
	code       string // of the gateway's own error, if there was one
	stream     bool
	attempts   int
	connect    time.Duration // a new connection to the upstream took so long
	bodyRead   time.Duration // the request's body was there
	prepared   time.Duration // the request was given to the transport for the first time
	dispatched time.Duration // the same, for the last time
	header     time.Duration // the answer's head was there
	firstByte  time.Duration // the first byte of the answer's body went to the client
	firstToken time.Duration // the first output went to the client
	duration   time.Duration

	requestBytes  int64
	responseBytes int64
	sent          atomic.Int64 // responseBytes, of a stream under way, for others to see
	wroteAt       atomic.Int64 // UnixNano of the last write to the client, for the sweeper
	gaps          gaps         // between these writes
}

// end records why the exchange ended. The first reason stands.
func (r *record) end(reason endReason, code string) {
	if r.reason == "" {
		r.reason, r.code = reason, code
	}
}

// passed notes bytes that went to the client.
func (r *record) passed(n int, at time.Duration, now time.Time) {
	if r.responseBytes == 0 {
		r.firstByte = at
	}
	r.responseBytes += int64(n)
	r.sent.Store(r.responseBytes)
	r.wroteAt.Store(now.UnixNano())
	r.gaps.wrote(at)
}

// quiet says whether the client was sent nothing for a while.
func (x *exchange) quiet(now time.Time) bool {
	return now.UnixNano()-x.record.wroteAt.Load() >= int64(sweepEvery)
}

// overhead is the gateway's own share: from the first byte to the first
// dispatch, less the time that the body took to arrive.
func (r *record) overhead() time.Duration {
	if r.prepared == 0 {
		return r.duration - r.bodyRead
	}
	return r.prepared - r.bodyRead
}

// dispatch notes that the request is given to the transport.
func (r *record) dispatch(at time.Duration) {
	if r.dispatched = at; r.prepared == 0 {
		r.prepared = at
	}
}

// upstream is how long upstreams were being waited for or listened to, all
// attempts together.
func (r *record) upstream() time.Duration {
	if r.prepared == 0 {
		return 0
	}
	return r.duration - r.prepared
}
