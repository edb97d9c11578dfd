package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// The history holds one row for each config revision, written by the change
// that made it. Rows stay for good. The rules of a revision are as large as all
// rules together, so that only those of the newest Options.KeepRevisions
// revisions are kept, equal ones once.
//
// A store from before there was a history begins with the revision that was in
// force when it was first opened with one; of earlier ones it knows nothing.

// historyRow is the table of revisions.
type historyRow struct {
	Revision int64     `db:"config_revision"`
	Seq      int64     `db:"seq"`
	At       time.Time `db:"at"`
	Actor    string    `db:"actor"`
	From     string    `db:"from_addr"`
	Kind     string    `db:"kind"`
	Message  string    `db:"message"`
	Edits    string    `db:"edits"` // JSON of []editText
	Rules    []byte    `db:"rules_hash"`
}

const historyColumns = `config_revision, seq, at, actor, from_addr, kind, message, edits, rules_hash`

// editText is a rules.PlanChange as it is stored.
type editText struct {
	Op       string   `json:"op"`
	Set      string   `json:"set"`
	Rule     string   `json:"rule,omitempty"`
	Position int      `json:"position,omitempty"`
	Fields   []string `json:"fields,omitempty"`
}

// setText is a rules.File as it is stored.
type setText struct {
	Set   string       `json:"set"`
	Order int          `json:"order"`
	Rules []rules.Rule `json:"rules"`
}

// History gives the newest revisions, the newest first, at most limit of them;
// all where limit is 0.
func (s *Store) History(ctx context.Context, limit int) ([]rules.Revision, error) {
	if limit <= 0 {
		limit = math.MaxInt
	}
	var revisions []rules.Revision
	err := s.read(ctx, "reading history", func(ctx context.Context, on session) error {
		var rows []historyRow
		err := on.all(ctx, &rows, `SELECT `+historyColumns+` FROM history ORDER BY config_revision DESC LIMIT ?`, limit)
		if err != nil {
			return unavailable(err)
		}
		revisions = make([]rules.Revision, len(rows))
		for i := range rows {
			if revisions[i], err = rows[i].revision(); err != nil {
				return err
			}
		}
		return nil
	})
	return revisions, err
}

// Revision gives one revision. ErrNotFound where there was none of that number,
// and where it is from before the history began.
func (s *Store) Revision(ctx context.Context, number int64) (rules.Revision, error) {
	var r rules.Revision
	err := s.read(ctx, "reading revision", func(ctx context.Context, on session) error {
		row, err := readRevision(ctx, on, number)
		if err != nil {
			return err
		}
		r, err = row.revision()
		return err
	})
	return r, err
}

// RulesAt gives all sets as they were at a revision, in the order in which they
// were tried. ErrNotFound as Revision does, and where the revision's rules are
// not kept any more.
func (s *Store) RulesAt(ctx context.Context, number int64) ([]rules.File, error) {
	var files []rules.File
	err := s.read(ctx, "reading rules of the past", func(ctx context.Context, on session) error {
		row, err := readRevision(ctx, on, number)
		if err != nil {
			return err
		}
		if row.Rules == nil {
			return fmt.Errorf("rules of revision %d, which are not kept any more: %w", number, accounts.ErrNotFound)
		}
		files, err = readRulesText(ctx, on, row.Rules)
		return err
	})
	return files, err
}

func readRevision(ctx context.Context, s session, number int64) (*historyRow, error) {
	var row historyRow
	err := s.one(ctx, &row, `SELECT `+historyColumns+` FROM history WHERE config_revision = ?`, number)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("revision %d: %w", number, accounts.ErrNotFound)
	}
	return &row, unavailable(err)
}

func (r *historyRow) revision() (rules.Revision, error) {
	var edits []editText
	if err := json.Unmarshal([]byte(r.Edits), &edits); err != nil {
		return rules.Revision{}, fmt.Errorf("reading what revision %d changed: %w", r.Revision, err)
	}
	revision := rules.Revision{
		Number: r.Revision, At: moment(r.At), Actor: r.Actor, From: r.From, Kind: r.Kind, Message: r.Message,
		Kept: r.Rules != nil,
	}
	for _, e := range edits {
		revision.Changes = append(revision.Changes, rules.PlanChange(e))
	}
	return revision, nil
}

