package proxy

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// fuzzMedia are the kinds of body that are read in different ways.
var fuzzMedia = []http.Header{eventStream, frameStream, {"Content-Type": {"application/json"}}}

// FuzzObserver: whatever the bytes are and however they are cut, the observer
// says the same at every cut and at the end, counts nothing below zero, and
// leaves the bytes as they are.
func FuzzObserver(f *testing.F) {
	for _, g := range loadGolden(f) {
		f.Add(g.body, []byte{3, 50, 0, 1}, uint8(g.wire), uint8(slices.IndexFunc(fuzzMedia, func(h http.Header) bool {
			return mediaOf(h) == mediaOf(g.header)
		})))
	}
	f.Add([]byte("\xef\xbb\xbfdata\r\rdata: {\"\\u0075\\\"\":[\r\n\r\n"), []byte{1}, uint8(1), uint8(0))
	for wire, chunk := range streamChunks {
		f.Add([]byte(strings.Repeat(chunk, 4)), []byte{250, 250, 30}, uint8(wire), uint8(0))
	}
	f.Fuzz(func(t *testing.T, body, splits []byte, wire, kind uint8) {
		header := fuzzMedia[int(kind)%len(fuzzMedia)]
		whole, pieces := newObserver(accounts.Wire(wire%16), 200, header), newObserver(accounts.Wire(wire%16), 200, header)
		before := bytes.Clone(body)
		for passed := 0; passed < len(body); {
			n := min(1+pieceLength(splits, passed), len(body)-passed)
			pieces.write(body[passed : passed+n])
			passed += n
			if passed > 2000 && passed < len(body) {
				continue // comparing is quadratic
			}
			fresh := newObserver(accounts.Wire(wire%16), 200, header)
			fresh.write(body[:passed])
			if a, b := saidBy(fresh), saidBy(pieces); a != b {
				t.Fatalf("after %d bytes:\n%+v whole\n%+v in pieces", passed, a, b)
			}
		}
		whole.write(body)
		whole.end()
		pieces.end()
		checkFuzzed(t, whole, pieces)
		if !bytes.Equal(before, body) {
			t.Fatal("the bytes were changed")
		}
	})
}

// pieceLength is how long the piece that begins at a place is.
func pieceLength(splits []byte, at int) int {
	if len(splits) == 0 {
		return 0
	}
	return int(splits[at%len(splits)])
}

func checkFuzzed(t *testing.T, whole, pieces *observer) {
	t.Helper()
	if a, b := saidBy(whole), saidBy(pieces); a != b {
		t.Fatalf("at the end:\n%+v whole\n%+v in pieces", a, b)
	}
	for name, n := range maps.All(usageMap(whole.usage())) {
		if n < 0 {
			t.Fatalf("%s is %d", name, n)
		}
	}
	if len(whole.lastEvent()) > 64 {
		t.Fatalf("name of %d bytes", len(whole.lastEvent()))
	}
}
