package tui

import (
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

func TestUsageTellsWhoAndWhatTheTokensAreOf(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("8")
		s.sees("Tokens/min", "── in 1.3M", "╌╌ out 315k", "By key", "ci-bot", "1,229", "612k", "150k", "762k", "48%", "0.24%", "1 of 3")
		s.sees("The last 15 min, as the gateway keeps it in memory; it has seen 13 min of it.", "Cost and history come with a usage", "does not have")
		fits(t, s.frame(), 120, 32)
	})
}

func TestUsageIsCountedByTheNextKind(t *testing.T) {
	var last string
	play(t, 120, 32, func(_ *Options, f *fake) {
		f.on("GET /traffic", func(r *http.Request, _ []byte) (int, any) {
			last = r.URL.RawQuery
			return http.StatusOK, sampleWindow()
		})
	}, func(s *stage) {
		s.press("8", "down")
		s.sees("▸web-prod")
		for _, kind := range []struct{ name, first string }{
			{"user", "▸dana"}, {"model", "▸claude-sonnet-5"}, {"upstream", "▸openai-eu"}, {"rule", "▸openai"}, {"key", "▸ci-bot"},
		} {
			s.press("b")
			s.sees("By "+kind.name, kind.first)
			if !strings.Contains(last, "by="+kind.name) || strings.Count(last, "by=") != 1 || !strings.Contains(last, "names=100") {
				t.Errorf("asked for %s", last)
			}
		}
	})
}

func TestAKindThatIsNotHereYetIsWaitedForAndNotEmpty(t *testing.T) {
	w := sampleWindow()
	w.By = nil
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /traffic", w) }, func(s *stage) {
		s.press("8")
		s.seesNot("No requests within the window")
		s.fake.answer("GET /traffic", sampleWindow())
		s.press("r")
		s.sees("ci-bot")
	})
}

func TestUsageIsMeasuredInTokensOrRequests(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("8")
		s.sees("Tokens/min", "48%") // of the tokens
		s.press("m")
		s.sees("Requests/s", "37k requests", "43%") // of the requests
		s.seesNot("Tokens/min")
		s.press("m")
		s.sees("Tokens/min")
	})
}

func TestUsageIsFilteredAndSorted(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("8", "b", "b", "s", "S")
		text := s.text()
		if strings.Index(text, "gpt-5") > strings.Index(text, "claude-sonnet-5") {
			t.Errorf("not sorted by name, the last first:\n%s", text)
		}
		s.press("/")
		s.write("model:claude-* tokens>1000")
		s.press("enter")
		s.sees("claude-sonnet-5", "1 of 3", "filter: model:claude-*")
		s.seesNot("gpt-5")
		s.press("esc", "/")
		s.write("requests>99999")
		s.press("enter")
		s.sees("0 of 3 match")
	})
}

func TestUsageFitsAnyTerminal(t *testing.T) {
	for _, size := range [][2]int{{60, 16}, {60, 40}, {80, 24}, {120, 32}, {200, 60}, {300, 100}, {300, 16}} {
		for _, ascii := range []bool{false, true} {
			play(t, size[0], size[1], func(o *Options, _ *fake) { o.ASCII = ascii }, func(s *stage) {
				s.press("8")
				s.sees("ci-bot", "Tokens/min", "ledger", "762k")
				fits(t, s.frame(), size[0], size[1])
				if ascii && strings.IndexFunc(s.text(), func(r rune) bool { return r > 126 }) >= 0 {
					t.Errorf("more than ASCII:\n%s", s.text())
				}
			})
		}
	}
}

func TestTheLastColumnThatThereIsRoomForIsWhole(t *testing.T) {
	play(t, 80, 24, nil, func(s *stage) {
		s.press("8")
		s.sees("ERR│", "0.24%│")
		s.seesNot("REFUSED")
	})
}

func TestUsageWithoutTrafficSaysSo(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("GET /traffic", api.Window{Until: sampleNow(), WindowS: 900, SinceS: 900, StepS: 7.5})
	}, func(s *stage) {
		s.press("8")
		s.sees("No requests within the window.", "llmgw chat hello")
		s.seesNot("it has seen")
		s.press("E")
		s.seesNot("copied")
	})
}

func TestUsageThatCannotBeLoadedSaysWhy(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("GET /traffic", api.Error{Status: 503, Code: "unavailable", Detail: "the store is away"})
	}, func(s *stage) {
		s.press("8")
		s.sees("the store is away", "r tries again")
	})
}

// copied gives what the terminal was told to put into the clipboard last.
func (s *stage) copied() string {
	s.t.Helper()
	_, rest, found := strings.Cut(s.out.String(), "\x1b]52;c;")
	if !found {
		s.t.Fatal("nothing was copied")
	}
	text, err := base64.StdEncoding.DecodeString(rest[:strings.IndexAny(rest, "\a\x1b")])
	if err != nil {
		s.t.Fatal(err)
	}
	s.out.Reset()
	return string(text)
}

func TestWhatIsShownOfUsageIsCopiedAsCSV(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("8", "b", "b", "E")
		s.sees("copied 3 rows as CSV")
		want := "model,requests,errors,refused,input_tokens,output_tokens\nclaude-sonnet-5,18000,100,0,700000,210000\ngpt-5,15000,17,0,400000,90000\nモデル-大,900,0,0,10000,2000\n"
		if got := s.copied(); got != want {
			t.Errorf("copied %q, and not %q", got, want)
		}
		s.press("/")
		s.write("gpt")
		s.press("enter", "E")
		s.sees("copied 1 row as CSV")
		if got := s.copied(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "\ngpt-5,") {
			t.Errorf("copied %q", got)
		}
		s.did() // nothing is changed by it
	})
}

func TestMoreThanAClipboardTakesIsCutBetweenRowsAndSaid(t *testing.T) {
	w := sampleWindow()
	w.By = nil
	for i := range 100 {
		w.By = append(w.By, api.Share{Kind: "key", Name: fmt.Sprintf("%03d-%s", i, strings.Repeat("x", 1000)), Counts: api.Counts{Requests: int64(100 - i)}})
	}
	play(t, 120, 32, func(_ *Options, f *fake) { f.answer("GET /traffic", w) }, func(s *stage) {
		s.press("8", "E")
		text := s.copied()
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(text) > clipboardLimit || len(rows) < 50 {
			t.Fatalf("%d bytes, %d rows: %v", len(text), len(rows), err)
		}
		s.sees(fmt.Sprintf("copied the first %d of 100 rows as CSV", len(rows)-1))
	})
}

func TestANameInCSVIsNoFormulaAndNothingThatATerminalObeys(t *testing.T) {
	for name, want := range map[string]string{"gpt-5": "gpt-5", "": "", "=1+1": "'=1+1", "@sum": "'@sum", "-x": "'-x", "+1": "'+1", "a\x1b[2Jb": "a·[2Jb", "\t=1": "·=1"} {
		if got := csvName(name); got != want {
			t.Errorf("%q is %q, and not %q", name, got, want)
		}
	}
}
