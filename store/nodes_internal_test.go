package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// nodeHere opens one more store on the file of another.
func nodeHere(t *testing.T, beside *Store, m Membership) *Store {
	t.Helper()
	o := beside.options
	o.Node, o.PollEvery, o.Version = m, 10*time.Millisecond, "0.1.0"
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func execute(t *testing.T, s *Store, text string, args ...any) {
	t.Helper()
	if _, err := s.pools.Load().writer.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatal(err)
	}
}

func TestAToolMayOpenAStoreWithoutBeingANode(t *testing.T) {
	tool := openHere(t)
	a := nodeHere(t, tool, Membership{Name: "a1"})
	all, err := tool.Nodes(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != a.NodeID() || all[0].Self || tool.NodeID() != "" {
		t.Errorf("nodes %+v, %v", all, err)
	}
}

func TestWhatARunThatWasKilledLeftBehindGoesWithTheNext(t *testing.T) {
	tool := openHere(t)
	killed := nodeHere(t, tool, Membership{Name: "a1"})
	row := killed.nodeRow()
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := putNode(t.Context(), session{on: tool.pools.Load().writer}, &row); err != nil {
		t.Fatal(err)
	}
	next := nodeHere(t, tool, Membership{Name: "a1", Replaces: row.ID})
	all, err := tool.Nodes(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != next.NodeID() {
		t.Errorf("nodes %+v, %v", all, err)
	}
}

func TestANodeThatCannotTellOfItselfFollowsAllTheSame(t *testing.T) {
	first := openHere(t)
	s := nodeHere(t, first, Membership{Name: "a1"})
	taken := make(chan int64, 100)
	s.OnConfig(func(_ context.Context, c rules.Config) error { taken <- c.Revision; return nil })
	execute(t, first, `CREATE TRIGGER no_beats BEFORE INSERT ON nodes BEGIN SELECT RAISE(ABORT, 'no beats'); END`)
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan error, 1)
	go func() { followed <- s.Follow(ctx) }()
	if err := putAnswers(first, "r"); err != nil {
		t.Fatal(err)
	}
	for revision := int64(0); revision != 1; {
		select {
		case revision = <-taken:
		case <-time.After(10 * time.Second):
			t.Fatal("the change did not arrive")
		}
	}
	until(t, "the failures are counted", func() bool { return s.presence.failures.Load() > 0 })
	execute(t, first, `DROP TRIGGER no_beats`)
	until(t, "the row is right again", func() bool {
		all, err := first.Nodes(t.Context())
		return err == nil && len(all) == 1 && all[0].Revision == 1
	})
	cancel()
	if err := <-followed; err != nil {
		t.Error(err)
	}
}

func putAnswers(s *Store, names ...string) error {
	f := rules.File{Set: rules.DefaultSet, Order: rules.DefaultOrder}
	for _, name := range names {
		f.Rules = append(f.Rules, rules.Rule{Name: name, Action: rules.Action{Respond: &rules.Respond{Status: 200, Message: "hello"}}})
	}
	_, err := s.Change(context.Background(), accounts.Meta{Kind: "rule.apply"}, func(st *State) error { return st.PutFile(f) })
	return err
}

// ago moves what a node has seen of the others into the past.
func (p *presence) ago(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, s := range p.seen {
		s.at = before(s.at, d, d)
		p.seen[id] = s
	}
}

func TestANodeThatStaysSilent(t *testing.T) {
	for name, c := range map[string]struct {
		staleness, silence time.Duration
		silent, swept      bool
	}{
		"for a moment is there":                              {0, time.Second, false, false},
		"for a while is called silent":                       {0, time.Minute, true, false},
		"for hours is there, for it may answer":              {0, 23 * time.Hour, true, false},
		"for a day is swept":                                 {0, 25 * time.Hour, true, true},
		"and refuses requests by now is swept after minutes": {time.Minute, 12 * time.Minute, true, true},
		"and refuses requests later than in a day stays":     {48 * time.Hour, 25 * time.Hour, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			tool := openHere(t)
			s := nodeHere(t, tool, Membership{Name: "a1"})
			quiet := nodeHere(t, tool, Membership{Name: "a2", MaxStaleness: c.staleness})
			s.beatNow(t.Context()) // and sees the other
			s.presence.ago(c.silence)
			all, err := s.Nodes(t.Context())
			if err != nil || len(all) != 2 || all[1].Name != "a2" || all[1].Silent() != c.silent {
				t.Errorf("nodes %+v, %v", all, err)
			}
			s.beatNow(t.Context())
			all, err = s.Nodes(t.Context())
			if err != nil || (len(all) == 1) != c.swept {
				t.Errorf("swept: nodes %+v, %v", all, err)
			}
			quiet.beatNow(t.Context())
			all, err = s.Nodes(t.Context())
			if err != nil || len(all) != 2 || all[1].Silent() {
				t.Errorf("once it gives a sign again: nodes %+v, %v", all, err)
			}
		})
	}
}

