package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// tally is what a gateway and its upstream have seen since the fuzzing began.
type tally struct {
	mu       sync.Mutex
	seen     int // requests that reached the upstream
	gone     int // exchanges whose client left, as the log has it
	answered int
	faults   []string
}

// Write takes the gateway's log.
func (y *tally) Write(line []byte) (int, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.gone += bytes.Count(line, []byte(`"end_reason":"client_gone"`))
	if bytes.Contains(line, []byte("panic")) {
		y.faults = append(y.faults, string(line))
	}
	return len(line), nil
}

// look takes a request at the upstream.
func (y *tally) look(c net.Conn, r *sent) bool {
	var faults []string
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if canonical, err := rules.CanonicalPath(path); err != nil || canonical != path {
		faults = append(faults, fmt.Sprintf("path %q: %v", path, err))
	}
	if !rules.KnownMethod(r.Method) || r.Host != c.LocalAddr().String() {
		faults = append(faults, fmt.Sprintf("%s of %q", r.Method, r.Host))
	}
	if got := r.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer "+credentialCanary {
		faults = append(faults, fmt.Sprintf("%d credentials", len(got)))
	}
	if len(r.TransferEncoding) > 0 && r.Header["Content-Length"] != nil {
		faults = append(faults, "two framings")
	}
	if strings.Contains(strings.ToLower(fmt.Sprint(r.RequestURI, r.Header)), accounts.KeyPrefix) {
		faults = append(faults, "a gateway key")
	}
	y.mu.Lock()
	y.seen++
	y.faults = append(y.faults, faults...)
	y.mu.Unlock()
	say(c, answerText("text/plain", "ok"))
	return true
}

// rawQuiet is how long a gateway that still listens must have said nothing
// before the client takes leave.
const rawQuiet = 5 * time.Millisecond

// FuzzListener: whatever bytes come, in however many pieces, every request that
// the upstream sees was one, carries no gateway key and is answered, nothing
// panics, and the connection ends.
func FuzzListener(f *testing.F) {
	for _, file := range corpusFiles(f) {
		for n, c := range readCorpus(f, file) {
			if all, _ := c.sends(f, "${key}", "${other}"); n%3 == 0 && len(all) <= 4<<10 {
				f.Add(all, uint16(n))
			}
		}
	}
	counts := &tally{}
	up := newWireUpstream(f, counts.look)
	g := newGateway(f, up.url, func(s *setup) {
		s.options.MaxBody = rawBodyLimit
		s.options.Log = zerolog.New(counts)
	})
	other := g.keys.issue(f, "other-bot", nil)
	board := newSwitchboard()
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(board) }()
	f.Cleanup(func() {
		_ = board.Close()
		<-served
		up.forget() // bodies may hold what they like
	})
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		data = bytes.ReplaceAll(data, []byte("${key}"), []byte(g.key))
		data = bytes.ReplaceAll(data, []byte("${other}"), []byte(other))
		at := min(int(cut), len(data))
		conn, err := board.dial()
		if err != nil {
			t.Fatal(err)
		}
		answers := converse(t, conn, data[:at], data[at:])
		counts.check(t, answers, up.forget())
	})
}

// check holds what the upstream has seen against the answers that came.
func (y *tally) check(t *testing.T, answers string, odd int) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	y.answered += strings.Count(answers, "\r\nX-Llmgw-Request-Id: req_")
	if len(y.faults) > 0 || odd > 0 {
		t.Errorf("%d were no requests; %s", odd, y.faults)
	}
	if y.seen > y.answered+y.gone {
		t.Errorf("the upstream saw %d requests, %d were answered and %d cut because the client left", y.seen, y.answered, y.gone)
	}
	if strings.Contains(answers, credentialCanary) {
		t.Error("an answer holds the upstream's credential")
	}
}

// converse sends the pieces, takes leave when nothing more is said, and gives
// all that was answered when the connection has ended.
func converse(t *testing.T, conn net.Conn, pieces ...[]byte) string {
	t.Helper()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	go func() {
		for _, piece := range pieces {
			if _, err := conn.Write(piece); err != nil {
				return // the gateway listens no more
			}
		}
	}()
	heard, ended := make(chan struct{}, 1), make(chan error, 1)
	var all bytes.Buffer // the reader's until it has ended
	go func() {
		buf := make([]byte, 4<<10)
		for {
			n, err := conn.Read(buf)
			all.Write(buf[:n])
			if err != nil {
				ended <- err
				return
			}
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	}()
	quiet := time.NewTimer(rawQuiet)
	defer quiet.Stop()
	for {
		select {
		case <-heard:
			quiet.Reset(rawQuiet)
		case <-quiet.C:
			_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		case err := <-ended:
			if err != io.EOF {
				t.Fatalf("the connection did not end: %v", err)
			}
			return all.String()
		}
	}
}
