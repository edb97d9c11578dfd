package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// setRow and ruleRow are the tables of rules.
type setRow struct {
	Name  string `db:"name"`
	Order int    `db:"ord"`
}

type ruleRow struct {
	ID        string    `db:"id"`
	Set       string    `db:"set_name"`
	Position  int       `db:"position"` // in its set, from 1
	Name      string    `db:"name"`
	Enabled   bool      `db:"enabled"`
	Body      string    `db:"body"` // JSON
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
	UpdatedBy string    `db:"updated_by"`
}

const ruleColumns = `id, set_name, position, name, enabled, body, created_at, updated_at, updated_by`

// book is the rules within a change: as they were stored, and as the change
// wants them. They are written at its end, all at once, because a rule that
// moves from one set to another must not be there twice in between.
type book struct {
	sets   map[string]int     // stored: set → order
	rules  map[string]ruleRow // stored: by name
	stored []rules.File
	wanted map[string]rules.File
}

func readBook(ctx context.Context, s session) (*book, error) {
	var sets []setRow
	if err := s.all(ctx, &sets, `SELECT name, ord FROM rule_sets`); err != nil {
		return nil, unavailable(err)
	}
	var rows []ruleRow
	if err := s.all(ctx, &rows, `SELECT `+ruleColumns+` FROM rules ORDER BY set_name, position`); err != nil {
		return nil, unavailable(err)
	}
	b := &book{sets: map[string]int{}, rules: make(map[string]ruleRow, len(rows)), wanted: map[string]rules.File{}}
	for _, set := range sets {
		b.sets[set.Name] = set.Order
		b.wanted[set.Name] = rules.File{Set: set.Name, Order: set.Order}
	}
	for _, row := range rows {
		var r rules.Rule
		if err := json.Unmarshal([]byte(row.Body), &r); err != nil {
			return nil, fmt.Errorf("reading rule %q: %w", row.Name, err)
		}
		f := b.wanted[row.Set]
		f.Rules = append(f.Rules, r)
		b.wanted[row.Set] = f
		b.rules[row.Name] = row
	}
	b.stored = b.files()
	return b, nil
}

// files gives the sets in the order in which they are tried.
func (b *book) files() []rules.File {
	files := slices.Collect(maps.Values(b.wanted))
	slices.SortFunc(files, func(x, y rules.File) int {
		return cmp.Or(cmp.Compare(x.Order, y.Order), cmp.Compare(x.Set, y.Set))
	})
	return files
}

func (st *State) rules() (*book, error) {
	if st.book == nil {
		b, err := readBook(st.ctx, st.on)
		if err != nil {
			return nil, fmt.Errorf("reading rules: %w", err)
		}
		st.book = b
	}
	return st.book, nil
}

// Files gives all sets in the order in which they are tried, each with its
// rules in theirs.
func (st *State) Files() ([]rules.File, error) {
	b, err := st.rules()
	if err != nil {
		return nil, err
	}
	return b.files(), nil
}

// PutFile makes the set what f says, and nothing else: rules it does not have
// are deleted. A rule that was there under the same name, in this or another
// set, stays the same rule.
func (st *State) PutFile(f rules.File) error {
	if !accounts.ValidName(f.Set) {
		return fmt.Errorf("set %q: it must match %s", f.Set, accounts.NamePattern)
	}
	b, err := st.rules()
	if err != nil {
		return err
	}
	f.Rules = slices.Clone(f.Rules)
	b.wanted[f.Set] = f
	return nil
}

// DeleteSet deletes a set with its rules. ErrNotFound where there is none.
func (st *State) DeleteSet(name string) error {
	b, err := st.rules()
	if err != nil {
		return err
	}
	if _, ok := b.wanted[name]; !ok {
		return notFound("set", name)
	}
	delete(b.wanted, name)
	return nil
}

// ruleEdits is what has to be written so that what is stored becomes what is
// wanted.
type ruleEdits struct {
	putSets     []setRow
	deleteSets  []string
	insert      []ruleRow
	update      []ruleRow
	deleteRules []ruleRow
	moved       []string // sets that a rule left for another
}

