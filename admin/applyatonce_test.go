package admin_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

// TestAppliesAtOnceAreDoneOneAfterAnother has several people make the gateway
// what each of their files says, while others look. Whatever is seen is what one
// of them said, whole.
func TestAppliesAtOnceAreDoneOneAfterAnother(t *testing.T) {
	g := openStore(t)
	g.applyAll(t, "upstreams: [{name: eu, provider: openai, url: https://eu.example.com/v1, credentials: [{name: a, reference: 'env:EU_KEY'}]}]\n")
	const people, times = 3, 8
	said := func(who int) string {
		return fmt.Sprintf("users: [{name: u%d}]\nkeys: [{name: k%d, user: u%d}]\nbindings: [{key: k%d, upstream: eu}]\n"+
			"rules: [{name: r%d, match: {model: [m]}, action: {upstream: eu}}]\n", who, who, who, who, who)
	}
	whole := map[string]bool{}
	var applying, looking sync.WaitGroup
	for who := range people {
		_, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources(said(who)), Prune: true})
		must(t, err)
		whole[g.exportAll(t)] = true
	}
	done := make(chan struct{})
	for who := range people {
		applying.Go(func() {
			for range times {
				if _, err := g.Apply(t.Context(), api.ApplyObjects{Files: sources(said(who)), Prune: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		looking.Go(func() {
			for {
				if seen := lookAtAll(t, g); !whole[seen] {
					t.Errorf("somebody saw what nobody said:\n%s", seen)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	applying.Wait()
	close(done)
	looking.Wait()
}

func lookAtAll(t *testing.T, g *gateway) string {
	t.Helper()
	export, err := g.Export(t.Context())
	if err != nil {
		t.Error(err)
	}
	return oneStream(export)
}
