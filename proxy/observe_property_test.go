package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

// madeUpRounds × 100 scripts are tried for each format.
const madeUpRounds = 17

// madeUp is a made-up answer.
type madeUp struct {
	wire   accounts.Wire
	header http.Header
	body   []byte
	events []plainEvent
}

var madeUpFormats = map[string]func(*rapid.T) madeUp{
	"chat":      func(t *rapid.T) madeUp { return madeUpEvents(t, accounts.WireOpenAIChat, chatEvent) },
	"responses": func(t *rapid.T) madeUp { return madeUpEvents(t, accounts.WireOpenAIResponses, responsesEvent) },
	"anthropic": func(t *rapid.T) madeUp { return madeUpEvents(t, accounts.WireAnthropicMessages, anthropicEvent) },
	"gemini":    func(t *rapid.T) madeUp { return madeUpEvents(t, accounts.WireGoogleGenerate, geminiEvent) },
	"array":     madeUpArray,
	"frames":    madeUpFrames,
}

func TestObserverSaysOfAnyCutWhatAPlainReaderSaysOfTheWhole(t *testing.T) {
	rounds := madeUpRounds
	if testing.Short() {
		rounds = 1
	}
	for name, draw := range madeUpFormats {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				rapid.Check(t, func(t *rapid.T) { checkMadeUp(t, draw(t)) })
			}
		})
	}
}

func checkMadeUp(t *rapid.T, s madeUp) {
	o := oracle{usage: map[string]int64{}}
	for _, e := range s.events {
		o.take(s.wire, e)
	}
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "cuts"), 1))
	for _, most := range []int{len(s.body), 1 + len(s.body)/3, 60, 1} {
		if most == 1 && len(s.body) > 4000 {
			continue
		}
		watch := newObserver(s.wire, 200, s.header)
		for rest := s.body; len(rest) > 0; {
			n := min(len(rest), random.IntN(most+1))
			watch.write(rest[:n])
			rest = rest[n:]
		}
		if sse := watch.media == mediaEvents; watch.atBoundary() != (sse && endsEvent(s.body) && !bytes.HasSuffix(s.body, []byte("\r"))) {
			t.Fatalf("at boundary %v after %q", watch.atBoundary(), lastBytes(s.body))
		}
		watch.end()
		if got := usageMap(watch.usage()); !maps.Equal(got, o.usage) {
			t.Fatalf("cut to %d: usage %v, want %v\n%q", most, got, o.usage, s.body)
		}
		got := saidBy(watch)
		want := said{usage: got.usage, token: o.output, stream: true, terminal: o.terminal, failed: o.failed, last: o.last, atBound: got.atBound}
		if got != want {
			t.Fatalf("cut to %d:\n%+v, want\n%+v\n%q", most, got, want, s.body)
		}
	}
	checkPrefix(t, s, random.IntN(len(s.body)+1))
}

// checkPrefix: also in the middle of things the cuts make no difference.
func checkPrefix(t *rapid.T, s madeUp, n int) {
	whole, pieces := newObserver(s.wire, 200, s.header), newObserver(s.wire, 200, s.header)
	whole.write(s.body[:n])
	for _, p := range cutEvery(s.body[:n], 1+n/5000) {
		pieces.write(p)
	}
	if a, b := saidBy(whole), saidBy(pieces); a != b {
		t.Fatalf("after %d bytes:\n%+v whole\n%+v in pieces\n%q", n, a, b, s.body[:n])
	}
}

// endsEvent says whether a made-up stream ends behind a whole event, or a
// comment behind one.
func endsEvent(body []byte) bool {
	text := strings.ReplaceAll(strings.ReplaceAll(string(body), "\r\n", "\n"), "\r", "\n")
	text = strings.TrimPrefix(text, "\ufeff")
	for {
		before, _ := strings.CutSuffix(text, "\n")
		line := before[strings.LastIndexByte(before, '\n')+1:]
		if before == text || !strings.HasPrefix(line, ":") {
			return text == "" || text == "\n" || strings.HasSuffix(text, "\n\n")
		}
		text = strings.TrimSuffix(before, line)
	}
}

func lastBytes(b []byte) []byte { return b[max(0, len(b)-80):] }

