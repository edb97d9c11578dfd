package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// letter is a hint on its way.
type letter struct {
	channel string
	sealed  []byte
	hint    Hint
	of      point // its change
}

// simBus keeps what is sent, to be delivered in any order, several times, or
// never.
type simBus struct{ world *sim }

func (b simBus) Publish(_ context.Context, channel string, sealed []byte) error {
	b.world.mail = append(b.world.mail, letter{channel: channel, sealed: sealed})
	return nil
}

func (b simBus) Listen(ctx context.Context, _ string, _ func([]byte)) error {
	<-ctx.Done()
	return ctx.Err()
}

// publish sends what a node has to tell.
func (w *sim) publish(n *simNode) {
	for {
		select {
		case h := <-n.crier.queue:
			n.crier.publish(w.ctx, h)
			if of, made := w.past.made[h.ID]; made && len(w.mail) > 0 {
				last := &w.mail[len(w.mail)-1]
				last.hint, last.of = h, of
			} else {
				w.failf("%s told of change %q, which was never made", n.name, h.ID)
			}
		default:
			return
		}
	}
}

// deliver brings a node one of the latest hints, also one that it has had.
func (w *sim) deliver(n *simNode) {
	if len(w.mail) == 0 {
		return
	}
	w.hear(n, &w.mail[len(w.mail)-1-w.draw(min(len(w.mail), 6), "hint")])
}

// hear brings a node a hint. What that names is read anew, where it is of a change
// that the node does not know.
func (w *sim) hear(n *simNode, l *letter) {
	w.say("%s hears of change %d, %v", n.name, l.hint.Seq, l.hint.Subjects)
	lineage, at := n.keys.dropped.stands()
	era := n.keys.dropped.era
	if w.broken != "hints are not heard" {
		n.heard(lineage, l.sealed)
	}
	if w.broken == "a hint begins no new era" {
		n.keys.dropped.era = era
	}
	if l.channel != bellOf(lineage) || l.hint.Seq <= at || !n.current() {
		return
	}
	for key := range simKeys {
		k := simKey(key)
		if slices.Contains(l.hint.Subjects, "key:"+k.ID) || k.UserID != "" && slices.Contains(l.hint.Subjects, "user:"+k.UserID) {
			n.known[key] = max(n.known[key], l.of)
		}
	}
}

// simShelf is a shelf on which anything may be gone, or be again what it was.
type simShelf struct {
	away  bool
	names []string // in the order in which they came
	is    map[string][]byte
	was   map[string][][]byte
}

// nodeShelf is the shelf as one node reaches it.
type nodeShelf struct{ n *simNode }

func (s nodeShelf) Take(ctx context.Context, name string) ([]byte, error) {
	shelf := &s.n.world.shelf
	if err := s.n.step(ctx); err != nil || shelf.away {
		return nil, errBroke
	}
	what := shelf.is[name]
	if err := s.n.step(ctx); err != nil {
		return nil, err
	}
	if s.n.world.broken == "the shelf is taken for the present" && strings.Contains(name, ":key:") {
		what = s.n.forged(name, what)
	}
	return what, nil
}

func (s nodeShelf) Put(_ context.Context, name string, what []byte, _ time.Duration) error {
	shelf := &s.n.world.shelf
	if shelf.away || s.n.dead {
		return errBroke
	}
	if shelf.is == nil {
		shelf.is, shelf.was = map[string][]byte{}, map[string][][]byte{}
	}
	if !slices.Contains(shelf.names, name) {
		shelf.names = append(shelf.names, name)
	}
	shelf.is[name] = what
	shelf.was[name] = append(shelf.was[name], what)
	return nil
}

// forged is an entry as if it had been read at this moment, which is what taking it
// for the present would come to.
func (n *simNode) forged(name string, sealed []byte) []byte {
	for key := range simKeys {
		hash := simKey(key).Secrets[0].Hash
		lineage := n.wares.lineage()
		if n.wares.keyName(lineage, &hash) != name {
			continue
		}
		text, err := n.wares.key.Open(n.wares.keyPlace(lineage, &hash), sealed)
		var k shelvedKey
		if err != nil || json.Unmarshal(text, &k) != nil {
			return nil
		}
		at := markOf(n.reader.at.Hash)
		k.Seq, k.Mark = n.reader.at.Seq, at[:]
		text, _ = json.Marshal(k)
		sealed, _ = n.wares.key.Seal(n.wares.keyPlace(lineage, &hash), text)
	}
	return sealed
}

// shelve puts on the shelf what a node has read.
func (w *sim) shelve(n *simNode) {
	for {
		select {
		case p := <-n.wares.puts:
			n.wares.put(w.ctx, p)
		default:
			return
		}
	}
}

// disturb does something to the shelf.
func (w *sim) disturb(n *simNode) {
	s := &w.shelf
	switch what := w.draw(5, "disturbed"); {
	case what == 0:
		w.say("the shelf goes away or comes back")
		s.away = !s.away
	case what == 1:
		w.say("%s asks the shelf again", n.name)
		n.wares.away.Store(false)
	case len(s.names) == 0:
	case what == 2:
		w.say("the shelf is emptied")
		clear(s.is)
	default:
		name := s.names[w.draw(len(s.names), "name")]
		was := s.was[name]
		w.say("the shelf has an old entry again")
		s.is[name] = was[w.draw(len(was), "old")]
	}
}
