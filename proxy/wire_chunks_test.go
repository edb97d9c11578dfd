package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"bufio"

	"pgregory.net/rapid"
)

// memoryConn is a connection on which an answer has come already, in parts.
type memoryConn struct {
	net.Conn
	parts [][]byte
}

func (m *memoryConn) Read(b []byte) (int, error) {
	if len(m.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, m.parts[0])
	if m.parts[0] = m.parts[0][n:]; len(m.parts[0]) == 0 {
		m.parts = m.parts[1:]
	}
	return n, nil
}

func (*memoryConn) Close() error { return nil }

// answerIn reads the answer that is on a connection.
func answerIn(t testing.TB, method string, parts ...[]byte) (*answer, error) {
	t.Helper()
	kept := parts[:0]
	for _, part := range parts {
		if len(part) > 0 {
			kept = append(kept, part)
		}
	}
	conn := &memoryConn{parts: kept}
	k := &call{wire: &wire{idle: idle{over: true}}, conn: newWireConn(conn, conn, authority{}), box: takeInbox(), ctx: t.Context(), stop: func() bool { return true }}
	head, err := k.finalHead(&attempt{method: method})
	if err != nil {
		return nil, err
	}
	return k.answer(method, head)
}

// readIn reads a body through a buffer of a size.
func readIn(body io.Reader, size int) (string, error) {
	var all strings.Builder
	b := make([]byte, size)
	for {
		n, err := body.Read(b)
		all.Write(b[:n])
		if errors.Is(err, io.EOF) {
			return all.String(), nil
		}
		if err != nil {
			return all.String(), err
		}
	}
}

// However a body is cut into chunks, however these arrive, and through whatever
// buffer they are read: the same bytes come out.
func TestAnyChunkingGivesTheSameBody(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(rt, "body")
		text := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for rest := body; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "chunk")
			text = fmt.Appendf(text, "%x%s\r\n%s\r\n", n, rapid.SampledFrom([]string{"", ";a=b", " ; a", "\t"}).Draw(rt, "extension"), rest[:n])
			rest = rest[n:]
		}
		text = append(text, "0\r\nX-Sum: 1\r\n\r\n"...)
		parts := cutAt(text, func() int { return rapid.SampledFrom([]int{1, 2, 5, 100, 5000}).Draw(rt, "part") })
		a, err := answerIn(t, http.MethodGet, parts...)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := readIn(a.body, rapid.SampledFrom([]int{1, 2, 7, 512, 8192}).Draw(rt, "buffer"))
		if err != nil || got != string(body) || a.trailer().Get("X-Sum") != "1" {
			rt.Fatalf("%d bytes of %d, %v, trailers %v", len(got), len(body), err, a.trailer())
		}
	})
}

func TestWhatIsNoChunkBreaksTheBody(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"no size":                     {"\r\n", errChunk},
		"no digit":                    {"x\r\n", errChunk},
		"a sign":                      {"+1\r\nx\r\n", errChunk},
		"a prefix":                    {"0x1\r\nx\r\n", errChunk},
		"a size over all bounds":      {"fffffffffffffff0\r\n", errChunk},
		"many zeros":                  {strings.Repeat("0", 17) + "1\r\nx\r\n", errChunk},
		"digits behind a space":       {"1 1\r\nx\r\n", errChunk},
		"a bare newline":              {"1\nx\r\n0\r\n\r\n", errChunk},
		"a newline in an extension":   {"1;a\nx\r\n0\r\n\r\n", errChunk},
		"a bare return":               {"1\rx", errChunk},
		"data without an end":         {"1\r\nxx\r\n", errChunk},
		"data with half an end":       {"1\r\nx\rx", errChunk},
		"a very long extension":       {"1;" + strings.Repeat("a", maxChunkLine) + "\r\nx\r\n", errChunk},
		"hardly anything but framing": {strings.Repeat("1;"+strings.Repeat("a", 500)+"\r\nx\r\n", 100) + "0\r\n\r\n", errChunk},
		"a trailer without a colon":   {"0\r\nnothing\r\n\r\n", errHeaderLine},
		"a trailer with a newline":    {"0\r\nX-A: 1\n\r\n", errChunk},
		"too many trailers":           {"0\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 100) + "\r\n", errTooManyTrailer},
		"an end in a size":            {"1", io.ErrUnexpectedEOF},
		"an end in the data":          {"5\r\nhel", io.ErrUnexpectedEOF},
		"an end before the last":      {"1\r\nx\r\n", io.ErrUnexpectedEOF},
		"an end in the last":          {"0\r\n", io.ErrUnexpectedEOF},
		"an end in the trailers":      {"0\r\nX-A: 1\r\n", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 8192} {
				a, err := answerIn(t, http.MethodGet, []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), []byte(c.body))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := readIn(a.body, size); !errors.Is(err, c.want) {
					t.Errorf("%q %v", got, err)
				}
			}
		})
	}
}

