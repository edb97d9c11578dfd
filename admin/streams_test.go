package admin_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

// node is a gateway with as many exchanges under way as a test wants.
type node struct {
	mu      sync.Mutex
	flights []api.Flight
}

func (n *node) Flights() []api.Flight {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.flights)
}

func (n *node) Cut(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := len(n.flights)
	n.flights = slices.DeleteFunc(n.flights, func(f api.Flight) bool { return f.RequestID == id })
	return len(n.flights) < before
}

func (n *node) Applied() (seq, revision int64) { return 41, 7 }

func (n *node) fly(id string, ago time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flights = append(n.flights, api.Flight{RequestID: id, StartedAt: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).Add(-ago)})
}

func ids(flights []api.Flight) []string {
	all := []string{}
	for _, f := range flights {
		all = append(all, f.RequestID)
	}
	return all
}

func TestWhatIsInFlightIsListedTheOldestFirst(t *testing.T) {
	g := open(t)
	none, err := g.Streams(t.Context())
	must(t, err)
	if none.Items == nil || len(none.Items) != 0 || none.Partial != nil {
		t.Errorf("nothing in flight is %+v", none)
	}
	g.node.fly("req_b", time.Second)
	g.node.fly("req_a", time.Second)
	g.node.fly("req_c", time.Hour)
	flights, err := g.Streams(t.Context())
	must(t, err)
	if diff := cmp.Diff([]string{"req_c", "req_a", "req_b"}, ids(flights.Items)); diff != "" {
		t.Error(diff)
	}
	if _, text := g.raw(t, "GET", "/api/v1/streams?limit=1", "", ""); !strings.Contains(text, "req_c") || strings.Contains(text, "req_a") {
		t.Errorf("the oldest one is %s", text)
	}
}

func TestNoMoreThanAThousandAreListed(t *testing.T) {
	g := open(t)
	for i := range 1200 {
		g.node.fly("req_"+strconv.Itoa(i), time.Duration(i)*time.Second)
	}
	flights, err := g.Streams(t.Context())
	must(t, err)
	if len(flights.Items) != 1000 || flights.Items[0].RequestID != "req_1199" {
		t.Errorf("%d are listed, the first is %s", len(flights.Items), flights.Items[0].RequestID)
	}
}

func TestWhatIsInFlightIsCut(t *testing.T) {
	g := open(t)
	g.node.fly("req_a", time.Second)
	g.node.fly("req_b", time.Second)
	cut, err := g.CutStream(t.Context(), "req_a")
	must(t, err)
	if cut.RequestID != "req_a" || cut.StartedAt.IsZero() {
		t.Errorf("what was cut is %+v", cut)
	}
	if diff := cmp.Diff([]string{"req_b"}, ids(g.node.Flights())); diff != "" {
		t.Error(diff)
	}
	if log := g.log.String(); !strings.Contains(log, `"request_id":"req_a","actor":"local","from":"socket","message":"exchange cut"`) {
		t.Errorf("the log does not tell who cut it: %s", log)
	}
	for _, id := range []string{"req_a", "req_never", "../keys", "sk-lgw-canary"} {
		_, err := g.CutStream(t.Context(), id)
		if refusal := refusedWith(t, err, api.CodeNotFound, 404); strings.Contains(refusal.Detail+refusal.Hint, id) {
			t.Errorf("%q is repeated: %s", id, refusal.Detail)
		}
	}
}
