package proxy

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// golden is a stream of our own making, with what is to be said of it.
type golden struct {
	name   string
	wire   accounts.Wire
	header http.Header
	body   []byte
	expect goldenExpect
}

type goldenExpect struct {
	Wire        string           `json:"wire"`
	ContentType string           `json:"content_type"`
	Usage       map[string]int64 `json:"usage"`
	Stream      bool             `json:"stream"`
	Token       bool             `json:"token"`
	Terminal    bool             `json:"terminal"`
	Failed      bool             `json:"failed"`
	AtBoundary  bool             `json:"at_boundary"`
	LastEvent   string           `json:"last_event"`
}

func loadGolden(t testing.TB) []golden {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("..", "testdata", "stream", "*.expect.json"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no golden streams: %v", err)
	}
	all := make([]golden, 0, len(found))
	for _, path := range found {
		all = append(all, readGolden(t, path))
	}
	return all
}

func readGolden(t testing.TB, path string) golden {
	t.Helper()
	stem := strings.TrimSuffix(path, ".expect.json")
	g := golden{name: filepath.Base(stem)}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g.expect); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	g.wire, _ = accounts.ParseWire(g.expect.Wire)
	g.header = http.Header{"Content-Type": {g.expect.ContentType}}
	for _, ending := range []string{".sse", ".json", ".bin"} {
		if body, err := os.ReadFile(stem + ending); err == nil {
			g.body = body
			return g
		}
	}
	t.Fatalf("%s: nothing stands beside it", path)
	return g
}

func TestObserverSaysOfGoldenStreamsWhatStandsBesideThem(t *testing.T) {
	for _, g := range loadGolden(t) {
		t.Run(g.name, func(t *testing.T) {
			for how, pieces := range cuts(g.body) {
				o := newObserver(g.wire, 200, g.header)
				for _, p := range pieces {
					o.write(p)
				}
				o.end()
				if got := usageMap(o.usage()); !maps.Equal(got, g.expect.Usage) {
					t.Errorf("%s: usage %v, want %v", how, got, g.expect.Usage)
				}
				got, want := saidBy(o), said{
					token: g.expect.Token, stream: g.expect.Stream, terminal: g.expect.Terminal,
					failed: g.expect.Failed, atBound: g.expect.AtBoundary, last: g.expect.LastEvent,
				}
				if got.usage = ""; got != want {
					t.Errorf("%s:\n%+v, want\n%+v", how, got, want)
				}
			}
		})
	}
}
