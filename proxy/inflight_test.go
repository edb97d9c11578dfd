package proxy

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// twoUpstreams is a configuration whose one rule sends to up and, where that
// cannot be used, to spare.
func twoUpstreams(s *setup, url string) {
	s.config.Upstreams = append(s.config.Upstreams, upstreamAt("spare", url))
	s.config.Files[0].Rules[0].Action.Fallback = []rules.Entry{{Name: "spare"}}
}

// withDraining is a configuration in which upstreams take nothing new.
func withDraining(config rules.Config, names ...string) rules.Config {
	config.Revision++
	config.Upstreams = append([]accounts.Upstream(nil), config.Upstreams...)
	for i := range config.Upstreams {
		for _, name := range names {
			config.Upstreams[i].Draining = config.Upstreams[i].Draining || config.Upstreams[i].Name == name
		}
	}
	return config
}

// countIs waits for what is in flight by upstream.
func (g *gateway) countIs(want map[string]int) {
	g.t.Helper()
	g.until(fmt.Sprint("in flight are ", want), func() bool { return maps.Equal(g.proxy.InFlight(), want) })
}

func TestADrainingUpstreamKeepsWhatItHasAndGetsNothingNew(t *testing.T) {
	goOn := make(chan struct{})
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(firstEvent))
		select {
		case <-goOn:
			say(c, chunk("data: [DONE]\n\n"), "0\r\n\r\n")
			return true // or the request after it might find the connection closing
		case <-r.gone:
			return false
		}
	})
	spare := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, answerText("application/json", `{"from":"spare"}`))
		return true
	})
	var config rules.Config
	g := newGateway(t, up.url, func(s *setup) { twoUpstreams(s, spare.url); config = s.config })
	stream, err := client(t).Do(g.post("/v1/chat/completions", chatRequest))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	if _, err := io.ReadFull(stream.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	g.countIs(map[string]int{"up_up": 1})

	if err := g.proxy.Reload(t.Context(), withDraining(config, "up")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := g.do(g.post("/v1/chat/completions", chatRequest)); err != nil || string(text) != `{"from":"spare"}` {
		t.Errorf("a new request gets %s, %v", text, err)
	}
	if err := g.proxy.Reload(t.Context(), withDraining(config, "up", "spare")); err != nil {
		t.Fatal(err)
	}
	response, text, err := g.do(g.post("/v1/chat/completions", chatRequest))
	if err != nil || response.StatusCode != 400 || response.Header.Get("X-Llmgw-Error") != "upstream_draining" || !strings.Contains(string(text), "which is draining") {
		t.Errorf("without another upstream it gets %d %s, %v", response.StatusCode, text, err)
	}
	if shown := g.metrics(); !strings.Contains(shown, `llmgw_upstream_up{upstream="up"} 0`) {
		t.Error("the upstream is up")
	}
	g.countIs(map[string]int{"up_up": 1})

	close(goOn)
	if rest, err := io.ReadAll(stream.Body); err != nil || string(rest) != "data: [DONE]\n\n" {
		t.Errorf("the stream ends with %q %v", rest, err)
	}
	g.countIs(map[string]int{})
	if err := g.proxy.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, text, err := g.do(g.post("/v1/chat/completions", chatRequest)); err != nil || !strings.HasSuffix(string(text), "[DONE]\n\n") {
		t.Errorf("taken back, it answers %q %v", text, err)
	}
}

func TestWhatBeganBeforeTheDrainCountsUntilItIsSentAndDone(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, answerText("application/json", `{}`))
		return true
	})
	var config rules.Config
	g := newGateway(t, up.url, func(s *setup) { twoUpstreams(s, up.url); config = s.config })
	c := g.dial()
	say(c, g.head(len(chatRequest)), chatRequest[:1])
	g.inFlight(1)
	g.countIs(map[string]int{})
	if err := g.proxy.Reload(t.Context(), withDraining(config, "up")); err != nil {
		t.Fatal(err)
	}
	g.countIs(map[string]int{"up_up": 1}) // it is not known yet where it goes
	say(c, chatRequest[1:])
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if line := g.line(response); response.StatusCode != 200 || line["upstream"] != "up" {
		t.Errorf("it is answered with %d from %v", response.StatusCode, line["upstream"])
	}
	g.countIs(map[string]int{})
}

func TestOnlyDrainingUpstreamsThatItMayGoToAreExpectedOfAnExchange(t *testing.T) {
	var config rules.Config
	g := newGateway(t, "http://127.0.0.1:9", func(s *setup) {
		twoUpstreams(s, "http://127.0.0.1:9")
		s.config = withDraining(s.config, "spare")
		config = s.config
	})
	say(g.dial(), g.head(100), "{")
	g.inFlight(1)
	later := withDraining(config, "up")
	later.Upstreams = append(later.Upstreams, upstreamAt("new", "http://127.0.0.1:9"))
	later = withDraining(later, "new")
	if err := g.proxy.Reload(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	g.countIs(map[string]int{"up_up": 1})
}
