package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	model        = "bench-model"
	chatPath     = "/v1/chat/completions"
	contentBytes = 1 << 10 // of a request's body, and of a reply's
	streamEvents = 100
	eventText    = 26 // makes an event of 200 bytes
)

// padded puts filler in place of the %s of a document, so that all of it has
// contentBytes.
func padded(document string) string {
	return fmt.Sprintf(document, strings.Repeat("x", contentBytes-len(document)+len("%s")))
}

// chatRequest gives the bytes of a request, head and body.
func chatRequest(host, key string, stream bool) []byte {
	body := padded(`{"model":"` + model + `","stream":` + strconv.FormatBool(stream) + `,"messages":[{"role":"user","content":"%s"}]}`)
	var authorization string
	if key != "" {
		authorization = "Authorization: Bearer " + key + "\r\n"
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: application/json\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		chatPath, host, authorization, len(body), body)
}

// chatReply gives the body of an answer that is no stream.
func chatReply() []byte {
	return []byte(padded(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"` + model + `","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}`))
}

// streamEvent gives the event of a number. The last but one tells the usage, the
// last one is the protocol's end.
func streamEvent(n int) string {
	const form = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"` + model + `",%s}` + "\n\n"
	switch n {
	case streamEvents - 1:
		return "data: [DONE]\n\n"
	case streamEvents - 2:
		return fmt.Sprintf(form, `"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":98,"total_tokens":109}`)
	}
	text := fmt.Sprintf("%03d%s", n, strings.Repeat("y", eventText))
	return fmt.Sprintf(form, `"choices":[{"index":0,"delta":{"content":"`+text+`"},"finish_reason":null}]`)
}

// streamBody gives all events of a stream.
func streamBody() []byte {
	var body []byte
	for n := range streamEvents {
		body = append(body, streamEvent(n)...)
	}
	return body
}

// chunked frames an event as one chunk (RFC 9112, section 7.1).
func chunked(event string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event) }

const (
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	lastChunk  = "0\r\n\r\n"
)

// wholeReply is an answer that is no stream, as it goes over the wire.
func wholeReply() []byte {
	body := chatReply()
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// wholeStream is a stream as it goes over the wire: head and body, for one
// write. A proxy that gets both at once may still be busy with the request.
func wholeStream() []byte {
	all := []byte(streamHead)
	for n := range streamEvents {
		all = append(all, chunked(streamEvent(n))...)
	}
	return append(all, lastChunk...)
}

// A stamped event says when it was sent, in nanoseconds and in as many digits
// at any time.
const (
	stampDigits = 19
	stampBefore = `data: {"object":"chat.completion.chunk","model":"` + model + `","sent":"`
	stampAfter  = `","choices":[{"index":0,"delta":{"content":"` + "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" + `"},"finish_reason":null}]}` + "\n\n"
)

func stampedEvent(at time.Time) string {
	return fmt.Sprintf("%s%0*d%s", stampBefore, stampDigits, at.UnixNano(), stampAfter)
}

// stampOf gives when an event was sent. It is wrong where any byte of it is.
func stampOf(event []byte) (time.Time, bool) {
	digits, begins := bytes.CutPrefix(event, []byte(stampBefore))
	digits, ends := bytes.CutSuffix(digits, []byte(stampAfter))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, n), begins && ends && err == nil && len(digits) == stampDigits
}
