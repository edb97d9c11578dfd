package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
)

// rawBench is a gateway with an upstream that writes down what it sees, and
// the ways in which a client can reach it.
type rawBench struct {
	*gateway
	other string // another valid key
	up    *wireUpstream
	board *switchboard
	roots *x509.CertPool // of its certificate; nil: it does not speak TLS

	mu   sync.Mutex
	seen []string
}

// rawBodyLimit is the gateway's limit for a body.
const rawBodyLimit = 4 << 10

func newRawBench(t testing.TB, certificates ...tls.Certificate) *rawBench {
	t.Helper()
	b := &rawBench{board: newSwitchboard()}
	b.up = newWireUpstream(t, b.answer)
	b.gateway = newGateway(t, b.up.url, func(s *setup) {
		s.options.MaxBody = rawBodyLimit
		s.config.Upstreams[0].Models = []string{"m"} // it need not be asked for them
		s.certificates = certificates
	})
	b.other = b.keys.issue(t, "other-bot", nil)
	if len(certificates) > 0 {
		b.roots = x509.NewCertPool()
		b.roots.AddCert(certificates[0].Leaf)
		return b
	}
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(b.board) }()
	t.Cleanup(func() {
		_ = b.board.Close()
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serving lines: %v", err)
		}
	})
	return b
}

// answer writes down a request, and answers with what it wrote down.
func (b *rawBench) answer(c net.Conn, r *sent) bool {
	text := fmt.Sprintf("^ %s %s %d\n", r.Method, visible(r.RequestURI), len(r.body))
	if r.Host != c.LocalAddr().String() {
		text += "^ | Host: " + r.Host + "\n"
	}
	if got := r.Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer "+credentialCanary {
		text += fmt.Sprintf("^ | Authorization: %d, not ours\n", len(got))
	}
	if len(r.TransferEncoding) > 0 && r.Header["Content-Length"] != nil {
		text += "^ | two framings\n"
	}
	var fields []string
	for name, values := range r.Header {
		for _, value := range values {
			if name != "Authorization" && name != "Content-Length" {
				fields = append(fields, fmt.Sprintf("^ | %s: %s\n", name, visible(value)))
			}
		}
	}
	slices.Sort(fields)
	text += strings.Join(fields, "")
	b.mu.Lock()
	b.seen = append(b.seen, text)
	b.mu.Unlock()
	if r.Method == http.MethodHead {
		text = ""
	}
	say(c, answerText("text/plain", text))
	return true
}

// visible writes what may hold any byte in one line, and not in full where it
// is long.
func visible(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c == '\\':
			out.WriteString(`\\`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&out, `\x%02x`, c)
		default:
			out.WriteByte(c)
		}
	}
	if text := out.String(); len(text) <= 200 {
		return text
	}
	return fmt.Sprintf("%.40s… (%d bytes)", out.String(), len(s))
}

// saw gives what the upstream saw from the request of a number on.
func (b *rawBench) saw(from int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.seen[from:])
}

// dialers are the ways to the gateway.
func (b *rawBench) tcp() (net.Conn, error) { return net.Dial("tcp", b.addr) }

