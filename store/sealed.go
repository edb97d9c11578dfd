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

// countSealed adds to a wrong key what it costs. Every other error stays.
func countSealed(ctx context.Context, s session, err error) error {
	var wrong *accounts.WrongKeyError
	if !errors.As(err, &wrong) {
		return err
	}
	sealed := &SealedError{Cause: err}
	if err := s.one(ctx, &sealed.Credentials, `SELECT count(*) FROM credentials WHERE sealed IS NOT NULL`); err != nil {
		return unavailable(err)
	}
	return sealed
}
