package proxy

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmgw/llmgw/rules"
)

// The bounds of one answer. A name costs a decision for each kind of request
// there is, so there is a limit to the names that are tried.
const (
	maxNamesTried = 5000
	listPatience  = 2 * time.Second // a caller waits no longer for upstreams; asking them goes on
	offerKept     = 5 * time.Second
	maxOffersKept = 128
	offersAtOnce  = 2               // thousands of names under thousands of rules take a core for tens of milliseconds
	turnPatience  = 2 * time.Second // how long a caller waits for its turn
)

// asking is a request that a model could be asked for with.
type asking struct {
	path    string
	read    rules.PathRead
	dialect dialect
}

// shortPrompt stands for the size of the request that nobody has made yet.
const shortPrompt = 1 << 10

// calls are the requests of every wire format that names a model, the common
// ones first: the first that the rules send somewhere is enough.
func calls() []asking {
	all := []asking{
		{path: "/v1/chat/completions"},
		{path: "/v1/messages", dialect: anthropicDialect},
		{path: "/v1/responses"},
		{path: "/v1beta/models/m:generateContent", dialect: geminiDialect},
		{path: "/v1beta/models/m:streamGenerateContent", dialect: geminiDialect},
		{path: "/v1/embeddings"},
		{path: "/v1beta/models/m:embedContent", dialect: geminiDialect},
		{path: "/model/m/converse"},
		{path: "/model/m/converse-stream"},
		{path: "/model/m/invoke"},
		{path: "/v1/completions"},
		{path: "/v1/images/generations"},
		{path: "/v1/audio/speech"},
		{path: "/v1/audio/transcriptions"},
	}
	for i := range all {
		all[i].read = rules.ReadPath(all[i].path)
	}
	return all
}

// offered gives the models that the caller may use, sorted by id: those that
// some rule would send somewhere for this very caller. Names are what operators
// wrote down and what upstreams list.
func (x *exchange) offered(as dialect) ([]*model, *failure) {
	x.p.lists.ask(x.ctx, x.snap.lists)
	known := x.snap.offers
	key := offerKey{dialect: as, key: x.who.KeyID, seq: x.who.Seq, lists: x.p.lists.changes.Load(), request: known.sum(&x.request)}
	if models, ok := known.find(key, time.Now()); ok {
		return models, nil
	}
	if !known.take(x.ctx) {
		if endedBy(x.ctx) == endClientGone {
			return nil, clientGone()
		}
		return nil, tooManyLists()
	}
	defer known.leave()
	if models, ok := known.find(key, time.Now()); ok { // found out while this one waited
		return models, nil
	}
	o := offering{snap: x.snap, as: as, request: x.request, calls: calls(), at: map[string]int{}}
	o.collect()
	known.keep(key, o.models, time.Now())
	return o.models, nil
}

// offering finds out what is offered to one caller.
type offering struct {
	snap     *snapshot
	as       dialect
	request  rules.Request // who asks, from where and with which headers
	calls    []asking
	decision rules.Decision
	tried    int
	models   []*model
	at       map[string]int // places in models, by id
}

func (o *offering) collect() {
	o.request.Method, o.request.RawQuery, o.request.BodyBytes = "POST", "", shortPrompt
	for _, name := range o.snap.set.ExactModels() {
		o.add(&model{id: name}, nil)
	}
	for _, t := range o.snap.upstreams {
		for _, name := range t.upstream.Models {
			o.add(&model{id: name}, t)
		}
	}
	for _, t := range o.snap.lists {
		known := t.list.known()
		for i := range known {
			o.add(&known[i], t)
		}
	}
	slices.SortFunc(o.models, func(a, b *model) int { return cmp.Compare(a.id, b.id) })
}

// add takes a model up where the caller may use it. What an upstream says of it
// goes before the bare name.
func (o *offering) add(m *model, from *target) {
	at, there := o.at[m.id]
	if there && (from == nil || !o.models[at].bare()) {
		return
	}
	if o.tried == maxNamesTried || !rules.ModelAllowed(o.request.Allowed, m.id) {
		return
	}
	o.tried++
	switch {
	case !o.takes(m.id, from):
	case there:
		o.models[at] = m
	default:
		o.at[m.id] = len(o.models)
		o.models = append(o.models, m)
	}
}

