package main

import (
	"errors"
	"slices"
	"time"
)

var errNoFigures = errors.New("nothing was measured")

// median gives the middle of the values, or the mean of the middle two.
func median(values []float64) (float64, error) {
	if len(values) == 0 {
		return 0, errNoFigures
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle], nil
	}
	return (sorted[middle-1] + sorted[middle]) / 2, nil
}

// medianRatio gives the median of what each round's value is to the floor's
// value of the same round. The ratio of two medians would mix rounds, and with
// them what else the machine did.
func medianRatio(values, floor []float64) (float64, error) {
	all, err := ratios(values, floor)
	if err != nil {
		return 0, err
	}
	return median(all)
}

// medianDifference gives the median of what each round's value exceeds the
// floor's of the same round by.
func medianDifference(values, floor []float64) (float64, error) {
	if len(values) != len(floor) {
		return 0, errors.New("rounds without a partner")
	}
	all := make([]float64, len(values))
	for i := range values {
		all[i] = values[i] - floor[i]
	}
	return median(all)
}

// ratioRange gives the least and the most of the rounds' ratios: how much the
// machine did beside.
func ratioRange(values, floor []float64) (least, most float64, err error) {
	all, err := ratios(values, floor)
	if err != nil {
		return 0, 0, err
	}
	if len(all) == 0 {
		return 0, 0, errNoFigures
	}
	return slices.Min(all), slices.Max(all), nil
}

func ratios(values, floor []float64) ([]float64, error) {
	if len(values) != len(floor) {
		return nil, errors.New("rounds without a partner")
	}
	all := make([]float64, len(values))
	for i := range values {
		if floor[i] <= 0 {
			return nil, errors.New("a round of the floor measured nothing")
		}
		all[i] = values[i] / floor[i]
	}
	return all, nil
}

// percentile gives the smallest value that at least p of 100 do not exceed (the
// nearest rank).
func percentile(values []time.Duration, p int) (time.Duration, error) {
	if len(values) == 0 {
		return 0, errNoFigures
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := (len(sorted)*p + 99) / 100
	return sorted[min(max(rank, 1), len(sorted))-1], nil
}
