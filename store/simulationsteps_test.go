package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// simSteps are the steps, as often as they are to be drawn.
func simSteps() *rapid.Generator[string] {
	return weighed(map[string]int{
		"change a key": 14, "change the owner": 4, "change the configuration": 8, "poll": 16, "poll in vain": 2, "deliver": 12,
		"ask": 24, "beat": 6, "refuse": 5, "pass": 6, "kill": 1, "stop": 1, "copy": 6, "fail over": 6, "shelf": 6,
	})
}

// simMeanwhile are the steps that can be taken within one of another node.
func simMeanwhile() *rapid.Generator[string] {
	return weighed(map[string]int{
		"change a key": 12, "change the owner": 3, "change the configuration": 3, "poll": 6, "deliver": 6, "ask": 8, "kill": 1,
		"copy": 2, "fail over": 3, "shelf": 2,
	})
}

// weighed repeats names, in an order that is always the same.
func weighed(weights map[string]int) *rapid.Generator[string] {
	var all []string
	for name, times := range weights {
		all = append(all, slices.Repeat([]string{name}, times)...)
	}
	slices.Sort(all)
	return rapid.SampledFrom(all)
}

// takeStep takes one step, within which one thing may happen.
func (w *sim) takeStep() {
	n := w.nodes[w.draw(len(w.nodes), "node")]
	name := w.steps.Draw(w.t, "step")
	w.use.steps++
	n.event, n.passed = w.drawEvent(name), 0
	w.disturbed = n.event.at > 0
	w.staying = strings.HasPrefix(name, "change")
	w.take(n, name)
	n.event, w.disturbed, w.staying = event{}, false, false
	if n.dead {
		w.restart(n, "was killed in its step")
	}
}

// drawEvent draws what happens within a step, and at which of its moments.
func (w *sim) drawEvent(step string) event {
	moments := map[string]int{"change a key": 44, "change the owner": 44, "change the configuration": 64, "poll": 24, "ask": 6, "beat": 8}[step]
	if moments == 0 || rapid.Bool().Draw(w.t, "all goes well") {
		return event{}
	}
	return event{
		at:   1 + w.draw(moments, "at"),
		what: rapid.SampledFrom([]string{goesOn, goesOn, breaks, dies}).Draw(w.t, "event"),
	}
}

// goOn takes a step within one of another node.
func (w *sim) goOn(during *simNode) {
	n := w.nodes[w.draw(len(w.nodes), "node meanwhile")]
	name := w.meanwhile.Draw(w.t, "step meanwhile")
	switch {
	case n == during && name != "deliver" && name != "ask" && name != "shelf":
		return // it does one thing at a time
	case w.writing && (strings.HasPrefix(name, "change") || name == "kill" || name == "poll" && n.owes):
		return // it would wait for the lock
	case (w.staying || w.writing) && name == "fail over":
		return
	}
	mail := len(w.mail)
	w.take(n, name)
	if len(w.mail) > mail && rapid.Bool().Draw(w.t, "heard at once") {
		w.hear(during, &w.mail[len(w.mail)-1])
	}
}

func (w *sim) take(n *simNode, name string) {
	switch name {
	case "change a key":
		w.changeKey(n)
	case "change the owner":
		w.changeOwner(n)
	case "change the configuration":
		w.changeConfig(n)
	case "poll":
		w.say("%s polls", n.name)
		w.poll(n, w.ctx)
	case "poll in vain":
		w.say("%s cannot reach the store", n.name)
		gone, cancel := context.WithCancel(w.ctx)
		cancel()
		w.poll(n, gone)
	case "deliver":
		w.deliver(n)
	case "ask":
		key := w.draw(simKeys, "asked")
		w.say("%s is asked for key %d", n.name, key)
		w.ask(n, key)
	case "beat":
		w.beat(n)
	case "refuse":
		n.refuse = !n.refuse
		w.say("%s refuses configurations: %t", n.name, n.refuse)
	case "pass":
		w.pass(n)
	case "kill":
		w.restart(n, "is killed")
	case "stop":
		w.stop(n)
	case "copy":
		w.copyStore()
	case "fail over":
		w.failOver()
	case "shelf":
		w.disturb(n)
	}
}

// restart begins a node anew, which knows its earlier name or does not.
func (w *sim) restart(n *simNode, why string) {
	replaces := ""
	if rapid.Bool().Draw(w.t, "knows its name") {
		replaces = n.NodeID()
	}
	w.say("%s %s, and starts as the one after %q", n.name, why, replaces)
	if err := errors.Join(n.kill(), w.start(n, replaces)); err != nil {
		w.failf("%v", err)
	}
}

