package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// Head is where the log stands.
type Head struct {
	Lineage  string `db:"lineage"`         // names this history; a new store has a new one
	Seq      int64  `db:"seq"`             // number of the newest change
	Revision int64  `db:"config_revision"` // of the configuration in force
	Hash     []byte `db:"hash"`            // of the newest entry, and so of all before it
}

// same says whether nothing was changed between two heads.
func (h *Head) same(other Head) bool {
	return h.Lineage == other.Lineage && h.Seq == other.Seq && h.Revision == other.Revision && bytes.Equal(h.Hash, other.Hash)
}

// entry is a row of the log.
type entry struct {
	Seq      int64     `db:"seq"`
	Revision int64     `db:"config_revision"`
	ID       string    `db:"id"`
	Kind     string    `db:"kind"`
	Subjects string    `db:"subjects"` // JSON
	Hash     []byte    `db:"hash"`
	Actor    string    `db:"actor"`
	From     string    `db:"from_addr"`
	Why      string    `db:"why"`
	At       time.Time `db:"at"`
}

const entryColumns = `seq, config_revision, id, kind, subjects, hash, actor, from_addr, why, at`

// origin is the hash before the first entry of a lineage.
func origin(lineage string) []byte {
	sum := sha256.Sum256([]byte("llmgw log\x00" + lineage))
	return sum[:]
}

// chained is the hash of e behind an entry with the hash before.
func (e *entry) chained(before []byte) ([]byte, error) {
	text, err := json.Marshal([]any{
		before, e.Seq, e.Revision, e.ID, e.Kind, e.Subjects, e.Actor, e.From, e.Why, e.At.UnixMicro(),
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

func (e *entry) change() (accounts.Change, error) {
	c := accounts.Change{
		Seq: e.Seq, Revision: e.Revision, ID: e.ID, Kind: e.Kind,
		Actor: e.Actor, From: e.From, Why: e.Why, At: moment(e.At),
	}
	if err := json.Unmarshal([]byte(e.Subjects), &c.Subjects); err != nil {
		return c, fmt.Errorf("reading subjects of change %d: %w", e.Seq, err)
	}
	return c, nil
}

func readHead(ctx context.Context, s session) (Head, error) {
	var h Head
	err := s.one(ctx, &h, `SELECT lineage, seq, config_revision, hash FROM head`)
	return h, unavailable(err)
}

// lockHead takes the next number, and with it the lock that orders changes:
// whoever comes next waits until this transaction has ended, so that the order
// of numbers is the order of commits. Given back by a rollback, a number is
// taken again.
func lockHead(ctx context.Context, s session) (Head, error) {
	var h Head
	err := s.one(ctx, &h, `UPDATE head SET seq = seq + 1 RETURNING lineage, seq - 1 AS seq, config_revision, hash`)
	return h, unavailable(err)
}

func appendEntry(ctx context.Context, s session, e *entry) error {
	_, err := s.run(ctx, `INSERT INTO changes (`+entryColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Seq, e.Revision, e.ID, e.Kind, e.Subjects, e.Hash, e.Actor, e.From, e.Why, e.At)
	if err != nil {
		return taken(err, "change", e.ID)
	}
	_, err = s.run(ctx, `UPDATE head SET config_revision = ?, hash = ?`, e.Revision, e.Hash)
	return unavailable(err)
}

// findEntry looks a change up by the id its maker gave it.
func findEntry(ctx context.Context, s session, id string) (*entry, error) {
	var e entry
	err := s.one(ctx, &e, `SELECT `+entryColumns+` FROM changes WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("change", id)
	}
	return &e, unavailable(err)
}

// mostBehind is how many changes are read at once. A node that is further
// behind is better off dropping everything.
const mostBehind = 10_000

func readEntries(ctx context.Context, s session, after int64) ([]entry, error) {
	var entries []entry
	err := s.all(ctx, &entries,
		`SELECT `+entryColumns+` FROM changes WHERE seq > ? ORDER BY seq LIMIT ?`, after, mostBehind)
	return entries, unavailable(err)
}

// continues says why entries do not lead from one head to the other, or
// nothing where they do.
func continues(from, to Head, entries []entry) string {
	switch {
	case from.Lineage != to.Lineage:
		return fmt.Sprintf("it is another store: its lineage is %s, was %s", to.Lineage, from.Lineage)
	case to.Seq < from.Seq:
		return fmt.Sprintf("it went back from change %d to %d", from.Seq, to.Seq)
	}
	seq, hash := from.Seq, from.Hash
	for i := range entries {
		e := &entries[i]
		if e.Seq != seq+1 {
			return fmt.Sprintf("its log misses change %d", seq+1)
		}
		next, err := e.chained(hash)
		if err != nil || !bytes.Equal(next, e.Hash) {
			return fmt.Sprintf("change %d does not continue the history this node knows", e.Seq)
		}
		seq, hash = e.Seq, e.Hash
	}
	switch {
	case seq != to.Seq && len(entries) == mostBehind:
		return fmt.Sprintf("this node is %d changes behind", to.Seq-from.Seq)
	case seq != to.Seq:
		return fmt.Sprintf("its log misses change %d", seq+1)
	case !bytes.Equal(hash, to.Hash):
		return fmt.Sprintf("its history up to change %d is not the one this node knows", to.Seq)
	}
	return ""
}
