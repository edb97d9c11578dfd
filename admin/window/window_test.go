package window

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

// noon is when the clock of these tests begins: amid a cell.
var noon = time.Date(2026, 11, 20, 12, 0, 7, 0, time.UTC)

func all(window time.Duration) Query {
	return Query{Window: window, Points: 60, Kinds: []string{"key", "user", "model", "upstream", "rule"}, Names: MostNames}
}

// told is one exchange, and when an Hour was shown it.
type told struct {
	at time.Time
	x  *api.Exchange
}

func anExchange(t *rapid.T) *api.Exchange {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	x := &api.Exchange{
		Status: rapid.SampledFrom([]int{0, 200, 200, 200, 404, 429, 499, 500, 503}).Draw(t, "status"), EndReason: pick("reason", "complete", "client_gone", "upstream_truncated", "drained", "rejected"),
		Key: pick("key", "", "a", "b", "c"), User: pick("user", "", "u"), Model: pick("model", "m", "n", "o"), Upstream: pick("upstream", "", "x", "y"), Rule: pick("rule", "", "r", "s"),
		Stream: rapid.Bool().Draw(t, "stream"), FirstTokenMS: rapid.Float64Range(0, 60_000).Draw(t, "first token"),
	}
	if rapid.Bool().Draw(t, "counted") {
		in, out := rapid.Int64Range(0, 5000).Draw(t, "in"), rapid.Int64Range(0, 5000).Draw(t, "out")
		x.InputTokens, x.OutputTokens = &in, &out
	}
	return x
}

// recount adds up what a window should hold, one exchange after another.
func recount(seen []told, take func(told) bool) (c api.Counts, times []float64) {
	for _, e := range seen {
		x := e.x
		if !take(e) {
			continue
		}
		c.Requests++
		left := x.EndReason == "client_gone"
		switch {
		case !left && x.Status >= 500, !left && x.Status < 400 && x.EndReason == "upstream_truncated":
			c.Errors++
		case !left && x.Status >= 400:
			c.Refused++
		}
		if x.InputTokens != nil {
			c.InputTokens += *x.InputTokens
			c.OutputTokens += *x.OutputTokens
		}
		if x.Stream && x.FirstTokenMS > 0 {
			times = append(times, x.FirstTokenMS)
		}
	}
	sort.Float64s(times)
	return c, times
}

// holds says what is wrong with counts, the times of which are within 15 %.
func holds(got, want api.Counts, times []float64) string {
	for q, told := range map[float64]float64{0.5: got.FirstTokenP50, 0.95: got.FirstTokenP95} {
		truth := 0.0
		if n := len(times); n > 0 {
			truth = times[max(0, int(float64(n)*q+0.9999999)-1)]
		}
		if truth > leastMS && (told < truth/1.15 || told > truth*1.15) || truth == 0 && told != 0 {
			return fmt.Sprintf("the quantile %v is %v, and in truth %v", q, told, truth)
		}
	}
	got.FirstTokenP50, got.FirstTokenP95 = 0, 0
	return cmp.Diff(want, got)
}

func TestWhatIsToldIsWhatEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "begins")) * time.Second)
		h := NewHour(now)
		var seen []told
		looks := rapid.IntRange(1, 60).Draw(t, "looks")
		for range looks {
			pause := rapid.SampledFrom([]time.Duration{250 * time.Millisecond, 4 * time.Second, 40 * time.Second, 7 * time.Minute}).Draw(t, "pause")
			now = now.Add(pause)
			l := Look{Flights: 1}
			for range rapid.IntRange(0, 5).Draw(t, "ended") {
				x := anExchange(t)
				l.Ended = append(l.Ended, x)
				seen = append(seen, told{now, x})
			}
			h.Look(now, l)
		}
		window := rapid.SampledFrom([]time.Duration{time.Minute, 90 * time.Second, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 16 * time.Minute, 25 * time.Minute, 30 * time.Minute, time.Hour}).Draw(t, "window")
		q := all(window)
		q.Points = rapid.IntRange(1, MostPoints).Draw(t, "points")
		checkWindow(t, Merge([]Part{h.Part(now, q)}, q, now), seen, window, now)
	})
}

