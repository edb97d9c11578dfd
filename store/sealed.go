package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/llmgw/llmgw/accounts"
)

// SealedError says that this store was sealed with another secret key, and how
// many credentials cannot be read because of that. It wraps the
// *accounts.WrongKeyError.
type SealedError struct {
	Credentials int
	Cause       error
}

func (e *SealedError) Error() string {
	return fmt.Sprintf("%v; credentials that cannot be read: %d", e.Cause, e.Credentials)
}

func (e *SealedError) Unwrap() error { return e.Cause }

// opensAll refuses a key that does not open all that is sealed: a gateway with
// half of its credentials is worse than none that starts. found is what opening
// the checksum secret said; every other error of it stays.
func opensAll(ctx context.Context, s session, key accounts.Sealer, found error) error {
	var wrong *accounts.WrongKeyError
	if found != nil && !errors.As(found, &wrong) {
		return found
	}
	var rows []struct {
		Mark       []byte `db:"mark"` // of a sealed value, which names the key
		Credential bool   `db:"credential"`
		N          int    `db:"n"`
	}
	err := s.all(ctx, &rows, `SELECT substr(sealed, 1, 5) AS mark, TRUE AS credential, count(*) AS n
			FROM credentials WHERE sealed IS NOT NULL GROUP BY substr(sealed, 1, 5)
		UNION ALL SELECT substr(value, 1, 5), FALSE, count(*) FROM sealed GROUP BY substr(value, 1, 5)`)
	if err != nil {
		return unavailable(err)
	}
	refused := &SealedError{Cause: found}
	for _, r := range rows {
		_, err := key.Open("", append(r.Mark, make([]byte, longerThanAnEmptySeal)...))
		if !errors.As(err, &wrong) {
			continue
		}
		if refused.Cause == nil {
			refused.Cause = fmt.Errorf("opening what is sealed: %w", err)
		}
		if r.Credential {
			refused.Credentials += r.N
		}
	}
	if refused.Cause == nil {
		return nil
	}
	return refused
}

// longerThanAnEmptySeal makes of a mark what could be a sealed value, to be asked
// about.
const longerThanAnEmptySeal = 64
