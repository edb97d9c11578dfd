package proxy

import (
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/rules"
)

// The bounds of the body log. What does not fit is left out and told of: a body
// over its bound is cut, an exchange over the queue is dropped and counted.
const (
	maxLoggedBody  = 1 << 20  // of each body
	maxBodyLog     = 64 << 20 // of all bodies in memory for it, of exchanges under way too
	bodyLogQueue   = 256      // exchanges that wait to be written
	bodyLogFlush   = 2 * time.Second
	firstBodyBytes = 4 << 10
)

// bodyLog writes the bodies of exchanges, where a rule asks for that, in its own
// goroutine: no exchange waits for it, or fails with it.
type bodyLog struct {
	to      io.Writer
	log     zerolog.Logger
	queue   chan *bodies
	room    budget
	dropped atomic.Int64
	failing bool // of the goroutine
	stop    chan struct{}
	done    chan struct{}
}

// newBodyLog begins a log; nil where there is none to be kept.
func newBodyLog(to io.Writer, log zerolog.Logger) *bodyLog {
	if to == nil {
		return nil
	}
	l := &bodyLog{
		to: to, log: log, room: budget{limit: maxBodyLog},
		queue: make(chan *bodies, bodyLogQueue), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go l.run()
	return l
}

// run writes until the log is closed, and then what still waits.
func (l *bodyLog) run() {
	defer close(l.done)
	for {
		select {
		case b := <-l.queue:
			l.write(b)
		case <-l.stop:
			for len(l.queue) > 0 {
				l.write(<-l.queue)
			}
			return
		}
	}
}

// write writes a line. The first of several that fail is told of; all are
// counted.
func (l *bodyLog) write(b *bodies) {
	_, err := l.to.Write(b.line())
	l.release(b)
	if err == nil {
		l.failing = false
		return
	}
	l.dropped.Add(1)
	if !l.failing {
		l.failing = true
		l.log.Warn().Str("code", "body_log").Str("cause", err.Error()).Msg("error")
	}
}

func (l *bodyLog) release(b *bodies) {
	l.room.release(int64(cap(b.request.bytes) + cap(b.answer.bytes)))
}

// close writes what waits, and gives up on a writer that is stuck.
func (l *bodyLog) close() {
	if l == nil {
		return
	}
	close(l.stop)
	timer := time.NewTimer(bodyLogFlush)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
	}
}

// lost tells how many exchanges were dropped.
func (l *bodyLog) lost() float64 {
	if l == nil {
		return 0
	}
	return float64(l.dropped.Load())
}

// begin keeps the request of an exchange that is to be logged. It is a copy: the
// body itself makes room as soon as the answer begins.
func (l *bodyLog) begin(x *exchange) *bodies {
	if l == nil || !x.decision.LogBody {
		return nil
	}
	b := &bodies{kept: l, at: x.started}
	b.request.add(l, x.body.bytes)
	return b
}

// bodies are what the body log keeps of one exchange. Every method does nothing
// on nil, which is what an exchange has that is not logged.
type bodies struct {
	kept    *bodyLog
	at      time.Time
	request capture
	answer  capture
	says    bodyLine
	secrets []string
}

// asked keeps a request that was read whole only after the rules had decided.
func (b *bodies) asked(body []byte) {
	if b != nil {
		b.request.add(b.kept, body)
	}
}

// passed keeps what went to the client.
func (b *bodies) passed(part []byte) {
	if b != nil {
		b.answer.add(b.kept, part)
	}
}

// end hands the exchange to the log, or drops it.
func (b *bodies) end(x *exchange) {
	if b == nil {
		return
	}
	b.request.size = max(b.request.size, x.record.requestBytes) // more than it read where the body passed as it came
	b.request.coding = strings.Join(x.r.Header["Content-Encoding"], ", ")
	b.answer.coding = strings.Join(x.w.Header()["Content-Encoding"], ", ")
	b.secrets = x.secrets()
	b.says = bodyLine{
		Time: b.at.UTC().Format(time.RFC3339Nano), RequestID: x.id, Key: x.keyName(), Rule: x.ruleName(), Upstream: x.upstreamName(),
		Method: loggable(x.request.Method), Path: loggable(x.request.Path), Model: loggable(x.request.Model),
		Status: x.record.status, EndReason: string(x.record.reason),
	}
	select {
	case <-b.kept.stop:
	case b.kept.queue <- b:
		return
	default:
	}
	b.kept.dropped.Add(1)
	b.kept.release(b)
}

// capture is the beginning of a body, and how long it was.
type capture struct {
	bytes  []byte
	size   int64
	full   bool // no more is kept
	coding string
}

func (c *capture) add(l *bodyLog, part []byte) {
	c.size += int64(len(part))
	if c.full {
		return
	}
	if room := maxLoggedBody - len(c.bytes); len(part) > room {
		part, c.full = part[:room], true
	}
	if need := len(c.bytes) + len(part); need > cap(c.bytes) {
		grown := min(max(need, 2*cap(c.bytes), firstBodyBytes), maxLoggedBody)
		if !l.room.reserve(int64(grown - cap(c.bytes))) {
			c.full = true
			return
		}
		c.bytes = append(make([]byte, 0, grown), c.bytes...)
	}
	c.bytes = append(c.bytes, part...)
}

func (c *capture) cut() bool { return int64(len(c.bytes)) < c.size }

// warnOfBodies tells, when it becomes so, that rules ask for a log that nobody
// keeps. The caller holds the lock of reloads.
func (p *Proxy) warnOfBodies(set *rules.Set) {
	var asking []string
	if p.options.BodyLog == nil {
		for _, listed := range set.All() {
			if listed.Rule.Action.BodyLog && !listed.Rule.Disabled {
				asking = append(asking, listed.Rule.Name)
			}
		}
	}
	if len(asking) > 0 && !p.reloads.unkept {
		p.options.Log.Warn().Strs("rules", asking[:min(len(asking), maxNamedRules)]).
			Msg("rules ask for a body log and none is kept; serve --body-log FILE keeps one")
	}
	p.reloads.unkept = len(asking) > 0
}

// maxNamedRules is how many rules a log line names.
const maxNamedRules = 20
