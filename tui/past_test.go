package tui

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

// same fails unless two series are the same, gaps included.
func sameValues(t *testing.T, got []float64, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%v, and not %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("%v, and not %v", got, want)
		}
	}
}

func TestASeriesHasGapsWhereNothingIsKnownAndEndsBeforeTheStepThatIsUnderWay(t *testing.T) {
	d := &desk{options: &Options{Clock: sampleNow}}
	d.books.window.at = sampleNow()
	step := func(requests, errs int64, p50 float64, unknown bool) api.Point {
		return api.Point{Counts: api.Counts{Requests: requests, Errors: errs, InputTokens: requests, OutputTokens: 2 * requests, FirstTokenP50: p50}, InFlight: 3, Unknown: unknown}
	}
	d.books.window.value = api.Window{WindowS: 60, SinceS: 45, StepS: 15, Series: []api.Point{step(0, 0, 0, true), step(30, 3, 200, false), step(0, 0, 0, false), step(7, 0, 9, false)}}
	sameValues(t, d.past(perSecond), missing, 2, 0)
	sameValues(t, d.past(errorShare), missing, 10, 0)
	sameValues(t, d.past(inPerMinute), missing, 120, 0)
	sameValues(t, d.past(outPerMinute), missing, 240, 0)
	sameValues(t, d.past(underWay), missing, 3, 3)
	sameValues(t, d.past(firstTokens(func(p *api.Point) float64 { return p.FirstTokenP50 })), missing, 200, missing)

	d.link.state = lost
	d.options.Clock = func() time.Time { return sampleNow().Add(31 * time.Second) }
	sameValues(t, d.past(perSecond), 0, missing, missing)
	if from, until := d.pastEnds(); until != d.now() || until.Sub(from) != time.Minute {
		t.Errorf("from %s to %s", from, until)
	}
}

func TestPartsThatWereOverBeforeThereWasAGatewayAreAGap(t *testing.T) {
	d := &desk{options: &Options{Clock: sampleNow}}
	d.books.window.at = sampleNow()
	d.books.window.value = api.Window{WindowS: 60, SinceS: 30}
	sameValues(t, d.parts(&api.Share{Series: []int64{0, 0, 5, 0}}), missing, missing, 5, 0)
	d.books.window.value.SinceS = 31
	sameValues(t, d.parts(&api.Share{Series: []int64{0, 1, 5, 0}}), missing, 1, 5, 0)
	sameValues(t, d.parts(nil))
}

func TestWhatGrowsOldMovesToTheLeftAndLeavesAGap(t *testing.T) {
	for name, one := range map[string]struct {
		by   time.Duration
		want []float64
	}{
		"not at all":           {0, []float64{1, 2, 3}},
		"by less than a step":  {9 * time.Second, []float64{1, 2, 3}},
		"by one step":          {10 * time.Second, []float64{2, 3, missing}},
		"by more than a step":  {25 * time.Second, []float64{3, missing, missing}},
		"by all that there is": {time.Hour, []float64{missing, missing, missing}},
	} {
		t.Run(name, func(t *testing.T) {
			got := aged([]float64{1, 2, 3}, one.by, 10*time.Second)
			sameValues(t, got, one.want...)
		})
	}
}

func TestNoAgeChangesHowLongASeriesIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		series := rapid.SliceOf(rapid.Float64()).Draw(t, "series")
		by, step := time.Duration(rapid.Int64().Draw(t, "by")), time.Duration(rapid.Int64().Draw(t, "step"))
		if got := aged(series, by, step); len(got) != len(series) {
			t.Fatalf("%d values of %d", len(got), len(series))
		}
	})
}

func TestAWindowIsAskedForAgainOnlyWhenMoreIsWanted(t *testing.T) {
	d := &desk{}
	d.books.window.at = sampleNow()
	stale := func(names int, kinds ...string) bool {
		d.books.window.stale = false
		d.figures(names, kinds...)
		return d.books.window.stale
	}
	for i, step := range []struct {
		names int
		kinds []string
		want  bool
	}{
		{10, []string{"key"}, true}, {10, []string{"key"}, false}, {50, []string{"key"}, true}, {10, []string{"key"}, false}, {10, []string{"model"}, true}, {10, []string{"model", "key"}, true}, {10, []string{"key"}, false},
	} {
		if got := stale(step.names, step.kinds...); got != step.want {
			t.Errorf("step %d: asked for again: %v", i, got)
		}
	}
}