func (w *sim) stop(n *simNode) {
	w.say("%s stops, and starts", n.name)
	if err := errors.Join(n.Close(), w.start(n, "")); err != nil {
		w.failf("%v", err)
	}
}

// poll is a look at the log. Whether its configuration was taken over or not, keys
// are in step after it.
func (w *sim) poll(n *simNode, ctx context.Context) { //nolint:revive // the node is the subject
	from := w.past.now()
	err := w.look(n, ctx)
	switch {
	case err == nil, errors.Is(err, errNotNow):
		n.learn(from)
		w.signOfLife(n)
	case !errors.Is(err, accounts.ErrUnavailable), ctx.Err() == nil && !w.disturbed:
		w.failf("%s polls: %v", n.name, err)
	}
	w.shelve(n)
}

// look is Advance, unless that is broken.
func (w *sim) look(n *simNode, ctx context.Context) error { //nolint:revive // the node is the subject
	at := n.reader.at
	if w.quiet || n.stood == nil { // once, so that there is something in force
		return n.Advance(ctx)
	}
	switch {
	case w.broken == "polls do not look":
		return nil
	case w.broken == "what was named is forgotten":
		err := n.Advance(ctx)
		d := &n.keys.dropped
		d.floor, d.last, d.keys = 0, 0, 0
		clear(d.at)
		return err
	case w.broken == "the log is not compared" && !n.current():
		n.reader.at.Seq, n.reader.at.Hash = w.past.head().seq, []byte(w.past.head().hash)
		n.reader.part = n.reader.at
	case w.broken == "what is applied goes back" && at.Seq > 1:
		n.reader.done(Head{Lineage: at.Lineage, Seq: at.Seq - 1, Revision: at.Revision, Hash: at.Hash}, nil)
		return nil
	case w.broken == "half a configuration":
		apply := n.reader.apply
		defer func() { n.reader.apply = apply }()
		n.reader.apply = func(ctx context.Context, c rules.Config) error {
			c.Upstreams = nil
			return apply(ctx, c)
		}
	}
	return n.Advance(ctx)
}

// signOfLife writes a node's row as Follow does it after the first look that a
// node takes when time has passed.
func (w *sim) signOfLife(n *simNode) {
	if n.owes && !n.dead && !w.writing {
		w.beat(n)
	}
}

func (w *sim) beat(n *simNode) {
	w.say("%s beats", n.name)
	failed := n.presence.failures.Load()
	n.beatNow(w.ctx)
	if n.presence.failures.Load() == failed {
		n.lost, n.owes = false, false
	}
}

func (w *sim) changeKey(n *simNode) {
	i := w.draw(simKeys, "changed")
	if at := w.flying(); at >= 0 && w.draw(2, "the one asked for") == 0 {
		i = at
	}
	k, state := simKey(i), keyActive
	f := func(st *State) error { return st.PutKey(k) }
	switch w.draw(4, "becomes") {
	case 0, 1:
		k.RevokedAt, state = time.Unix(1_700_000_000, 0), keyRevoked
	case 2:
		state = keyGone
		f = func(st *State) error {
			if err := st.DeleteKey(k.ID); !errors.Is(err, accounts.ErrNotFound) {
				return err
			}
			return nil
		}
	}
	w.change(n, fmt.Sprintf("key %d becomes %s", i, state), []int{i}, f, func(at *truth) { at.keys[i] = state })
}

// flying is a key that somebody is asked for; -1 where none is.
func (w *sim) flying() int {
	for _, n := range w.nodes {
		if key := slices.Index(n.flying[:], true); key >= 0 {
			return key
		}
	}
	return -1
}

func (w *sim) changeOwner(n *simNode) {
	u := simUser
	u.Disabled = !w.past.is().off
	w.change(n, fmt.Sprintf("owner, disabled: %t", u.Disabled), []int{0, 1},
		func(st *State) error { return st.PutUser(u) }, func(at *truth) { at.off = u.Disabled })
}

func (w *sim) changeConfig(n *simNode) {
	w.config++
	number := w.config
	f := rules.File{Set: rules.DefaultSet, Order: rules.DefaultOrder, Rules: []rules.Rule{
		{Name: "r", Action: rules.Action{Respond: &rules.Respond{Status: 200, Message: strconv.Itoa(number)}}},
	}}
	u := accounts.Upstream{
		ID: "up_1", Name: "u", Provider: accounts.ProviderOpenAI, URL: "https://u.example/v1", Enabled: true,
		Models: []string{strconv.Itoa(number)},
	}
	w.change(n, fmt.Sprintf("configuration %d", number), nil,
		func(st *State) error { return errors.Join(st.PutFile(f), st.PutUpstream(u)) },
		func(at *truth) { at.config, at.revision, at.made = number, at.revision+1, w.clock })
}