func checkWindow(t *rapid.T, w api.Window, seen []told, window time.Duration, now time.Time) {
	cell := 15 * time.Second
	if window > 15*time.Minute {
		cell = time.Minute
	}
	first := now.Truncate(cell).Add(cell - window.Truncate(cell))
	inside := func(e told) bool { return !e.at.Before(first) }
	want, times := recount(seen, inside)
	if wrong := holds(w.Total, want, times); wrong != "" {
		t.Errorf("total of %s since %s: %s", window, first, wrong)
	}
	if len(w.Series) > 240 || time.Duration(w.StepS*float64(time.Second))%(5*time.Second) != 0 {
		t.Errorf("%d points of %v s", len(w.Series), w.StepS)
	}
	step := time.Duration(w.StepS * float64(time.Second))
	for i, p := range w.Series {
		from := first.Add(time.Duration(i) * step)
		want, times := recount(seen, func(e told) bool { return !e.at.Before(from) && e.at.Before(from.Add(step)) })
		if wrong := holds(p.Counts, want, times); wrong != "" {
			t.Errorf("point %d since %s: %s", i, from, wrong)
		}
		if p.Unknown && p.Requests > 0 {
			t.Errorf("point %d is not known and has %d", i, p.Requests)
		}
	}
	if last := first.Add(time.Duration(len(w.Series)) * step); last.Sub(now) > step || !last.After(now) {
		t.Errorf("the series ends at %s, and it is %s", last, now)
	}
	checkShares(t, w, seen, first, now.Truncate(cell).Add(cell), cell)
}

// checkShares holds shares against what ended from first to last.
func checkShares(t *rapid.T, w api.Window, seen []told, first, last time.Time, cell time.Duration) {
	cells := int(last.Sub(first) / cell)
	part := time.Duration((cells+14)/15) * cell
	requests := map[string]int64{}
	for _, s := range w.By {
		var k kind
		for k.String() != s.Kind {
			k++
		}
		within := func(from, to time.Time) func(told) bool {
			return func(e told) bool {
				return !e.at.Before(first) && !e.at.Before(from) && e.at.Before(to) && k.of(e.x) == s.Name
			}
		}
		want, times := recount(seen, within(first, last))
		if !k.timed() {
			times = nil
		}
		if wrong := holds(s.Counts, want, times); wrong != "" {
			t.Errorf("%s %q: %s", s.Kind, s.Name, wrong)
		}
		for i, n := range s.Series {
			to := last.Add(-part * time.Duration(len(s.Series)-1-i))
			if want, _ := recount(seen, within(to.Add(-part), to)); n != want.Requests {
				t.Errorf("%s %q has %d requests in part %d of %d, and in truth %d", s.Kind, s.Name, n, i, len(s.Series), want.Requests)
			}
		}
		if all := part * time.Duration(len(s.Series)); len(s.Series) > 15 || all < last.Sub(first) || all-part >= last.Sub(first) {
			t.Errorf("%d parts of %s make %s", len(s.Series), part, last.Sub(first))
		}
		requests[s.Kind] += s.Requests
	}
	for kind, n := range requests {
		if n != w.Total.Requests {
			t.Errorf("the names of %s have %d requests, all have %d", kind, n, w.Total.Requests)
		}
	}
}

// spread makes an Hour, and shows it n exchanges, i of which is changed by change.
func spread(n int, change func(i int, x *api.Exchange)) *Hour {
	h := NewHour(noon)
	show(h, noon, n, change)
	return h
}

func show(h *Hour, now time.Time, n int, change func(i int, x *api.Exchange)) {
	l := Look{}
	for i := range n {
		x := &api.Exchange{Status: 200, EndReason: "complete", Time: now}
		change(i, x)
		l.Ended = append(l.Ended, x)
	}
	h.Look(now, l)
}

