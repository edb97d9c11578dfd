package store_test

import (
	"testing"
	"time"

	"github.com/llmgw/llmgw/store"
)

// BenchmarkAgeAt is asked on every request where --max-staleness is given, by
// many at once.
func BenchmarkAgeAt(b *testing.B) {
	s, err := store.Open(b.Context(), options(b, b.TempDir()+"/llmgw.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	at := time.Now()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if s.AgeAt(at) > time.Hour {
				b.Error("it is old")
			}
		}
	})
}
