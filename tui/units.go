package tui

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// unknown stands where there is no value.
const unknown = "-"

// count gives a number short enough for a column: 902, 4,182, 84k, 31.2M.
func count(n int64) string {
	switch {
	case n < 0:
		return "-" + count(-max(n, -math.MaxInt64)) // the least of all has no opposite
	case n < 1000:
		return strconv.FormatInt(n, 10)
	case n < 10_000:
		return strconv.FormatInt(n/1000, 10) + fmt.Sprintf(",%03d", n%1000)
	case n < 1_000_000:
		return strconv.FormatInt(n/1000, 10) + "k"
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1fG", float64(n)/1e9)
}

// rate gives so many in so long, a second: 42.1.
func rate(n int64, in time.Duration) string {
	if in <= 0 {
		return unknown
	}
	r := float64(n) / in.Seconds()
	switch {
	case r == 0:
		return "0"
	case r < 0.05:
		return "<0.1"
	case r < 100:
		return fmt.Sprintf("%.1f", r)
	}
	return count(int64(math.Round(r)))
}

// percent gives a share of a whole: 0.31%.
func percent(part, whole int64) string {
	if whole <= 0 {
		return unknown
	}
	p := 100 * float64(part) / float64(whole)
	switch {
	case p == 0:
		return "0%"
	case p < 0.01:
		return "<0.01%"
	case p < 1:
		return fmt.Sprintf("%.2f%%", p)
	case p < 10:
		return fmt.Sprintf("%.1f%%", p)
	}
	return fmt.Sprintf("%.0f%%", p)
}

// millis gives a time that is counted in milliseconds: 88 ms, 1.2 s, 3 min.
func millis(ms float64) string {
	switch {
	case ms <= 0:
		return unknown
	case ms < 1:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 100_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
	return span(time.Duration(ms) * time.Millisecond)
}

// span gives how long something is, as people say it: 12 s, 3 min, 5 h, 12 d.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " d"
}

// windowName names a window as its choice does: 1m, 15m, 1h.
func windowName(d time.Duration) string {
	if d%time.Hour == 0 {
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Minutes())) + "m"
}

// bytesOf gives a number of bytes: 902 B, 75 KB, 1.2 MB.
func bytesOf(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1_000_000:
		return strconv.FormatInt(n/1000, 10) + " KB"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// clockOf gives the time of day.
func clockOf(t time.Time) string { return t.Format("15:04:05") }

// ago says how long ago something was.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(now.Sub(t)) + " ago"
}

// plural gives a number with its noun: 1 rule, 3 rules.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(int64(n)) + " " + one + "s"
}
