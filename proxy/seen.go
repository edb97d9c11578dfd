package proxy

import (
	"cmp"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// seen is what others may see of an exchange while it is under way. The lock of
// its shard is held to read it or to change it.
type seen struct {
	who           *accounts.Identity // nil: a stranger's, which nobody is shown
	hash          accounts.KeyHash
	path, model   string
	rule          string
	upstream      string
	target        *target // nil: the request has not been sent
	upstreamModel string
	stream        bool
	status        int
	firstToken    time.Duration
}

// note changes what others see of an exchange.
func (f *flights) note(x *exchange, change func(*seen)) {
	s := &f.shards[x.shard]
	s.mu.Lock()
	change(&x.seen)
	s.mu.Unlock()
}

// known makes an exchange one of a caller's, and notes that its key was used.
func (f *flights) known(x *exchange, hash accounts.KeyHash) {
	s := &f.shards[x.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	x.seen.who, x.seen.hash, x.seen.path = x.who, hash, x.request.Path
	if s.used == nil {
		s.used = map[string]time.Time{}
	}
	s.used[x.who.KeyID] = x.started
}

// UsedKeys tells when keys were used since it was last called, by their IDs:
// the last time of each, on this node.
func (p *Proxy) UsedKeys() map[string]time.Time {
	all := map[string]time.Time{}
	for i := range p.flights.shards {
		s := &p.flights.shards[i]
		s.mu.Lock()
		used := s.used
		s.used = nil
		s.mu.Unlock()
		for id, at := range used {
			if at.After(all[id]) {
				all[id] = at
			}
		}
	}
	return all
}

// hurry bounds how long a client may take what is being written to it, while the
// exchange is under way: after that its connection is another's.
func (f *flights) hurry(x *exchange) {
	s := &f.shards[x.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, flying := s.flying[x]; !flying {
		return
	}
	until := time.Now().Add(farewellTime)
	switch { // either fails where the client has gone
	case x.h2:
		_ = x.rc.SetWriteDeadline(until) // of the stream alone
	case x.conn != nil:
		_ = x.conn.SetWriteDeadline(until)
	}
}

// ofKey are the exchanges under way with one secret of a key.
type ofKey struct {
	keyID     string
	exchanges []*exchange
}

// byKey gives the exchanges of suspects, by the key that they were sent with.
func (f *flights) byKey(some *suspects) map[accounts.KeyHash]*ofKey {
	found := map[accounts.KeyHash]*ofKey{}
	f.each(func(x *exchange) {
		who := x.seen.who
		if who == nil || !some.has(who) {
			return
		}
		if found[x.seen.hash] == nil {
			found[x.seen.hash] = &ofKey{keyID: who.KeyID}
		}
		found[x.seen.hash].exchanges = append(found[x.seen.hash].exchanges, x)
	})
	return found
}

// Flight is an exchange under way, of a caller who is known.
type Flight struct {
	RequestID     string
	StartedAt     time.Time
	Method, Path  string
	Key, KeyID    string
	User, UserID  string // empty: the key is nobody's
	Rule          string // empty: none, or not decided yet
	Upstream      string // empty: the request has not been sent
	Model         string // as the caller named it
	UpstreamModel string // as it was sent
	Stream        bool
	Status        int // of the answer; 0: it is not there
	SentBytes     int64
	FirstToken    time.Duration // from the start; 0: there was none yet
	LastWrite     time.Time     // to the client; zero: nothing was written yet, or nobody can say
	Node          string
}

// Flights lists what is under way, the oldest first.
func (p *Proxy) Flights() []Flight {
	all := make([]Flight, 0, p.flights.count.Load())
	p.flights.each(func(x *exchange) {
		if x.seen.who != nil {
			all = append(all, x.flight())
		}
	})
	slices.SortFunc(all, func(a, b Flight) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.RequestID, b.RequestID))
	})
	return all
}

// flight is the exchange as others see it. The lock of its shard is held.
func (x *exchange) flight() Flight {
	s := &x.seen
	f := Flight{
		RequestID: x.id, StartedAt: x.started, Method: loggable(x.r.Method), Path: loggable(s.path),
		Key: s.who.KeyName, KeyID: s.who.KeyID, User: s.who.UserName, UserID: s.who.UserID,
		Rule: s.rule, Upstream: s.upstream, Model: loggable(s.model), UpstreamModel: loggable(s.upstreamModel),
		Stream: s.stream, Status: s.status,
		SentBytes: x.record.sent.Load(), FirstToken: s.firstToken, Node: x.p.options.Node,
	}
	if at := x.record.wroteAt.Load(); at != 0 && at != neverQuiet {
		f.LastWrite = time.Unix(0, at)
	}
	return f
}

// Cut ends an exchange under way, by its request ID, with the protocol's own
// error. It is false where there is none, or it has ended.
func (p *Proxy) Cut(requestID string) bool {
	var found *exchange
	p.flights.each(func(x *exchange) {
		if x.id == requestID {
			found = x
		}
	})
	if found == nil {
		return false
	}
	found.cutFor(cutByOperator())
	return true
}