// takes says whether a request for a model would be sent somewhere. A name that
// an upstream knows must lead to that upstream, or be changed on the way: with
// any other it is but a name.
func (o *offering) takes(id string, from *target) bool {
	q := &o.request
	q.Model, q.HasModel = id, true
	for i := range o.calls {
		c := &o.calls[i]
		if o.as != openAIDialect && o.as != c.dialect {
			continue
		}
		path, err := rules.CanonicalPath(c.read.WithModel(c.path, id))
		if err != nil {
			continue // a name that does not go into a path
		}
		read := c.read
		if read.HasModel {
			read = rules.ReadPath(path)
		}
		q.Path, q.Wire, q.Stream = path, read.Wire, read.Stream
		if o.sent(read, from) {
			return true
		}
		if q.Stream = true; !read.HasModel && o.sent(read, from) { // the body says whether it is to be one
			return true
		}
	}
	return false
}

// sent says whether the request as it is now would be sent somewhere.
func (o *offering) sent(read rules.PathRead, from *target) bool {
	q, d := &o.request, &o.decision
	o.snap.set.Decide(q, d)
	if d.Outcome != rules.Forward {
		return false
	}
	d.Keep(func(c *rules.Candidate) bool { return o.snap.problem(q, d, c) == nil })
	if len(d.Candidates) == 0 {
		return false
	}
	if _, _, _, err := d.Destination(q, d.Candidates[0], read); err != nil {
		return false
	}
	return from == nil || slices.ContainsFunc(d.Candidates, func(c *rules.Candidate) bool {
		_, changed := d.Model(q, c)
		return changed || c.Index == from.index
	})
}

// offers keeps for a moment what was found out, of one snapshot: clients ask
// again and again, and there may be thousands of names.
type offers struct {
	seed  maphash.Seed
	turns chan struct{} // one for each who finds out at the same time
	mu    sync.Mutex
	found map[offerKey]offer
}

// offerKey is everything that an offer depends on.
type offerKey struct {
	dialect dialect
	key     string
	seq     int64
	lists   int64
	request uint64
}

type offer struct {
	models []*model
	until  time.Time
}

func newOffers() *offers {
	return &offers{seed: maphash.MakeSeed(), turns: make(chan struct{}, offersAtOnce), found: map[offerKey]offer{}}
}

// take waits for the caller's turn; it has one until leave. It is false where
// too many wait, or the caller has left.
func (o *offers) take(ctx context.Context) bool {
	select {
	case o.turns <- struct{}{}:
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, turnPatience)
	defer cancel()
	select {
	case o.turns <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (o *offers) leave() { <-o.turns }

// sum is of everything about a request that rules may match and that its key
// does not tell. The order of headers means nothing.
func (o *offers) sum(q *rules.Request) uint64 {
	one := func(texts ...string) uint64 {
		var h maphash.Hash
		h.SetSeed(o.seed)
		for _, text := range texts {
			_, _ = h.WriteString(text) // which cannot fail
			_ = h.WriteByte(0)
		}
		return h.Sum64()
	}
	sum := one("host", q.Host, q.Source.String())
	for name, values := range q.Header {
		sum += one(name, strings.Join(values, "\x00"))
	}
	return sum
}

func (o *offers) find(key offerKey, now time.Time) ([]*model, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	found, ok := o.found[key]
	return found.models, ok && now.Before(found.until)
}

func (o *offers) keep(key offerKey, models []*model, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.found) >= maxOffersKept {
		clear(o.found)
	}
	o.found[key] = offer{models, now.Add(offerKept)}
}

// ask makes sure that the lists of upstreams are asked for, and waits for those
// that are, but not for long.
func (l *modelLists) ask(ctx context.Context, of []*target) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	var coming []<-chan struct{}
	for _, t := range of {
		if c := l.refresh(t); c != nil {
			coming = append(coming, c)
		}
	}
	for _, c := range coming {
		select {
		case <-c:
		case <-ctx.Done():
			return
		}
	}
}

// listing tells the upstreams that are asked for their models: those that can
// be used, that some rule sends to, and whose models nobody wrote down.
func (s *snapshot) listing() (all []*target) {
	for i, named := range s.set.SendsTo() {
		t := s.upstreams[i]
		_, lists := t.upstream.Provider.ModelList()
		if named && lists && t.upstream.TakesRequests() && t.problem == nil && len(t.upstream.Models) == 0 && !t.signs() {
			all = append(all, t)
		}
	}
	return all
}
