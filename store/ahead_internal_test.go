package store

import (
	"context"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// A key is read at change 5, of which this node has not heard; meanwhile it looks
// at the log, which ends at change 3: the database went back in between.
func TestAReadingAheadOfALookThatEndedMeanwhileIsMadeAgain(t *testing.T) {
	nothing := func() {}
	head := Head{Lineage: "l", Seq: 3, Hash: []byte("three")}
	var c *keyCache
	answers := []int64{5, 3}
	c = newCache(1, 1, 1, outcomes{nothing, nothing, nothing, nothing, nothing, nothing},
		func(context.Context, accounts.KeyHash) (finding, error) {
			seq := answers[0]
			answers = answers[1:]
			if seq == 5 {
				c.dropped.look()
				c.invalidate(nil, head, nil)
			}
			return finding{who: &accounts.Identity{KeyID: "k", Seq: seq}, seq: seq}, nil
		})
	c.dropped.trust(head)
	who, err := c.identify(t.Context(), accounts.KeyHash{1}, func(f func(context.Context)) bool { f(t.Context()); return true })
	if err != nil || who.Seq != 3 {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestALogThatIsNotTheOneThatKeysWereReadOf(t *testing.T) {
	hash := func(n byte) []byte { return []byte{n, 16: 0} }
	entries := []entry{{Seq: 4, Hash: hash(4)}, {Seq: 5, Hash: hash(5)}}
	read := finding{seq: 5, mark: markOf(hash(5))}
	for name, c := range map[string]struct {
		f       finding
		h       Head
		entries []entry
		looks   int64 // that had begun when it was read
		want    bool
	}{
		"the log has come to it":                             {read, Head{Seq: 5}, entries, 0, false},
		"the log has another change of its number":           {finding{seq: 5, mark: markOf(hash(9))}, Head{Seq: 5}, entries, 0, true},
		"a later look finds a log that does not reach it":    {read, Head{Seq: 3}, nil, 0, true},
		"a look that was under way need not have reached it": {read, Head{Seq: 3}, nil, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var chain chain
			chain.trust(Head{Lineage: "l", Seq: 3, Hash: hash(3)})
			if !chain.saw(&c.f, c.looks) {
				t.Fatal("it was not noted")
			}
			if got := chain.contradicts(c.h, c.entries, 1); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
