package store

import (
	"context"
	"database/sql"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/llmgw/llmgw/accounts"
)

// session runs the texts of this package, on a pool or in a transaction. Texts
// have question marks as placeholders, whatever the database wants, and must
// not have one anywhere else. Every ctx that comes here has a deadline.
type session struct {
	on interface {
		sqlx.ExtContext
		Rebind(text string) string
	}
}

// one reads one row into dest, a struct or a scalar; sql.ErrNoRows where there
// is none.
func (s session) one(ctx context.Context, dest any, text string, args ...any) error {
	if err := checkTexts(args); err != nil {
		return err
	}
	return sqlx.GetContext(ctx, s.on, dest, s.on.Rebind(text), args...)
}

// all reads all rows into dest, a pointer to a slice.
func (s session) all(ctx context.Context, dest any, text string, args ...any) error {
	if err := checkTexts(args); err != nil {
		return err
	}
	return sqlx.SelectContext(ctx, s.on, dest, s.on.Rebind(text), args...)
}

// run writes, and tells how many rows it touched.
func (s session) run(ctx context.Context, text string, args ...any) (int64, error) {
	if err := checkTexts(args); err != nil {
		return 0, err
	}
	result, err := s.on.ExecContext(ctx, s.on.Rebind(text), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// checkTexts refuses what PostgreSQL has no room for in a text. SQLite has, and
// would pass on what cannot be moved to another database.
func checkTexts(args []any) error {
	for _, arg := range args {
		text, ok := arg.(string)
		if maybe, is := arg.(sql.NullString); is {
			text, ok = maybe.String, true
		}
		if ok && (strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text)) {
			return accounts.ErrText
		}
	}
	return nil
}

// moment is a time as every database keeps it: in UTC, to the microsecond,
// which is the finest that PostgreSQL has.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// maybe is a moment, or NULL for the zero time.
func maybe(t time.Time) sql.NullTime { return sql.NullTime{Time: moment(t), Valid: !t.IsZero()} }

// orZero is the way back from maybe.
func orZero(t sql.NullTime) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return moment(t.Time)
}

// someText is a text, or NULL for the empty one.
func someText(text string) sql.NullString { return sql.NullString{String: text, Valid: text != ""} }
