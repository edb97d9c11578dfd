package tui

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// windowEvery is how often the figures of the last while are asked for.
const windowEvery = 2 * time.Second

// share is what a name did within the window; nil: it is not known.
func (d *desk) share(kind, name string) *api.Share {
	by := d.books.window.value.By
	at := slices.IndexFunc(by, func(s api.Share) bool { return s.Kind == kind && s.Name == name })
	if at < 0 {
		return nil
	}
	return &by[at]
}

// seen is how much of the window the gateway has seen.
func (d *desk) seen() time.Duration {
	w := &d.books.window.value
	return time.Duration(min(w.WindowS, w.SinceS) * float64(time.Second))
}

// perMinute is how many requests a name has a minute.
func (d *desk) perMinute(kind, name string) string {
	if !d.books.window.there() {
		return unknown
	}
	s := d.share(kind, name)
	if s == nil || s.Requests == 0 {
		return "0"
	}
	return rate(s.Requests*60, max(d.seen(), time.Minute))
}

// requests says how many requests a name had within the window.
func (d *desk) requests(kind, name string) string {
	if !d.books.window.there() {
		return "its requests are not known"
	}
	n := int64(0)
	if s := d.share(kind, name); s != nil {
		n = s.Requests
	}
	return plural(int(n), "request") + " in the last " + span(time.Duration(d.books.window.value.WindowS)*time.Second)
}

// since says how long ago something was that may never have been.
func (d *desk) since(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return ago(d.now(), *t)
}

// with gives kinds with one more.
func with(kinds []string, kind string) []string {
	if slices.Contains(kinds, kind) {
		return kinds
	}
	return append(slices.Clone(kinds), kind)
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// or gives the first text that is not empty.
func or(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func lastFour(l *look, last4 string) string {
	if last4 == "" {
		return unknown
	}
	return l.more + clean(last4)
}

// pairsOf gives tags as they are typed: a=1, b=2.
func pairsOf(tags map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, name+"="+tags[name])
	}
	return strings.Join(all, ", ")
}

// longTime reads a duration that may have days: 30d, 12h.
func longTime(text string) (time.Duration, error) {
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s is no time; 30d and 12h are", clean(text))
	}
	return d, nil
}
