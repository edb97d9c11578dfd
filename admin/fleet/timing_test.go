package fleet

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

// longestExchange is as long as one can be: texts that JSON writes with six bytes
// for one, and a timing that is full.
func longestExchange(i int) *api.Exchange {
	x := exchange(fmt.Sprintf("req_%d", i), strings.Repeat("\x01", 256))
	x.Path, x.UpstreamModel = x.Model, x.Model
	x.Timing = &api.Timing{
		Body: 1e9 / 3.0, Dispatched: 1e9 / 3.0, Connect: 1e9 / 3.0, Header: 1e9 / 3.0, FirstByte: 1e9 / 3.0,
		Chunks: math.MaxInt64, Gap: 1e9 / 3.0, GapAt: 1e9 / 3.0, GapStep: 1e9 / 3.0,
	}
	for i := range int32(32) {
		x.Timing.Gaps = append(x.Timing.Gaps, math.MaxInt32-i)
	}
	return x
}

func TestExchangesArriveWithTheirWholeTiming(t *testing.T) {
	const most = 400
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		a, b := c.members[0], c.members[1]
		c.watches(a, all())
		for i := range most {
			b.Ended(longestExchange(i))
			if i%20 == 19 { // no more at once than may wait
				c.until("what was told", func() bool { h := a.knows(); return len(h.Ended)+int(h.Dropped) == i+1 })
			}
		}
		h := a.knows()
		if h.Dropped != 0 || len(h.Ended) != most {
			t.Fatalf("%d arrived, %d did not", len(h.Ended), h.Dropped)
		}
		for i := range h.Ended {
			want := longestExchange(i)
			want.Node = "b"
			if diff := cmp.Diff(want, &h.Ended[i]); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestABatchIsShorterThanTheBusTakes(t *testing.T) {
	text := passed{ended: longestExchange(0)}.text()
	if longest := flushBytes + len(text); text == nil || longest > longestMessage/2 {
		t.Errorf("a batch may have %d bytes, %d of them one exchange", longest, len(text))
	}
}
