package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/fleet"
)

// The bounds of what is remembered and of who listens.
const (
	remembered   = 10_000 // exchanges that have ended
	rememberText = 256    // bytes of a text that a caller chose: a path, a model
	maxListeners = 64
	maxListening = 16          // of these, by one user
	goodbyeLimit = time.Second // for the streams of events to end with the server
)

// tail is what this node tells of its exchanges and of changes: the last
// exchanges in a ring, and whoever listens now. The ring is always fed, so that
// `--since` knows what was before anybody looked; that costs an exchange one
// allocation, one atomic add and one store, and no lock.
type tail struct {
	run       string       // names this process: places in the ring of another mean nothing here
	last      atomic.Int64 // the newest place
	ring      [remembered]atomic.Pointer[past]
	dropped   atomic.Int64 // by all listeners there ever were
	listening atomic.Pointer[[]*listener]

	others func([]fleet.Filter) // told, with mu held, what those who listen want; nil: nobody is

	mu     sync.Mutex    // of joining and leaving
	closed chan struct{} // closed by close: every listener ends
	gone   chan struct{} // after that: closed by the last listener that leaves
}

// past is an exchange that has ended, and its place among them.
type past struct {
	api.Exchange
	place int64
}

func newTail() *tail {
	t := &tail{run: strconv.FormatInt(time.Now().UnixNano(), 36), closed: make(chan struct{}), gone: make(chan struct{})}
	t.listening.Store(&[]*listener{})
	return t
}

// Started tells that an exchange has been sent to an upstream. It does not
// block and may be called by several goroutines, as may Ended and Changed.
func (s *Server) Started(f api.Flight) {
	all := *s.tail.listening.Load()
	watched := s.fleet.Watched()
	if len(all) == 0 && !watched {
		return
	}
	own := f // on the heap, where f is not
	for _, l := range all {
		l.hearStart(&own)
	}
	if watched {
		s.fleet.Started(brief(own))
	}
}

// Ended tells that an exchange has ended. It is remembered.
func (s *Server) Ended(x api.Exchange) { s.fleet.Ended(s.tail.remember(x)) }

// Changed tells that a change of the store is in force here. Where its subject is
// everything, all that is known of the store may be old.
func (s *Server) Changed(c accounts.Change) {
	if slices.Contains(c.Subjects, everything) {
		s.fleet.Renew()
	}
	for _, l := range *s.tail.listening.Load() {
		l.hearChange(c)
	}
}

// Close ends the streams of events. Other calls go on.
func (s *Server) Close() { s.tail.close() }

func (t *tail) remember(x api.Exchange) *api.Exchange {
	e := &past{Exchange: x}
	e.Path, e.Model = ownText(x.Path), ownText(x.Model)
	if e.UpstreamModel = e.Model; x.UpstreamModel != x.Model {
		e.UpstreamModel = ownText(x.UpstreamModel)
	}
	e.place = t.last.Add(1)
	t.ring[e.place%remembered].Store(e)
	for _, l := range *t.listening.Load() {
		l.hear(e)
	}
	return &e.Exchange
}

// ownText gives a text of its own, and not a long one: what a caller sent may be
// a part of a large body, which would stay in memory with it.
func ownText(text string) string {
	if len(text) <= rememberText {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:rememberText], "") + "…"
}

// since gives what is remembered that take says yes to, the oldest first.
func (t *tail) since(take func(*past) bool) []*past {
	var all []*past
	for i := range t.ring {
		if e := t.ring[i].Load(); e != nil && take(e) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *past) int { return cmp.Compare(a.place, b.place) })
	return all
}

// id names a place in the ring of this process.
func (t *tail) id(place int64) string { return t.run + "-" + strconv.FormatInt(place, 10) }

// placeOf is the place that id names; 0, before all others, where it is of
// another process. It is not ok where it is no id at all.
func (t *tail) placeOf(id string) (place int64, ok bool) {
	run, number, found := strings.Cut(id, "-")
	place, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil || place < 0 {
		return 0, false
	}
	if run != t.run {
		return 0, true
	}
	return place, true
}

// join adds a listener, or says why there cannot be another. One user must not
// keep all others from listening.
func (t *tail) join(of caller, wants *filter) (*listener, *failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := *t.listening.Load()
	switch {
	case t.isClosed():
		return nil, fail(http.StatusServiceUnavailable, api.CodeUnavailable, "the gateway is stopping", "")
	case len(all) >= maxListeners:
		return nil, fail(http.StatusServiceUnavailable, api.CodeUnavailable,
			fmt.Sprintf("%d streams of events are open already", maxListeners), "end one of them, or try again later")
	case of.UserID != "" && listening(all, of.UserID) >= maxListening:
		return nil, fail(http.StatusServiceUnavailable, api.CodeUnavailable,
			fmt.Sprintf("%d streams of events of %s are open already", maxListening, of.User), "end one of them, or try again later")
	}
	l := newListener(of, wants, &t.dropped)
	all = append(slices.Clone(all), l)
	t.listen(all)
	return l, nil
}

// listen is called with mu held.
func (t *tail) listen(all []*listener) {
	t.listening.Store(&all)
	if t.others == nil {
		return
	}
	wanted := make([]fleet.Filter, 0, len(all))
	for _, l := range all {
		wanted = append(wanted, l.wants.Filter)
	}
	t.others(wanted)
}

func listening(all []*listener, userID string) (n int) {
	for _, l := range all {
		if l.of.UserID == userID {
			n++
		}
	}
	return n
}

func (t *tail) leave(l *listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(*t.listening.Load()), func(other *listener) bool { return other == l })
	t.listen(all)
	if len(all) == 0 && t.isClosed() {
		close(t.gone)
	}
}

// close ends every listener and waits a moment for them to be gone. What blocks
// in a write is cut with its connection.
func (t *tail) close() {
	if !t.shut() {
		return
	}
	timer := time.NewTimer(goodbyeLimit)
	defer timer.Stop()
	select {
	case <-t.gone:
	case <-timer.C:
	}
}

// shut lets nobody in any more, and says whether there is somebody to wait for.
func (t *tail) shut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed() {
		return false
	}
	close(t.closed)
	return len(*t.listening.Load()) > 0
}

func (t *tail) isClosed() bool {
	select {
	case <-t.closed:
		return true
	default:
		return false
	}
}

// Describe and Collect are for Prometheus.
func (t *tail) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(t, to) }

// Collect tells how many listen, and what they were too slow for.
func (t *tail) Collect(to chan<- prometheus.Metric) {
	streams := prometheus.NewDesc("llmgw_event_streams", "Streams of admin events that are open.", nil, nil)
	dropped := prometheus.NewDesc("llmgw_events_dropped_total", "Events that streams did not show: more than they take in a second, or a reader too slow.", nil, nil)
	to <- prometheus.MustNewConstMetric(streams, prometheus.GaugeValue, float64(len(*t.listening.Load())))
	to <- prometheus.MustNewConstMetric(dropped, prometheus.CounterValue, float64(t.dropped.Load()))
}