func TestTooManyNamesShareOne(t *testing.T) {
	h := spread(1000, func(i int, x *api.Exchange) { x.Key = fmt.Sprintf("key-%03d", i) })
	for _, after := range []time.Duration{0, 10 * time.Minute, 40 * time.Minute} {
		w := merged(h, noon.Add(after), all(time.Hour))
		keys := ofKind(w, "key")
		if len(keys) != mostNames+1 || keys[mostNames].Name != "" || keys[mostNames].Requests != 1000-mostNames {
			t.Errorf("after %s there are %d names, the last has %+v", after, len(keys), keys[len(keys)-1])
		}
		if diff := cmp.Diff([]string{"key"}, w.Other); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWhenCellsAgeTheNamesWithTheMostAreKept(t *testing.T) {
	h := spread(0, nil)
	for cell := range 4 { // of one minute: 200 names each, of which those of the last have most
		show(h, noon.Truncate(time.Minute).Add(time.Minute+time.Duration(cell)*15*time.Second), 200*(cell+1), func(i int, x *api.Exchange) {
			x.Key = fmt.Sprintf("key-%d-%03d", cell, i%200)
		})
	}
	w := merged(h, noon.Add(30*time.Minute), all(time.Hour))
	keys := ofKind(w, "key")
	if len(keys) != mostNames+1 || !strings.HasPrefix(keys[0].Name, "key-3-") || keys[0].Requests != 4 || !strings.HasPrefix(keys[255].Name, "key-2-") {
		t.Errorf("kept are %d: %+v … %+v", len(keys), keys[0], keys[len(keys)-2])
	}
	if rest := keys[mostNames]; rest.Name != "" || w.Total.Requests != 2000 || rest.Requests != 2000-200*4-56*3 {
		t.Errorf("the rest has %d", rest.Requests)
	}
}

func merged(h *Hour, now time.Time, q Query) api.Window { return Merge([]Part{h.Part(now, q)}, q, now) }

func ofKind(w api.Window, kind string) []api.Share {
	return slices.DeleteFunc(slices.Clone(w.By), func(s api.Share) bool { return s.Kind != kind })
}

func TestNoMoreNamesAreToldThanAreAskedFor(t *testing.T) {
	h := spread(100, func(i int, x *api.Exchange) { x.Key, x.Rule = fmt.Sprintf("key-%02d", i*i/100), "r" })
	q := all(15 * time.Minute)
	q.Names = 2
	w := merged(h, noon, q)
	var shown []string
	for _, s := range ofKind(w, "key") {
		shown = append(shown, fmt.Sprintf("%q %d", s.Name, s.Requests))
	}
	if diff := cmp.Diff([]string{`"key-00" 10`, `"key-01" 5`, `"" 85`}, shown); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"key"}, w.Other); diff != "" {
		t.Error(diff)
	}
	q.Kinds = nil
	if w := merged(h, noon, q); w.By == nil || len(w.By) != 0 {
		t.Errorf("nobody asked for %+v", w.By)
	}
}

func TestAnHourLaterNothingIsKnown(t *testing.T) {
	h := spread(300, func(i int, x *api.Exchange) { x.Key, x.Status = fmt.Sprint("key", i), 503 })
	if w := merged(h, noon.Add(59*time.Minute-7*time.Second), all(time.Hour)); w.Total.Errors != 300 || len(w.Recent) != 1 {
		t.Errorf("before the hour is over there are %+v, %+v", w.Total, w.Recent)
	}
	w := merged(h, noon.Add(time.Hour+time.Second), all(time.Hour))
	if w.Total.Requests != 0 || len(w.By) != 0 || len(w.Recent) != 0 || len(w.Other) != 0 {
		t.Errorf("after it there are %+v, %+v, %+v", w.Total, w.By, w.Recent)
	}
	for _, c := range append(h.names.fine[:], h.names.coarse[:]...) {
		if c != nil {
			t.Error("a cell is kept that nobody can ask for")
		}
	}
}

func TestWhatIsNotKnownIsSaid(t *testing.T) {
	h := spread(1, func(_ int, x *api.Exchange) { x.Key = "a" })
	now := noon.Add(3 * time.Minute)
	h.Look(now, Look{Flights: 7, Unseen: 3})
	h.Look(now, Look{Flights: 5})
	w := merged(h, now, all(15*time.Minute))
	unknown := 0
	for _, p := range w.Series {
		if p.Unknown {
			unknown++
		}
	}
	// It is 12:03:07, and the points are those of a quarter of a minute: the first
	// that is known began at noon.
	if len(w.Series) != 60 || unknown != 60-13 || w.Series[unknown].Requests != 1 {
		t.Errorf("of %d points %d are not known", len(w.Series), unknown)
	}
	if w.SinceS != 180 || w.WindowS != 900 || w.StepS != 15 || w.Unseen != 3 || w.Flights != 5 || w.Series[59].InFlight != 7 {
		t.Errorf("told is %+v", w)
	}
	if later := merged(h, now.Add(16*time.Minute), all(15*time.Minute)); later.SinceS <= 14*60 || later.SinceS > 15*60 || later.Unseen != 0 || later.Series[0].Unknown {
		t.Errorf("later: %+v", later)
	}
}

func TestAClockThatIsSetBackDoesNoHarm(t *testing.T) {
	h := spread(5, func(_ int, x *api.Exchange) { x.Key = "a" })
	show(h, noon.Add(-2*time.Hour), 5, func(_ int, x *api.Exchange) { x.Key = "a" })
	if w := merged(h, noon, all(time.Minute)); w.Total.Requests != 10 {
		t.Errorf("told is %+v", w.Total)
	}
}

