package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// Every change writes down what it did to each object, in its own transaction:
// how the object was and how it became. The rows are never changed and never
// deleted; the database itself refuses both. Changes from before there was an
// audit have none.

// auditEdit is what a change does to one object.
type auditEdit struct {
	subject, name string
	before, after any // as they stand in the audit; nil where there is none
}

// note keeps for the audit that an object was before and is after, nil where it
// was not there or is there no more. What happens to one object more than once
// within a change is one edit.
func (st *State) note(subject, name string, before, after any) {
	e := auditEdit{subject: subject, name: name, before: before, after: after}
	at := slices.IndexFunc(st.noted, func(other auditEdit) bool { return other.subject == subject })
	if at < 0 {
		st.noted = append(st.noted, e)
		return
	}
	e.before = st.noted[at].before
	st.noted[at] = e
}

// unless is v, or nil where there was nothing.
func unless(nothing bool, v any) any {
	if nothing {
		return nil
	}
	return v
}

func (st *State) writeAudit() error {
	n := 0
	for _, e := range st.noted {
		if e.before == nil && e.after == nil {
			continue // it came and went within the change
		}
		leaveOutEqual(e.before, e.after)
		before, err1 := auditText(e.before)
		after, err2 := auditText(e.after)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("describing %s: %w", e.subject, err)
		}
		n++
		_, err := st.on.run(st.ctx, `INSERT INTO audit (seq, n, subject, name, before_change, after_change)
			VALUES (?, ?, ?, ?, ?, ?)`, st.seq, n, e.subject, e.name, before, after)
		if err != nil {
			return unavailable(err)
		}
	}
	return nil
}

func auditText(v any) (sql.NullString, error) {
	if v == nil {
		return sql.NullString{}, nil
	}
	text, err := json.Marshal(v)
	return someText(string(text)), err
}

// AuditQuery says which part of the audit is wanted. The zero value is all of
// it. Words are compared whole, but for an Action that ends in *.
type AuditQuery struct {
	Actor, Action, Subject, Name string

	Since, Until time.Time // from Since on, before Until; zero: no bound
	Before       int64     // changes with a lower seq than this; 0: from the newest on
	Limit        int       // rows; 0: all
}

// auditRow is a row of the audit with its change.
type auditRow struct {
	entry

	N           int64          `db:"n"`
	Subject     string         `db:"subject"`
	Name        string         `db:"name"`
	BeforeEntry sql.NullString `db:"before_change"`
	AfterEntry  sql.NullString `db:"after_change"`
}

// Audit gives what was changed, the newest change first, and within a change in
// the order of its making. A change is not cut in two: where Limit falls within
// one, all of its rows come, so that the seq of the last row is the Before of the
// next page.
func (s *Store) Audit(ctx context.Context, q AuditQuery) ([]accounts.Audit, error) {
	var rows []auditRow
	err := s.read(ctx, "reading audit", func(ctx context.Context, on session) error {
		where, args := q.where()
		limit := q.Limit
		if limit <= 0 {
			limit = math.MaxInt
		}
		const columns = `c.seq, c.config_revision, c.id, c.kind, c.subjects, c.hash, c.actor, c.from_addr, c.why, c.at,
			a.n, a.subject, a.name, a.before_change, a.after_change`
		text := `SELECT ` + columns + ` FROM audit a JOIN changes c ON c.seq = a.seq` + where
		if err := on.all(ctx, &rows, text+` ORDER BY a.seq DESC, a.n LIMIT ?`, append(slices.Clone(args), limit)...); err != nil {
			return unavailable(err)
		}
		if len(rows) < limit {
			return nil
		}
		last := &rows[len(rows)-1]
		var rest []auditRow
		err := on.all(ctx, &rest, text+` AND a.seq = ? AND a.n > ? ORDER BY a.n`, append(args, last.Seq, last.N)...)
		rows = append(rows, rest...)
		return unavailable(err)
	})
	if err != nil {
		return nil, err
	}
	return auditOf(rows)
}

func auditOf(rows []auditRow) ([]accounts.Audit, error) {
	audit := make([]accounts.Audit, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		c, err := r.change()
		if err != nil {
			return nil, err
		}
		a := accounts.Audit{Change: c, Subject: r.Subject, Name: r.Name}
		if r.BeforeEntry.Valid {
			a.Before = []byte(r.BeforeEntry.String)
		}
		if r.AfterEntry.Valid {
			a.After = []byte(r.AfterEntry.String)
		}
		audit = append(audit, a)
	}
	return audit, nil
}

// where is the condition that the query stands for. It always has one, so that
// more can be added.
func (q *AuditQuery) where() (text string, args []any) {
	conditions := []string{`c.seq > 0`}
	and := func(wanted bool, condition string, values ...any) {
		if wanted {
			conditions, args = append(conditions, condition), append(args, values...)
		}
	}
	and(q.Actor != "", `c.actor = ?`, q.Actor)
	if prefix, open := strings.CutSuffix(q.Action, "*"); open {
		and(true, `substr(c.kind, 1, ?) = ?`, len([]rune(prefix)), prefix)
	} else {
		and(q.Action != "", `c.kind = ?`, q.Action)
	}
	and(q.Subject != "", `a.subject = ?`, q.Subject)
	and(q.Name != "", `a.name = ?`, q.Name)
	and(!q.Since.IsZero(), `c.at >= ?`, moment(q.Since))
	and(!q.Until.IsZero(), `c.at < ?`, moment(q.Until))
	and(q.Before > 0, `a.seq < ?`, q.Before)
	return ` WHERE ` + strings.Join(conditions, ` AND `), args
}
