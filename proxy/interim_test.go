package proxy

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/llmgw/llmgw/rules"
)

// interimTrace notes the status and the names of the fields of 1xx answers.
func interimTrace(seen *[]string) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		*seen = append(*seen, fmt.Sprintf("%d %s", status, strings.Join(slices.Sorted(maps.Keys(h)), " ")))
		return nil
	}}
}

const hint = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

func TestAnOldClientIsToldOfNoInterimAnswer(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool { say(c, hint, answerText("text/plain", "ok")); return true })
	g := newGateway(t, up.url)
	c := g.dial()
	say(c, "GET /x HTTP/1.0\r\nAuthorization: Bearer ", g.key, "\r\n\r\n")
	text, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.0 200 ") || strings.Contains(string(text), "Early") {
		t.Errorf("%q %v", text, err)
	}
}

// A rule that tries again would otherwise pass on what every attempt says.
func TestNoMoreThanFiveInterimAnswersPassOfAllAttempts(t *testing.T) {
	for name, c := range map[string]struct {
		hints, status, passed int
	}{
		"of one attempt each":         {2, 200, 4},
		"too many of both together":   {4, 200, 5},
		"too many of the first alone": {6, 502, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			up := newWireUpstream(t, func(conn net.Conn, r *sent) bool {
				if say(conn, strings.Repeat(hint, c.hints)); asked.Add(1) == 1 {
					say(conn, "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
					return true
				}
				say(conn, answerText("text/plain", "ok"))
				return true
			})
			g := newGateway(t, up.url, func(s *setup) {
				s.config.Files[0].Rules[0].Action.Retry = &rules.Retry{On: rules.RetryWhen(0, 503), Attempts: 2}
			})
			var seen []string
			r := g.post("/x", "{}")
			response, _, _ := g.do(r.WithContext(httptrace.WithClientTrace(r.Context(), interimTrace(&seen))))
			if response.StatusCode != c.status || len(seen) != c.passed {
				t.Errorf("%d after %q", response.StatusCode, seen)
			}
		})
	}
}

func TestEditsOfAnAnswersHeaderAreMadeToInterimOnes(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX-Drop: 1\r\n\r\n", answerText("text/plain", "ok"))
		return true
	})
	g := newGateway(t, up.url, func(s *setup) {
		s.config.Files[0].Rules[0].Action.ResponseHeaders = rules.HeaderEdits{Set: map[string]string{"x-served-by": "llmgw"}, Remove: []string{"x-drop"}}
	})
	var seen []string
	r := g.post("/x", "{}")
	response, _, _ := g.do(r.WithContext(httptrace.WithClientTrace(r.Context(), interimTrace(&seen))))
	if len(seen) != 1 || seen[0] != "103 Link X-Served-By" || response.Header.Get("X-Served-By") != "llmgw" || response.Header.Get("X-Llmgw-Request-Id") == "" {
		t.Errorf("%q, then %v", seen, response.Header)
	}
}

// A transport may call when it has already answered.
func TestAnInterimAnswerThatComesTooLateIsLost(t *testing.T) {
	recorder := httptest.NewRecorder()
	x := &exchange{w: recorder, ctx: t.Context(), r: httptest.NewRequest(http.MethodGet, "/", nil), target: &target{}}
	tell := x.informer()
	x.lastWord()
	tell(http.StatusEarlyHints, http.Header{"Link": {"</x>"}})
	if recorder.Code != http.StatusOK || len(recorder.Header()) != 0 || x.interim.count != 0 {
		t.Errorf("%d %v", recorder.Code, recorder.Header())
	}
}