func TestTroubleIsGroupedWhileItIsTheSame(t *testing.T) {
	h := NewHour(noon)
	id := 0
	ends := func(after time.Duration, status int, reason, model string) {
		id++
		h.Look(noon.Add(after), Look{Ended: []*api.Exchange{{
			RequestID: fmt.Sprint("req_", id), Time: noon.Add(after), Status: status, EndReason: reason, Model: model, Key: fmt.Sprint("key-", id), Node: "a1",
		}}})
	}
	ends(0, 429, "complete", "m")
	ends(time.Second, 200, "complete", "m")
	ends(2*time.Second, 499, "client_gone", "m")
	ends(3*time.Second, 200, "upstream_truncated", "m")
	ends(time.Minute, 429, "complete", "m")
	ends(2*time.Minute, 429, "complete", "m") // within two minutes of the last, not of the first
	ends(3*time.Minute, 429, "complete", "other")
	ends(5*time.Minute, 429, "complete", "m") // too late
	ends(5*time.Minute, 200, "drained", "m")
	var shown []string
	for _, t := range merged(h, noon.Add(6*time.Minute), all(time.Minute)).Recent {
		shown = append(shown, fmt.Sprintf("%s-%s %d× %d %s %s %s %s %s", t.First.Format("04:05"), t.Time.Format("04:05"), t.Count, t.Status, t.Reason, t.Model, t.Key, t.Last, t.Node))
	}
	want := []string{
		"05:07-05:07 1× 429 complete m key-8 req_8 a1",
		"05:07-05:07 1× 200 drained m key-9 req_9 a1",
		"03:07-03:07 1× 429 complete other key-7 req_7 a1",
		"00:07-02:07 3× 429 complete m key-6 req_6 a1",
		"00:10-00:10 1× 200 upstream_truncated m key-4 req_4 a1",
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Error(diff)
	}
	for i := range 50 {
		ends(7*time.Minute+time.Duration(i)*time.Second, 500, "rejected", fmt.Sprint("model-", i))
	}
	if all := merged(h, noon.Add(8*time.Minute), all(time.Minute)).Recent; len(all) != mostTrouble || all[0].Model != "model-49" || all[19].Model != "model-30" {
		t.Errorf("%d groups are told", len(all))
	}
}

func TestPartsOfNodesAreAddedByAge(t *testing.T) {
	q := all(15 * time.Minute)
	q.Points = MostPoints // so that the two nodes are at different places of a cell, and their series are not equally long
	// The clock of the second node is 40 s behind, and it has just been started.
	ours, theirs := NewHour(noon), NewHour(noon.Add(10*time.Minute-40*time.Second))
	show(ours, noon, 1, func(_ int, x *api.Exchange) { x.Key, x.Upstream, x.Stream, x.FirstTokenMS = "a", "x", true, 100 })
	now := noon.Add(12 * time.Minute)
	timed := func(ms float64) func(int, *api.Exchange) {
		return func(_ int, x *api.Exchange) {
			x.Key, x.Upstream, x.Stream, x.FirstTokenMS = "b", "x", true, ms
			x.Status, x.EndReason = 502, "connect_error"
		}
	}
	show(ours, now, 60, timed(100))
	show(theirs, now.Add(-40*time.Second), 40, timed(5000))
	ours.Look(now, Look{Flights: 3})
	theirs.Look(now.Add(-40*time.Second), Look{Flights: 4, Unseen: 2})
	here, there := ours.Part(now, q), theirs.Part(now.Add(-40*time.Second), q)
	if len(here.Series) == len(there.Series) {
		t.Fatal("both series are equally long")
	}
	w := Merge(overTheWire(t, here, there), q, now)
	last := w.Series[len(w.Series)-1]
	if last.Requests != 100 || last.InFlight != 7 || w.Flights != 7 || w.Unseen != 2 || w.SinceS != 720 || w.Total.Requests != 101 {
		t.Errorf("at the end %+v; total %+v, in flight %d, unseen %d, since %v", last, w.Total, w.Flights, w.Unseen, w.SinceS)
	}
	// No mean of the two nodes' own p50 and p95 (100 and 5,000) would say this.
	if c := w.Total; c.FirstTokenP50 < 100/1.15 || c.FirstTokenP50 > 115 || c.FirstTokenP95 < 5000/1.15 || c.FirstTokenP95 > 5750 {
		t.Errorf("first tokens are %+v", c)
	}
	if keys := ofKind(w, "key"); len(keys) != 2 || keys[0].Name != "b" || keys[0].Requests != 100 || keys[0].FirstTokenP50 != 0 {
		t.Errorf("keys are %+v", keys)
	}
	if up := ofKind(w, "upstream"); len(up) != 1 || up[0].FirstTokenP95 < 5000/1.15 || up[0].Series[len(up[0].Series)-1] != 100 {
		t.Errorf("upstreams are %+v", up)
	}
	if len(w.Recent) != 2 || w.Recent[0].Count != 60 || w.Recent[1].Count != 40 {
		t.Errorf("trouble is %+v", w.Recent)
	}
	if n := len(w.Series); !w.Series[0].Unknown || w.Series[n-140].Unknown || !w.Series[n-150].Unknown {
		t.Error("what one node knows is known")
	}
}

