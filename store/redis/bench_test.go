package redis_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// BenchmarkIdentify compares where an identity can come from. A node's memory
// holds far fewer keys than are asked for, but for those that are warm.
func BenchmarkIdentify(b *testing.B) {
	const keys = 2000
	path := filepath.Join(b.TempDir(), "llmgw.db")
	url := servers.RedisDatabase(b)
	first := openStore(b, path, connect(b, url), zerolog.Nop())
	if _, err := first.Change(b.Context(), accounts.Meta{Kind: "test"}, func(st *store.State) error {
		for i := range keys {
			if err := st.PutKey(keyNumber(i)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	hashes := make([]accounts.KeyHash, keys)
	for i := range hashes {
		hashes[i] = keyNumber(i).Secrets[0].Hash
	}
	ask := func(b *testing.B, s *store.Store, i int) {
		if _, err := s.Identify(b.Context(), hashes[i%keys]); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("warm", func(b *testing.B) {
		ask(b, first, 0)
		b.ReportAllocs()
		for b.Loop() {
			ask(b, first, 0)
		}
	})
	cold := func(b *testing.B, open func() *store.Store) {
		s, i := open(), 0
		b.ResetTimer()
		for range b.N {
			if i == keys {
				b.StopTimer()
				s, i = open(), 0
				b.StartTimer()
			}
			ask(b, s, i)
			i++
		}
	}
	b.Run("from the database", func(b *testing.B) {
		cold(b, func() *store.Store { return openStore(b, path, nil, zerolog.Nop()) })
	})
	b.Run("from the shelf", func(b *testing.B) {
		for i := range hashes {
			ask(b, first, i)
			time.Sleep(200 * time.Microsecond) //nolint:forbidigo // a benchmark: what is put is put beside the way, through a bounded queue
		}
		c := connect(b, url)
		cold(b, func() *store.Store {
			s := openStore(b, path, c, zerolog.Nop())
			time.Sleep(50 * time.Millisecond) //nolint:forbidigo // a benchmark: the shelf is taken for away until it has answered
			return s
		})
	})
}