func (b *rawBench) tls() (net.Conn, error) {
	return tls.Dial("tcp", b.addr, &tls.Config{RootCAs: b.roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
}

// rawProbe asks whether a connection is still one for requests. No case sends
// the like.
const rawProbe = "PROBE / HTTP/1.1\r\nHost: probe\r\n\r\n"

// play sends the pieces on a new connection, one write each, and writes down
// what becomes of it. Nothing is left to time: the connection either ends, or
// it answers the probe that follows the first answer. There is no probe where
// the end is expected: what meets a closed socket takes back the last answer.
func (b *rawBench) play(t testing.TB, c *rawCase, dial func() (net.Conn, error), pieces [][]byte, end bool) string {
	t.Helper()
	before, arrived := len(b.saw(0)), len(b.up.arrived())
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() { // what is not read any more cannot be written: no fault of the case's
		defer close(sent)
		for _, piece := range pieces {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
		if end {
			_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		}
	}()
	answers, bodies := b.hear(t, c, conn, sent)
	_ = conn.Close()
	<-sent
	saw := b.saw(before)
	if len(saw) == 0 && len(b.up.arrived()) != arrived {
		t.Errorf("the upstream saw %q and no whole request", b.up.arrived()[arrived:])
	}
	for n, body := range bodies {
		if n < len(saw) && body != saw[n] && !strings.HasPrefix(saw[n], "^ HEAD ") {
			t.Errorf("answer %d is about\n%snot\n%s", n, body, saw[n])
		}
	}
	if len(bodies) > len(saw) {
		t.Errorf("%d answers for %d requests", len(bodies), len(saw))
	}
	return answers + strings.Join(saw, "")
}

// hear reads answers until the connection ends or takes the probe. bodies are
// those that the upstream made.
func (b *rawBench) hear(t testing.TB, c *rawCase, conn net.Conn, sent <-chan struct{}) (answers string, bodies []string) {
	t.Helper()
	in, methods := bufio.NewReader(conn), c.methods()
	for n := 0; ; n++ {
		method := http.MethodPost
		if n < len(methods) {
			method = methods[n]
		}
		response, body, err := nextAnswer(in, method)
		switch {
		case err != nil && isTimeout(err):
			t.Fatalf("%s: after %q the connection neither answers nor ends", c.title, answers)
		case err != nil:
			return answers + "< closed\n", bodies
		case response.StatusCode < 200:
			answers += fmt.Sprintf("< %d\n", response.StatusCode)
			n--
			continue
		case isProbe(response, body):
			return answers + "< kept\n", bodies
		}
		answers += "< " + describeAnswer(response, body) + "\n"
		if response.StatusCode == 200 && response.Header.Get("Content-Type") == "text/plain" {
			bodies = append(bodies, body)
		}
		if n == 0 && !response.Close && (*update || c.keeps()) {
			go func() { // the other side may want to be heard before it listens
				<-sent
				say(conn, rawProbe)
			}()
		}
	}
}

func nextAnswer(in *bufio.Reader, method string) (*http.Response, string, error) {
	response, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	return response, string(body), err
}

func isProbe(r *http.Response, body string) bool {
	return r.StatusCode == http.StatusMethodNotAllowed && strings.Contains(body, `\"PROBE\"`)
}

func describeAnswer(r *http.Response, body string) string {
	switch {
	case r.Header.Get("X-Llmgw-Error") != "":
		return fmt.Sprintf("%d %s", r.StatusCode, r.Header.Get("X-Llmgw-Error"))
	case r.Header.Get("X-Llmgw-Request-Id") != "":
		return fmt.Sprint(r.StatusCode)
	}
	return fmt.Sprintf("%d %q", r.StatusCode, body)
}

func TestRawEveryRequestOfTheCorpusHasItsAnswer(t *testing.T) {
	b := newRawBench(t)
	total := 0
	eachFile(t, func(t *testing.T, file string, cases []*rawCase) {
		total += len(cases)
		for _, c := range cases {
			t.Run(c.title, func(t *testing.T) {
				all, end := c.sends(t, b.key, b.other)
				got := b.play(t, c, b.tcp, [][]byte{all}, end)
				if *update {
					c.outcome = got
				}
				c.check(t, got)
			})
		}
		if *update {
			writeCorpus(t, file, cases)
		}
	})
	if total < 80 {
		t.Errorf("the corpus has shrunk to %d requests", total)
	}
	if strings.Contains(strings.ToLower(b.up.arrived()), accounts.KeyPrefix) {
		t.Error("an upstream saw a gateway key")
	}
	if strings.Contains(b.log.text(), "lgw%2D") {
		t.Error("the log holds a gateway key that came escaped")
	}
	if strings.Contains(b.log.text(), "panic") {
		t.Errorf("something panicked:\n%s", b.log.text())
	}
}

// A body is the caller's own text: it is not looked through for keys.
func TestRawAKeyInABodyPassesWithTheBody(t *testing.T) {
	b := newRawBench(t)
	body := `{"note":"` + b.other + `"}`
	if response, text, err := b.do(b.post("/v1/x", body)); err != nil || response.StatusCode != 200 {
		t.Fatalf("%s %v", text, err)
	}
	if !strings.HasSuffix(b.up.arrived(), body) {
		t.Error("the body did not arrive as it was sent")
	}
	b.up.forget()
}

func TestRawTheSameAnswersOverTLS(t *testing.T) {
	b := newRawBench(t, certificate(t, time.Now().Add(time.Hour)))
	eachFile(t, func(t *testing.T, _ string, cases []*rawCase) {
		for _, c := range cases {
			t.Run(c.title, func(t *testing.T) {
				all, end := c.sends(t, b.key, b.other)
				c.check(t, b.play(t, c, b.tls, [][]byte{all}, end))
			})
		}
	})
}

// What arrives byte by byte is read as what arrives at once.
func TestRawTheSameAnswersWhenEveryByteComesAlone(t *testing.T) {
	const most = 4 << 10
	b := newRawBench(t)
	eachFile(t, func(t *testing.T, _ string, cases []*rawCase) {
		for _, c := range cases {
			all, end := c.sends(t, b.key, b.other)
			if len(all) > most {
				continue
			}
			t.Run(c.title, func(t *testing.T) {
				c.check(t, b.play(t, c, b.board.dial, slices.Collect(slices.Chunk(all, 1)), end))
			})
		}
	})
}

// A request cut in two anywhere is the same request. Of the corpus, every sixth
// case that is about where a request ends.
func TestRawTheSameAnswersHoweverARequestIsCut(t *testing.T) {
	b := newRawBench(t)
	for _, name := range []string{"framing.txt", "pipeline.txt"} {
		for n, c := range readCorpus(t, filepath.Join("testdata", "raw", name)) {
			all, end := c.sends(t, b.key, b.other)
			if n%6 != 0 || len(all) > 1<<10 {
				continue
			}
			t.Run(c.title, func(t *testing.T) {
				for at := 1; at < len(all) && !t.Failed(); at++ {
					c.check(t, b.play(t, c, b.board.dial, [][]byte{all[:at], all[at:]}, end))
				}
			})
		}
	}
}

func eachFile(t *testing.T, do func(*testing.T, string, []*rawCase)) {
	t.Helper()
	for _, file := range corpusFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { do(t, file, readCorpus(t, file)) })
	}
}

// check compares what became of a case with what is pinned.
func (c *rawCase) check(t *testing.T, got string) {
	t.Helper()
	if diff := cmp.Diff(c.outcome, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}
