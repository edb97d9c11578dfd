package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// apart is how long after another a read is a piece of its own. Tokens of the
	// mock are 20 ms apart.
	apart = 4 * time.Millisecond
	// fewPieces of a stream with many more events say that it was held back.
	fewPieces = 3
	// clockOff is more than what a Date header, in whole seconds, leaves open.
	clockOff = 2 * time.Second
	// stallModel falls silent after some tokens; see package mock.
	stallModel = "mock-stall"
)

// arrival is how a stream arrived.
type arrival struct {
	pieces  int
	events  int
	encoded string // its content-encoding
	date    time.Time
	at      time.Time // when the head came, by the clock of this machine
}

// stream sends a stream through the gateway, by the address that was given or by
// its own, and looks at how it arrives.
func (d *doctor) stream(ctx context.Context) {
	const check = "stream path"
	if d.away != nil {
		d.skip(check, "needs a running gateway")
		return
	}
	key, err := d.gateway.ChatKey(ctx)
	if err != nil {
		d.failed(check, err)
		return
	}
	p := &prober{at: d.status.Proxy, key: key.Secret, bound: d.settings.duration("timeout")}
	if d.flags.url != "" {
		p.at, p.client = strings.TrimRight(d.flags.url, "/"), publicClient()
	} else if p.client, err = proxyClient(d.settings); err != nil {
		d.failed(check, err)
		return
	}
	defer p.client.CloseIdleConnections()
	a, err := p.stream(ctx, d.flags.model)
	if _, gone := interrupted(ctx); gone {
		return
	}
	if err != nil {
		d.unstreamed(check, err)
		return
	}
	d.judgeStream(check, p.at, a)
	d.clock(a)
	if d.flags.idle > 0 {
		d.silence(ctx, p)
	}
}

// unstreamed says why there was no stream to look at. Where nothing takes the
// mock there is nothing wrong.
func (d *doctor) unstreamed(check string, err error) {
	var refused *refusedStream
	if errors.As(err, &refused) && refused.code == "no_rule" && d.flags.model == "mock" {
		d.skip(check, "no rule takes the model mock; look with another: llmgw doctor --model NAME")
		return
	}
	hint := ""
	switch {
	case d.flags.url == "" && untrusted(err):
		hint = nameTheCertificate
	case untrusted(err):
		hint = "clients will not trust it either, unless they are told to"
	case d.flags.url != "":
		hint = "is this the address of this gateway? Its own is " + d.status.Proxy
	}
	d.say(check, stateProblem, err.Error(), hint)
}

// judgeStream tells a stream that came as it was sent from one that was held back
// or changed on the way.
func (d *doctor) judgeStream(check, at string, a arrival) {
	through := ""
	if d.flags.url != "" {
		through = " through " + at
	}
	switch {
	case a.pieces <= fewPieces && a.pieces < a.events:
		d.say(check, stateProblem, fmt.Sprintf("stream arrived in %s%s: something in front buffers", plural(a.pieces, "piece"), through),
			"nginx: proxy_buffering off; (the gateway sends X-Accel-Buffering: no)")
	case a.encoded != "":
		d.say(check, stateWarning, fmt.Sprintf("stream arrived in %s%s, compressed on the way (content-encoding: %s)", plural(a.pieces, "piece"), through, a.encoded),
			"what compresses holds events back sooner or later. nginx: gzip off; for this location")
	default:
		d.ok(check, "%s stream arrived in %d separate chunks%s (no buffering in front of the gateway)", d.flags.model, a.pieces, through)
	}
}

// clock compares this machine's with the one of whoever answered.
func (d *doctor) clock(a arrival) {
	if a.date.IsZero() {
		d.skip("clock", "the answer has no date")
		return
	}
	off := a.at.Sub(a.date.Add(500 * time.Millisecond)) // the header has whole seconds, cut
	if off.Abs() <= clockOff {
		d.ok("clock", "as the gateway's")
		return
	}
	side := "ahead of"
	if off < 0 {
		side = "behind"
	}
	d.say("clock", stateWarning, fmt.Sprintf("%.1f s %s the gateway", off.Abs().Seconds(), side), "the expiry of keys may look wrong; sync time")
}

