package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// Load reads everything that decides, at one revision.
func (s *Store) Load(ctx context.Context) (rules.Config, error) {
	var c rules.Config
	err := s.read(ctx, "loading configuration", func(ctx context.Context, on session) error {
		h, err := readHead(ctx, on)
		if err != nil {
			return err
		}
		c, err = readConfig(ctx, on, h.Revision)
		return err
	})
	return c, err
}

// readConfig must run in one read transaction with what told the revision.
func readConfig(ctx context.Context, on session, revision int64) (rules.Config, error) {
	b, err := readBook(ctx, on)
	if err != nil {
		return rules.Config{}, err
	}
	upstreams, err := readUpstreams(ctx, on, "")
	if err != nil {
		return rules.Config{}, err
	}
	bindings, err := readBindings(ctx, on, "")
	if err != nil {
		return rules.Config{}, err
	}
	return rules.Config{Revision: revision, Files: b.files(), Upstreams: upstreams, Bindings: bindings}, nil
}

// LastConfigChange is the change that made the configuration what it is.
// ErrNotFound in a store that never had one.
func (s *Store) LastConfigChange(ctx context.Context) (accounts.Change, error) {
	var e *entry
	err := s.read(ctx, "finding last configuration change", func(ctx context.Context, on session) (err error) {
		e, err = lastConfigEntry(ctx, on)
		return err
	})
	if err != nil {
		return accounts.Change{}, err
	}
	return e.change()
}

func lastConfigEntry(ctx context.Context, s session) (*entry, error) {
	var e entry
	err := s.one(ctx, &e, `SELECT `+entryColumns+` FROM changes
		WHERE config_revision = (SELECT config_revision FROM head) AND config_revision > 0
		ORDER BY seq LIMIT 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("there was none: %w", accounts.ErrNotFound)
	}
	return &e, unavailable(err)
}
