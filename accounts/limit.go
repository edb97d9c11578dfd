package accounts

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// Limit is what may be used within a window, as it is written on a rule or a
// key: "600 requests/min", "2M tokens/day per user", "$50/month",
// "20 concurrent". It is data only; nothing here counts.
type Limit struct {
	Amount int64 // requests, tokens or exchanges at once; for USD millionths of a dollar
	Unit   LimitUnit
	Window LimitWindow // WindowNone exactly for Concurrent
	Per    LimitScope  // whose use is counted together
}

// LimitUnit is what a limit counts.
type LimitUnit string

// The units. Concurrent counts exchanges that run at the same time.
const (
	Requests   LimitUnit = "requests"
	Tokens     LimitUnit = "tokens"
	USD        LimitUnit = "usd"
	Concurrent LimitUnit = "concurrent"
)

// LimitWindow is the time within which the amount may be used. Seconds, minutes
// and hours slide; days and months are those of UTC.
type LimitWindow string

// The windows.
const (
	WindowNone LimitWindow = ""
	PerSecond  LimitWindow = "sec"
	PerMinute  LimitWindow = "min"
	PerHour    LimitWindow = "hour"
	PerDay     LimitWindow = "day"
	PerMonth   LimitWindow = "month"
)

// LimitScope says whose use is counted together: one of the constants, or
// "tag:NAME" for all callers with the same value of a tag.
type LimitScope string

// The scopes that have no name of their own. A limit that names none is ByKey.
const (
	ByKey  LimitScope = "key"
	ByUser LimitScope = "user"
	ByRule LimitScope = "rule"
)

// Tag gives the NAME of tag:NAME.
func (s LimitScope) Tag() (name string, ok bool) { return strings.CutPrefix(string(s), "tag:") }

// MicroUSD is the number of units of a USD limit's Amount in a dollar.
const MicroUSD = 1_000_000

// maxAmount is more than anybody limits, and far from where adding overflows.
const maxAmount = int64(1) << 53

var limitForm = regexp.MustCompile(`^(\$?)([0-9]{1,16}(?:\.[0-9]{1,6})?)([kKMB]?)(?:\s+([a-z]+))?\s*(?:/\s*([a-z]+))?(?:\s+per\s+(\S+))?$`)

var (
	limitUnits   = map[string]LimitUnit{"request": Requests, "requests": Requests, "token": Tokens, "tokens": Tokens, "concurrent": Concurrent}
	limitWindows = map[string]LimitWindow{
		"sec": PerSecond, "second": PerSecond, "min": PerMinute, "minute": PerMinute,
		"hour": PerHour, "day": PerDay, "month": PerMonth,
	}
	limitScales = map[string]int64{"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9}
)

// ParseLimit reads a limit. An amount may end in K, M or B (thousand, million,
// billion); "requests" may be left out, and so may "per key".
func ParseLimit(text string) (Limit, error) {
	form := limitForm.FindStringSubmatch(strings.TrimSpace(text))
	if form == nil {
		return Limit{}, errors.New("not a limit")
	}
	dollar, number, scale, unit, window, per := form[1], form[2], form[3], form[4], form[5], form[6]
	l := Limit{Unit: Requests, Per: ByKey}
	var known bool
	switch {
	case dollar != "" && unit != "":
		return Limit{}, fmt.Errorf("an amount of dollars has no unit, found %q", unit)
	case dollar != "":
		l.Unit = USD
	case unit != "":
		if l.Unit, known = limitUnits[unit]; !known {
			return Limit{}, fmt.Errorf("unknown unit %q; there are requests, tokens, concurrent and $", unit)
		}
	}
	if window != "" {
		if l.Window, known = limitWindows[window]; !known {
			return Limit{}, fmt.Errorf("unknown window %q; there are sec, min, hour, day, month", window)
		}
	}
	if per != "" {
		l.Per = LimitScope(per)
	}
	var err error
	if l.Amount, err = limitAmount(number, limitScales[scale], l.Unit); err != nil {
		return Limit{}, err
	}
	return l, l.Validate()
}

// limitAmount gives a whole amount in the unit's smallest part.
func limitAmount(number string, scale int64, unit LimitUnit) (int64, error) {
	amount, _ := new(big.Rat).SetString(number)
	amount.Mul(amount, new(big.Rat).SetInt64(scale))
	if unit == USD {
		amount.Mul(amount, new(big.Rat).SetInt64(MicroUSD))
	}
	switch {
	case !amount.IsInt():
		return 0, errors.New("the amount must be a whole number")
	case !amount.Num().IsInt64() || amount.Num().Int64() > maxAmount:
		return 0, errors.New("the amount is too large")
	}
	return amount.Num().Int64(), nil
}

// Validate checks a limit that was not parsed.
func (l Limit) Validate() error {
	if l.Amount <= 0 {
		return errors.New("the amount must be more than zero")
	}
	if l.Amount > maxAmount {
		return errors.New("the amount is too large")
	}
	known := false
	for _, window := range limitWindows {
		known = known || window == l.Window
	}
	switch l.Unit {
	case Concurrent:
		if l.Window != WindowNone {
			return errors.New("concurrent has no window")
		}
	case Requests, Tokens, USD:
		if !known {
			return errors.New("the window is missing: /sec, /min, /hour, /day or /month")
		}
	default:
		return fmt.Errorf("unknown unit %q; there are requests, tokens, concurrent and $", l.Unit)
	}
	name, tag := l.Per.Tag()
	if l.Per != ByKey && l.Per != ByUser && l.Per != ByRule && (!tag || name == "") {
		return fmt.Errorf("unknown scope %q; there are per key, per user, per rule, per tag:NAME", string(l.Per))
	}
	return nil
}

// String gives the one spelling of a limit, which ParseLimit reads: the unit
// always, "per key" never.
func (l Limit) String() string {
	var b strings.Builder
	if l.Unit == USD {
		fmt.Fprintf(&b, "$%d", l.Amount/MicroUSD)
		if cents := l.Amount % MicroUSD; cents != 0 {
			part := strings.TrimRight(fmt.Sprintf("%06d", cents), "0")
			fmt.Fprintf(&b, ".%s", part+strings.Repeat("0", max(0, 2-len(part))))
		}
	} else {
		fmt.Fprintf(&b, "%s %s", shortAmount(l.Amount), l.Unit)
	}
	if l.Window != WindowNone {
		b.WriteString("/" + string(l.Window))
	}
	if l.Per != ByKey {
		b.WriteString(" per " + string(l.Per))
	}
	return b.String()
}

// shortAmount writes large round numbers as people do.
func shortAmount(n int64) string {
	switch {
	case n%1e9 == 0:
		return fmt.Sprintf("%dB", n/1e9)
	case n%1e6 == 0:
		return fmt.Sprintf("%dM", n/1e6)
	case n%1e3 == 0 && n >= 10_000:
		return fmt.Sprintf("%dK", n/1e3)
	}
	return fmt.Sprint(n)
}