// silence looks whether a stream in which nothing is said survives.
func (d *doctor) silence(ctx context.Context, p *prober) {
	const check = "idle stream"
	lasted, err := p.silence(ctx, d.flags.idle)
	if _, gone := interrupted(ctx); gone {
		return // it was not the stream that ended
	}
	var refused *refusedStream
	switch {
	case errors.As(err, &refused) && refused.code == "no_rule":
		d.skip(check, "no rule takes the model "+stallModel)
	case lasted == 0 && err != nil:
		d.say(check, stateProblem, err.Error(), "")
	case err != nil:
		d.say(check, stateProblem, fmt.Sprintf("cut after %s of silence", seconds(lasted)),
			"models think for longer than that. nginx: proxy_read_timeout 600s;")
	default:
		d.ok(check, "%s of silence did not end it", seconds(d.flags.idle))
	}
}

// publicClient speaks to an address that others use, as they do: its certificate
// must be good, and no proxy of the environment sees the key.
func publicClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableCompression: true,
			TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12},
			DialContext:        (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// prober sends streams and looks at how they arrive.
type prober struct {
	client *http.Client
	at     string // base URL
	key    string
	bound  time.Duration // of one stream, the silence not counted
}

// refusedStream is an answer that is no stream.
type refusedStream struct{ code, text string }

func (r *refusedStream) Error() string { return r.text }

// ask sends a prompt and gives the head of the answer. It offers the encodings
// that clients do, so that whatever likes to compress does.
func (p *prober) ask(ctx context.Context, model string) (*http.Response, error) {
	request, err := chatRequest(ctx, p.at, chatWires()["openai"], chatPrompt{model: model, text: "hello from llmgw doctor"}, p.key)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	response, err := p.client.Do(request)
	if err != nil {
		return nil, failed(err, "no answer from %s: %s", p.at, reason(err))
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	return nil, p.refusal(response)
}

func (p *prober) refusal(response *http.Response) error {
	refused := &refusedStream{code: response.Header.Get("X-Llmgw-Error")}
	if response.Header.Get("X-Llmgw-Request-Id") == "" {
		refused.text = fmt.Sprintf("%s answered %d, and not as llmgw does", p.at, response.StatusCode)
		return refused
	}
	refused.text = fmt.Sprintf("%s answered %d", p.at, response.StatusCode)
	var body struct {
		Error *providerError `json:"error"`
	}
	err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&body)
	if err == nil && body.Error != nil {
		refused.text += ": " + said(body.Error)
	}
	return refused
}

// stream reads a stream to its end.
func (p *prober) stream(ctx context.Context, model string) (arrival, error) {
	ctx, cancel := context.WithTimeout(ctx, p.bound)
	defer cancel()
	response, err := p.ask(ctx, model)
	if err != nil {
		return arrival{}, err
	}
	defer func() { _ = response.Body.Close() }()
	a := arrival{at: time.Now(), encoded: response.Header.Get("Content-Encoding")}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		a.date = date
	}
	return a, a.read(response.Body)
}

// longestStream is as much of a stream as is looked at.
const longestStream = 4 << 20

// read counts the pieces in which a stream comes and the events in it. Of what
// is encoded the events cannot be seen, and are taken to be many.
func (a *arrival) read(body io.Reader) error {
	var text []byte
	var last time.Time
	buffer := make([]byte, 32<<10)
	for len(text) < longestStream {
		n, err := body.Read(buffer)
		if n > 0 {
			now := time.Now()
			if now.Sub(last) >= apart {
				a.pieces++
			}
			last, text = now, append(text, buffer[:n]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the stream broke off after %s: %s", plural(a.pieces, "piece"), reason(err))
		}
	}
	a.events = bytes.Count(text, []byte("data:"))
	if a.encoded != "" {
		a.events = fewPieces + 1
	}
	return nil
}

// silence reads a stream that falls silent and tells how long it was when the
// stream ended; no error where that is as long as was asked for.
func (p *prober) silence(ctx context.Context, wanted time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, p.bound+wanted)
	defer cancel()
	response, err := p.ask(ctx, stallModel)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	last := time.Now()
	enough := time.AfterFunc(wanted, cancel)
	defer enough.Stop()
	buffer := make([]byte, 4<<10)
	for {
		n, err := response.Body.Read(buffer)
		lasted := time.Since(last)
		switch {
		case lasted >= wanted:
			return lasted, nil
		case err != nil:
			return max(lasted, 1), err
		case n > 0:
			last = time.Now()
			enough.Reset(wanted)
		}
	}
}
