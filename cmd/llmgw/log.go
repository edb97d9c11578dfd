package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// logLines is how many lines may wait for a slow pipe; about 1 MiB.
const logLines = 4096

// logBatch is the most that is written at once, of lines that wait. A pipe takes
// so much whole (PIPE_BUF), so that no line is mixed with another process's.
const logBatch = 4096

// logFlush bounds how long the end of the process waits for the last lines.
const logFlush = 2 * time.Second

// logQueue writes log lines in its own goroutine, so that a pipe that nobody
// reads holds no request. What does not fit is dropped and counted.
type logQueue struct {
	lines   chan []byte
	dropped atomic.Int64
	mu      sync.RWMutex // guards closed, and lines against being closed while written to
	closed  bool
	done    chan struct{}
}

func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{lines: make(chan []byte, logLines), done: make(chan struct{})}
	go func() {
		defer close(q.done)
		q.copyTo(w)
	}()
	return q
}

// copyTo writes lines until the queue is closed, as many at once as wait. Before
// it looks for more it lets others go first: under load they bring them, and at
// rest there is nobody to wait for.
func (q *logQueue) copyTo(w io.Writer) {
	batch := make([]byte, 0, logBatch)
	for line := range q.lines {
		runtime.Gosched()
		for line != nil {
			count := int64(1)
			batch = append(batch[:0], line...)
			for line = q.waiting(); line != nil && len(batch)+len(line) <= logBatch; line = q.waiting() {
				batch = append(batch, line...)
				count++
			}
			if _, err := w.Write(batch); err != nil {
				q.dropped.Add(count)
			}
		}
	}
}

// waiting gives the next line; nil where none waits.
func (q *logQueue) waiting() []byte {
	select {
	case line := <-q.lines:
		return line
	default:
		return nil
	}
}

// Write never waits and never fails.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		q.dropped.Add(1)
		return len(line), nil
	}
	select {
	case q.lines <- append([]byte(nil), line...):
	default:
		q.dropped.Add(1)
	}
	return len(line), nil
}

// close writes what is left, as long as somebody takes it.
func (q *logQueue) close() error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	timer := time.NewTimer(logFlush)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C: // the reader of the log is stuck; the process ends without it
	}
	return nil
}

func (q *logQueue) collector() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "llmgw_log_dropped_total", Help: "Log lines that nobody took in time.",
	}, func() float64 { return float64(q.dropped.Load()) })
}

// logWriter is where log lines go: stderr, as JSON or for people.
func (a *app) logWriter(s *settings) io.Writer {
	format := s.text("log-format")
	if format == "pretty" || format == "auto" && a.errIsTerm {
		return prettyLog{w: a.err, look: a.errStyle()}
	}
	return a.err
}

// prettyLog writes JSON log lines for people.
type prettyLog struct {
	w    io.Writer
	look style
}

func (p prettyLog) Write(lines []byte) (int, error) {
	for line := range bytes.Lines(lines) {
		if err := p.line(line); err != nil {
			return 0, fmt.Errorf("writing log: %w", err)
		}
	}
	return len(lines), nil
}

func (p prettyLog) line(line []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		_, err := p.w.Write(line)
		return err
	}
	text := p.event(fields)
	if fields["msg"] == "request" {
		text = p.request(fields)
	}
	_, err := io.WriteString(p.w, p.look.plain(oneLine(clock(fields)+"  "+text))+"\n")
	return err
}

// clock gives the time of a line on this machine's clock.
func clock(fields map[string]any) string {
	text, _ := fields["time"].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return "--:--:--"
	}
	return at.Local().Format(time.TimeOnly)
}

// request shows one exchange: status, model, path, key, times, tokens, id.
func (p prettyLog) request(fields map[string]any) string {
	parts := []string{fmt.Sprintf("%3.0f", number(fields, "status"))}
	for _, name := range []string{"model", "path", "upstream", "key"} {
		if text, ok := fields[name].(string); ok && text != "" {
			parts = append(parts, text)
		}
	}
	if first := number(fields, "first_token_ms"); first > 0 {
		parts = append(parts, fmt.Sprintf("ttft %.0f ms", first))
	}
	parts = append(parts, fmt.Sprintf("%.0f ms", number(fields, "duration_ms")))
	_, in := fields["input_tokens"]
	_, out := fields["output_tokens"]
	if in || out {
		parts = append(parts, fmt.Sprintf("%.0f→%.0f tok", number(fields, "input_tokens"), number(fields, "output_tokens")))
	}
	if reason, _ := fields["end_reason"].(string); reason != "" && reason != "complete" {
		parts = append(parts, reason)
	}
	if code, _ := fields["error"].(string); code != "" {
		parts = append(parts, code)
	}
	id, _ := fields["request_id"].(string)
	return strings.Join(append(parts, id), "  ")
}

func number(fields map[string]any, name string) float64 {
	n, _ := fields[name].(float64)
	return n
}

// event shows every other line: what happened, then its fields by name.
func (p prettyLog) event(fields map[string]any) string {
	level, _ := fields["level"].(string)
	parts := []string{level, fmt.Sprint(fields["msg"])}
	for _, name := range sorted(fields) {
		if name != "level" && name != "time" && name != "msg" {
			parts = append(parts, fmt.Sprintf("%s=%v", name, fields[name]))
		}
	}
	return strings.Join(parts, " ")
}
