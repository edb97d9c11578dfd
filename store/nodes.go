package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// forgetAfter is the silence after which a node's row is swept, where nothing
// proves earlier that the node answers nobody. A node that was cut off for so
// long, and never refuses requests, is not waited for any more.
const forgetAfter = 24 * time.Hour

// forgetFenced is how long the row of a node stays that refuses requests by
// itself, so that people can see what became of it. That it does is inferred from
// its silence: a node that could look at the log would have given a sign, too,
// unless for all that time it could read there and not write.
const forgetFenced = 10 * time.Minute

// nodeRow is the table of nodes.
type nodeRow struct {
	ID           string    `db:"id"`
	Name         string    `db:"name"`
	Version      string    `db:"version"`
	Language     int       `db:"language"`
	Bus          string    `db:"bus"`
	Lineage      string    `db:"lineage"`
	Applied      int64     `db:"applied"`
	Hash         []byte    `db:"log_hash"` // up to Applied; nil: nothing is in force yet
	Revision     int64     `db:"revision"`
	MaxStaleness int64     `db:"max_staleness"` // milliseconds
	Problem      string    `db:"problem"`
	Beat         int64     `db:"beat"`
	StartedAt    time.Time `db:"started_at"`
	SeenAt       time.Time `db:"seen_at"`

	Entry []byte `db:"entry"` // what the log that is stored has at Applied; not of the table
}

const nodeColumns = `id, name, version, language, bus, lineage, applied, log_hash, revision, max_staleness, problem, beat, started_at, seen_at`

func (r *nodeRow) node() accounts.Node {
	return accounts.Node{
		ID: r.ID, Name: r.Name, Version: r.Version, Language: r.Language, Bus: r.Bus,
		Lineage: r.Lineage, Applied: r.Applied, Revision: r.Revision,
		MaxStaleness: time.Duration(r.MaxStaleness) * time.Millisecond, Problem: r.Problem,
		StartedAt: moment(r.StartedAt), SeenAt: moment(r.SeenAt),
	}
}

// putNode writes a node's row, also where somebody swept it.
func putNode(ctx context.Context, on session, r *nodeRow) error {
	_, err := on.run(ctx, `INSERT INTO nodes (`+nodeColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET bus = excluded.bus, lineage = excluded.lineage, applied = excluded.applied,
			log_hash = excluded.log_hash, revision = excluded.revision, problem = excluded.problem, beat = excluded.beat, seen_at = excluded.seen_at`,
		r.ID, r.Name, r.Version, r.Language, r.Bus, r.Lineage, r.Applied, r.Hash, r.Revision, r.MaxStaleness, r.Problem,
		r.Beat, r.StartedAt, r.SeenAt)
	if err != nil {
		return fmt.Errorf("writing node: %w", unavailable(err))
	}
	return nil
}

func readNodes(ctx context.Context, on session) ([]nodeRow, error) {
	var rows []nodeRow
	err := on.all(ctx, &rows, `SELECT n.id, n.name, n.version, n.language, n.bus, n.lineage, n.applied, n.log_hash, n.revision,
			n.max_staleness, n.problem, n.beat, n.started_at, n.seen_at, c.hash AS entry
		FROM nodes n LEFT JOIN changes c ON c.seq = n.applied`)
	if err != nil {
		return nil, fmt.Errorf("reading nodes: %w", unavailable(err))
	}
	return rows, nil
}

// Nodes gives the gateways that run on this store, by name, and this one among
// them where it is one. A gateway that was killed stays until it has been silent
// for a day, or where it refuses requests by itself, for ten minutes more than
// that takes.
func (s *Store) Nodes(ctx context.Context) ([]accounts.Node, error) {
	var head Head
	var rows []nodeRow
	self := s.nodeRow() // of which more is known than the stored row says
	err := s.read(ctx, "listing nodes", func(ctx context.Context, on session) (err error) {
		if self.Entry, err = entryHash(ctx, on, self.Applied); err != nil {
			return err
		}
		if head, err = readHead(ctx, on); err != nil {
			return err
		}
		rows, err = readNodes(ctx, on)
		return err
	})
	if err != nil {
		return nil, err
	}
	nodes := make([]accounts.Node, 0, len(rows)+1)
	for i := range rows {
		if rows[i].ID != s.presence.id {
			nodes = append(nodes, s.viewNode(&rows[i], &head))
		}
	}
	if s.presence.id != "" {
		nodes = append(nodes, s.viewNode(&self, &head))
	}
	slices.SortFunc(nodes, func(a, b accounts.Node) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return nodes, nil
}

// entryHash is what the log has at a change; nil where it has none.
func entryHash(ctx context.Context, on session, seq int64) ([]byte, error) {
	var hash []byte
	err := on.one(ctx, &hash, `SELECT hash FROM changes WHERE seq = ?`, seq)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return hash, unavailable(err)
}

// viewNode shows a node as this one sees it, and how far it is behind a head.
func (s *Store) viewNode(r *nodeRow, head *Head) accounts.Node {
	n := r.node()
	n.Self, n.Behind = n.ID == s.presence.id, head.Seq-n.Applied
	if !r.follows(head) {
		n.Behind = -1
	}
	if !n.Self {
		n.Silence = s.presence.silence(r, now())
	}
	return n
}

// follows says whether what is in force on a node is of the log that is stored.
// The numbers alone do not tell: after a failover that lost changes they are
// given once more.
func (r *nodeRow) follows(head *Head) bool {
	entry := r.Entry
	if r.Applied == 0 {
		entry = origin(head.Lineage)
	}
	return r.Lineage == head.Lineage && len(r.Hash) > 0 && bytes.Equal(r.Hash, entry)
}

// sweepNodes takes away rows that have not moved for long. One that moves at
// this very moment stays.
func (s *Store) sweepNodes(ctx context.Context, on session, rows []nodeRow) error {
	at := now()
	for i := range rows {
		r := &rows[i]
		if s.presence.silence(r, at) <= keepsFor(r) {
			continue
		}
		s.log.Warn().Str("node", r.Name).Str("node_id", r.ID).Msg("a node has given no sign for long; it is taken for gone")
		if _, err := on.run(ctx, `DELETE FROM nodes WHERE id = ? AND beat = ?`, r.ID, r.Beat); err != nil {
			return fmt.Errorf("sweeping nodes: %w", unavailable(err))
		}
	}
	return nil
}

func keepsFor(r *nodeRow) time.Duration {
	n := r.node()
	if fenced := n.FencedAfter(); fenced > 0 {
		return fenced + forgetFenced
	}
	return forgetAfter
}

// forget takes a node's row away, where there is one.
func (s *Store) forget(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, beatWithin)
	defer cancel()
	_, err := session{on: s.pools.Load().writer}.run(ctx, `DELETE FROM nodes WHERE id = ?`, id)
	return unavailable(err)
}

// readByAll refuses rules that a node which runs could not read. One that
// certainly refuses requests by now will load them anew with the program it is
// started with.
func (st *State) readByAll(edits *ruleEdits) error {
	if len(edits.touched()) == 0 {
		return nil
	}
	rows, err := readNodes(st.ctx, st.on)
	if err != nil {
		return err
	}
	files, err := st.Files()
	if err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		if r.Language >= rules.Language || st.fenced(r) {
			continue
		}
		problems, err := rules.NewerThan(r.Language, fmt.Sprintf("node %q, which runs llmgw %s,", r.Name, r.Version), files)
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return problems
		}
	}
	return nil
}
