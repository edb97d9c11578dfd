package admin

import (
	"hash/maphash"
	"sync/atomic"
)

// promisedEnds is how many exchanges whose start was shown are remembered until
// they end; promisedBeside is how many places one may have.
const (
	promisedEnds   = 1024
	promisedBeside = 8
)

// promised remembers of which exchanges a start was shown, so that the end is, too:
// who sees a start waits for it. Those who tell share no lock. Where there is no
// place left another is forgotten, whose end has to find room as any other.
type promised struct {
	seed   maphash.Seed
	places [promisedEnds]atomic.Uint64 // hashes of ids; 0: free
}

func newPromised() *promised { return &promised{seed: maphash.MakeSeed()} }

// of gives where an exchange may be, and what stands for it there.
func (p *promised) of(id string) (places []atomic.Uint64, hash uint64) {
	hash = maphash.String(p.seed, id) | 1 // never what stands for free
	at := hash / 2 % (promisedEnds / promisedBeside) * promisedBeside
	return p.places[at : at+promisedBeside], hash
}

func (p *promised) add(id string) {
	places, hash := p.of(id)
	for i := range places {
		if places[i].CompareAndSwap(0, hash) {
			return
		}
	}
	places[hash>>32%promisedBeside].Store(hash)
}

// keep says whether the end was promised, once.
func (p *promised) keep(id string) bool {
	places, hash := p.of(id)
	for i := range places {
		if places[i].CompareAndSwap(hash, 0) {
			return true
		}
	}
	return false
}