func readRulesText(ctx context.Context, s session, hash []byte) ([]rules.File, error) {
	var body string
	if err := s.one(ctx, &body, `SELECT body FROM rule_texts WHERE hash = ?`, hash); err != nil {
		return nil, unavailable(err)
	}
	var sets []setText
	if err := json.Unmarshal([]byte(body), &sets); err != nil {
		return nil, fmt.Errorf("reading rules text %x: %w", hash[:4], err)
	}
	var files []rules.File
	for _, set := range sets {
		files = append(files, rules.File{Set: set.Set, Order: set.Order, Rules: someOrNil(set.Rules)})
	}
	return files, nil
}

// writeHistory writes down the revision that this change makes.
func (st *State) writeHistory(e *entry, edits *ruleEdits) error {
	row := revisionOf(e)
	var err error
	if row.Edits, err = st.edits(edits); err != nil {
		return err
	}
	if row.Rules, err = st.rulesText(edits); err != nil {
		return err
	}
	if err := insertRevision(st.ctx, st.on, row); err != nil {
		return err
	}
	return st.forgetRules(e.Revision - int64(st.keep))
}

// revisionOf is the row of the revision that a change made.
func revisionOf(e *entry) *historyRow {
	return &historyRow{
		Revision: e.Revision, Seq: e.Seq, At: e.At, Actor: e.Actor, From: e.From, Kind: e.Kind, Message: e.Why, Edits: "[]",
	}
}

// edits writes what the change does to the rules.
func (st *State) edits(edits *ruleEdits) (string, error) {
	if len(edits.touched()) == 0 {
		return "[]", nil
	}
	changes, _ := rules.Plan(st.book.stored, st.book.files())
	texts := make([]editText, 0, len(changes))
	for _, c := range changes {
		texts = append(texts, editText(c))
	}
	text, err := json.Marshal(texts)
	return string(text), err
}

// rulesText stores the rules as the change leaves them, where they are not
// stored yet, and gives their hash.
func (st *State) rulesText(edits *ruleEdits) ([]byte, error) {
	if len(edits.touched()) == 0 {
		before, err := readRevision(st.ctx, st.on, st.head.Revision)
		if err == nil && before.Rules != nil {
			return before.Rules, nil
		}
		if err != nil && !errors.Is(err, accounts.ErrNotFound) {
			return nil, err
		}
	}
	return storeRulesText(st.ctx, st.on, st.book.files())
}

func storeRulesText(ctx context.Context, s session, files []rules.File) ([]byte, error) {
	sets := make([]setText, 0, len(files))
	for _, f := range files {
		sets = append(sets, setText{Set: f.Set, Order: f.Order, Rules: f.Rules})
	}
	body, err := json.Marshal(sets)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(body)
	_, err = s.run(ctx, `INSERT INTO rule_texts (hash, body) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash[:], string(body))
	return hash[:], unavailable(err)
}

func insertRevision(ctx context.Context, s session, r *historyRow) error {
	_, err := s.run(ctx, `INSERT INTO history (`+historyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Revision, r.Seq, r.At, r.Actor, r.From, r.Kind, r.Message, r.Edits, r.Rules)
	return unavailable(err)
}

// forgetRules lets go of the rules of all revisions up to last.
func (st *State) forgetRules(last int64) error {
	forgotten, err := st.on.run(st.ctx,
		`UPDATE history SET rules_hash = NULL WHERE rules_hash IS NOT NULL AND config_revision <= ?`, last)
	if err != nil || forgotten == 0 {
		return unavailable(err)
	}
	_, err = st.on.run(st.ctx, `DELETE FROM rule_texts
		WHERE NOT EXISTS (SELECT 1 FROM history WHERE history.rules_hash = rule_texts.hash)`)
	return unavailable(err)
}

// beginHistory writes down the revision in force where the history misses it:
// in a store from before there was one. There must be a way back to it.
func beginHistory(ctx context.Context, db *sqlx.DB) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	s := session{on: tx}
	e, err := lastConfigEntry(ctx, s)
	if errors.Is(err, accounts.ErrNotFound) {
		return nil // nothing was ever changed
	}
	if err != nil {
		return err
	}
	if _, err := readRevision(ctx, s, e.Revision); !errors.Is(err, accounts.ErrNotFound) {
		return err
	}
	b, err := readBook(ctx, s)
	if err != nil {
		return err
	}
	row := revisionOf(e)
	if row.Rules, err = storeRulesText(ctx, s, b.stored); err != nil {
		return err
	}
	if err := insertRevision(ctx, s, row); err != nil {
		return err
	}
	return unavailable(tx.Commit())
}
