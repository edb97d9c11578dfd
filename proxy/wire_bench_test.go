package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// BenchmarkCarrier compares one exchange on a kept connection: the own one,
// http.Transport's, and the floor, which writes and reads the same bytes and
// looks at none of them. All bear the cost of the same upstream.
func BenchmarkCarrier(b *testing.B) {
	reply := answerText("application/json", strings.Repeat("x", 1000))
	address := rawUpstream(b, func(c net.Conn, in *bufio.Reader) {
		buf := make([]byte, 16<<10)
		for {
			if _, err := in.Read(buf); err != nil {
				return
			}
			if _, err := io.WriteString(c, reply); err != nil {
				return
			}
		}
	})
	body := strings.Repeat("x", 1000)
	own := newTransport(&accounts.Upstream{}, anywhere)
	b.Cleanup(own.closeIdle)
	h := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	b.Cleanup(h.CloseIdleConnections)
	for name, do := range map[string]func(context.Context, *attempt, func()) (*answer, error){"own": own.do, "stock": stock(h)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, relayBytes)
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				answer, err := do(ctx, newTestAttempt(b, http.MethodPost, address, body), func() {})
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = answer.body.Read(buf)
				}
				answer.close()
				cancel()
			}
		})
	}
	b.Run("floor", func(b *testing.B) {
		c, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		request, buf := []byte(strings.Repeat("x", 1100)), make([]byte, len(reply))
		for b.Loop() {
			if _, err := c.Write(request); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(c, buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
