package proxy

import (
	"io"
	"net/http"
	"time"
)

// mayFollow says whether a body may come although none was announced. In HTTP/2
// the frames are counted only as they arrive, and a length that is no number
// counts as zero; the request must not be sent on before that is known (RFC
// 9113, section 8.1.1).
func (x *exchange) mayFollow() bool {
	return x.r.ProtoMajor > 1 && x.r.Header["Content-Length"] != nil && x.r.Body != http.NoBody
}

// nothingFollows waits for the end of a body that is to be empty.
func (x *exchange) nothingFollows() *failure {
	_ = x.rc.SetReadDeadline(time.Now().Add(x.p.options.ReadStall))
	var one [1]byte
	switch n, err := x.r.Body.Read(one[:]); {
	case n > 0 || err == nil:
		return malformedBody()
	case err != io.EOF:
		return x.bodyFailed(err)
	}
	return x.bodyRead()
}
