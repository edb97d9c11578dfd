package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// moment reads a time to come: a duration from now, days too, or a date.
func moment(text string, now time.Time) (time.Time, error) {
	at, err := anyMoment(text, now.Add)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time; write 12h, 90d or 2027-02-20", text)
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("%q is not in the future", text)
	}
	return at.UTC().Truncate(time.Second), nil
}

// pastMoment reads a time that was: a duration before now, days too, or a date.
func pastMoment(text string, now time.Time) (time.Time, error) {
	at, err := anyMoment(text, func(d time.Duration) time.Time { return now.Add(-d) })
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time; write 12h, 7d, 2027-02-20 or 2027-02-20T15:00:00Z", text)
	}
	return at.UTC(), nil
}

func anyMoment(text string, off func(time.Duration) time.Time) (time.Time, error) {
	if d, err := span(text); err == nil {
		return off(d), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.Parse(time.DateOnly, text)
}

// span reads a duration, days too.
func span(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration; write 30m, 24h or 7d", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration; write 30m, 24h or 7d", text)
	case d < 0:
		return 0, errors.New("a duration is not negative")
	}
	return d, nil
}