// ruleEdits compares, and gives no edits where nobody asked for the rules.
func (st *State) ruleEdits() (*ruleEdits, error) {
	e := &ruleEdits{}
	if st.book == nil {
		return e, nil
	}
	gone := maps.Clone(st.book.rules)
	for _, f := range st.book.files() {
		if order, ok := st.book.sets[f.Set]; !ok || order != f.Order {
			e.putSets = append(e.putSets, setRow{Name: f.Set, Order: f.Order})
		}
		for i := range f.Rules {
			if err := st.compareRule(e, f.Set, i+1, &f.Rules[i]); err != nil {
				return nil, err
			}
			delete(gone, f.Rules[i].Name)
		}
	}
	for _, row := range gone {
		e.deleteRules = append(e.deleteRules, row)
	}
	for set := range st.book.sets {
		if _, ok := st.book.wanted[set]; !ok {
			e.deleteSets = append(e.deleteSets, set)
		}
	}
	return e, nil
}

func (st *State) compareRule(e *ruleEdits, set string, position int, r *rules.Rule) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing rule %q: %w", r.Name, err)
	}
	row := ruleRow{
		Set: set, Position: position, Name: r.Name, Enabled: !r.Disabled, Body: string(body),
		UpdatedAt: st.now, UpdatedBy: st.meta.Actor,
	}
	stored, ok := st.book.rules[r.Name]
	if !ok {
		row.ID, row.CreatedAt = accounts.NewID("rule", st.now), st.now
		e.insert = append(e.insert, row)
		return nil
	}
	row.ID, row.CreatedAt = stored.ID, stored.CreatedAt
	same := stored.Body == row.Body && stored.Set == row.Set
	if same { // at most pushed along by its neighbours
		row.UpdatedAt, row.UpdatedBy = stored.UpdatedAt, stored.UpdatedBy
	}
	if !same || stored.Position != row.Position {
		e.update = append(e.update, row)
	}
	if stored.Set != row.Set {
		e.moved = append(e.moved, stored.Set)
	}
	return nil
}

// touched names the sets that are not what they were, sorted.
func (e *ruleEdits) touched() []string {
	names := slices.Concat(e.deleteSets, e.moved)
	for _, set := range e.putSets {
		names = append(names, set.Name)
	}
	for _, row := range slices.Concat(e.insert, e.update, e.deleteRules) {
		names = append(names, row.Set)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// writeRules keeps to the order that the constraints want: sets before their
// rules, rules gone before names are taken again, sets gone last.
func (st *State) writeRules(e *ruleEdits) error {
	for _, set := range e.putSets {
		_, err := st.on.run(st.ctx, `INSERT INTO rule_sets (name, ord, seq) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET ord = excluded.ord, seq = excluded.seq`, set.Name, set.Order, st.seq)
		if err != nil {
			return unavailable(err)
		}
	}
	for _, row := range e.deleteRules {
		if _, err := st.on.run(st.ctx, `DELETE FROM rules WHERE id = ?`, row.ID); err != nil {
			return unavailable(err)
		}
	}
	for _, row := range slices.Concat(e.update, e.insert) {
		if err := st.writeRule(row); err != nil {
			return err
		}
	}
	for _, set := range e.deleteSets {
		if _, err := st.on.run(st.ctx, `DELETE FROM rule_sets WHERE name = ?`, set); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

func (st *State) writeRule(r ruleRow) error {
	_, err := st.on.run(st.ctx, `INSERT INTO rules (`+ruleColumns+`, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET set_name = excluded.set_name, position = excluded.position,
			enabled = excluded.enabled, body = excluded.body,
			updated_at = excluded.updated_at, updated_by = excluded.updated_by, seq = excluded.seq`,
		r.ID, r.Set, r.Position, r.Name, r.Enabled, r.Body, r.CreatedAt, r.UpdatedAt, r.UpdatedBy, st.seq)
	if err != nil {
		return taken(err, "rule", r.Name)
	}
	return nil
}
