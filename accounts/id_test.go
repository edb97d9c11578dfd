package accounts_test

import (
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

func TestIdentifiersAreULIDsBehindTheirKind(t *testing.T) {
	form := regexp.MustCompile(`^key_[0-7][0-9A-HJKMNP-TV-Z]{25}$`)
	// The first ten digits of the time that the ULID specification shows.
	const shown, digits = 1469918176385, "01ARYZ6S41"
	id := accounts.NewID("key", time.UnixMilli(shown))
	if !form.MatchString(id) || id[4:14] != digits {
		t.Errorf("got %s, want the time %s", id, digits)
	}
	if later := accounts.NewID("key", time.UnixMilli(shown+1)); later <= id {
		t.Errorf("%s is later than %s and sorts before it", later, id)
	}
}

func TestIdentifiersMadeAtOneMomentByManyAreDistinct(t *testing.T) {
	const makers, each = 8, 20_000
	at := time.Now()
	ids := make([][]string, makers)
	var work sync.WaitGroup
	for m := range makers {
		work.Go(func() {
			for range each {
				ids[m] = append(ids[m], accounts.NewID("req", at))
			}
		})
	}
	work.Wait()
	seen := make(map[string]bool, makers*each)
	varies := make([]map[byte]bool, 16) // of each random digit, what it was
	for i := range varies {
		varies[i] = map[byte]bool{}
	}
	for _, made := range ids {
		for _, id := range made {
			if seen[id] {
				t.Fatalf("%s was made twice", id)
			}
			seen[id] = true
			for i, tail := 0, id[len(id)-16:]; i < len(tail); i++ {
				varies[i][tail[i]] = true
			}
		}
	}
	for i := range varies {
		if len(varies[i]) != 32 {
			t.Errorf("random digit %d takes %d values of 32", i, len(varies[i]))
		}
	}
}
