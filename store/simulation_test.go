package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

// The protocol by which a change reaches every node, as a simulation: some real
// stores on one file, steps of theirs one at a time, drawn from a seed, and a
// record of what was committed.
//
//   - Before and after any statement of a step, and each time it asks the shelf,
//     the connection may break, the node may be killed, or the world may go on:
//     other nodes change, poll and are asked, hints arrive (simulationdriver_test.go).
//   - Hints are lost, doubled, and put out of order; what stood on the shelf is
//     gone, or old (simulationothers_test.go).
//   - The database fails over to an older copy of itself; clocks of machines go at
//     different speeds or stand still; nodes refuse configurations and start anew
//     (simulationsteps_test.go).
//
// What holds after every step is said in simulationcheck_test.go.
//
// LLMGW_TEST_SEEDS says how many are run. One that fails is made shorter, tells
// its steps, and says how to run it again.

const (
	seedsByDefault = 600
	seedsUnderRace = 100
	seedsPerRound  = 100 // rapid's, where it is told nothing else
	mostSteps      = 30
)

func TestSimulation(t *testing.T) {
	template, steps := newTemplate(t), simSteps()
	seeds := seedsByDefault
	if underRace {
		seeds = seedsUnderRace
	}
	if text := os.Getenv("LLMGW_TEST_SEEDS"); text != "" {
		var err error
		if seeds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var run atomic.Int64
	uses := make([]simUse, max(1, min(runtime.GOMAXPROCS(0), seeds/seedsPerRound)))
	t.Run("seeds", func(t *testing.T) {
		for i := range uses {
			t.Run(strconv.Itoa(i+1), func(t *testing.T) {
				t.Parallel()
				for run.Load() < int64(seeds) {
					rapid.Check(t, func(rt *rapid.T) {
						run.Add(1)
						if err := simulate(rt, template, steps, "", &uses[i]); err != nil {
							rt.Fatal(err)
						}
					})
				}
			})
		}
	})
	var u simUse
	for i := range uses {
		u.add(&uses[i])
	}
	t.Logf("%d seeds: %+v", run.Load(), u)
	if run.Load() < seedsByDefault {
		return // too few to say that each thing must have happened
	}
	if u.faults == 0 || u.killed == 0 || u.meanwhile == 0 || u.along == 0 || u.taken == 0 || u.stale == 0 || u.waited == 0 || u.failovers == 0 {
		t.Error("something never happened, so that this does not show much")
	}
}

// TestTheSimulationFindsWhatIsBroken breaks the protocol on purpose, a different
// way each time.
func TestTheSimulationFindsWhatIsBroken(t *testing.T) {
	if underRace {
		t.Skip("it takes many seeds; make simulation runs it")
	}
	template := newTemplate(t)
	for broken, c := range map[string]struct {
		sign  string
		steps map[string]int // nil: all
	}{
		"hints are not heard":                   {"which it never was", nil},
		"a hint begins no new era":              {"which it never was", map[string]int{"change a key": 1, "ask": 3}},
		"polls do not look":                     {"which it never was", nil},
		"what was named is forgotten":           {"which it never was", map[string]int{"change a key": 1, "ask": 2, "poll": 1}},
		"the log is not compared":               {"in force", map[string]int{"change the configuration": 4, "copy": 3, "fail over": 3, "poll": 3}},
		"the shelf is taken for the present":    {"which it never was", nil},
		"what is applied goes back":             {"applied fell", nil},
		"half a configuration":                  {"in force", nil},
		"a failure is taken for no such key":    {"is unknown, which it never was", map[string]int{"change a key": 1, "ask": 3}},
		"every asker reads":                     {"reading", map[string]int{"change a key": 1, "ask": 3}},
		"silent nodes are not waited for":       {"nobody waits", map[string]int{"change the configuration": 2, "pass": 1, "beat": 1}},
		"a fence is taken for closed too early": {"nobody waits", map[string]int{"change the configuration": 1, "pass": 1}},
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			steps := simSteps()
			if c.steps != nil {
				steps = weighed(c.steps)
			}
			world := rapid.Custom(func(rt *rapid.T) error { return simulate(rt, template, steps, broken, &simUse{}) })
			for seed := range 2000 {
				err := world.Example(seed)
				if err == nil {
					continue
				}
				if !strings.Contains(err.Error(), c.sign) {
					t.Errorf("it is found by another sign: %v", err)
				}
				t.Logf("seed %d: %v", seed, err)
				return
			}
			t.Error("nobody notices")
		})
	}
}

// simulate runs one seed. An error is what did not hold.
func simulate(t *rapid.T, template []byte, steps *rapid.Generator[string], broken string, use *simUse) error {
	dir, err := os.MkdirTemp(memoryDir(), "llmgw-sim")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w, err := newSim(t, dir, template, steps, broken, use)
	if w != nil {
		defer func() { _ = w.end() }() // whatever it was in the middle of
	}
	if err != nil {
		return err
	}
	for range rapid.IntRange(1, mostSteps).Draw(t, "steps") {
		w.takeStep()
		if w.wrong == nil {
			w.check()
		}
		if w.wrong != nil {
			return w.wrong
		}
	}
	w.settle()
	for _, n := range w.nodes {
		use.taken += int(n.wares.count.taken.Load())
		use.stale += int(n.wares.count.stale.Load())
	}
	return w.wrong
}

// memoryDir is where files cost no disk, where there is such a place: what a
// crash of the machine leaves is not what is simulated.
func memoryDir() string {
	if stat, err := os.Stat("/dev/shm"); err == nil && stat.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// newTemplate makes a store with an owner of keys, to be copied for each seed.
func newTemplate(t *testing.T) []byte {
	t.Helper()
	s := openHere(t)
	path := filepath.Join(t.TempDir(), "template.db")
	_, err := s.Change(t.Context(), accounts.Meta{Kind: "test"}, func(st *State) error { return st.PutUser(simUser) })
	_, err2 := s.Backup(t.Context(), path)
	template, err3 := os.ReadFile(path)
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	return template
}
