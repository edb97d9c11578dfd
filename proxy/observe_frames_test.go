package proxy

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// frameOf makes a frame of application/vnd.amazon.eventstream as Bedrock does.
func frameOf(kind, name string, payload []byte) []byte {
	var head []byte
	add := func(name, value string) {
		head = append(head, byte(len(name)))
		head = append(head, name...)
		head = append(head, 7) // a string
		head = binary.BigEndian.AppendUint16(head, uint16(len(value)))
		head = append(head, value...)
	}
	add(":"+kind+"-type", name)
	add(":content-type", "application/json")
	add(":message-type", kind)
	return sealFrame(head, payload)
}

func sealFrame(head, payload []byte) []byte {
	var frame []byte
	frame = binary.BigEndian.AppendUint32(frame, uint32(16+len(head)+len(payload)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(head)))
	frame = binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
	frame = append(append(frame, head...), payload...)
	return binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
}

var frameStream = http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}

const metadataPayload = `{"usage":{"inputTokens":7,"outputTokens":3}}`

func TestObserverTakesNothingFromAFrameThatIsDamaged(t *testing.T) {
	good := frameOf("event", "metadata", []byte(metadataPayload))
	for name, damage := range map[string]func(b []byte) []byte{
		"a bit of the payload is another": func(b []byte) []byte { b[len(b)-8] ^= 1; return b },
		"a bit of a header is another":    func(b []byte) []byte { b[20] ^= 1; return b },
		"the checksum is another":         func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"the prelude is another":          func(b []byte) []byte { b[3] ^= 1; return b },
		"the end is missing":              func(b []byte) []byte { return b[:len(b)-1] },
		"it is no frame at all":           func([]byte) []byte { return []byte("<html>bad gateway, sorry about that</html>") },
		"its headers are longer than it":  func([]byte) []byte { return preludeOf(40, 100) },
		"it has no room for a checksum":   func([]byte) []byte { return preludeOf(12, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			body := damage(slices.Clone(good))
			for _, pieces := range [][][]byte{{body, good}, cutEvery(slices.Concat(body, good), 1)} {
				got := observed(accounts.WireBedrock, 200, frameStream, pieces)
				if got.usage != "" || got.terminal || got.token || got.failed {
					t.Errorf("%+v, want nothing: where a frame is damaged the next one's beginning is not known", got)
				}
			}
		})
	}
}

func preludeOf(total, headers uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, headers)
	return append(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), make([]byte, 40)...)
}

func TestObserverReadsFramesWithHeadersOfEveryType(t *testing.T) {
	var head []byte
	for kind, length := range frameValueBytes {
		head = append(head, 1, 'x', byte(kind))
		if length < 0 {
			head, length = append(head, 0, 3), 3
		}
		head = append(head, make([]byte, length)...)
	}
	head = append(head, "\x0b:event-type\x07\x00\x08metadata"...)
	got := observed(accounts.WireBedrock, 200, frameStream, [][]byte{sealFrame(head, []byte(metadataPayload))})
	if want := "input_tokens=7 output_tokens=3 "; got.usage != want || !got.terminal || got.last != "metadata" {
		t.Errorf("%+v, want usage %q and the end", got, want)
	}
}

func TestObserverOfFramesStandsHeadersLongerThanItKeeps(t *testing.T) {
	long := "\x01x\x07\x10\x00" + strings.Repeat("v", 4096)
	for name, head := range map[string]string{
		"the name before them is read": "\x0b:event-type\x07\x00\x08metadata" + long,
		"the name behind them is lost": long + "\x0b:event-type\x07\x00\x08metadata",
		"a header is cut off":          "\x0b:event-type\x07\x00\xff",
		"a header has an unknown type": "\x0b:event-type\x63\x00\x08metadata",
		"a header's name is cut off":   "\xff:event",
	} {
		t.Run(name, func(t *testing.T) {
			got := observed(accounts.WireBedrock, 200, frameStream, cutEvery(sealFrame([]byte(head), []byte(metadataPayload)), 5))
			if got.usage != "input_tokens=7 output_tokens=3 " {
				t.Errorf("%+v, want the payload's usage all the same", got)
			}
			if named := strings.HasPrefix(name, "the name before"); named != (got.last == "metadata") {
				t.Errorf("last event %q", got.last)
			}
		})
	}
}
