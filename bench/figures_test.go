package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   float64
	}{
		"of one":                         {[]float64{7}, 7},
		"of three in any order":          {[]float64{9, 1, 5}, 5},
		"of four is between the middle":  {[]float64{4, 1, 3, 2}, 2.5},
		"one wild round changes nothing": {[]float64{5, 5, 5, 5, 1e9}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := median(c.values)
			if err != nil || got != c.want {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
	if _, err := median(nil); err == nil {
		t.Error("the median of nothing is a number")
	}
}

func TestMedianLeavesTheRoundsInTheirOrder(t *testing.T) {
	values := []float64{3, 1, 2}
	if _, err := median(values); err != nil {
		t.Fatal(err)
	}
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("rounds are now %v: ratios would pair the wrong ones", values)
	}
}

func TestMedianRatioPairsTheRounds(t *testing.T) {
	// In the second round the machine was slow for both: the ratios are 2, 2 and
	// 2, and the ratio of the medians is not.
	got, err := medianRatio([]float64{20, 200, 80}, []float64{10, 100, 40})
	if err != nil || got != 2 {
		t.Errorf("got %v, %v, want 2", got, err)
	}
	got, err = medianRatio([]float64{10, 90, 30}, []float64{10, 30, 20})
	if err != nil || got != 1.5 {
		t.Errorf("got %v, %v, want 1.5", got, err)
	}
}

func TestMedianRatioRefusesWhatItCannotCompare(t *testing.T) {
	for name, c := range map[string][2][]float64{
		"nothing":               {nil, nil},
		"a round is missing":    {{1, 2}, {1}},
		"the floor did nothing": {{1, 2}, {1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := medianRatio(c[0], c[1]); err == nil {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestRatioRangeIsOfTheRounds(t *testing.T) {
	least, most, err := ratioRange([]float64{10, 90, 30}, []float64{20, 30, 20})
	if err != nil || least != 0.5 || most != 3 {
		t.Errorf("%v to %v, %v", least, most, err)
	}
	for name, c := range map[string][2][]float64{"nothing": {}, "a round is missing": {{1, 2}, {1}}} {
		if _, _, err := ratioRange(c[0], c[1]); err == nil {
			t.Errorf("%s has a range", name)
		}
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	rand.Shuffle(len(hundred), func(i, j int) { hundred[i], hundred[j] = hundred[j], hundred[i] })
	for name, c := range map[string]struct {
		values []time.Duration
		p      int
		want   time.Duration
	}{
		"half of a hundred":       {hundred, 50, 50},
		"99 of a hundred":         {hundred, 99, 99},
		"all of a hundred":        {hundred, 100, 100},
		"99 of ten is the worst":  {[]time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 50}, 99, 50},
		"half of ten":             {[]time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 50}, 50, 5},
		"of one":                  {[]time.Duration{3}, 1, 3},
		"none of them is missing": {[]time.Duration{3, 4}, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := percentile(c.values, c.p)
			if err != nil || got != c.want {
				t.Errorf("got %d, %v, want %d", got, err, c.want)
			}
		})
	}
	if _, err := percentile(nil, 50); err == nil {
		t.Error("a percentile of nothing is a number")
	}
}

func TestACostIsTheCPUTimeOfEachUnit(t *testing.T) {
	f := &series{who: &participant{name: nameGateway, pid: 1}}
	r := round{tally: tally{whole: 400}, cpu: 100 * time.Millisecond, took: 2 * time.Second}
	if err := f.note(r, 100); err != nil {
		t.Fatal(err)
	}
	if math.Abs(f.cost[0]-2.5) > 1e-9 || f.rate[0] != 200 {
		t.Errorf("%v µs for each chunk and %v answers a second, want 2.5 and 200", f.cost[0], f.rate[0])
	}
	if err := f.note(round{tally: tally{failed: 400}, took: time.Second}, 100); err == nil {
		t.Error("a round without one whole answer counts")
	}
}

func TestProblemsAreTheGatewaysAndNotTheFloors(t *testing.T) {
	broken := tally{whole: 10, cut: 1}
	floor := &series{who: &participant{name: nameStock}, tally: broken}
	clean := &series{who: &participant{name: nameGateway}, tally: tally{whole: 11}}
	if err := problems([]*series{floor, clean}); err != nil {
		t.Errorf("the floor's cut stream fails the run: %v", err)
	}
	for v := cut; v < verdicts; v++ {
		gateway := &series{who: &participant{name: nameGateway}, tally: tally{whole: 99_999}, example: errNoFigures}
		gateway.tally[v] = 1
		if err := problems([]*series{floor, gateway}); err == nil {
			t.Errorf("one answer that is %s of 100,000 does not fail the run", v)
		}
	}
}
