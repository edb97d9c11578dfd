package proxy

import (
	"errors"
	"io"
	"net/http"
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
	var one [1]byte
	switch n, err := x.readPart(one[:]); {
	case n > 0 || err == nil:
		return malformedBody()
	case !errors.Is(err, io.EOF):
		return x.bodyFailed(err)
	}
	return x.bodyRead()
}
