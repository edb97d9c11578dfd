package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// flood is an admin API that tells of exchanges as fast as it is told to: a
// gateway would hold back most of them.
type flood struct {
	rate int
	sent atomic.Int64
	http *http.Server
	data string
}

// floodEvery is how often events are written, several together.
const floodEvery = 10 * time.Millisecond

// startFlood listens where a gateway with this data directory would.
func startFlood(ctx context.Context, data string, rate int) (*flood, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", filepath.Join(data, "admin.sock"))
	if err != nil {
		return nil, fmt.Errorf("listening in the place of a gateway: %w", err)
	}
	f := &flood{rate: rate, data: data}
	f.http = &http.Server{Handler: f, ReadHeaderTimeout: startBound}
	go func() { _ = f.http.Serve(l) }() // it ends with close
	return f, nil
}

func (f *flood) close() error { return f.http.Close() }

// ServeHTTP answers what a console asks for: who it is, nothing else, and events.
func (f *flood) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch strings.TrimPrefix(r.URL.Path, "/api/v1") {
	case "/events":
		f.pour(w, r)
	case "/me":
		_, _ = io.WriteString(w, `{"user":"local","role":"admin","via":"socket"}`)
	case "/traffic":
		fmt.Fprintf(w, `{"until":%q,"window_seconds":900,"since_seconds":900,"step_seconds":7.5,"total":{"requests":%d},"series":[],"by":[],"recent_trouble":[]}`,
			time.Now().UTC().Format(time.RFC3339), f.sent.Load())
	default:
		_, _ = io.WriteString(w, `{"items":[]}`)
	}
}

// pour writes events until the reader leaves.
func (f *flood) pour(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "event: hello\ndata: {\"node\":\"flood\",\"seq\":1,\"revision\":1}\n\n")
	tick := time.NewTicker(floodEvery)
	defer tick.Stop()
	begun, n := time.Now(), int64(0)
	for control := http.NewResponseController(w); ; {
		if err := control.Flush(); err != nil {
			return // the reader is gone
		}
		select {
		case <-r.Context().Done():
			return
		case now := <-tick.C:
			for due := int64(now.Sub(begun).Seconds() * float64(f.rate)); n < due; n++ {
				if err := exchangeEvent(w, n, now); err != nil {
					return
				}
				f.sent.Add(1)
			}
		}
	}
}

// exchangeEvent writes what a gateway tells of an exchange that has ended.
func exchangeEvent(w io.Writer, n int64, now time.Time) error {
	status := 200
	if n%100 == 0 {
		status = 429
	}
	_, err := fmt.Fprintf(w, "event: exchange\nid: flood-%d\ndata: {\"request_id\":\"req_%026d\",\"time\":%q,\"method\":\"POST\",\"path\":\"/v1/chat/completions\",\"status\":%d,\"end_reason\":\"complete\",\"key\":\"key-%d\",\"user\":\"dana\",\"rule\":\"bench\",\"upstream\":\"bench\",\"wire\":\"openai-chat\",\"model\":\"bench-model\",\"stream\":true,\"duration_ms\":812.4,\"upstream_ms\":811.9,\"first_token_ms\":301.2,\"overhead_us\":41,\"request_bytes\":1024,\"response_bytes\":9216,\"input_tokens\":11,\"output_tokens\":212,\"attempts\":1,\"revision\":1,\"node\":\"flood\",\"timing\":{\"body_ms\":0.1,\"dispatched_ms\":0.2,\"header_ms\":300,\"first_byte_ms\":301,\"chunks\":212,\"longest_gap_ms\":31,\"longest_gap_at_ms\":400,\"gap_step_ms\":32,\"gaps_ms\":[3,4,3,31,4,3,4,4,3,4,3,5,3,4,3,4]}}\n\n",
		n, n, now.UTC().Format(time.RFC3339Nano), status, n%17)
	return err
}