func TestWhatIsNoHeadIsRefused(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"another protocol":              {"SSH-2.0-x", errStatusLine},
		"another version":               {"HTTP/2.0 200 OK\r\n\r\n", errStatusLine},
		"two digits":                    {"HTTP/1.1 20 OK\r\n\r\n", errStatusLine},
		"four digits":                   {"HTTP/1.1 2000\r\n\r\n", errStatusLine},
		"two spaces":                    {"HTTP/1.1  200 OK\r\n\r\n", errStatusLine},
		"a NUL in the reason":           {"HTTP/1.1 200 \x00\r\n\r\n", errStatusLine},
		"an empty line first":           {"\r\n" + ok + "\r\n", errStatusLine},
		"nothing":                       {"", errClosedUnasked},
		"half a head":                   {ok + "X-A: 1\r\n", errHeadBrokenOff},
		"no colon":                      {ok + "X\r\n\r\n", errHeaderLine},
		"no name":                       {ok + ": x\r\n\r\n", errHeaderLine},
		"a space behind a name":         {ok + "Content-Length : 1\r\n\r\n", errHeaderLine},
		"a folded line":                 {ok + "X: 1\r\n 2\r\n\r\n", errHeaderLine},
		"a folded line at first":        {ok + " X: 1\r\n\r\n", errHeaderLine},
		"a return in a value":           {ok + "X: 1\r2\r\n\r\n", errHeaderLine},
		"a NUL in a value":              {ok + "X: \x00\r\n\r\n", errHeaderLine},
		"too much":                      {ok + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 300) + "\r\n", errHeadTooLarge},
		"too much without an end":       {ok + "X: " + strings.Repeat("x", 300<<10), errHeadTooLarge},
		"too much in interim answers":   {strings.Repeat("HTTP/1.1 103 X\r\nX: "+strings.Repeat("x", 60<<10)+"\r\n\r\n", 5) + ok + "\r\n", errHeadTooLarge},
		"a signed length":               {ok + "Content-Length: +1\r\n\r\n", errAnswerLength},
		"a list of lengths":             {ok + "Content-Length: 1, 1\r\n\r\n", errAnswerLength},
		"an empty length":               {ok + "Content-Length:\r\n\r\n", errAnswerLength},
		"a length over all bounds":      {ok + "Content-Length: 9223372036854775808\r\n\r\n", errAnswerLength},
		"two lengths":                   {ok + "Content-Length: 1\r\nContent-Length: 01\r\n\r\n", errAnswerLength},
		"a coding and chunks":           {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", errAnswerCoding},
		"chunks twice":                  {ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errAnswerCoding},
		"chunks of HTTP/1.0":            {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", errAnswerCoding},
		"a length and chunks":           {ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", errTwoFramings},
		"a length and chunks for a 204": {"HTTP/1.1 204 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", errTwoFramings},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1 << 20, 1000} {
				_, err := answerIn(t, http.MethodPost, cutAt([]byte(c.text), func() int { return size })...)
				if !errors.Is(err, c.want) {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

// A large head is taken whole, up to the limit.
func TestALargeHeadIsTaken(t *testing.T) {
	value := strings.Repeat("x", 200<<10)
	text := []byte("HTTP/1.1 200 OK\r\nX-Large: " + value + "\r\nContent-Length: 2\r\n\r\nok")
	a, err := answerIn(t, http.MethodGet, cutAt(text, func() int { return 3000 })...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readIn(a.body, 100); err != nil || got != "ok" || a.header.Get("X-Large") != value {
		t.Errorf("%q %v", got, err)
	}
}

// FuzzAnswer throws bytes at the parser: whatever it takes, net/http takes in
// the same way.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		answerText("text/plain", "ok"), streamHead + chunk(firstEvent) + "0\r\nX-Sum: 1\r\n\r\n",
		"HTTP/1.1 103 X\r\nLink: x\r\n\r\nHTTP/1.0 200\r\n\r\nrest", "HTTP/1.1 204 X\nX-A:1\n\n", "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		a, err := answerIn(t, method, []byte(text))
		if err != nil || a.status < 200 {
			return
		}
		got, broken := readIn(a.body, 100)
		in := bufio.NewReader(strings.NewReader(text))
		theirs, err := http.ReadResponse(in, &http.Request{Method: method})
		for err == nil && theirs.StatusCode >= 100 && theirs.StatusCode < 200 && theirs.StatusCode != 101 {
			theirs, err = http.ReadResponse(in, &http.Request{Method: method})
		}
		if err != nil {
			t.Fatalf("%q is no answer to net/http: %v", text, err)
		}
		want, err := io.ReadAll(theirs.Body)
		_ = theirs.Body.Close()
		if broken != nil || spaceBeforeExtension(text) {
			return
		}
		if err != nil || got != string(want) || a.status != theirs.StatusCode || len(a.header) < len(theirs.Header) {
			t.Fatalf("%q: %d %v %q, and to net/http %d %v %q %v", text, a.status, a.header, got, theirs.StatusCode, theirs.Header, want, err)
		}
	})
}

// spaceBeforeExtension is allowed (RFC 9112, section 7.1.1), and refused by
// net/http.
func spaceBeforeExtension(text string) bool {
	return bytes.Contains([]byte(text), []byte(" ;")) || strings.Contains(text, "\t;")
}
