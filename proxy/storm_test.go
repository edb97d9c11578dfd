package proxy

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/rules"
)

// storm is an upstream that does anything: the first byte of a hash over the
// body says what, so that a test can tell afterwards which answer belongs to
// which request.
func storm(t *testing.T) func(c net.Conn, r *sent) bool {
	return func(c net.Conn, r *sent) bool {
		if len(r.body) > 0 && !whole(r.body) {
			t.Errorf("a body of %d bytes arrived altered", len(r.body))
		}
		tag := r.Header.Get("X-Tag")
		switch rand.IntN(8) {
		case 0:
			reset(c)
			return false
		case 1:
			say(c, streamHead, chunk("data: "+tag+"\n\n"))
			reset(c)
			return false
		case 2:
			say(c, "HTTP/1.1 429 X\r\nContent-Length: 100000\r\n\r\n", tag)
			return false
		case 3:
			<-r.gone
			return false
		case 4:
			say(c, streamHead)
			for range 5 {
				say(c, chunk("data: "+tag+"\n\n"))
				select {
				case <-r.gone:
					return false
				case <-time.After(time.Millisecond):
				}
			}
			say(c, chunk("data: [DONE]\n\n"), "0\r\n\r\n")
			return true
		}
		say(c, answerText("text/plain", tag))
		return true
	}
}

// stormBody is a body that says by itself whether it is whole.
func stormBody(n int) string {
	filler := strings.Repeat(string(rune('a'+rand.IntN(26))), n)
	return fmt.Sprintf(`{"model":"m","stream":true,"sum":"%x","filler":"%s"}`, sha256.Sum256([]byte(filler)), filler)
}

func whole(body []byte) bool {
	_, rest, _ := strings.Cut(string(body), `"sum":"`)
	sum, rest, _ := strings.Cut(rest, `","filler":"`)
	filler, _, ok := strings.Cut(rest, `"}`)
	return ok && fmt.Sprintf("%x", sha256.Sum256([]byte(filler))) == sum
}

// Thousands of exchanges with retries, resets, timeouts and clients that leave
// at any moment: each ends once, nothing of one is seen by another, and nothing
// is left of any.
func TestAStormLeavesNothingBehind(t *testing.T) {
	up := newWireUpstream(t, storm(t))
	g := newGateway(t, up.url, func(s *setup) {
		s.config.Upstreams = append(s.config.Upstreams, upstreamAt("other", up.url))
		for i := range s.config.Upstreams {
			s.config.Upstreams[i].Timeouts.ResponseHeader = 20 * time.Millisecond
			s.config.Upstreams[i].Timeouts.FirstToken = 20 * time.Millisecond
		}
		act := &s.config.Files[0].Rules[0].Action
		act.Fallback = []rules.Entry{{Name: "other"}}
		act.Retry = &rules.Retry{On: rules.RetryWhen(rules.OnReset|rules.OnTimeout|rules.OnConnect, 429), Attempts: 3}
		there := true
		finish := rules.Rule{Name: "finish", Match: rules.Match{Header: map[string]rules.Text{"x-finish": {Exists: &there}}}, Action: *act}
		finish.Action.OnClientGone = "finish"
		s.config.Files[0].Rules = append([]rules.Rule{finish}, s.config.Files[0].Rules...)
	})
	const clients, each = 40, 50
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := range each {
				g.stormOnce(fmt.Sprintf("tag-%d-%d", n, i))
			}
		})
	}
	wg.Wait()
	g.noneInFlight()
	if held := g.proxy.budget.used.Load(); held != 0 {
		t.Errorf("%d bytes of the budget are held by nobody", held)
	}
	g.oneLineEach(t)
}

// stormOnce sends one request, or two behind one another, and leaves when it
// likes.
func (g *gateway) stormOnce(tag string) {
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Error(err)
		return
	}
	defer func() { _ = c.Close() }()
	if rand.IntN(3) == 0 {
		timer := time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = c.Close() })
		defer timer.Stop()
	}
	in := bufio.NewReader(c)
	for k := range 2 {
		own, body := tag+"-"+strconv.Itoa(k)+".", stormBody(rand.IntN(200<<rand.IntN(10)))
		finish := ""
		if rand.IntN(2) == 0 {
			finish = "X-Finish: 1\r\n"
		}
		say(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer "+g.key+
			"\r\nX-Tag: "+own+"\r\n"+finish+"Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n", body)
		response, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
		if err != nil {
			return
		}
		answer, err := io.ReadAll(response.Body)
		if strings.Contains(string(answer), "tag-") && !strings.Contains(string(answer), own) {
			g.t.Errorf("%s got another's answer: %.80q", own, answer)
		}
		if err != nil || response.Close {
			return
		}
	}
}

// oneLineEach looks at every access line: one for a request, with a reason.
func (g *gateway) oneLineEach(t *testing.T) {
	t.Helper()
	// An exchange is no longer in flight a moment before it is counted and its line
	// is written: both are looked at as they were at one moment.
	var counted int64
	var text string
	g.until("a line of each request", func() bool {
		counted = g.proxy.Totals().Requests
		text = g.log.text()
		return int64(strings.Count(text, `"message":"request"`)) == counted
	})
	seen := map[any]bool{}
	reasons := map[any]int{}
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.Contains(line, `"message":"request"`) {
			continue
		}
		_, rest, _ := strings.Cut(line, `"request_id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		_, rest, _ = strings.Cut(line, `"end_reason":"`)
		reason, _, _ := strings.Cut(rest, `"`)
		if seen[id] || reason == "" {
			t.Errorf("line %s", line)
		}
		seen[id] = true
		reasons[reason]++
	}
	if int64(len(seen)) != counted {
		t.Errorf("%d lines, %d requests counted", len(seen), counted)
	}
	t.Logf("%d requests ended as %v", len(seen), reasons)
}
