package proxy

import (
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/rules"
)

// budget bounds the bytes of all request bodies in memory together.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) reserve(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) release(n int64) { b.used.Add(-n) }

// defaultBodyBudget is a quarter of the memory limit that the process was
// given, and 1 GiB where it was given none.
func defaultBodyBudget() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit / 4
	}
	return 1 << 30
}

// body is a request's body, whole in memory, and what it holds of the budget.
type body struct {
	bytes    []byte
	pooled   *[]byte
	reserved int64
	copied   int64 // of reserved, for a copy with another model in it
}

// pooledBody is the largest body that goes back to the pool: what coding
// agents send in a turn. Anything larger is left to the garbage collector.
const pooledBody = 256 << 10

var bodyPool = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

// release lets the body go. Its buffer is used again unless a transport, of any
// attempt, may still be reading it.
func (b *body) release(budget *budget, lent bool) {
	budget.release(b.reserved)
	if b.pooled != nil && cap(b.bytes) <= pooledBody && !lent {
		*b.pooled = b.bytes[:0]
		bodyPool.Put(b.pooled)
	}
	*b = body{}
}

// readBody reads the body whole and looks into it once, or, where nothing in it
// is looked for, lets it pass as it comes (upload.go). What is looked into must
// be whole before the upstream sees a byte: a scan of a part could be fooled by
// a later key. Full duplex, or the server would close a body that passes while a
// transport still probes it, and the answer be cut (https://go.dev/issue/40747).
func (x *exchange) readBody() *failure {
	if !x.h2 { // which knows nothing else
		_ = x.rc.EnableFullDuplex()
	}
	types := x.r.Header["Content-Type"]
	if x.r.ContentLength != 0 && !x.read.ReadsWhole(types) {
		x.request.BodyBytes = x.read.SizeOf(types, x.r.ContentLength < 0, x.r.ContentLength)
		return x.beginUpload()
	}
	if f := x.fetchBody(); f != nil {
		return f
	}
	x.request.BodyBytes = x.record.requestBytes
	return x.scanBody()
}

func chunked(r *http.Request) bool { return len(r.TransferEncoding) > 0 }

func (x *exchange) fetchBody() *failure {
	limit := x.p.options.MaxBody
	switch length := x.r.ContentLength; {
	case length > limit:
		return bodyTooLarge(limit)
	case length == 0 && x.mayFollow():
		return x.nothingFollows()
	case length == 0:
		return nil
	case length > 0:
		return x.fill(length, length)
	}
	return x.fill(32<<10, limit)
}

// fill reads the body into a buffer of size bytes at first, which grows up to
// limit.
func (x *exchange) fill(size, limit int64) *failure {
	x.body.pooled = bodyPool.Get().(*[]byte)
	buf := (*x.body.pooled)[:0]
	defer func() { x.body.bytes, x.record.requestBytes = buf, int64(len(buf)) }()
	if !x.reserve(size) {
		return bodiesOverBudget()
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, 0, size)
	}
	for {
		if len(buf) == cap(buf) {
			if int64(len(buf)) == size && size == limit {
				return x.nothingMore(buf)
			}
			grown := min(2*int64(cap(buf)), limit+1)
			if !x.reserve(grown - x.body.reserved) {
				return bodiesOverBudget()
			}
			buf = append(make([]byte, 0, grown), buf...)
		}
		n, err := x.readPart(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return bodyTooLarge(x.p.options.MaxBody)
		case errors.Is(err, io.EOF):
			return x.bodyRead()
		case err != nil:
			return x.bodyFailed(err)
		}
	}
}

// nothingMore is asked when as many bytes as were announced are there: the
// reader must say that it has ended, or the server takes the body as unread.
func (x *exchange) nothingMore([]byte) *failure {
	var one [1]byte
	if _, err := x.readPart(one[:]); err != nil && !errors.Is(err, io.EOF) {
		return x.bodyFailed(err)
	}
	return x.bodyRead()
}

// bodyRead takes the read deadline away: from here on the server reads the
// connection only to notice that the client leaves.
func (x *exchange) bodyRead() *failure {
	x.noReadDeadline()
	x.record.bodyRead = time.Since(x.started)
	return nil
}

func (x *exchange) bodyFailed(err error) *failure {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return bodyStalled(x.p.options.ReadStall)
	case x.ctx.Err() != nil || errors.Is(err, io.ErrUnexpectedEOF) || isConnectionError(err):
		return clientGone()
	}
	return malformedBody()
}

func (x *exchange) reserve(n int64) bool {
	if n <= 0 {
		return true
	}
	if !x.p.budget.reserve(n) {
		return false
	}
	x.body.reserved += n
	return true
}

// withModel gives a copy of the body with another model in it. A later attempt's
// copy takes the room of the one before.
func (x *exchange) withModel(model string) ([]byte, *failure) {
	size := int64(len(x.body.bytes) + len(model))
	if !x.reserve(size - x.body.copied) {
		return nil, bodiesOverBudget()
	}
	x.body.copied = max(x.body.copied, size)
	return x.scan.WithModel(x.body.bytes, model), nil
}

// scanBody finds model and stream where the body says them.
func (x *exchange) scanBody() *failure {
	var err error
	if x.scan, err = x.read.ReadBody(x.r.Header["Content-Type"], x.body.bytes); err != nil {
		return permanent(rules.RefuseBody(err))
	}
	if !x.read.HasModel && x.scan.HasModel {
		x.request.Model, x.request.HasModel = x.scan.Model, true
	}
	x.request.Stream = x.request.Stream || x.scan.Stream
	return nil
}
