package tui

import (
	"slices"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

func TestAListIsLoadedOnceAndKeptByEvents(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.wait(time.Second)
		s.fake.read()
		s.wait(time.Minute)
		if _, of := s.fake.read(); of["/keys"] != 0 || of["/me"] != 0 || of["/events"] != 0 {
			t.Errorf("read: %v", of)
		}
		s.fake.answer("GET /keys", listOf(append(sampleKeys(), api.Key{Name: "robot", State: "active", Enabled: true})...))
		s.fake.send(api.Event{ID: "1", Change: &api.Changed{Seq: 42, Revision: 41, Subjects: []string{"key:key_09"}}})
		s.wait(time.Second)
		s.sees("robot", "1 of 5")
		s.fake.send(api.Event{ID: "2", Change: &api.Changed{Seq: 43, Revision: 42, Subjects: []string{"rule:openai"}}})
		s.wait(time.Second)
		if _, of := s.fake.read(); of["/keys"] != 1 {
			t.Errorf("a change of a rule, or nothing, loaded the keys: %v", of)
		}
		s.sees("rev 42")
	})
}

// An idle console asks for figures where a screen shows some, and for nothing else.
func TestAnIdleConsoleAsksForLittle(t *testing.T) {
	for _, name := range Screens() {
		play(t, 120, 32, func(o *Options, _ *fake) { o.Start = name }, func(s *stage) {
			s.wait(3 * time.Second)
			s.fake.read()
			figures := false
			for _, n := range s.console.shown().needs() {
				figures = figures || n.every > 0
			}
			drawn := s.draws
			s.wait(time.Minute)
			n, of := s.fake.read()
			if n > 60 || !figures && n > 0 {
				t.Errorf("%s: %d calls in a minute in which nothing happens: %v", name, n, of)
			}
			if drawn = s.draws - drawn; drawn > 61+n {
				t.Errorf("%s: %d frames in a minute in which %d answers came", name, drawn, n)
			}
		})
	}
}

func TestWhatCouldNotBeLoadedAgainStaysAndIsTriedLater(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.fake.fails()
		s.fake.read()
		s.fake.send(api.Event{Change: &api.Changed{Seq: 42, Subjects: []string{"key:key_01"}}})
		s.wait(time.Second)
		s.sees("ci-bot", "▲ not loaded again: reading the store")
		s.wait(11 * time.Second)
		if _, of := s.fake.read(); of["/keys"] < 2 || of["/keys"] > 4 || of["/traffic"] > 8 {
			t.Errorf("read in 12 seconds in which everything was refused: %v", of)
		}
		s.fake.answer("GET /keys", listOf(sampleKeys()...))
		s.wait(tryAgain + time.Second)
		s.seesNot("not loaded again")
	})
}

func TestWhatNeverCameIsTriedAgainByHandOrWhenItChanged(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.fails() }, func(s *stage) {
		s.press("5")
		s.sees("✕ reading the store", "llmgw doctor looks at the disk", "r tries again")
		s.fake.read()
		s.wait(30 * time.Second)
		if n, of := s.fake.read(); n > 0 {
			t.Errorf("%v", of)
		}
		s.press("r")
		if _, of := s.fake.read(); of["/keys"] != 1 {
			t.Errorf("after r: %v", of)
		}
		s.fake.answer("GET /keys", listOf(sampleKeys()...))
		s.fake.send(api.Event{Change: &api.Changed{Seq: 42, Subjects: []string{"key:key_01"}}})
		s.wait(time.Second)
		s.sees("ci-bot")
	})
}

func TestAChangeSpoilsWhatItConcerns(t *testing.T) {
	for subject, want := range map[string]book{"key:key_1": bookKeys, "user:u": bookUsers, "binding:b": bookBindings, "upstream:x": bookUpstreams, "credential:c": bookUpstreams, "rule:r": bookRules} {
		got := booksOf([]string{subject})
		if !slices.Contains(got, want) || len(got) == int(allBooks) {
			t.Errorf("%s makes %v old", subject, got)
		}
	}
	for _, subject := range []string{"*", "something-new:1", ""} {
		if got := booksOf([]string{"key:1", subject}); len(got) != int(allBooks) {
			t.Errorf("%q makes %v old", subject, got)
		}
	}
}

func TestTheWindowThatIsChosenIsTheOneThatIsShown(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.sees("15m ▾")
		for _, want := range []string{"1h ▾", "1m ▾", "5m ▾", "15m ▾"} {
			s.fake.read()
			s.press("t")
			s.sees(want)
			if _, of := s.fake.read(); of["/traffic"] == 0 {
				t.Errorf("%s, and the figures of another are shown", want)
			}
		}
	})
}
