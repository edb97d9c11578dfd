package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// nameServer answers every question for an IPv4 address with one that a test
// changes, and makes the process ask it.
type nameServer struct {
	answer atomic.Value // netip.Addr
	asked  atomic.Int64
}

func newNameServer(t *testing.T, first string) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{}
	s.lead(first)
	var open sync.WaitGroup
	open.Go(func() { s.serve(conn) })
	usual := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = usual
		_ = conn.Close()
		open.Wait()
	})
	return s
}

func (s *nameServer) lead(address string) { s.answer.Store(netip.MustParseAddr(address)) }

// serve answers as RFC 1035, section 4 has it, with addresses to be forgotten
// at once.
func (s *nameServer) serve(conn net.PacketConn) {
	packet := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		end := 12
		for end < n && packet[end] != 0 {
			end += int(packet[end]) + 1
		}
		end += 5
		if end > n {
			continue
		}
		answer := append([]byte{packet[0], packet[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, packet[12:end]...)
		if asksForA := packet[end-3] == 1; asksForA {
			s.asked.Add(1)
			to := s.answer.Load().(netip.Addr).As4()
			answer[7] = 1
			answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, to[0], to[1], to[2], to[3])
		}
		if _, err := conn.WriteTo(answer, from); err != nil {
			return
		}
	}
}

func deny(s *setup) { s.options.Reach = rules.PublicOnly }

func portOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func TestANameIsLookedAtWhereItLeadsAtEveryDial(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, answerText("application/json", "{}"))
		return false
	})
	names := newNameServer(t, "127.0.0.1")
	at := "http://models.example:" + portOf(t, up.url)
	short := func(s *setup) { s.config.Upstreams[0].Timeouts = accounts.Timeouts{Connect: 300 * time.Millisecond} }

	open := newGateway(t, at, short)
	if response, body, _ := open.do(open.post("/v1/chat/completions", chatRequest)); response.StatusCode != 200 {
		t.Fatalf("a private address, allowed: %d %s", response.StatusCode, body)
	}
	arrived := len(up.arrived())

	denying := newGateway(t, at, short, deny)
	for _, c := range []struct{ address, why string }{
		{"203.0.113.7", "its address is not public"},
		{"127.0.0.1", "its address is not public"},
		{"10.0.0.1", "its address is not public"},
		{"100.64.0.1", "its address is not public"},
		{"0.0.0.0", "its address is not public"},
		{"169.254.169.254", "its address is link-local"},
	} {
		names.lead(c.address)
		before := names.asked.Load()
		response, body, _ := denying.do(denying.post("/v1/chat/completions", chatRequest))
		if response.StatusCode != 502 || !strings.Contains(string(body), c.why) || response.Header.Get("X-Should-Retry") != "false" || response.Header.Get("Retry-After") != "" {
			t.Errorf("%s: %d %s %v", c.address, response.StatusCode, body, response.Header)
		}
		if strings.Contains(string(body), c.address) {
			t.Errorf("the caller is told the address: %s", body)
		}
		if names.asked.Load() == before {
			t.Errorf("%s: nobody was asked where the name leads", c.address)
		}
	}
	names.lead("169.254.169.254")
	if response, body, _ := open.do(open.post("/v1/chat/completions", chatRequest)); response.StatusCode != 502 || !strings.Contains(string(body), "its address is link-local") {
		t.Errorf("link-local, allowing private targets: %d %s", response.StatusCode, body)
	}
	if now := len(up.arrived()); now != arrived {
		t.Errorf("%d bytes arrived that should not", now-arrived)
	}
}

func TestPrivateTargetsAreDeniedToUpstreamsAndTargetsButNotToWhatIsBuiltIn(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, answerText("application/json", "{}"))
		return false
	})
	address := strings.TrimPrefix(up.url, "http://")
	toTarget := func(s *setup) { s.config.Files[0].Rules[0].Action = rules.Action{Target: up.url} }
	builtIn := func(s *setup) { s.options.Local = map[string]string{"mock.internal:80": address} }
	for name, c := range map[string]struct {
		url     string
		changes []func(*setup)
		status  int
	}{
		"an upstream":               {up.url, []func(*setup){deny}, 502},
		"a target":                  {up.url, []func(*setup){deny, toTarget}, 502},
		"an upstream by name":       {"http://localhost:" + portOf(t, up.url), []func(*setup){deny}, 502},
		"an upstream, allowed":      {up.url, nil, 200},
		"a target, allowed":         {up.url, []func(*setup){toTarget}, 200},
		"what this process serves":  {"http://mock.internal", []func(*setup){deny, builtIn}, 200},
		"another port of that name": {"http://localhost:1", []func(*setup){deny, builtIn}, 502},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, c.url, c.changes...)
			response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
			if response.StatusCode != c.status {
				t.Errorf("%d %s", response.StatusCode, body)
			}
			if c.status != 200 && !strings.Contains(string(body), "private_targets: deny") {
				t.Errorf("the caller is told %s", body)
			}
		})
	}
}

func TestAnAddressThatIsForbiddenIsAnotherCandidatesTurn(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, answerText("application/json", "{}"))
		return false
	})
	g := newGateway(t, "http://127.0.0.1:9", deny, func(s *setup) {
		s.options.Local = map[string]string{"mock.internal:80": strings.TrimPrefix(up.url, "http://")}
		s.config.Upstreams = append(s.config.Upstreams, upstreamAt("mock", "http://mock.internal"))
		s.config.Files[0].Rules[0].Action.Fallback = []rules.Entry{{Name: "mock"}}
	})
	if response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest)); response.StatusCode != 200 {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

func TestARedirectIsTheClientsAndNeverFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	other := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		elsewhere.Add(1)
		say(c, answerText("text/plain", "elsewhere"))
		return false
	})
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		location := fmt.Sprintf("%s/v1/%d?a=b#c", other.url, status)
		up := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
			say(c, fmt.Sprintf("HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nmoved", status, location))
			return false
		})
		g := newGateway(t, up.url)
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			r := g.post("/v1/chat/completions", chatRequest)
			r.Method = method
			response, err := client(t).Transport.RoundTrip(r) // which follows nothing
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != status || response.Header.Get("Location") != location {
				t.Errorf("%s %d: %d to %q", method, status, response.StatusCode, response.Header.Get("Location"))
			}
			if line := g.line(response); line["attempts"] != 1.0 {
				t.Errorf("%s %d: %v attempts", method, status, line["attempts"])
			}
		}
		if n := strings.Count(up.arrived(), "HTTP/1.1\r\n"); n != 2 {
			t.Errorf("%d: the upstream saw %d requests", status, n)
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d requests followed", elsewhere.Load())
	}
}
