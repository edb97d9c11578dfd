package proxy

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// keyProtocol begins the subprotocol in which browsers, which cannot set a header
// on a WebSocket, carry a key
// (https://platform.openai.com/docs/guides/realtime-websocket).
const keyProtocol = "openai-insecure-api-key."

// websocketIdle is how long a WebSocket may be silent in both directions where
// neither rule nor upstream says it: somebody may think that long between two
// sentences. A dead peer is noticed sooner, by TCP's own probes.
const websocketIdle = 10 * time.Minute

var errOtherProtocol = errors.New("the upstream switched to another protocol than WebSocket")

// asksForWebsocket says whether a request is the opening handshake of a
// WebSocket (RFC 6455, section 4.2.1). Every other wish for another protocol is
// stripped, as any header that concerns one connection only.
func asksForWebsocket(r *http.Request) bool {
	return rules.AsksForWebsocket(r.Method, r.Header) &&
		r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) && r.ContentLength == 0
}

// eachProtocol calls f for every subprotocol that a header lists (RFC 6455,
// section 11.3.4).
func eachProtocol(list string, f func(protocol string)) {
	for protocol := range strings.SplitSeq(list, ",") {
		if protocol = strings.TrimSpace(protocol); protocol != "" {
			f(protocol)
		}
	}
}

// askForWebsocket puts into the header for an upstream what makes it a handshake:
// the change of protocol itself, and the client's subprotocols less those that
// carry a key.
func askForWebsocket(out, in http.Header) {
	out["Connection"], out["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	var kept []string
	for _, list := range in["Sec-Websocket-Protocol"] {
		eachProtocol(list, func(protocol string) {
			if !strings.HasPrefix(protocol, keyProtocol) && !strings.Contains(protocol, accounts.KeyPrefix) {
				kept = append(kept, protocol)
			}
		})
	}
	delete(out, "Sec-Websocket-Protocol")
	if len(kept) > 0 {
		out["Sec-Websocket-Protocol"] = []string{strings.Join(kept, ", ")}
	}
}

// sessionIdle bounds the silence of a WebSocket.
func (x *exchange) sessionIdle(to *rules.Candidate) time.Duration {
	written := x.decision.Timeouts(to)
	if x.target.upstream != nil {
		written = written.Or(x.target.upstream.Timeouts)
	}
	if written.Idle != 0 {
		return written.Idle
	}
	return websocketIdle
}

// relay takes over both connections after the upstream's 101, until one of the
// two sides ends the session or the gateway does.
func (x *exchange) relay(a *answer) *failure {
	if !strings.EqualFold(a.header.Get("Upgrade"), "websocket") {
		x.try.fail(x.target)
		return upstreamReset(x.target.publicName(), errOtherProtocol)
	}
	x.observer = newObserver(x.request.Wire, a.status, a.header)
	x.observer.media = mediaMessages
	head := x.switchingHead(a)
	client, buffered, err := x.rc.Hijack()
	if err != nil {
		return internalFailure().because(err)
	}
	defer func() { _ = client.Close() }() // whatever happens: the server knows nothing of it any more
	x.headSent, x.record.status, x.record.stream = true, a.status, true
	x.p.metrics.inFlightStreams.Inc()
	defer x.p.metrics.inFlightStreams.Dec()
	// What the client sent before it was answered; the rest is read from its
	// connection.
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	t := newTunnel(x, client, a.upgraded, early)
	if err == nil {
		_ = client.SetWriteDeadline(time.Now().Add(x.p.options.WriteStall))
		_, err = client.Write(head)
	}
	if err != nil {
		x.record.end(x.clientLost(err), "")
		return nil
	}
	_ = client.SetWriteDeadline(time.Time{})
	x.record.wroteAt.Store(neverQuiet)
	x.sessionEnded(t.run())
	x.record.requestBytes, x.record.responseBytes = t.uploaded, t.downloaded
	return nil
}

// sessionEnded records the end of a session.
func (x *exchange) sessionEnded(reason endReason) {
	switch reason {
	case endComplete, endClientGone, endDrained, endRevoked:
		x.record.end(reason, "")
	case endClientStalled:
		x.broken = true
		x.record.end(reason, "")
	default:
		x.broken = true
		x.try.fail(x.target)
		x.record.end(reason, codeStreamCut)
	}
}

// switchingHead writes the head of the answer: the upstream's, less what
// concerned its connection only, with what makes it an answer to the handshake.
func (x *exchange) switchingHead(a *answer) []byte {
	h := x.w.Header()
	answerHeader(h, a.header)
	x.skippedEdits(x.decision.EditResponseHeaders(&x.request, x.try.to, h))
	x.p.flights.note(x, func(s *seen) { s.status, s.stream = a.status, true })
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	delete(h, "Content-Length") // which a 101 must not have (RFC 9110, section 8.6)
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(&head) // a buffer takes everything
	head.WriteString("\r\n")
	return head.Bytes()
}