func TestANodeThatWasAwayKnowsNothingOfTheSilenceOfOthers(t *testing.T) {
	tool := openHere(t)
	s := nodeHere(t, tool, Membership{Name: "a1"})
	nodeHere(t, tool, Membership{Name: "a2", MaxStaleness: time.Minute})
	s.beatNow(t.Context())
	s.presence.ago(time.Hour)
	s.presence.looked = before(s.presence.looked, time.Hour, time.Hour)
	s.beatNow(t.Context())
	if all, err := s.Nodes(t.Context()); err != nil || len(all) != 2 || all[1].Silence > time.Minute {
		t.Errorf("nodes %+v, %v", all, err)
	}
}

// After a failover that lost changes their numbers are given once more. A node
// that still has one that was lost has not got the other of its number.
func TestANodeIsNotInStepByItsNumbersAlone(t *testing.T) {
	tool := openHere(t)
	a := nodeHere(t, tool, Membership{Name: "a1"})
	b := nodeHere(t, tool, Membership{Name: "a2"})
	if err := putAnswers(a, "r"); err != nil {
		t.Fatal(err)
	}
	if err := b.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.beatNow(t.Context())
	behind := func() int64 {
		t.Helper()
		all, err := a.Nodes(t.Context())
		if err != nil || len(all) != 2 || all[1].Revision != 1 || all[1].Applied != 1 {
			t.Fatalf("nodes %+v, %v", all, err)
		}
		return all[1].Behind
	}
	if n := behind(); n != 0 {
		t.Errorf("in step, it is %d changes behind", n)
	}
	execute(t, tool, `UPDATE nodes SET log_hash = x'00' WHERE id = ?`, b.NodeID())
	if n := behind(); n != -1 {
		t.Errorf("with another change 1 it is %d changes behind", n)
	}
}

// A silence that is overrated would have somebody taken for fenced who is not.
func TestSilenceIsTheSmallerOfTwoClocks(t *testing.T) {
	start := now()
	for name, c := range map[string]struct{ monotonic, wall, want time.Duration }{
		"both went":              {time.Minute, time.Minute, time.Minute},
		"the machine slept":      {time.Second, time.Hour, time.Second},
		"the clock was set":      {time.Second, time.Hour, time.Second},
		"the clock was set back": {time.Minute, -time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			later := instant{monotonic: start.monotonic.Add(c.monotonic), wall: start.wall.Add(c.wall)}
			if got := later.atLeast(start); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRulesThatANodeCouldNotReadAreRefused(t *testing.T) {
	tool := openHere(t)
	s := nodeHere(t, tool, Membership{Name: "a1"})
	old := nodeHere(t, tool, Membership{Name: "a2", MaxStaleness: time.Minute})
	execute(t, tool, `UPDATE nodes SET language = 0, version = '0.0.9' WHERE id = ?`, old.NodeID())

	err := putAnswers(s, "r")
	var problems rules.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Rule != "r" ||
		!strings.Contains(problems[0].Message, `node "a2", which runs llmgw 0.0.9, does not know this field`) {
		t.Fatalf("error is %v", err)
	}
	if h, err := s.Head(t.Context()); err != nil || h.Seq != 0 {
		t.Errorf("head %+v, %v", h, err)
	}
	if err := putKey(s, keyOf("a")); err != nil {
		t.Errorf("a change of no rules: %v", err)
	}
	s.beatNow(t.Context())
	s.presence.ago(time.Minute)
	if err := putAnswers(s, "r"); err == nil {
		t.Error("the old node may not be refusing requests yet")
	}
	s.presence.ago(4 * time.Second)
	if err := putAnswers(s, "r"); err != nil {
		t.Errorf("the old node refuses requests by now: %v", err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if err := putAnswers(tool, "r", "r2"); err != nil {
		t.Errorf("the old node is gone: %v", err)
	}
}

func TestALogThatDoesNotContinueIsAProblemForADay(t *testing.T) {
	s := openHere(t)
	if err := putKey(s, keyOf("a")); err != nil {
		t.Fatal(err)
	}
	if s.Problem() != "" {
		t.Errorf("problem %q", s.Problem())
	}
	execute(t, s, `UPDATE head SET seq = 0, hash = ?`, origin(s.reader.at.Lineage))
	if err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.reader.breaks.Load(); n != 1 || !strings.Contains(s.Problem(), "it went back from change 1 to 0") {
		t.Errorf("%d breaks, problem %q", n, s.Problem())
	}
	s.reader.broke.Store(&LogBreak{At: time.Now().Add(-alarmFor - time.Minute), Why: "x"})
	if s.Problem() != "" {
		t.Errorf("a day later: %q", s.Problem())
	}
}

func TestABackupHoldsNoNodes(t *testing.T) {
	s := nodeHere(t, openHere(t), Membership{Name: "a1"})
	path := s.options.Path + ".backup"
	if _, err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyBackup(t.Context(), path); err != nil {
		t.Error(err)
	}
	err := inBackup(path, func(on session) error {
		rows, err := readNodes(t.Context(), on)
		if len(rows) != 0 {
			t.Errorf("rows %+v", rows)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAgeTakesNoLockAndAllocatesNothing(t *testing.T) {
	s := openHere(t)
	s.reader.mu.Lock()
	defer s.reader.mu.Unlock()
	at := time.Now()
	if n := testing.AllocsPerRun(100, func() { _ = s.AgeAt(at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if age := s.AgeAt(at.Add(time.Hour)); age < time.Hour || age > time.Hour+time.Minute {
		t.Errorf("age %s", age)
	}
}
