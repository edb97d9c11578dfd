package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// Change is the only way to change anything. It locks the log, lets f work on
// the State, and stores all of it or nothing. When it returns, this node is in
// step with the change.
//
// A change in which f changed nothing is not written down: the numbers that
// come back are those in force, and the ID is empty. A change whose Meta.ID is
// in the log already is not made again: what was done then comes back.
//
// Errors: what f returned, wrapped; rules.Problems where the configuration
// that would come of it has errors; accounts.ErrChanged where m.Base is not
// the revision in force; accounts.ErrExists where m.ID stands for a change of
// another kind; accounts.ErrUnavailable where the database does not answer.
func (s *Store) Change(ctx context.Context, m accounts.Meta, f func(*State) error) (accounts.Change, error) {
	if !s.enter() {
		return accounts.Change{}, fmt.Errorf("changing: %w", errClosed())
	}
	defer s.live.Done()
	if m.ID == "" {
		m.ID = accounts.NewID("chg", time.Now())
	}
	done, err := s.transact(ctx, m, f)
	if err != nil {
		return accounts.Change{}, err
	}
	s.ring()
	s.announce(&done)
	s.catchUp(ctx, &done)
	return done, nil
}

// catchUp takes over what was just committed, also while the store is being
// closed. The change is made whether this works or not: a failure is logged and
// counted by step, and Follow tries again. Keys do not wait for that: one whose
// revocation is acknowledged is not served from memory.
func (s *Store) catchUp(ctx context.Context, done *accounts.Change) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeWithin)
	defer cancel()
	if s.step(ctx) != nil {
		s.keys.dropped.doubt()
		s.keys.drop(done.Subjects)
	}
}

// transact makes the change in one transaction.
func (s *Store) transact(ctx context.Context, m accounts.Meta, f func(*State) error) (accounts.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	file, err := s.current(ctx)
	if err != nil {
		return accounts.Change{}, err
	}
	tx, err := file.writer.BeginTxx(ctx, nil)
	if err != nil {
		return accounts.Change{}, fmt.Errorf("beginning change: %w", unavailable(err))
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing

	st, err := newState(ctx, session{on: tx}, m, s.options.KeepRevisions)
	if err != nil {
		return accounts.Change{}, err
	}
	st.fenced = s.presence.fenced
	if earlier, err := st.earlier(); earlier != nil || err != nil {
		return madeEarlier(earlier, m, err)
	}
	if err := st.basedOn(m.Base); err != nil {
		return accounts.Change{}, err
	}
	if err := f(st); err != nil {
		return accounts.Change{}, err
	}
	e, err := st.finish()
	if err != nil || e == nil {
		return accounts.Change{Seq: st.head.Seq, Revision: st.head.Revision}, err
	}
	if s.far != nil {
		if err := s.far.ring(ctx, st.on, Hint{Lineage: st.head.Lineage, Seq: e.Seq, ID: e.ID, Subjects: st.subjects}); err != nil {
			return accounts.Change{}, err
		}
	}
	if err := s.commit(tx); err != nil {
		_ = tx.Rollback() // gives the connection back, whatever became of it
		return s.outcome(ctx, m.ID, err)
	}
	return e.change()
}

// outcome finds out what became of a COMMIT that was not answered: the log has
// the change, or it was not made. It waits for a turn like a change, and so until
// the transaction has ended on the server: one that is still on its way there
// cannot come true later.
func (s *Store) outcome(ctx context.Context, id string, cause error) (accounts.Change, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
	defer cancel()
	var e *entry
	err := s.write(ctx, "looking for change "+id, func(ctx context.Context, on session) (err error) {
		e, err = findEntry(ctx, on, id)
		return err
	})
	switch {
	case err == nil:
		return e.change()
	case errors.Is(err, accounts.ErrNotFound):
		return accounts.Change{}, fmt.Errorf("committing, nothing was stored: %w", unavailable(cause))
	}
	return accounts.Change{}, &accounts.OutcomeError{Change: id, Cause: unavailable(errors.Join(cause, err))}
}

// madeEarlier answers a change that comes a second time.
func madeEarlier(e *entry, m accounts.Meta, err error) (accounts.Change, error) {
	if err != nil {
		return accounts.Change{}, err
	}
	if e.Kind != m.Kind {
		return accounts.Change{}, fmt.Errorf("change %q, of kind %s: %w", m.ID, e.Kind, accounts.ErrExists)
	}
	return e.change()
}

// entry is what the log will say of this change.
func (st *State) entry() (*entry, error) {
	subjects, err := json.Marshal(st.subjects)
	if err != nil {
		return nil, err
	}
	e := &entry{
		Seq: st.seq, Revision: st.head.Revision, ID: st.meta.ID, Kind: st.meta.Kind, Subjects: string(subjects),
		Actor: st.meta.Actor, From: st.meta.From, Why: st.meta.Why, At: st.now,
	}
	if st.compiled {
		e.Revision++
	}
	e.Hash, err = e.chained(st.head.Hash)
	return e, err
}
