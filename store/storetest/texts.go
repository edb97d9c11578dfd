package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func testTexts(t *testing.T, empty Database) {
	t.Run("any text comes back as it was", func(t *testing.T) {
		s := one(t, empty)
		for name, why := range map[string]string{
			"new lines": "a\nb\r\n", "very long": strings.Repeat("long ", 1<<18), "quotes": `"'\`, "empty": "",
			"a separator of JavaScript": "\u2028<>&", "a question mark": "? ?1 :x $1 $y", "an accent in two pieces": "e\u0301",
		} {
			m := accounts.Meta{Kind: "test.change", Actor: why, From: why, Why: why}
			c, err := s.Change(t.Context(), m, putKey(key("k"+strings.ReplaceAll(name, " ", "-"), name)))
			if err != nil || c.Why != why || c.Actor != why || c.From != why {
				t.Errorf("%s: %.40q, %v", name, c.Why, err)
			}
			h, err := s.Audit(t.Context(), store.AuditQuery{Actor: why, Limit: 1})
			if err != nil || len(h) != 1 || h[0].Why != why {
				t.Errorf("%s: read back as %+.40v, %v", name, h, err)
			}
		}
	})
	t.Run("one that not every database has room for is refused, and not for want of a database", func(t *testing.T) {
		for name, why := range map[string]string{"a zero byte": "a\x00b", "not UTF-8": "a\xff\xfeb"} {
			s := one(t, empty)
			refused := func(doing string, err error) {
				t.Helper()
				if !errors.Is(err, accounts.ErrText) || errors.Is(err, accounts.ErrUnavailable) {
					t.Errorf("%s, %s: error is %v", name, doing, err)
				}
			}
			_, err := s.Change(t.Context(), accounts.Meta{Kind: "test.change", Why: why}, putKey(key("a", "s1")))
			refused("changing for a reason", err)
			_, err = s.Change(t.Context(), meta(), putKey(key(why, "s1")))
			refused("a key", err)
			_, err = s.Key(t.Context(), why)
			refused("looking for a key", err)
			_, err = s.Audit(t.Context(), store.AuditQuery{Actor: why})
			refused("looking back", err)
			if h := head(t, s); h.Seq != 0 {
				t.Errorf("%s: the log is at %d", name, h.Seq)
			}
		}
	})
	t.Run("names come in the order of their bytes", func(t *testing.T) {
		s := one(t, empty)
		for _, name := range []string{"b", "a-b", "aa", "a", "b-1", "a1"} {
			must(t, s, putUpstream(upstream(name)))
		}
		var names []string
		for _, u := range load(t, s).Upstreams {
			names = append(names, u.Name)
		}
		if got := strings.Join(names, " "); got != "a a-b a1 aa b b-1" {
			t.Errorf("upstreams come as %s", got)
		}
	})
}