// change makes a change on a node, which then knows of it at once.
func (w *sim) change(n *simNode, what string, keys []int, f func(*State) error, does func(*truth)) {
	w.say("%s changes: %s", n.name, what)
	n.does, n.made = does, 0
	done, err := n.Change(w.ctx, accounts.Meta{Kind: "test"}, f)
	n.does = nil
	switch {
	case n.dead:
		return
	case err == nil && done.ID != "" && n.made == 0:
		w.failf("%s: %s was acknowledged, and is not made", n.name, what)
	case err == nil && n.made == 0: // it would have changed nothing
	case err == nil:
		n.changed(keys)
		w.signOfLife(n)
	case !errors.Is(err, accounts.ErrUnavailable), n.event.at == 0:
		w.failf("%s: %s: %v", n.name, what, err)
	case n.made != 0 && !strings.Contains(err.Error(), "is not known"):
		w.failf("%s: %s is made, and was refused: %v", n.name, what, err)
	}
	w.shelve(n)
	w.publish(n)
}

// changed says what a node knows of its own change: all where it could look at the
// log, and else what it was of.
func (n *simNode) changed(keys []int) {
	if at, ok := n.world.past.in(n.reader.at.Hash); ok && at >= n.made {
		n.learn(n.made)
	}
	for _, key := range keys {
		n.known[key] = max(n.known[key], n.made)
	}
}

// pass lets time go by: on each machine at the speed of its clocks. On one of them
// something else may happen to these: it is suspended, so that its monotonic clock
// stands still, or somebody sets the other one.
func (w *sim) pass(odd *simNode) {
	d := time.Duration(w.draw(40, "minutes")) * time.Minute
	what := w.draw(4, "clocks")
	w.say("%s pass, clocks of %s: %s", d, odd.name, []string{"it is suspended", "set forward", "set back", "well"}[what])
	w.clock += d
	for _, n := range w.nodes {
		n.owes = n.owes || d > 0
		wall := time.Duration(float64(d) * n.speed)
		monotonic := wall
		switch {
		case n != odd:
		case what == 0:
			monotonic = 0
		case what == 1:
			wall += time.Hour
		case what == 2:
			wall -= time.Hour
		}
		good := before(*n.reader.good.Load(), monotonic, wall)
		n.reader.good.Store(&good)
		n.presence.looked = before(n.presence.looked, monotonic, wall)
		for id, s := range n.presence.seen {
			s.at = before(s.at, monotonic, wall)
			n.presence.seen[id] = s
		}
	}
}

func before(i instant, monotonic, wall time.Duration) instant {
	return instant{monotonic: i.monotonic.Add(-monotonic), wall: i.wall.Add(-wall)}
}

// copied is a copy of the database, and what log it has.
type copied struct {
	path  string
	log   []logged
	known map[*Store]bool // nodes that have a row there
}

func (w *sim) copyStore() {
	w.copies++
	c := &copied{path: fmt.Sprintf("%s.copy%d", w.path, w.copies), log: slices.Clone(w.past.log), known: map[*Store]bool{}}
	w.say("a standby has all up to change %d", w.past.head().seq)
	if _, err := w.eye.ExecContext(w.ctx, `VACUUM INTO ?`, c.path); err != nil {
		w.failf("copying: %v", err)
		return
	}
	for _, n := range w.nodes {
		c.known[n.Store] = !n.lost
	}
	w.copied = c
	if err := os.Chmod(c.path, 0o600); err != nil {
		w.failf("copying: %v", err)
	}
}

// failOver puts the copy in the place of the database. Nodes that are connected
// go on talking to the old one, until they look where it is.
func (w *sim) failOver() {
	c := w.copied
	if c == nil {
		return
	}
	w.copied = nil
	w.fellOver = true
	w.use.failovers++
	w.say("the database fails over from change %d to %d", w.past.head().seq, c.log[len(c.log)-1].seq)
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(w.path + beside); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.failf("failing over: %v", err)
		}
	}
	eye, err := w.eye, os.Rename(c.path, w.path)
	if err == nil {
		w.eye, err = openWriter(w.path)
	}
	if err = errors.Join(err, eye.Close()); err != nil {
		w.failf("failing over: %v", err)
		return
	}
	w.past.failOver(c.log, w.clock)
	for _, n := range w.nodes {
		n.lost = n.lost || !c.known[n.Store]
	}
}
