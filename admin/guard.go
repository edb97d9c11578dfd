package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// The bounds of one call: its body, the time to send that, and all of it.
const (
	maxBody       = 16 << 20
	smallBody     = 64 << 10 // of members, and of whoever has no login, where none is needed
	thrownAway    = 2 << 20  // of whoever needs one and has none
	bodyReadLimit = 10 * time.Second
	callLimit     = 30 * time.Second
)

// guard finds out who calls, reads the body whole before anybody looks at it, and
// bounds the call.
func (s *Server) guard(enter entrance, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		out := &watched{ResponseWriter: w}
		defer func() {
			s.log.Debug().Str("method", r.Method).Str("path", loggable(r.URL.Path)).Int("status", out.status).
				Dur("took", time.Since(begun)).Msg("admin call")
		}()
		defer s.caught(out, r)
		w.Header().Set("Cache-Control", "no-store") // answers hold keys, and are true for a moment

		ctx, cancel := callContext(r)
		defer cancel()
		bounded := r.WithContext(ctx)
		who, err := enter(bounded)
		if err != nil {
			s.turnAway(out, r, err)
			return
		}
		text, failure := readBody(w, r, who.largestBody())
		if failure != nil {
			failure.write(out)
			return
		}
		bounded = bounded.WithContext(withCaller(ctx, who))
		bounded.Body = io.NopCloser(bytes.NewReader(text))
		next.ServeHTTP(out, bounded)
	})
}

// turnAway answers whoever does not get in. Nothing is kept of what they send;
// but a client whose login has ended gets to read that only once it has sent
// what it meant to.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	var f *failure
	if !errors.As(s.refuse(err), &f) {
		f = internal()
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyReadLimit)); err == nil {
		_, _ = io.CopyN(io.Discard, r.Body, thrownAway) // short, broken or too long: the answer is the same
	}
	w.Header().Set("Connection", "close")
	f.write(w)
}

func (c caller) largestBody() int64 {
	if c.Role.Covers(accounts.RoleViewer) {
		return maxBody
	}
	return smallBody
}

// loggable gives a path without those of its parts that are no words of the API,
// no names and no IDs: a key may have been pasted in the place of one.
func loggable(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if isKeyLike(part) || part != "" && !accounts.ValidName(part) && !accounts.ValidLoanName(part) && !idForm.MatchString(part) {
			parts[i] = "…"
		}
	}
	return strings.Join(parts, "/")
}

// idForm is that of accounts.NewID.
var idForm = regexp.MustCompile(`^[a-z]+_[0-9A-HJKMNP-TV-Z]{26}$`)

// readBody takes the read deadline off again: left on, it would cancel the
// call's context once it passes, since net/http goes on reading in order to
// notice a client that leaves.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *failure) {
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
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
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
		return usage(http.StatusRequestEntityTooLarge, "request body is over "+bytesOf(size.Limit), "")
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
	s.log.Error().Str("method", r.Method).Str("path", loggable(r.URL.Path)).Str("panic", fmt.Sprintf("%T", cause)).
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

func bytesOf(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
