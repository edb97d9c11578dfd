package accounts_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

func TestLimitsAreReadAndWrittenInOneSpelling(t *testing.T) {
	for _, c := range []struct {
		text string
		want accounts.Limit
		one  string
	}{
		{"600/min", accounts.Limit{Amount: 600, Unit: accounts.Requests, Window: accounts.PerMinute, Per: accounts.ByKey}, "600 requests/min"},
		{"600 requests/min per key", accounts.Limit{Amount: 600, Unit: accounts.Requests, Window: accounts.PerMinute, Per: accounts.ByKey}, "600 requests/min"},
		{" 1 request / second ", accounts.Limit{Amount: 1, Unit: accounts.Requests, Window: accounts.PerSecond, Per: accounts.ByKey}, "1 requests/sec"},
		{"2M tokens/day per user", accounts.Limit{Amount: 2_000_000, Unit: accounts.Tokens, Window: accounts.PerDay, Per: accounts.ByUser}, "2M tokens/day per user"},
		{"1.5M tokens/hour", accounts.Limit{Amount: 1_500_000, Unit: accounts.Tokens, Window: accounts.PerHour, Per: accounts.ByKey}, "1500K tokens/hour"},
		{"5k tokens/min", accounts.Limit{Amount: 5000, Unit: accounts.Tokens, Window: accounts.PerMinute, Per: accounts.ByKey}, "5000 tokens/min"},
		{"3B tokens/month per rule", accounts.Limit{Amount: 3_000_000_000, Unit: accounts.Tokens, Window: accounts.PerMonth, Per: accounts.ByRule}, "3B tokens/month per rule"},
		{"$50/month", accounts.Limit{Amount: 50_000_000, Unit: accounts.USD, Window: accounts.PerMonth, Per: accounts.ByKey}, "$50/month"},
		{"$0.5/day per tag:team", accounts.Limit{Amount: 500_000, Unit: accounts.USD, Window: accounts.PerDay, Per: "tag:team"}, "$0.50/day per tag:team"},
		{"$1.2345/day", accounts.Limit{Amount: 1_234_500, Unit: accounts.USD, Window: accounts.PerDay, Per: accounts.ByKey}, "$1.2345/day"},
		{"20 concurrent", accounts.Limit{Amount: 20, Unit: accounts.Concurrent, Per: accounts.ByKey}, "20 concurrent"},
		{"20 concurrent per tag:a:b", accounts.Limit{Amount: 20, Unit: accounts.Concurrent, Per: "tag:a:b"}, "20 concurrent per tag:a:b"},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, err := accounts.ParseLimit(c.text)
			if err != nil || got != c.want || got.String() != c.one {
				t.Errorf("got %+v (%s), %v", got, got, err)
			}
		})
	}
}

func TestWhatIsNoLimitIsRefusedWithAReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "not a limit",
		"plenty":                "not a limit",
		"-5/min":                "not a limit",
		"600/min per":           "not a limit",
		"600/min/day":           "not a limit",
		"1e3/min":               "not a limit",
		"0/min":                 "the amount must be more than zero",
		"$0/day":                "the amount must be more than zero",
		"0.5/min":               "the amount must be a whole number",
		"1.5 concurrent":        "the amount must be a whole number",
		"9999999999999999B/min": "the amount is too large",
		"600":                   "the window is missing: /sec, /min, /hour, /day or /month",
		"$50":                   "the window is missing: /sec, /min, /hour, /day or /month",
		"600/week":              `unknown window "week"; there are sec, min, hour, day, month`,
		"600 calls/min":         `unknown unit "calls"; there are requests, tokens, concurrent and $`,
		"$5 tokens/day":         `an amount of dollars has no unit, found "tokens"`,
		"5 concurrent/min":      "concurrent has no window",
		"600/min per team":      `unknown scope "team"; there are per key, per user, per rule, per tag:NAME`,
		"600/min per tag:":      `unknown scope "tag:"; there are per key, per user, per rule, per tag:NAME`,
	} {
		if l, err := accounts.ParseLimit(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v", text, l, err)
		}
	}
	if err := (accounts.Limit{Amount: 1, Unit: "bytes", Window: accounts.PerDay, Per: accounts.ByKey}).Validate(); err == nil {
		t.Error("a limit of bytes is valid")
	}
}

func TestEveryLimitComesBackFromItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := accounts.Limit{
			Amount: rapid.OneOf(rapid.Int64Range(1, 1<<53), rapid.Map(rapid.Int64Range(1, 9000), func(n int64) int64 { return n * 1_000_000 })).Draw(t, "amount"),
			Unit:   rapid.SampledFrom([]accounts.LimitUnit{accounts.Requests, accounts.Tokens, accounts.USD, accounts.Concurrent}).Draw(t, "unit"),
			Window: rapid.SampledFrom([]accounts.LimitWindow{accounts.PerSecond, accounts.PerMinute, accounts.PerHour, accounts.PerDay, accounts.PerMonth}).Draw(t, "window"),
			Per:    rapid.SampledFrom([]accounts.LimitScope{accounts.ByKey, accounts.ByUser, accounts.ByRule, "tag:x"}).Draw(t, "per"),
		}
		if l.Unit == accounts.Concurrent {
			l.Window = accounts.WindowNone
		}
		again, err := accounts.ParseLimit(l.String())
		if err != nil || again != l {
			t.Fatalf("%+v is written %q, read %+v, %v", l, l, again, err)
		}
	})
}

func FuzzParseLimit(f *testing.F) {
	for _, seed := range []string{"600/min", "$1.000001/day", "20 concurrent per tag:x", "9007199254740993 tokens/sec"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := accounts.ParseLimit(text)
		if err != nil {
			return
		}
		if again, err := accounts.ParseLimit(l.String()); err != nil || again != l || l.Amount <= 0 {
			t.Fatalf("%q: %+v, then %+v, %v", text, l, again, err)
		}
	})
}
