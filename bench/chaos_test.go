package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/store/storetest/servers"
)

// chaosSlack is by how much times may exceed their aims beside other tests, with
// the race detector, on whatever machine this is. What is counted has none.
const chaosSlack = 5

// TestChaos plays every scenario on one fleet, as short as it still means
// something.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers and gateways")
	}
	s := testStand(t)
	f := testFleet(t, s)
	for _, c := range scenarios() {
		ok := t.Run(c.name, func(t *testing.T) {
			if err := f.play(context.WithoutCancel(t.Context()), c); err != nil {
				t.Error(err)
			}
		})
		if !ok {
			t.Log(f.logs())
			break // the fleet is not what the next one needs
		}
	}
	if err := f.settle(context.WithoutCancel(t.Context())); err != nil && !t.Failed() {
		t.Error(err)
	}
	if t.Failed() || testing.Verbose() {
		t.Log(s.out.(*bytes.Buffer).String())
	}
}

// What is started lives on while the test cleans up, and so has a context that
// does not end with it.
func testStand(t *testing.T) *stand {
	t.Helper()
	s, err := newStand(context.WithoutCancel(t.Context()), options{scale: 0.01, slack: chaosSlack, every: 10 * time.Millisecond}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// testFleet skips, loudly, where there are no servers to share.
func testFleet(t *testing.T, s *stand) *fleet {
	t.Helper()
	play, err := player(answerAtEase, s.every)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.fleet(context.WithoutCancel(t.Context()), upstreamOf(t, play))
	if errors.Is(err, servers.ErrMissing) && os.Getenv("LLMGW_TEST_REQUIRE_SERVICES") != "1" {
		t.Skipf("NOT TESTED HERE: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestScenariosAreChosenByName(t *testing.T) {
	all, err := chooseScenarios("")
	if err != nil || len(all) != len(scenarios()) {
		t.Errorf("%d of %d, %v", len(all), len(scenarios()), err)
	}
	some, err := chooseScenarios("redis,revoke")
	if err != nil || len(some) != 2 || some[0].name != "redis" || some[1].name != "revoke" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := chooseScenarios("flood"); err == nil || !strings.Contains(err.Error(), `no scenario "flood"; there are revoke, `) {
		t.Errorf("%v", err)
	}
}

func TestAReportTellsWhatMissedItsAim(t *testing.T) {
	for name, c := range map[string]struct {
		add  func(*report)
		want string // in the error; empty: none
	}{
		"nothing":                           {func(*report) {}, ""},
		"a time within":                     {func(r *report) { r.within("x", 190*time.Millisecond, 100*time.Millisecond) }, ""},
		"a time beyond":                     {func(r *report) { r.within("x", 201*time.Millisecond, 100*time.Millisecond) }, "x: 201.00 ms, and the aim is ≤ 200 ms"},
		"a number that no slack excuses":    {func(r *report) { r.same("x", 1, 0) }, "x: 1, and the aim is 0"},
		"as many":                           {func(r *report) { r.same("x", 3, 3); r.atMost("y", 3, 3); r.atLeast("z", 3, 3) }, ""},
		"too many":                          {func(r *report) { r.atMost("x", 4, 3) }, "x: 4, and the aim is ≤ 3"},
		"too few":                           {func(r *report) { r.atLeast("x", 2, 3) }, "x: 2, and the aim is ≥ 3"},
		"a ratio within":                    {func(r *report) { r.about("x", 1.4, 0.25) }, ""},
		"a ratio beyond":                    {func(r *report) { r.about("x", 1.6, 0.25) }, "x: 1.60×, and the aim is ≤ 1.50×"},
		"requests of which one was cut":     {func(r *report) { r.allWhole("x", &round{tally: tally{whole: 2, cut: 1}, example: errors.New("why")}) }, "why"},
		"requests of which there were none": {func(r *report) { r.allWhole("x", &round{}) }, "x: 0 of 0, and the aim is all"},
		"a figure without an aim":           {func(r *report) { r.tell("x", "bad") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &report{slack: 2}
			c.add(r)
			var out bytes.Buffer
			err := r.print(&out, "here")
			switch {
			case c.want == "" && err != nil, c.want != "" && (!errors.Is(err, errMissed) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			case strings.Contains(out.String(), "MISSED") != (err != nil):
				t.Errorf("the table:\n%s", out.String())
			}
		})
	}
}

// TestATrialTellsLastSuccessFromOneThatCameBack feeds a trial with answers.
func TestATrialTellsLastSuccessFromOneThatCameBack(t *testing.T) {
	begun := time.Now()
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	good := func(ms int) answer { return answer{verdict: whole, status: 200, at: at(ms)} }
	no := func(ms int) answer { return answer{verdict: failed, status: 401, at: at(ms)} }
	tr := &trial{begun: begun}
	tr.note(0, at(-5), good(3))
	tr.note(1, at(5), no(6))
	if err := tr.over(); err == nil {
		t.Error("over, and two nodes have not refused")
	}
	tr.note(1, at(4), good(9)) // was under way when its node refused another
	tr.note(0, at(10), no(11))
	tr.note(2, at(10), no(12))
	if !tr.last.Equal(at(9)) || tr.resurrected != 0 || tr.broken != 0 || tr.asked != 5 {
		t.Errorf("last %s, %d resurrected, %d broken of %d", tr.last.Sub(begun), tr.resurrected, tr.broken, tr.asked)
	}
	tr.note(2, at(13), good(14))
	tr.note(2, at(15), answer{verdict: failed, status: 503, at: at(16)})
	if tr.resurrected != 1 || tr.broken != 1 {
		t.Errorf("%d resurrected, %d broken", tr.resurrected, tr.broken)
	}
	early := &trial{}
	early.note(0, at(0), no(1))
	if early.broken != 1 {
		t.Error("a key that was refused before anybody revoked it is nothing broken")
	}
}

func TestMetricsAreReadByNameAndLabels(t *testing.T) {
	m, err := readSamples(strings.NewReader("# HELP a of it\na 3\nb{x=\"1\",y=\"z z\"} 4\nb{x=\"2\"} 1.5e1\nbb 7\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{{"a", nil, 3}, {"b", []string{`x="2"`}, 15}, {"b", nil, 19}, {"c", nil, 0}, {"bb", nil, 7}} {
		if got := m.sum(c.name, c.labels...); got != c.want {
			t.Errorf("%s %v: %v, want %v", c.name, c.labels, got, c.want)
		}
	}
}
