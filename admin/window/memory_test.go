package window

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// busyHour is an hour of traffic of so many keys and users, with everything else as
// an installation has it: 40 models, 10 upstreams, 30 rules. Names are texts of
// their own, as they are where they come from.
func busyHour(keys int) (*Hour, time.Time) {
	h := NewHour(noon)
	now, n := noon, 0
	for range int(time.Hour / stepTime) {
		now = now.Add(stepTime)
		show(h, now, keys/3, func(_ int, x *api.Exchange) {
			n++
			x.Key, x.User, x.Model = fmt.Sprintf("key-of-somebody-%06d", n%keys), fmt.Sprintf("user-%06d", n%keys), fmt.Sprint("model-", n%40)
			x.Upstream, x.Rule = fmt.Sprint("upstream-", n%10), fmt.Sprint("rule-", n%30)
			x.Stream, x.FirstTokenMS = true, float64(100+n%2000)
		})
	}
	return h, now
}

// inUse is what something that is made takes of the heap, in bytes.
func inUse(made func() *Hour) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found is freed by the second
	runtime.ReadMemStats(&before)
	h := made()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(h)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestMemoryIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		made func() *Hour
		most int64
	}{
		"a gateway that was just started": {func() *Hour { return NewHour(noon) }, 100 << 10},
		"a quiet gateway": {func() *Hour {
			h := NewHour(noon)
			for i := range 60 {
				show(h, noon.Add(time.Duration(i)*time.Minute), 1, func(_ int, x *api.Exchange) { x.Key, x.Rule, x.Stream, x.FirstTokenMS = "a", "r", true, 100 })
			}
			return h
		}, 300 << 10},
		"1,000 keys": {func() *Hour { h, _ := busyHour(1000); return h }, 10 << 20},
		"5,000 keys": {func() *Hour { h, _ := busyHour(5000); return h }, 10 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			used := inUse(test.made)
			t.Logf("%d KiB", used>>10)
			if used > test.most {
				t.Errorf("it takes %d KiB, and may take %d", used>>10, test.most>>10)
			}
		})
	}
}

func BenchmarkLook(b *testing.B) {
	h, now := busyHour(1000)
	l := Look{Flights: 9}
	for i := range 250 { // 1,000 a second
		l.Ended = append(l.Ended, &api.Exchange{
			Key: fmt.Sprint("key-", i*4), User: fmt.Sprint("user-", i*4), Model: fmt.Sprint("model-", i%40), Upstream: "u", Rule: "r", Status: 200, EndReason: "complete", Stream: true, FirstTokenMS: 300,
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(250 * time.Millisecond)
		h.Look(now, l)
	}
}

func BenchmarkAnswer(b *testing.B) {
	h, now := busyHour(1000)
	for name, q := range map[string]Query{
		"quarter": {Window: 15 * time.Minute, Points: 60, Kinds: []string{"key", "upstream"}, Names: 10},
		"hour":    {Window: time.Hour, Points: 60, Kinds: []string{"key", "user", "model", "upstream", "rule"}, Names: 10},
		"rules":   {Window: 15 * time.Minute, Points: 1, Kinds: []string{"rule"}, Names: 1000},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Merge([]Part{h.Part(now, q)}, q, now)
			}
		})
	}
}