// madeUpEvents makes up a stream of events, comments and oddities.
func madeUpEvents(t *rapid.T, wire accounts.Wire, event func(*rapid.T) (string, any)) madeUp {
	lineEnd := rapid.SampledFrom([]string{"\n", "\n", "\r\n", "\r"}).Draw(t, "line end")
	var b strings.Builder
	b.WriteString(rapid.SampledFrom([]string{"", "", "", "\ufeff"}).Draw(t, "mark"))
	for range rapid.IntRange(0, 8).Draw(t, "events") {
		switch rapid.IntRange(0, 11).Draw(t, "oddity") {
		case 0:
			b.WriteString(": ping" + lineEnd)
		case 1:
			b.WriteString(": ping" + lineEnd + lineEnd)
		case 2:
			b.WriteString("id: 7" + lineEnd + "retry: 100" + lineEnd + lineEnd)
		case 3:
			b.WriteString("event: ping" + lineEnd + lineEnd)
		case 4:
			b.WriteString(`data: {"usage":{"prompt_tokens":77,"input_tokens":77}` + lineEnd + lineEnd) // no whole document
		case 5:
			b.WriteString("data: [DONE]" + lineEnd + lineEnd)
		default:
			name, doc := event(t)
			writeEvent(t, &b, lineEnd, name, render(t, doc))
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "cut off") == 0 {
		b.WriteString("data: {\"id\":\"1\"")
	}
	text := b.String()
	return madeUp{wire, eventStream, []byte(text), plainSSE(text)}
}

// writeEvent writes an event in one of the ways that mean the same.
func writeEvent(t *rapid.T, b *strings.Builder, lineEnd, name, data string) {
	if name != "" && rapid.IntRange(0, 4).Draw(t, "named") > 0 {
		b.WriteString(rapid.SampledFrom([]string{"event: ", "event:"}).Draw(t, "event field") + name + lineEnd)
	}
	field := rapid.SampledFrom([]string{"data: ", "data: ", "data:"}).Draw(t, "data field")
	b.WriteString(field + strings.ReplaceAll(data, "\n", lineEnd+field) + lineEnd)
	if rapid.IntRange(0, 9).Draw(t, "trailer") == 0 {
		b.WriteString("id: 12" + lineEnd)
	}
	b.WriteString(lineEnd)
}

// madeUpArray makes up Gemini's stream without alt=sse.
func madeUpArray(t *rapid.T) madeUp {
	var parts []string
	var events []plainEvent
	for range rapid.IntRange(0, 6).Draw(t, "elements") {
		_, doc := geminiEvent(t)
		text := render(t, doc)
		parts = append(parts, text)
		events = append(events, plainEvent{data: text})
	}
	body := " [" + strings.Join(parts, "\n,\r\n") + "]\n"
	return madeUp{accounts.WireGoogleGenerate, http.Header{"Content-Type": {"application/json"}}, []byte(body), events}
}

// madeUpFrames makes up answers of converse-stream and of invoke's stream.
func madeUpFrames(t *rapid.T) madeUp {
	var body []byte
	for range rapid.IntRange(0, 8).Draw(t, "frames") {
		name, kind, doc := bedrockEvent(t)
		body = append(body, frameOf(kind, name, []byte(render(t, doc)))...)
	}
	header := http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}
	return madeUp{accounts.WireBedrock, header, body, plainFrames(body)}
}

type jsonObject = map[string]any

// base64Text is a text in base64, which nobody writes with \u escapes: they are not
// resolved in it.
type base64Text string

// anyCount is a count, or something that must not be taken for one.
func anyCount(t *rapid.T) any {
	switch rapid.IntRange(0, 11).Draw(t, "number kind") {
	case 0:
		return nil
	case 1:
		return json.Number("-5")
	case 2:
		return json.Number("1.5e3")
	case 3:
		return json.Number("9223372036854775808")
	case 4:
		return json.Number("9223372036854775807")
	case 5:
		return "12"
	case 6:
		return jsonObject{"tokens": 3}
	}
	return rapid.IntRange(0, 100000).Draw(t, "number")
}

// someKeys leaves keys of an object out.
func someKeys(t *rapid.T, o jsonObject) any {
	if rapid.IntRange(0, 9).Draw(t, "null") == 0 {
		return nil
	}
	for _, key := range sortedKeys(o) {
		if rapid.IntRange(0, 5).Draw(t, "leave out") == 0 {
			delete(o, key)
		}
	}
	return o
}

