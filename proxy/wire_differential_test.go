package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

// outcome is what became of an attempt.
type outcome struct {
	err     error // there was no answer
	status  int
	header  http.Header
	length  int64
	framed  bool
	body    string
	broken  error // the body did not come to its end
	trailer http.Header
	interim []int
}

func (o outcome) String() string {
	return fmt.Sprintf("err %v, status %d %v, length %d, framed %v, body %q, broken %v, trailer %v, interim %v",
		o.err, o.status, o.header, o.length, o.framed, o.body, o.broken, o.trailer, o.interim)
}

// newTestAttempt is a request as outbound makes it.
func newTestAttempt(t testing.TB, method, address, body string) *attempt {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &attempt{method: method, url: to, header: http.Header{"User-Agent": noUserAgent}, body: []byte(body), lent: new(atomic.Int32)}
}

// carry sends an attempt and reads the whole answer.
func carry(ctx context.Context, do func(context.Context, *attempt, func()) (*answer, error), a *attempt) (o outcome) {
	a.inform = func(status int, _ http.Header) { o.interim = append(o.interim, status) }
	answer, err := do(ctx, a, func() {})
	if err != nil {
		return outcome{err: err}
	}
	defer answer.close()
	o.status, o.header, o.length, o.framed = answer.status, answer.header, answer.length, answer.framed
	body, err := io.ReadAll(answer.body)
	o.body, o.broken = string(body), err
	if err == nil {
		o.trailer = answer.trailer()
	}
	return o
}

// stock carries attempts as http.Transport does.
func stock(h *http.Transport) func(context.Context, *attempt, func()) (*answer, error) {
	return func(ctx context.Context, a *attempt, connected func()) (*answer, error) {
		interim := 0
		trace := &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { connected() },
			Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
				if interim++; interim > maxInformational {
					return errInformational
				}
				if status != http.StatusContinue {
					a.inform(status, http.Header(header))
				}
				return nil
			},
		}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), a.method, a.url.String(), bytes.NewReader(a.body))
		if err != nil {
			return nil, err
		}
		r.Header = a.header
		response, err := h.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if response.StatusCode < 200 {
			_ = response.Body.Close()
			return nil, errStatus
		}
		return &answer{
			status: response.StatusCode, header: response.Header, body: response.Body, length: response.ContentLength,
			framed:  response.ContentLength >= 0 || len(response.TransferEncoding) > 0 || a.method == http.MethodHead,
			trailer: func() http.Header { return response.Trailer },
		}, nil
	}
}

// script is what an upstream answers, in the writes that it takes for it.
type script struct {
	method string
	text   string
	cuts   []int
	odd    bool // something in it is not as it should be
}

// drawScript makes an answer of parts that are mostly well.
func drawScript(t *rapid.T) script {
	s := script{method: rapid.SampledFrom([]string{"POST", "POST", "POST", "GET", "HEAD"}).Draw(t, "method")}
	pick := func(name string, well int, of ...string) string {
		if rapid.IntRange(0, 14).Draw(t, name+" is odd") < 14 {
			return rapid.SampledFrom(of[:well]).Draw(t, name)
		}
		s.odd = true
		return rapid.SampledFrom(of[well:]).Draw(t, name)
	}
	var b strings.Builder
	for range rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1, 2, 5, 6}).Draw(t, "interim answers") {
		b.WriteString(pick("interim", 3, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 199 X\nX-A: b\n\n",
			"HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 100 Continue\r\n", "\r\n"))
	}
	b.WriteString(pick("status", 8, "HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified", "HTTP/1.1 500", "HTTP/1.1 999 X", "HTTP/1.1 205 Reset",
		"HTTP/1.0 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/2.0 200 OK", "http/1.1 200 OK", "HTTP/1.1 099 X", "HTTP/1.1 200 a\tb\xff", "HTTP/1.1 2x0 OK", "HTTP/1.1 -20 OK", "SSH-2.0-x", "", "HTTP/1.1"))
	end := pick("line end", 1, "\r\n", "\n")
	b.WriteString(end)
	for range rapid.IntRange(0, 4).Draw(t, "headers") {
		b.WriteString(pick("header", 9, "X-A: 1", "x-lower: Two", "X-A:3", "X-Empty:", "X-Tab: a\tb \t", "Content-Type: text/event-stream", "Connection: keep-alive", "Connection: x, Close", "X-Obs: \xe9",
			"Bad Name: x", "X-Space : y", "no colon", " folded", "\tfolded", "X-Nul: a\x00b", "X-Cr: a\rb", ": nameless", "X-\xe9: 1", "X(: 1", "Trailer: X-Sum", "Upgrade: h2c"))
		b.WriteString(end)
	}
	body := rapid.SampledFrom([]string{"", "x", "hello", "data: {}\n\n", strings.Repeat("0123456789", 1000)}).Draw(t, "body")
	drawBody(t, &b, pick, end, body)
	s.text = b.String()
	s.cuts = rapid.SliceOfN(rapid.IntRange(0, len(s.text)), 0, 4).Draw(t, "cuts")
	return s
}

