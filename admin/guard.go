package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

// The bounds of one call: its body, the time to send that, and all of it.
const (
	maxBody       = 16 << 20
	bodyReadLimit = 10 * time.Second
	callLimit     = 30 * time.Second
)

// guard reads the body whole before anybody looks at it, and bounds the call.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		out := &watched{ResponseWriter: w}
		defer func() {
			s.log.Debug().Str("method", r.Method).Str("path", r.URL.Path).Int("status", out.status).
				Dur("took", time.Since(begun)).Msg("admin call")
		}()
		defer s.caught(out, r)
		w.Header().Set("Cache-Control", "no-store") // answers hold keys, and are true for a moment

		text, failure := readBody(w, r)
		if failure != nil {
			failure.write(out)
			return
		}
		ctx, cancel := callContext(r)
		defer cancel()
		bounded := r.WithContext(ctx)
		bounded.Body = io.NopCloser(bytes.NewReader(text))
		next.ServeHTTP(out, bounded)
	})
}

// readBody takes the read deadline off again: left on, it would cancel the
// call's context once it passes, since net/http goes on reading in order to
// notice a client that leaves.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *failure) {
	control := http.NewResponseController(w)
	now := time.Now()
	for _, err := range []error{
		control.SetReadDeadline(now.Add(bodyReadLimit)),
		control.SetWriteDeadline(now.Add(2 * callLimit)),
	} {
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			return nil, unreadable(err)
		}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, unreadable(err)
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, unreadable(err)
	}
	return text, nil
}

func unreadable(err error) *failure {
	var size *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &size):
		return usage(http.StatusRequestEntityTooLarge, fmt.Sprintf("request body is over %d MiB", maxBody>>20), "")
	case errors.As(err, &network) && network.Timeout():
		return usage(http.StatusRequestTimeout, fmt.Sprintf("request body did not arrive within %s", bodyReadLimit), "")
	}
	return usage(http.StatusBadRequest, "request body could not be read to its end", "")
}

// caught answers 500 for a panic, and lets http.ErrAbortHandler pass.
func (s *Server) caught(w *watched, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}
	// The panic's value may hold anything; its type and place are enough.
	s.log.Error().Str("method", r.Method).Str("path", r.URL.Path).Str("panic", fmt.Sprintf("%T", cause)).
		Bytes("stack", debug.Stack()).Msg("admin call panicked")
	if w.status == 0 {
		internal().write(w)
	}
}

// watched remembers the status that was sent; 0 where none was yet.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
