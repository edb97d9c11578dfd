package store

import (
	"context"
	"maps"
	"slices"
	"time"
)

// When something was last used is no change of it: it is noted beside the log,
// in batches, and to the minute.

// NoteKeyUse notes when keys were last used, by their ids. Keys that are not
// there any more are passed over, and times before the one that is known.
func (s *Store) NoteKeyUse(ctx context.Context, uses map[string]time.Time) error {
	return s.noteUses(ctx, "noting uses of keys", uses, func(ctx context.Context, on session, id string, at time.Time) error {
		_, err := on.run(ctx, `INSERT INTO key_uses (key_id, at) SELECT id, ? FROM keys WHERE id = ?
			ON CONFLICT (key_id) DO UPDATE SET at = excluded.at WHERE excluded.at > key_uses.at`, at, id)
		return err
	})
}

// NoteSessionUse is NoteKeyUse for sessions.
func (s *Store) NoteSessionUse(ctx context.Context, uses map[string]time.Time) error {
	return s.noteUses(ctx, "noting uses of sessions", uses, func(ctx context.Context, on session, id string, at time.Time) error {
		_, err := on.run(ctx, `UPDATE sessions SET used_at = ? WHERE id = ? AND (used_at IS NULL OR used_at < ?)`, at, id, at)
		return err
	})
}

func (s *Store) noteUses(ctx context.Context, doing string, uses map[string]time.Time,
	note func(ctx context.Context, on session, id string, at time.Time) error,
) error {
	if len(uses) == 0 {
		return nil
	}
	// In one order on every node: two that noted the same keys in different ones
	// would wait for each other. They do not hold up changes.
	ids := slices.Sorted(maps.Keys(uses))
	return s.beside(ctx, doing, func(ctx context.Context, on session, _ string) error {
		for _, id := range ids {
			if err := note(ctx, on, id, moment(uses[id]).Truncate(time.Minute)); err != nil {
				return unavailable(err)
			}
		}
		return nil
	})
}

// NoteLogin notes that a user logged in. A user who is not there is passed over.
func (s *Store) NoteLogin(ctx context.Context, userID string, at time.Time) error {
	return s.beside(ctx, "noting login", func(ctx context.Context, on session, _ string) error {
		_, err := on.run(ctx, `INSERT INTO user_logins (user_id, at) SELECT id, ? FROM users WHERE id = ?
			ON CONFLICT (user_id) DO UPDATE SET at = excluded.at WHERE excluded.at > user_logins.at`, moment(at), userID)
		return unavailable(err)
	})
}