func drawBody(t *rapid.T, b *strings.Builder, pick func(string, int, ...string) string, end, body string) {
	switch pick("framing", 4, "length", "chunks", "chunks", "close", "two lengths", "odd length", "odd coding", "both") {
	case "length":
		fmt.Fprintf(b, "Content-Length: %d%s%s%s", len(body), end, end, body)
	case "chunks":
		b.WriteString("Transfer-Encoding: " + pick("chunked", 2, "chunked", "Chunked", "chunked ") + end + end)
		drawChunks(t, b, pick, body)
	case "close":
		b.WriteString(end + body)
	case "two lengths":
		other := len(body) + rapid.IntRange(0, 1).Draw(t, "the other length")
		fmt.Fprintf(b, "Content-Length: %d%sContent-Length: %d%s%s%s", len(body), end, other, end, end, body)
	case "odd length":
		n := strconv.Itoa(len(body))
		b.WriteString("Content-Length: " + rapid.SampledFrom([]string{"+" + n, "-1", n + "," + n, n + " " + n, "0x" + n, "", "999999999999999999999", n + "1", "0" + n}).Draw(t, "length"))
		b.WriteString(end + end + body)
	case "odd coding":
		b.WriteString("Transfer-Encoding: " + rapid.SampledFrom([]string{"gzip", "gzip, chunked", "chunked, chunked", "identity", "", "xchunked", "chunked" + end + "Transfer-Encoding: chunked", "chunked;q=1"}).Draw(t, "coding"))
		b.WriteString(end + end)
		drawChunks(t, b, pick, body)
	case "both":
		fmt.Fprintf(b, "Content-Length: %d%sTransfer-Encoding: chunked%s%s", len(body), end, end, end)
		drawChunks(t, b, pick, body)
	}
	switch pick("behind the end", 3, "", "", "", "x", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", "\r\n", "cut") {
	case "x":
		b.WriteString("x")
	case "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged":
		b.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
	case "\r\n":
		b.WriteString("\r\n")
	case "cut":
		text := b.String()
		b.Reset()
		b.WriteString(text[:rapid.IntRange(0, len(text)).Draw(t, "cut")])
	}
}

func drawChunks(t *rapid.T, b *strings.Builder, pick func(string, int, ...string) string, body string) {
	for body != "" {
		n := rapid.IntRange(1, len(body)).Draw(t, "chunk")
		size := fmt.Sprintf(pick("size", 4, "%x", "%X", "0%x", "%x ", "%xg", "0x%x", "-%x", " %x", "%x\t", "00000000000000000000%x", "ffffffffffffff%x"), n)
		extension := pick("extension", 3, "", "", ";a=b", ";", "; a=\"b\"", ";a\nb", ";\x00", "; "+strings.Repeat("x", 5000))
		if strings.HasSuffix(size, " ") || strings.HasSuffix(size, "\t") {
			extension = "" // http.Transport refuses the two together, which RFC 9112, section 7.1.1 allows
		}
		b.WriteString(size + extension + pick("size end", 1, "\r\n", "\n", "\r", ""))
		b.WriteString(body[:n] + pick("data end", 1, "\r\n", "\n", "", "x\r\n", "\rx"))
		body = body[n:]
	}
	b.WriteString(pick("last chunk", 2, "0\r\n", "000\r\n", "", "0\n", "0;x\r\n"))
	b.WriteString(pick("trailers", 4, "", "", "X-Sum: 1\r\n", "x-a: 1\r\nX-B: 2\r\n", "Bad Name: 1\r\n", "X-A: 1\n", "nothing\r\n", " folded\r\n"))
	b.WriteString(pick("end", 1, "\r\n", "\n", ""))
}

// player is an upstream that answers with scripts, by the path that is asked.
type player struct {
	listener net.Listener
	scripts  sync.Map
	running  sync.WaitGroup
	last     atomic.Int64
}

