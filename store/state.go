package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// State is the store within one change, as that change has made it so far. It
// lives as long as the function it was handed to, and belongs to the goroutine
// that function runs in.
type State struct {
	ctx  context.Context // of the transaction that State stands for
	on   session
	meta accounts.Meta
	head Head // before the change
	seq  int64
	now  time.Time
	keep int // how many revisions keep their rules

	fenced func(*nodeRow) bool // whether a node certainly refuses requests

	book     *book    // the rules, once anybody asked for them
	subjects []string // what changed
	compiled bool     // something changed that is compiled
	noted    []auditEdit
}

func newState(ctx context.Context, on session, m accounts.Meta, keep int) (*State, error) {
	head, err := lockHead(ctx, on)
	if err != nil {
		return nil, fmt.Errorf("locking the log: %w", err)
	}
	return &State{ctx: ctx, on: on, meta: m, head: head, seq: head.Seq + 1, now: moment(time.Now()), keep: keep}, nil
}

// Look lets f read all there is as it is at one moment. Nothing can be changed
// there.
func (s *Store) Look(ctx context.Context, f func(*State) error) error {
	return s.read(ctx, "looking at the store", func(ctx context.Context, on session) error {
		head, err := readHead(ctx, on)
		if err != nil {
			return err
		}
		return f(&State{ctx: ctx, on: on, head: head, seq: head.Seq, now: moment(time.Now()), keep: s.options.KeepRevisions})
	})
}

// Revision is the config revision in force before this change.
func (st *State) Revision() int64 { return st.head.Revision }

// Seq is the number of the newest change before this one.
func (st *State) Seq() int64 { return st.head.Seq }

// earlier finds the same change in the log, nil where there is none.
func (st *State) earlier() (*entry, error) {
	e, err := findEntry(st.ctx, st.on, st.meta.ID)
	if errors.Is(err, accounts.ErrNotFound) {
		return nil, nil
	}
	return e, err
}

func (st *State) basedOn(base *int64) error {
	if base == nil || *base == st.head.Revision {
		return nil
	}
	return fmt.Errorf("revision %d is in force, the change was made against %d: %w",
		st.head.Revision, *base, accounts.ErrChanged)
}

// touch notes what changed. Rules, upstreams and bindings are compiled, keys and
// users are not.
func (st *State) touch(subject string, compiled bool) {
	if !slices.Contains(st.subjects, subject) {
		st.subjects = append(st.subjects, subject)
	}
	st.compiled = st.compiled || compiled
}

// finish compiles what came of the change, and writes what was held back, the
// entry of the log and that of the history. It gives nil where nothing changed.
func (st *State) finish() (*entry, error) {
	edits, err := st.ruleEdits()
	if err != nil {
		return nil, err
	}
	for _, set := range edits.touched() {
		st.touch("set:"+set, true)
		st.noteSet(set, edits)
	}
	if len(st.subjects) == 0 {
		return nil, nil
	}
	if err := st.compile(); err != nil {
		return nil, err
	}
	if err := st.readByAll(edits); err != nil {
		return nil, err
	}
	if err := st.writeRules(edits); err != nil {
		return nil, fmt.Errorf("storing rules: %w", err)
	}
	e, err := st.entry()
	if err != nil {
		return nil, fmt.Errorf("making log entry: %w", err)
	}
	if err := appendEntry(st.ctx, st.on, e); err != nil {
		return nil, err
	}
	if err := st.writeAudit(); err != nil {
		return nil, fmt.Errorf("writing audit: %w", err)
	}
	if !st.compiled {
		return e, nil
	}
	if err := st.writeHistory(e, edits); err != nil {
		return nil, fmt.Errorf("writing history: %w", err)
	}
	return e, nil
}

// compile refuses a configuration that no node could use.
func (st *State) compile() error {
	if !st.compiled {
		return nil
	}
	files, err := st.Files()
	if err != nil {
		return err
	}
	upstreams, err := st.Upstreams()
	if err != nil {
		return err
	}
	bindings, err := st.Bindings()
	if err != nil {
		return err
	}
	_, problems := rules.Compile(rules.Config{
		Revision: st.head.Revision + 1, Files: files, Upstreams: upstreams, Bindings: bindings,
	})
	if bad := problems.Errors(); len(bad) > 0 {
		return bad
	}
	return nil
}