// overTheWire gives parts as another node reads them.
func overTheWire(t testing.TB, parts ...Part) (read []Part) {
	t.Helper()
	for i := range parts {
		text, err := json.Marshal(&parts[i])
		if err != nil {
			t.Fatal(err)
		}
		var p Part
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(parts[i], p); diff != "" {
			t.Errorf("it is another after the way:\n%s", diff)
		}
		read = append(read, p)
	}
	return read
}

func TestAPartIsBounded(t *testing.T) {
	h := NewHour(noon)
	for i := range 100 {
		show(h, noon.Add(time.Duration(i)*15*time.Second), 250, func(j int, x *api.Exchange) {
			x.Key = strings.Repeat("<", 250) + fmt.Sprint(j*100+i) // six bytes each, in JSON
			x.Model, x.Upstream, x.Stream, x.FirstTokenMS = x.Key, x.Key, true, float64(j*j)
		})
	}
	now := noon.Add(25 * time.Minute)
	p := h.Part(now, all(time.Hour))
	if len(p.Names) < 3*10_000 {
		t.Fatalf("there are %d names to begin with", len(p.Names))
	}
	p.Trim(MostNames, 1<<20)
	text, err := json.Marshal(p)
	if err != nil || len(text) > 5<<18 {
		t.Errorf("it has %d bytes, %v", len(text), err)
	}
	sums := map[string]int64{}
	for i := range p.Names {
		sums[p.Names[i].Kind] += p.Names[i].Requests
	}
	for kind, n := range sums {
		if n != 25_000 {
			t.Errorf("of %s %d requests are left", kind, n)
		}
	}
	if diff := cmp.Diff([]string{"key", "model", "upstream"}, p.Other); diff != "" {
		t.Error(diff)
	}
}

func TestAQueryOfAnotherNodeMaySayAnything(t *testing.T) {
	h := spread(10, func(_ int, x *api.Exchange) { x.Key = "a" })
	for name, q := range map[string]Query{
		"nothing":       {},
		"less than any": {Window: -1, Points: -1, Names: -1, Kinds: []string{"colour"}},
		"too much":      {Window: 1 << 62, Points: 1 << 62, Names: 1 << 62, Kinds: []string{"key", "key", "key"}},
	} {
		if p := h.Part(noon, q); p.Total.Requests != 10 || len(p.Series) > MostPoints || len(p.Names) > 1 {
			t.Errorf("%s: told is %+v", name, p)
		}
	}
}

func TestTimesCountNoFurtherThanTheyCan(t *testing.T) {
	var a, b Times
	a.plus(9, 1<<32-2)
	b.plus(9, 5)
	a.add(&b)
	if a[9] != 1<<32-1 {
		t.Errorf("counted are %d", a[9])
	}
	for _, ms := range []float64{-1, 0, 1e300} {
		a.count(ms)
	}
	if a[0] != 2 || a[timeClasses-1] != 1 {
		t.Errorf("what is too short or too long is in %v", a)
	}
}

func FuzzTimes(f *testing.F) {
	t := Times{}
	for i := range 30 {
		t.count(float64(i * i * i))
	}
	text, err := t.MarshalText()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("")
	f.Add("////////////")
	f.Fuzz(func(t *testing.T, text string) {
		var read, again Times
		if read.UnmarshalText([]byte(text)) != nil {
			return
		}
		written, err := read.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalText(written); err != nil || again != read {
			t.Errorf("%q is read as %v, and written as %q", text, read, written)
		}
	})
}