func newPlayer(t testing.TB) *player {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &player{listener: l}
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.play(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); p.running.Wait() })
	return p
}

func (p *player) play(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	found, _ := p.scripts.Load(r.URL.Path)
	s := found.(script)
	from := 0
	for _, to := range s.cuts {
		if to > from {
			say(c, s.text[from:to])
			from = to
		}
	}
	say(c, s.text[from:])
	// Only this direction ends, or the other side could see a reset before it has
	// read everything.
	_ = c.(*net.TCPConn).CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, in)
}

func (p *player) add(s script) string {
	path := fmt.Sprintf("/%d", p.last.Add(1))
	p.scripts.Store(path, s)
	return "http://" + p.listener.Addr().String() + path
}

// stricter are the errors of answers that http.Transport lets pass, and why
// they do not pass here.
var stricter = map[error]string{
	errTwoFramings:    "RFC 9112, section 6.3: ought to be handled as an error",
	errHeaderLine:     "RFC 9112, section 5: names with spaces, folded lines, control characters in values; http.Transport takes some of them",
	errStatusLine:     "http.Transport takes any version, signs and spaces",
	errAnswerCoding:   "http.Transport ignores codings of HTTP/1.0 (section 6.1: the framing is faulty)",
	errChunk:          "http.Transport takes white space and anything else behind a size",
	errAnswerLength:   "http.Transport reads no length where there is no body",
	errHeadBrokenOff:  "http.Transport takes an end within a head where one line break has come for its end",
	errTooManyTrailer: "http.Transport reads on",
}

// differs tells how two outcomes differ; "" where they do not, or where the own
// one is stricter for a known reason.
func differs(odd bool, own, theirs outcome) string {
	for known := range stricter {
		if !odd {
			break // what is well passes
		}
		if errors.Is(own.err, known) || errors.Is(own.broken, known) {
			if own.broken != nil && !strings.HasPrefix(theirs.body, own.body) {
				return "what came before the error"
			}
			return ""
		}
	}
	switch {
	case (own.err == nil) != (theirs.err == nil):
		return "whether there is an answer"
	case own.err != nil:
		return ""
	case own.status != theirs.status || own.length != theirs.length || own.framed != theirs.framed:
		return "the head"
	case !reflect.DeepEqual(passed(own.header), passed(theirs.header)):
		return "the header"
	case (own.broken == nil) != (theirs.broken == nil):
		return "whether the body is whole"
	case own.body != theirs.body && (own.broken == nil || !strings.HasPrefix(own.body, theirs.body)):
		return "the body"
	case own.broken == nil && !reflect.DeepEqual(passed(own.trailer), passed(theirs.trailer)):
		return "the trailers"
	case !reflect.DeepEqual(own.interim, theirs.interim):
		return "the interim answers"
	}
	return ""
}

// passed is what of a header goes to a client.
func passed(h http.Header) map[string][]string {
	out := map[string][]string{}
	for name, values := range h {
		if !answerHop(name) && len(values) > 0 && name != "Content-Length" {
			out[name] = values
		}
	}
	return out
}

// TestAnAnswerIsTakenAsHTTPTransportTakesIt plays 6,000 answers, most of them
// well and many broken, over real sockets to both.
func TestAnAnswerIsTakenAsHTTPTransportTakesIt(t *testing.T) {
	p := newPlayer(t)
	own := newTransport(&accounts.Upstream{}, anywhere)
	own.closeIdle() // each script ends its connection
	h := &http.Transport{DisableCompression: true, DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswerHeaderBytes}
	defer h.CloseIdleConnections()
	well, refused := 0, 0
	for range 60 {
		rapid.Check(t, func(rt *rapid.T) {
			s := drawScript(rt)
			address := p.add(s)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			theirs := carry(ctx, stock(h), newTestAttempt(t, s.method, address, "{}"))
			mine := carry(ctx, own.do, newTestAttempt(t, s.method, address, "{}"))
			if how := differs(s.odd, mine, theirs); how != "" {
				rt.Fatalf("%s differs for %s %q:\nown    %s\ntheirs %s", how, s.method, s.text, mine, theirs)
			}
			if mine.err == nil && mine.broken == nil {
				well++
			} else if theirs.err == nil && theirs.broken == nil {
				refused++
			}
		})
	}
	t.Logf("%d answers were well, %d were refused that http.Transport takes", well, refused)
	if well < 1000 {
		t.Errorf("only %d answers were well", well)
	}
}
