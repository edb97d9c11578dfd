package rules

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/llmgw/llmgw/accounts"
)

// Bounds of numbers and times in an action.
const (
	maxWeight   = 1_000_000
	maxAttempts = 20
	maxTimeout  = 7 * 24 * time.Hour
	maxWithin   = time.Hour
)

func (d *decoder) timeouts(path string, n *yaml.Node) accounts.Timeouts {
	return d.timeoutsUpTo(path, n, maxTimeout)
}

func (d *decoder) timeoutsUpTo(path string, n *yaml.Node, most time.Duration) (t accounts.Timeouts) {
	var fields []field
	for _, phase := range phases(&t) {
		fields = append(fields, field{phase.name, func(path string, n *yaml.Node) {
			if *phase.value = d.duration(path, n, 0, most); *phase.value == 0 {
				*phase.value = accounts.NoTimeout
			}
		}})
	}
	d.object(path, n, "timeout", "timeouts are", fields...)
	return t
}

// phase is a part of an attempt that a timeout bounds.
type phase struct {
	name  string
	value *time.Duration
}

// phases names the timeouts, in the order in which they are written.
func phases(t *accounts.Timeouts) [5]phase {
	return [...]phase{
		{"connect", &t.Connect}, {"response_header", &t.ResponseHeader}, {"first_token", &t.FirstToken}, {"idle", &t.Idle}, {"total", &t.Total},
	}
}

// duration reads a time such as 10s or 1m30s; 0 needs no unit. It gives least
// where it is none.
func (d *decoder) duration(path string, n *yaml.Node, least, most time.Duration) time.Duration {
	n = d.resolve(n)
	const hint = "it looks like 500ms, 10s or 2m"
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!int" {
		d.refuse(at(n), path, hint, "must be a time, found %s", kind(n))
		return least
	}
	span, err := time.ParseDuration(n.Value)
	switch {
	case err != nil && n.ShortTag() == "!!int":
		d.refuse(at(n), path, hint, "a time without a unit")
	case err != nil:
		d.refuse(at(n), path, hint, "not a time")
	case span < least || span > most:
		d.refuse(at(n), path, "", "must be from %s to %s, found %s", durationText(least), durationText(most), shorten(n.Value))
	default:
		return span
	}
	return least
}

// durationText writes a time in the largest unit of which it is a whole number.
func durationText(span time.Duration) string {
	for _, unit := range []struct {
		name string
		span time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}} {
		if span != 0 && span%unit.span == 0 {
			return strconv.FormatInt(int64(span/unit.span), 10) + unit.name
		}
	}
	if span == 0 {
		return "0"
	}
	return strconv.FormatInt(int64(span), 10) + "ns"
}

func (d *decoder) retry(path string, n *yaml.Node) *Retry {
	var r Retry
	seen := d.object(path, n, "field", "fields of retry are",
		field{"on", func(path string, n *yaml.Node) {
			d.list(path, n, false, func(path string, n *yaml.Node) { d.retryOn(path, n, &r.On) })
		}},
		field{"attempts", func(path string, n *yaml.Node) { r.Attempts = d.number(path, n, 1, maxAttempts) }},
		field{"within", func(path string, n *yaml.Node) { r.Within = d.duration(path, n, time.Millisecond, maxWithin) }},
	)
	if len(seen) == 0 {
		return nil
	}
	return &r
}

// retryOn adds one thing that an attempt may have come to.
func (d *decoder) retryOn(path string, n *yaml.Node, on *RetryOn) {
	n = d.resolve(n)
	var more RetryOn
	tag := ""
	if n.Kind == yaml.ScalarNode {
		tag = n.ShortTag()
	}
	code, err := strconv.Atoi(n.Value)
	status := err == nil && RetryWhen(0, code) != RetryOn{}
	switch {
	case tag == "!!int" && status:
		more = RetryWhen(0, code)
	case tag == "!!str" && status:
		d.refuse(at(n), path, "leave the quotes out: "+n.Value, "a status is a number, found text")
		return
	case tag == "!!str":
		more = RetryWhen(retryKind(n.Value))
	}
	switch {
	case more == RetryOn{}:
		d.noRetryOn(path, n, tag)
	case on.with(more) == *on:
		d.refuse(at(n), path, "", "%q is given twice", n.Value)
	default:
		*on = on.with(more)
	}
}

// retryKind finds a kind by its name, 0 where there is none.
func retryKind(name string) RetryKind {
	for _, k := range retryKinds {
		if k.name == name {
			return k.kind
		}
	}
	return 0
}

func (d *decoder) noRetryOn(path string, n *yaml.Node, tag string) {
	names := make([]string, len(retryKinds))
	for i, k := range retryKinds {
		names[i] = k.name
	}
	found := kind(n)
	switch tag {
	case "!!str":
		found = strconv.Quote(shorten(n.Value))
	case "!!int":
		found = shorten(n.Value)
	}
	d.suggest(at(n), path, "there are "+strings.Join(names, ", ")+", 429 and the statuses from 500 to 599",
		nearestWord(n.Value, names), "nothing to retry on: %s", found)
}

func (d *decoder) limits(path string, n *yaml.Node) (limits []accounts.Limit) {
	d.list(path, n, false, func(path string, n *yaml.Node) {
		before := len(d.problems)
		text := d.text(path, n)
		if len(d.problems) > before {
			return
		}
		limit, err := accounts.ParseLimit(text)
		if err != nil {
			d.refuse(at(n), path, limitHint, "%v", err)
			return
		}
		limits = append(limits, limit)
	})
	return limits
}

const limitHint = "it looks like 600/min, 2M tokens/day per user, $50/month or 20 concurrent"