// anyText is a text: short or long, plain or not, often looking like something
// that it is not.
func anyText(t *rapid.T) string {
	s := rapid.SampledFrom([]string{
		"", " ferry", "Grüße, 世界 🎏", `{"usage":{"prompt_tokens":1}}`, "\n\ndata: [DONE]\n\n", `\\"\`, "\"", "\x00\x1f", "\u2028",
	}).Draw(t, "words")
	if rapid.IntRange(0, 60).Draw(t, "huge") == 0 {
		return strings.Repeat(s+`x"\`, 9000)
	}
	return s
}

func chatEvent(t *rapid.T) (string, any) {
	usage := func() any {
		return someKeys(t, jsonObject{
			"prompt_tokens": anyCount(t), "completion_tokens": anyCount(t), "total_tokens": anyCount(t),
			"prompt_tokens_details":     someKeys(t, jsonObject{"cached_tokens": anyCount(t), "audio_tokens": 1}),
			"completion_tokens_details": someKeys(t, jsonObject{"reasoning_tokens": anyCount(t)}),
		})
	}
	doc := jsonObject{"id": "c1", "object": "chat.completion.chunk", "created": 1, "decoy": jsonObject{"usage": jsonObject{"prompt_tokens": 5}}}
	switch rapid.IntRange(0, 9).Draw(t, "event") {
	case 0:
		doc["choices"], doc["usage"] = []any{}, usage()
	case 1:
		doc["x_groq"] = jsonObject{"id": "r", "usage": usage()}
	case 2:
		doc["error"] = jsonObject{"message": anyText(t)}
		return "error", doc
	case 3:
		doc["error"] = rapid.SampledFrom([]any{nil, "", "overloaded", jsonObject{}, 3}).Draw(t, "error")
	case 4:
		doc["choices"] = []any{jsonObject{"index": 0, "delta": jsonObject{"role": "assistant", "content": ""}}}
	default:
		key := rapid.SampledFrom([]string{"content", "reasoning", "refusal", "role"}).Draw(t, "delta")
		delta := jsonObject{key: anyText(t)}
		if rapid.Bool().Draw(t, "tool") {
			delta["tool_calls"] = rapid.SampledFrom([]any{nil, []any{}, []any{jsonObject{"index": 0}}}).Draw(t, "calls")
		}
		doc["choices"], doc["usage"] = []any{jsonObject{"index": 0, "delta": delta, "logprobs": nil}}, usage()
	}
	return "", doc
}

func responsesEvent(t *rapid.T) (string, any) {
	kind := rapid.SampledFrom([]string{
		"response.created", "response.output_item.added", "response.output_text.delta", "response.output_text.done",
		"response.completed", "response.incomplete", "response.failed", "error",
	}).Draw(t, "type")
	doc := jsonObject{"type": kind, "sequence_number": 3}
	switch kind {
	case "response.output_text.delta":
		doc["delta"] = anyText(t)
	case "response.output_text.done":
		doc["text"] = anyText(t)
	case "response.output_item.added":
		doc["item"] = rapid.SampledFrom([]any{jsonObject{"type": "message"}, jsonObject{"type": "function_call", "name": "ferry"}}).Draw(t, "item")
	case "error":
		doc["message"] = anyText(t)
	default:
		doc["response"] = jsonObject{"error": nil, "output": []any{jsonObject{"text": anyText(t)}}, "usage": someKeys(t, jsonObject{
			"input_tokens": anyCount(t), "output_tokens": anyCount(t),
			"input_tokens_details":  someKeys(t, jsonObject{"cached_tokens": anyCount(t)}),
			"output_tokens_details": someKeys(t, jsonObject{"reasoning_tokens": anyCount(t)}),
		})}
	}
	return kind, doc
}

func anthropicUsageDoc(t *rapid.T) any {
	return someKeys(t, jsonObject{
		"input_tokens": anyCount(t), "output_tokens": anyCount(t), "cache_read_input_tokens": anyCount(t),
		"cache_creation_input_tokens": anyCount(t), "iterations": []any{jsonObject{"input_tokens": 8}},
		"cache_creation": jsonObject{"ephemeral_5m_input_tokens": 3},
	})
}

func anthropicEvent(t *rapid.T) (string, any) {
	kind := rapid.SampledFrom([]string{
		"message_start", "ping", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop", "error",
	}).Draw(t, "type")
	doc := jsonObject{"type": kind}
	switch kind {
	case "message_start":
		doc["message"] = jsonObject{"type": "message", "content": []any{}, "usage": anthropicUsageDoc(t)}
	case "content_block_start":
		doc["content_block"] = rapid.SampledFrom([]any{
			jsonObject{"type": "text", "text": ""}, jsonObject{"type": "tool_use", "id": "t1", "name": "ferry", "input": jsonObject{}},
		}).Draw(t, "block")
	case "content_block_delta":
		doc["delta"] = jsonObject{"type": "text_delta", "text": anyText(t)}
	case "message_delta":
		doc["delta"], doc["usage"] = jsonObject{"stop_reason": "end_turn", "stop_sequence": nil}, anthropicUsageDoc(t)
	case "error":
		doc["error"] = jsonObject{"type": "overloaded_error", "message": anyText(t)}
	}
	return kind, doc
}

func geminiEvent(t *rapid.T) (string, any) {
	doc := jsonObject{"modelVersion": "m", "usageMetadata": someKeys(t, jsonObject{
		"promptTokenCount": anyCount(t), "candidatesTokenCount": anyCount(t), "cachedContentTokenCount": anyCount(t),
		"thoughtsTokenCount": anyCount(t), "promptTokensDetails": []any{jsonObject{"tokenCount": 4}},
	})}
	switch rapid.IntRange(0, 7).Draw(t, "event") {
	case 0:
		doc["error"] = jsonObject{"code": 503, "message": anyText(t)}
	case 1:
		doc["promptFeedback"] = jsonObject{"blockReason": "SAFETY"}
	case 2:
		doc["candidates"] = []any{jsonObject{"finishReason": "STOP", "content": jsonObject{"parts": []any{jsonObject{"text": "", "thoughtSignature": "abc"}}}}}
	default:
		part := rapid.SampledFrom([]any{jsonObject{"text": anyText(t), "thought": true}, jsonObject{"functionCall": jsonObject{"name": "f"}}}).Draw(t, "part")
		doc["candidates"] = []any{jsonObject{"index": 0, "content": jsonObject{"role": "model", "parts": []any{part}}}}
	}
	return "", doc
}

func bedrockEvent(t *rapid.T) (name, kind string, doc any) {
	switch rapid.IntRange(0, 6).Draw(t, "frame") {
	case 0:
		return "messageStart", "event", jsonObject{"role": "assistant", "p": "abc"}
	case 1:
		return "contentBlockStart", "event", jsonObject{"contentBlockIndex": 0, "start": jsonObject{"toolUse": jsonObject{"name": "f"}}}
	case 2:
		return "messageStop", "event", jsonObject{"stopReason": "end_turn"}
	case 3:
		return "metadata", "event", jsonObject{"metrics": jsonObject{"latencyMs": 9}, "usage": someKeys(t, jsonObject{
			"inputTokens": anyCount(t), "outputTokens": anyCount(t), "cacheReadInputTokens": anyCount(t), "cacheWriteInputTokens": anyCount(t),
		})}
	case 4:
		return "throttlingException", "exception", jsonObject{"message": anyText(t)}
	case 5:
		_, inner := anthropicEvent(t)
		if rapid.Bool().Draw(t, "metrics") {
			inner.(jsonObject)["amazon-bedrock-invocationMetrics"] = someKeys(t, jsonObject{"inputTokenCount": anyCount(t), "outputTokenCount": anyCount(t)})
		}
		return "chunk", "event", jsonObject{"bytes": base64Text(base64.StdEncoding.EncodeToString([]byte(render(t, inner)))), "p": "abcd"}
	}
	return "contentBlockDelta", "event", jsonObject{"contentBlockIndex": 0, "delta": jsonObject{"text": anyText(t)}, "p": "abcdef"}
}

// render writes a document in one of the many ways that mean the same.
func render(t *rapid.T, v any) string {
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "style"), 2))
	var b strings.Builder
	spaces := []string{""}
	if random.IntN(3) == 0 {
		spaces = []string{"", "", " ", "\n", "\t "}
	}
	writeJSON(&b, random, spaces, v)
	return b.String()
}

func writeJSON(b *strings.Builder, random *rand.Rand, spaces []string, v any) {
	gap := func() { b.WriteString(spaces[random.IntN(len(spaces))]) }
	gap()
	defer gap()
	switch v := v.(type) {
	case jsonObject:
		keys := sortedKeys(v)
		random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		b.WriteByte('{')
		for i, key := range keys {
			if i > 0 {
				b.WriteByte(',')
			}
			gap()
			writeString(b, random, key)
			gap()
			b.WriteByte(':')
			writeJSON(b, random, spaces, v[key])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, random, spaces, e)
		}
		b.WriteByte(']')
	case string:
		writeString(b, random, v)
	case base64Text:
		b.WriteString(`"` + strings.ReplaceAll(string(v), "/", []string{"/", `\/`}[random.IntN(2)]) + `"`)
	default:
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(text)
	}
}

// writeString writes a string, now and then with more escapes than it needs.
func writeString(b *strings.Builder, random *rand.Rand, s string) {
	needless := random.IntN(8) == 0 && len(s) < 100
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ', needless && r < 0x10000 && random.IntN(3) == 0:
			fmt.Fprintf(b, `\u%04x`, r)
		case needless && r == '/':
			b.WriteString(`\/`)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
