package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// endLogins takes the logins and admin links out of a copy that is about to be
// the store: those that ended since the backup was made would begin again, for
// whoever they were taken away from. Everybody logs in anew. Personal access
// tokens stay, as keys do: the programs that have them cannot.
func endLogins(ctx context.Context, path string) error {
	db, err := openSQLite(path, 1, url.Values{"mode": {"rw"}, "_foreign_keys": {"on"}})
	if err != nil {
		return err
	}
	if err := errors.Join(deleteLogins(ctx, session{on: db}), db.Close()); err != nil {
		return fmt.Errorf("ending logins: %w", err)
	}
	return syncFile(path)
}

// deleteLogins finds no sessions in a store of an older llmgw. Only the name of a
// login is empty, and only that of a link has a space.
func deleteLogins(ctx context.Context, on session) error {
	var there int
	err := on.one(ctx, &there, `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'sessions'`)
	if err != nil || there == 0 {
		return err
	}
	_, err = on.run(ctx, `DELETE FROM sessions WHERE name = '' OR name LIKE '% %'`)
	return err
}
