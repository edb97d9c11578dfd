package tui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

func TestAGatewayThatGoesAwayIsToldOfAndTakenUpAgain(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("5")
		s.fake.goAway()
		s.wait(4 * time.Second)
		s.sees("✕ lost", "gateway not reachable since 21:04:1", "(connection refused), trying again in ", "what is shown is", "ci-bot")
		n, _ := s.fake.read()
		s.wait(10 * time.Second)
		if n, of := s.fake.read(); n > 4 {
			t.Errorf("%d calls (%v) while it is away", n, of)
		}
		_ = n
		s.fake.comeBack()
		s.wait(16 * time.Second)
		s.sees("● live", "ci-bot")
		s.seesNot("not reachable", "not loaded")
	})
}

func TestAGatewayThatIsNotThereAtFirstIsWaitedFor(t *testing.T) {
	play(t, 100, 30, func(o *Options, f *fake) { o.Start, f.away = "keys", true }, func(s *stage) {
		s.sees("gateway not reachable since 21:04:13 (connection refused)", "trying again in", "✕ connection refused")
		s.seesNot("what is shown", "1 of", "none")
		s.fake.comeBack()
		s.wait(10 * time.Second)
		s.sees("● live", "ci-bot", "dana (admin)", "1 of 4")
	})
}

func TestAGatewayThatDoesNotAnswerAtFirstIsGivenUpAndWaitedFor(t *testing.T) {
	play(t, 100, 30, func(o *Options, f *fake) { o.Start, f.hangs = "keys", true }, func(s *stage) {
		s.wait(6 * time.Second)
		s.sees("waiting for https://llm.example.com", "q quits")
		s.wait(api.DefaultTimeout)
		s.sees("gateway not reachable since", "r tries again")
		s.fake.mu.Lock()
		s.fake.hangs = false
		s.fake.mu.Unlock()
		s.wait(16 * time.Second)
		s.sees("● live", "ci-bot")
	})
}

func TestRefreshTriesTheStreamAtOnce(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.goAway()
		s.wait(20 * time.Second)
		s.fake.comeBack()
		s.sees("trying again in")
		s.press("r")
		s.wait(500 * time.Millisecond)
		s.sees("● live")
	})
}

func TestAReasonIsShort(t *testing.T) {
	for want, err := range map[string]error{
		"no reason given":    nil,
		"connection refused": fmt.Errorf("Get %q: dial tcp: %w", "http://x", syscall.ECONNREFUSED),
		"no answer in time":  fmt.Errorf("asking: %w", context.DeadlineExceeded),
		"no such rule":       fmt.Errorf("x: %w", &api.Error{Detail: "no such rule"}),
		"odd·[31m":           errors.New("odd\x1b[31m"),
	} {
		if got := reason(err); got != want {
			t.Errorf("%q, and not %q", got, want)
		}
	}
}

func TestTheBarSaysWhatFits(t *testing.T) {
	for w, want := range map[int]string{
		60:  "not reachable, trying again in 4 s; shown is",
		80:  "gateway not reachable since 21:04:14, trying again in 4 s; shown is",
		120: "gateway not reachable since 21:04:14 (connection refused), trying again in 4 s; what is shown is",
	} {
		play(t, w, 20, nil, func(s *stage) {
			s.press("5")
			s.fake.goAway()
			s.wait(11800 * time.Millisecond)
			s.sees(want)
			fits(t, s.frame(), w, 20)
		})
	}
}

func TestWhatIsOnlyKnownInPartIsTold(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		for text, partial := range map[string]api.Partial{
			"nothing is known of a2, b1":                      {Nodes: []string{"a2", "b1"}},
			"it is not known which nodes there are: bus gone": {Problem: "bus gone"},
		} {
			s.fake.send(api.Event{Partial: &partial})
			s.wait(time.Second)
			s.sees(text)
		}
		s.fake.send(api.Event{Partial: &api.Partial{}})
		s.wait(time.Second)
		s.seesNot("known")
	})
}

func TestNothingCanBeChangedWhileTheGatewayIsAway(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.fake.goAway()
		s.wait(2 * time.Second)
		s.press(" ")
		s.did()
		s.sees("the gateway is not reachable; nothing can be changed")
	})
}

func TestAnotherNodeBehindTheSameAddressMeansEverythingAnew(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.fake.read()
		s.fake.send(api.Event{Hello: &api.Hello{Node: "a1", Seq: 41, Revision: 41}})
		s.wait(500 * time.Millisecond)
		if _, of := s.fake.read(); of["/keys"] != 0 {
			t.Error("the same node with nothing new, and the keys were loaded again")
		}
		s.fake.send(api.Event{Hello: &api.Hello{Node: "a2", Seq: 41, Revision: 41}})
		s.wait(500 * time.Millisecond)
		if _, of := s.fake.read(); of["/keys"] != 1 {
			t.Errorf("read: %v", of)
		}
	})
}

// A login that ended is noticed whatever was asked.
func TestAChangeThatNobodyMadeAsksForTheLogin(t *testing.T) {
	play(t, 100, 30, withLogin(nil), func(s *stage) {
		s.fake.refuse("PATCH /keys/ci-bot", api.Error{Status: http.StatusUnauthorized, Code: api.CodeDenied, Detail: "the login has ended"})
		s.press("5", " ")
		s.did("PATCH /keys/ci-bot")
		s.sees("Log in to prod")
	})
}

func TestWhatWasNotLoadedBeforeTheGatewayWentSaysSo(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.fake.goAway()
		s.wait(2 * time.Second)
		for _, screen := range []string{"3", "6", "9"} {
			s.press(screen)
			s.sees("Not loaded: the gateway is not reachable; start one: llmgw serve", "r tries again")
			s.seesNot("│  …")
		}
		s.fake.comeBack()
		s.press("r")
		s.wait(time.Second)
		s.sees("postgres at db.example.com")
	})
}

func TestAGatewayThatHangsIsSaidToBeSilentBeforeItsStreamEnds(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.wait(10 * time.Minute) // lists are loaded once and kept by events
		s.fake.hang(true)
		s.wait(14 * time.Second)
		s.sees("▲ the gateway does not answer since 21:14:2", "; what is shown is", "▲ silent")
		s.seesNot("● live", "10 min old")
		s.fake.hang(false)
		s.wait(12 * time.Second)
		s.sees("● live")
		s.seesNot("does not answer")
	})
}

func TestWhatEventsKeepIsAsOldAsTheSilence(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("5")
		s.wait(10 * time.Minute)
		s.fake.goAway()
		s.wait(4 * time.Second)
		s.sees("what is shown is 4 s old")
	})
}

func TestASilenceEndsOnAScreenThatAsksForNothing(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.fake.hang(true)
		s.press("3")
		s.wait(12 * time.Second)
		s.sees("▲ silent", "✕ no answer in time", "llmgw doctor tells more")
		s.seesNot("--timeout")
		s.fake.hang(false)
		s.wait(16 * time.Second) // one more try, which is given up, and the next
		s.sees("● live", "fast-lane")
		s.fake.read()
		s.wait(time.Minute)
		if n, of := s.fake.read(); of["/me"] > 0 {
			t.Errorf("%d calls: %v", n, of)
		}
	})
}
