package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// said is everything that an observer says of an answer.
type said struct {
	usage                                    string
	token, stream, terminal, failed, atBound bool
	last                                     string
}

func saidBy(o *observer) said {
	return said{
		usage: usageText(o.usage()), token: o.sawToken(), stream: o.isStream(), terminal: o.terminal(),
		failed: o.failed(), atBound: o.atBoundary(), last: o.lastEvent(),
	}
}

func usageMap(u accounts.Usage) map[string]int64 {
	m := map[string]int64{}
	u.Each(func(name string, n int64) { m[name] = n })
	return m
}

func usageText(u accounts.Usage) string {
	var b strings.Builder
	u.Each(func(name string, n int64) { fmt.Fprintf(&b, "%s=%d ", name, n) })
	return b.String()
}

// observed feeds the pieces and then the end.
func observed(wire accounts.Wire, status int, header http.Header, pieces [][]byte) said {
	o := newObserver(wire, status, header)
	for _, p := range pieces {
		o.write(p)
	}
	o.end()
	return saidBy(o)
}

// cuts are the ways of cutting a body that every test of the observer tries.
func cuts(body []byte) map[string][][]byte {
	random := rand.New(rand.NewPCG(1, uint64(len(body))))
	return map[string][][]byte{
		"whole":          {body},
		"byte by byte":   cutEvery(body, 1),
		"three bytes":    cutEvery(body, 3),
		"event by event": bytes.SplitAfter(body, []byte("\n\n")),
		"line by line":   bytes.SplitAfter(body, []byte("\n")),
		"at random":      cutAtRandom(random, body, 40),
		"in large bits":  cutAtRandom(random, body, 1500),
	}
}

func cutEvery(b []byte, n int) [][]byte {
	var pieces [][]byte
	for len(b) > n {
		pieces, b = append(pieces, b[:n]), b[n:]
	}
	return append(pieces, b)
}

func cutAtRandom(r *rand.Rand, b []byte, most int) [][]byte {
	var pieces [][]byte
	for len(b) > 0 {
		n := min(len(b), r.IntN(most+1))
		pieces, b = append(pieces, b[:n]), b[n:]
	}
	return pieces
}

func TestObserverFindsInEveryRecordingWhatSomebodyFoundWhoDecodedIt(t *testing.T) {
	for _, r := range loadRecordings(t) {
		t.Run(r.name, func(t *testing.T) {
			if sum := sha256.Sum256(r.body); hex.EncodeToString(sum[:]) != r.expected.SHA256 {
				t.Fatalf("body was not read as it was recorded")
			}
			want := observed(r.wire, r.status, r.header, [][]byte{r.body})
			for how, pieces := range cuts(r.body) {
				o := newObserver(r.wire, r.status, r.header)
				for _, p := range pieces {
					o.write(p)
				}
				o.end()
				if got := usageMap(o.usage()); !maps.Equal(got, r.usageOf()) {
					t.Errorf("%s: usage %v, want %v", how, got, r.usageOf())
				}
				if got := saidBy(o); got != want {
					t.Errorf("%s: %+v, want %+v", how, got, want)
				}
			}
			checkRecordedVerdicts(t, &r, want)
		})
	}
}

// checkRecordedVerdicts: every recorded stream came to its end or has an error
// event, and put something out.
func checkRecordedVerdicts(t *testing.T, r *recording, got said) {
	t.Helper()
	failed := bytes.Contains(r.body, []byte("\nevent: error\n"))
	if got.stream != r.expected.Stream || !got.token || got.failed != failed || got.terminal == failed {
		t.Errorf("%+v, want stream %v, token, failed %v, terminal %v", got, r.expected.Stream, failed, !failed)
	}
	if sse := strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream"); got.atBound != sse {
		t.Errorf("at boundary %v, want %v", got.atBound, sse)
	}
}

func TestObserverLeavesWhatItCannotDecodeUnread(t *testing.T) {
	body := [][]byte{[]byte(streamChunks[accounts.WireOpenAIChat])}
	for encoding, read := range map[string]bool{"compress": false, "gzip, br": false, "zstd, gzip": false, "identity": true, "": true, " Identity ": true} {
		t.Run(encoding, func(t *testing.T) {
			header := http.Header{"Content-Type": eventStream["Content-Type"], "Content-Encoding": {encoding}}
			o := newObserver(accounts.WireOpenAIChat, 200, header)
			if o.sawToken() || !o.isStream() || o.atBoundary() != read {
				t.Errorf("before the first byte: %+v", saidBy(o))
			}
			got := observed(accounts.WireOpenAIChat, 200, header, body)
			want := said{stream: true, token: true, terminal: true}
			if read {
				want = said{stream: true, token: true, terminal: false, atBound: true, last: "message"}
			}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestObserverAllowsAnotherEventOnlyBetweenEvents(t *testing.T) {
	for body, want := range map[string]bool{
		"": true, "\xef": false, "\xef\xbb": false, "\xef\xbb\xbf": true, "\xefx\n": false,
		"d": false, "data: x": false, "data: x\n": false, "data: x\n\n": true, "data: x\r": false, "data: x\r\n": false,
		"data: x\r\r": false, "data: x\r\n\r": false, "data: x\r\n\r\n": true, "data: x\n\nid: 1\n": false,
		":": false, ": ping": false, ": ping\n": true, ": ping\n\n": true, "event: error\n": false, "data: x\n: ping\n": false,
		"\n": true, "unknown\n": false, "unknown: x\n\n": true, "data:\n\n": true, "data\n": false, "longer-than-any: x\n": false,
	} {
		for _, n := range []int{1, len(body) + 1} {
			o := newObserver(accounts.WireNone, 200, eventStream)
			for _, p := range cutEvery([]byte(body), n) {
				o.write(p)
			}
			if o.atBoundary() != want {
				t.Errorf("after %q: at boundary %v", body, !want)
			}
			if o.end(); o.atBoundary() != want {
				t.Errorf("after the end of %q: at boundary %v", body, !want)
			}
		}
	}
	for name, header := range map[string]http.Header{"JSON": {"Content-Type": {"application/json"}}, "frames": frameStream, "nothing": {}} {
		if newObserver(accounts.WireOpenAIChat, 200, header).atBoundary() {
			t.Errorf("an event may be written into an answer of %s", name)
		}
	}
}

func TestObserverSeesOutputAsSoonAsItBegins(t *testing.T) {
	for name, c := range map[string]struct {
		wire   accounts.Wire
		before string
		output string
	}{
		"chat text":           {accounts.WireOpenAIChat, `data: {"choices":[{"delta":{"role":"assistant","content":"`, "S"},
		"chat tool call":      {accounts.WireOpenAIChat, `data: {"choices":[{"delta":{"content":null,"tool_calls":[`, "{"},
		"old completion":      {accounts.WireOpenAIChat, `data: {"choices":[{"text":"`, "S"},
		"responses delta":     {accounts.WireOpenAIResponses, `data: {"type":"response.output_text.delta","delta":"`, "S"},
		"anthropic thinking":  {accounts.WireAnthropicMessages, `data: {"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"`, "S"},
		"anthropic tool call": {accounts.WireAnthropicMessages, `data: {"type":"content_block_start","content_block":{"type":"tool_use","id":"t","name":"`, "S"},
		"gemini call":         {accounts.WireGoogleGenerate, `data: {"candidates":[{"content":{"parts":[{"functionCall":{`, `"`},
		"unknown format":      {accounts.WireNone, "", "\n"},
		"embeddings":          {accounts.WireOpenAIEmbeddings, "", ":"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newObserver(c.wire, 200, eventStream)
			if o.write([]byte(c.before)); o.sawToken() {
				t.Fatalf("output seen in %q", c.before)
			}
			if o.write([]byte(c.output)); !o.sawToken() {
				t.Fatalf("no output seen in %q", c.before+c.output)
			}
		})
	}
}

func TestObserverTakesTheFirstByteOfWhatIsNoStreamForOutput(t *testing.T) {
	for _, c := range []struct {
		wire   accounts.Wire
		status int
		kind   string
		body   string
		token  bool
	}{
		{accounts.WireOpenAIChat, 200, "application/json", "{", true},
		{accounts.WireOpenAIChat, 400, "text/event-stream", "{", true},
		{accounts.WireOpenAIAudio, 200, "audio/mpeg", "\xff", true},
		{accounts.WireGoogleGenerate, 200, "application/json", "{", true},
		{accounts.WireGoogleGenerate, 200, "application/json", "[", false}, // a stream, after all
		{accounts.WireGoogleGenerate, 200, "application/json", "\n", false},
		{accounts.WireNone, 200, "", "x", true},
	} {
		o := newObserver(c.wire, c.status, http.Header{"Content-Type": {c.kind}})
		if o.sawToken() || !o.terminal() && c.status != 200 {
			t.Errorf("%v: %+v before the first byte", c, saidBy(o))
		}
		if o.write(nil); o.sawToken() {
			t.Errorf("%v: no byte taken for output", c)
		}
		if o.write([]byte(c.body)); o.sawToken() != c.token {
			t.Errorf("%v: output seen: %v", c, o.sawToken())
		}
	}
}

func TestObserverReadsBedrocksCountsFromTheHeadOfAnAnswer(t *testing.T) {
	header := http.Header{
		"Content-Type":                                 {"application/json"},
		"X-Amzn-Bedrock-Input-Token-Count":             {"11"},
		"X-Amzn-Bedrock-Output-Token-Count":            {"-4"},
		"X-Amzn-Bedrock-Cache-Read-Input-Token-Count":  {"9223372036854775808"},
		"X-Amzn-Bedrock-Cache-Write-Input-Token-Count": {"9223372036854775807"},
	}
	o := newObserver(accounts.WireBedrock, 200, header)
	if got, want := usageText(o.usage()), "input_tokens=11 cache_write_tokens=9223372036854775807 "; got != want {
		t.Errorf("usage %q, want %q", got, want)
	}
	if other := newObserver(accounts.WireOpenAIChat, 200, header).usage(); usageText(other) != "" {
		t.Errorf("usage of another format %q", usageText(other))
	}
}

func TestObserverKeepsSixtyFourBytesOfAnEventsName(t *testing.T) {
	name := strings.Repeat("n", 60) + strings.Repeat("m", 500)
	for how, event := range map[string]string{
		"in a line":   "event: " + name + "\ndata: {}\n\n",
		"in the JSON": `data: {"type":"` + name + "\"}\n\n",
		"escaped":     `data: {"type":"` + strings.ReplaceAll(name, "n", `\u006e`) + "\"}\n\n",
	} {
		for _, n := range []int{1, 1000} {
			got := observed(accounts.WireAnthropicMessages, 200, eventStream, cutEvery([]byte(event), n)).last
			if len(got) > 64 || !strings.HasPrefix(got, strings.Repeat("n", 30)) {
				t.Errorf("%s, %d bytes at a time: %q", how, n, got)
			}
		}
	}
}

func TestObserverUnderstandsKeysThatAreWrittenWithEscapes(t *testing.T) {
	for text, want := range map[string]string{
		`{"\u0075sage":{"prompt_tokens":1}}`:                          "input_tokens=1 ",
		`{"usage":{"\u0070\u0072\u006f\u006d\u0070\u0074_tokens":2}}`: "input_tokens=2 ",
		`{"usage":{"prompt_tokens\u0000":3}}`:                         "",
		`{"us\age":{"prompt_tokens":4}}`:                              "input_tokens=4 ", // no escape at all, read as its letter
		`{"usage\"":{"prompt_tokens":5}}`:                             "",
		`{"\ud83c\udf8f":1,"\ud83c":2,"\udf8f":3,"\u12":4,"\u00zz":5,"` + strings.Repeat(`\ud83c`, 100) + `":6}`: "",
		`{"` + strings.Repeat("usage", 1000) + `":{"prompt_tokens":6}}`:                                          "",
	} {
		for _, n := range []int{1, 5, 10000} {
			event := "data: " + text + "\n\n"
			if got := observed(accounts.WireOpenAIChat, 200, eventStream, cutEvery([]byte(event), n)); got.usage != want {
				t.Errorf("%.80s, %d bytes at a time: usage %q, want %q", text, n, got.usage, want)
			}
		}
	}
}

func TestObserverTakesNothingFromAnEventThatIsNoJSON(t *testing.T) {
	const usage = `"usage":{"prompt_tokens":1}`
	for _, data := range []string{
		`{` + usage, `{` + usage + `}}`, `{` + usage + `}{}`, `{` + usage + `,}`, `{` + usage + `]`, `{` + usage + ` "a":1}`,
		`{` + usage + `,"a"}`, `{` + usage + `,"a":}`, `{` + usage + `,"a":+1}`, `{` + usage + "\x00}", `[{` + usage + `}]`,
		`"{` + usage + `}"`, `{"usage":{"prompt_tokens":01}}`, `{"usage":{"prompt_tokens":0x1}}`, `x{` + usage + `}`, `{` + usage + `,1:2}`,
		`{"choices":[1 2],` + usage + `}`, `{"choices":[1,],` + usage + `,}`, ``, `null`, `7`,
	} {
		for _, n := range []int{1, 1000} {
			got := observed(accounts.WireOpenAIChat, 200, eventStream, cutEvery([]byte("data: "+data+"\n\n"), n))
			if got.usage != "" || got.failed || got.token || !got.atBound {
				t.Errorf("%q, %d bytes at a time: %+v, want nothing of it", data, n, got)
			}
		}
	}
}

func TestObserverFollowsNoDepth(t *testing.T) {
	deep := strings.Repeat(`{"choices":[`, 50_000) + `{"usage":{"prompt_tokens":9}}` + strings.Repeat("]}", 50_000)
	body := `data: {"a":` + deep + `,"choices":` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + `,"usage":{"prompt_tokens":1}}` + "\n\n"
	if got := observed(accounts.WireOpenAIChat, 200, eventStream, cutEvery([]byte(body), 4096)); got.usage != "input_tokens=1 " {
		t.Errorf("%+v, want the outermost usage only", got)
	}
	for wire, f := range wireFormats {
		if f != nil && f.shape.depth() > maxShapeDepth {
			t.Errorf("%s asks for places %d deep, %d are followed", accounts.Wire(wire), f.shape.depth(), maxShapeDepth)
		}
	}
	if d := bedrockInvoked.depth(); d > maxShapeDepth {
		t.Errorf("events of invoke: places %d deep", d)
	}
}

func TestObserverStandsWireFormatsThatItDoesNotKnow(t *testing.T) {
	got := observed(accounts.Wire(200), 200, eventStream, [][]byte{[]byte("data: {\"usage\":{\"prompt_tokens\":1}}\n\n")})
	if want := (said{token: true, stream: true, terminal: true, atBound: true, last: "message"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// An event of any size is held nowhere: a hundred megabytes cost no memory.
func TestObserverAllocatesNothingHoweverLargeTheEvent(t *testing.T) {
	filler := []byte(strings.Repeat(`All ferries \"leave\" on time, 世界. `, 1000))
	begin, end := []byte(`data: {"choices":[{"delta":{"content":"x`), []byte("\"}}],\"usage\":{\"prompt_tokens\":3}}\n\n")
	o := newObserver(accounts.WireOpenAIChat, 200, eventStream)
	for range 3 { // from the second event on it knows how they begin
		o.write(begin)
		o.write(end)
	}
	rounds := 100 << 20 / len(filler)
	if testing.Short() {
		rounds /= 100
	}
	allocs := testing.AllocsPerRun(1, func() {
		o.write(begin)
		for range rounds {
			o.write(filler)
		}
		o.write(end)
	})
	// What a test before this one left behind may allocate meanwhile: something
	// here would do so with every piece.
	if allocs > float64(rounds)/100 {
		t.Errorf("%v allocations for %d pieces", allocs, rounds)
	}
	if got := saidBy(o); got.usage != "input_tokens=3 " || !got.token || !got.atBound {
		t.Errorf("%+v after an event of %d MB", got, rounds*len(filler)>>20)
	}
}

func TestObserverAllocatesNothingWhileAStreamPasses(t *testing.T) {
	for _, g := range loadGolden(t) {
		for _, n := range []int{1, 17, len(g.body)} {
			pieces := cutEvery(g.body, n)
			o := newObserver(g.wire, 200, g.header)
			if allocs := testing.AllocsPerRun(5, func() {
				for _, p := range pieces {
					o.write(p)
				}
			}); allocs > 0 {
				t.Errorf("%s, %d bytes at a time: %v allocations", g.name, n, allocs)
			}
		}
	}
}

func TestObserverCountsNothingOfEventsThatDoNotCount(t *testing.T) {
	body := `data: {"type":"response.in_progress","response":{"usage":{"input_tokens":1,"output_tokens":2}}}` + "\n\n" +
		`data: {"type":"response.completed","response":{"usage":{"input_tokens":3}}}` + "\n\n"
	if got := observed(accounts.WireOpenAIResponses, 200, eventStream, [][]byte{[]byte(body)}); got.usage != "input_tokens=3 " {
		t.Errorf("usage %q, want only that of the last event", got.usage)
	}
}

func TestObserverOpensOnlyWhatIsInBase64(t *testing.T) {
	const text = `{"amazon-bedrock-invocationMetrics":{"inputTokenCount":5,"x":"?>?>"}}`
	spaced := func(n int) string { return base64.StdEncoding.EncodeToString([]byte(text + strings.Repeat(" ", n))) }
	for sealed, want := range map[string]string{
		spaced(0): "input_tokens=5 ", spaced(1): "input_tokens=5 ", spaced(2): "input_tokens=5 ",
		strings.ReplaceAll(spaced(0), "/", `\/`):                     "input_tokens=5 ",
		strings.TrimRight(spaced(0)+spaced(1)+spaced(2), "=")[:40]:   "", // cut off
		base64.StdEncoding.EncodeToString([]byte(text+" ")) + "ICAg": "", // more behind the padding
		"!" + spaced(0): "", spaced(0) + "-": "", spaced(0)[:20] + " " + spaced(0)[20:]: "",
		spaced(0) + spaced(2): "", // two documents
	} {
		for _, n := range []int{1, 7, 10000} {
			frame := frameOf("event", "chunk", []byte(`{"bytes":"`+sealed+`"}`))
			if got := observed(accounts.WireBedrock, 200, frameStream, cutEvery(frame, n)); got.usage != want {
				t.Errorf("%s, %d bytes at a time: usage %q, want %q", sealed, n, got.usage, want)
			}
		}
	}
}
