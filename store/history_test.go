package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

func putSet(t *testing.T, s *store.Store, kind string, f rules.File) accounts.Change {
	t.Helper()
	c, err := s.Change(t.Context(), accounts.Meta{Kind: kind, Actor: "me"}, func(st *store.State) error { return st.PutFile(f) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func number(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheRulesOfOldRevisionsGoAndTheRevisionsStay(t *testing.T) {
	const keep = 3
	path := newPath(t)
	o := options(t, path)
	o.KeepRevisions = keep
	s := openWith(t, o)
	for i := range 10 {
		putSet(t, s, "rule.apply", answering("default", fmt.Sprintf("rule-%d", i)))
	}
	past, err := s.History(t.Context(), 0)
	if err != nil || len(past) != 10 {
		t.Fatalf("history has %d revisions, %v", len(past), err)
	}
	for _, revision := range past {
		files, err := s.RulesAt(t.Context(), revision.Number)
		switch kept := revision.Number > 10-keep; {
		case kept != revision.Kept || len(revision.Changes) == 0:
			t.Errorf("revision is %+v", revision)
		case !kept && !errors.Is(err, accounts.ErrNotFound):
			t.Errorf("rules at %d: %v, %v", revision.Number, files, err)
		case kept && (err != nil || files[0].Rules[0].Name != fmt.Sprintf("rule-%d", revision.Number-1)):
			t.Errorf("rules at %d: %v, %v", revision.Number, files, err)
		}
	}
	if n := number(t, raw(t, path), `SELECT count(*) FROM rule_texts`); n != keep {
		t.Errorf("%d texts are kept", n)
	}
}

func TestEqualRulesAreStoredOnce(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	putSet(t, s, "rule.apply", answering("default", "a"))
	for i := range 5 {
		if _, err := s.Change(t.Context(), accounts.Meta{Kind: "upstream.create"}, func(st *store.State) error {
			return st.PutUpstream(accounts.Upstream{
				ID: fmt.Sprint("up_", i), Name: fmt.Sprint("u", i), Provider: accounts.ProviderOpenAI, URL: "https://u.example/v1",
			})
		}); err != nil {
			t.Fatal(err)
		}
	}
	putSet(t, s, "rule.apply", answering("default", "b"))
	putSet(t, s, "rule.rollback", answering("default", "a"))
	db := raw(t, path)
	if n := number(t, db, `SELECT count(*) FROM rule_texts`); n != 2 {
		t.Errorf("%d texts for 2 different sets of rules", n)
	}
	if n := number(t, db, `SELECT count(*) FROM history`); n != 8 {
		t.Errorf("%d revisions", n)
	}
}

// TestAStoreFromBeforeTheHistory takes the history off again, as a store has it
// that an older llmgw left.
func TestAStoreFromBeforeTheHistory(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	putSet(t, s, "rule.apply", answering("default", "a"))
	before := putSet(t, s, "rule.edit", answering("default", "a", "b"))
	putKey(t, s, "key", "s1")
	want, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	undoAccounts(t, db)
	for _, text := range []string{
		`DROP TABLE history`, `DROP TABLE rule_texts`, `DELETE FROM goose_db_version WHERE version_id = 2`,
	} {
		execute(t, db, text)
	}

	s = open(t, path)
	past, err := s.History(t.Context(), 0)
	if err != nil || len(past) != 1 {
		t.Fatalf("history is %+v, %v; want the revision in force", past, err)
	}
	if r := past[0]; r.Number != 2 || r.Kind != "rule.edit" || r.Actor != "me" || !r.At.Equal(before.At) || r.Changes != nil || !r.Kept {
		t.Errorf("revision is %+v", r)
	}
	if _, err := s.Revision(t.Context(), 1); !errors.Is(err, accounts.ErrNotFound) {
		t.Errorf("the one before: %v", err)
	}
	putSet(t, s, "rule.apply", answering("default", "c"))
	if files, err := s.RulesAt(t.Context(), 2); err != nil || len(files) != 1 || len(files[0].Rules) != 2 || !files[0].Rules[1].Equal(want.Files[0].Rules[1]) {
		t.Errorf("the way back is %+v, %v", files, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if past, err := open(t, path).History(t.Context(), 0); err != nil || len(past) != 2 {
		t.Errorf("opened again: %+v, %v", past, err)
	}
}

// undoAccounts takes a database back to the tables of schema 2.
func undoAccounts(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, text := range []string{
		`DROP TABLE nodes`, `DELETE FROM goose_db_version WHERE version_id = 4`,
		`DROP TRIGGER changes_is_not_updated`, `DROP TRIGGER changes_is_not_deleted`,
		`DROP TABLE audit`, `DROP TABLE spent_refreshes`, `DROP TABLE sessions`, `DROP TABLE bindings`, `DROP TABLE key_uses`,
		`DROP TABLE user_logins`, `DROP INDEX keys_by_user`,
		`ALTER TABLE keys DROP COLUMN user_id`, `ALTER TABLE keys DROP COLUMN models`, `ALTER TABLE keys DROP COLUMN limits`,
		`ALTER TABLE keys DROP COLUMN disabled`, `ALTER TABLE keys DROP COLUMN keep_streams`, `DROP TABLE users`,
		`DELETE FROM goose_db_version WHERE version_id = 3`,
	} {
		execute(t, db, text)
	}
}

// TestAStoreFromBeforeAccounts has keys that were made when keys had no owner.
func TestAStoreFromBeforeAccounts(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	putKey(t, s, "old", "s1")
	putSet(t, s, "rule.apply", answering("default", "a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	undoAccounts(t, raw(t, path))

	s = open(t, path)
	k, err := s.Key(t.Context(), "old")
	if err != nil || k.UserID != "" || k.Disabled || k.KeepStreams || k.Models != nil || k.Limits != nil || k.Seq != 1 {
		t.Errorf("the key is %+v, %v", k, err)
	}
	if who, err := s.Identify(t.Context(), accounts.HashKey("s1")); err != nil || who.State(time.Now()) != accounts.KeyActive {
		t.Errorf("its caller is %+v, %v", who, err)
	}
	if past, err := s.Audit(t.Context(), store.AuditQuery{}); err != nil || len(past) != 0 {
		t.Errorf("the audit begins with %+v, %v", past, err)
	}
}

// TestAHistoryThatCannotBeBegunHoldsNothingUp breaks a rule in a way that no
// release wrote: what cannot be read for the history is told, not fatal.
func TestAHistoryThatCannotBeBegunHoldsNothingUp(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	putSet(t, s, "rule.apply", answering("default", "a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	execute(t, db, `DELETE FROM history`)
	execute(t, db, `UPDATE rules SET body = '{"name":"a","unheard":1}'`)
	s = open(t, path)
	if past, err := s.History(t.Context(), 0); err != nil || len(past) != 0 {
		t.Errorf("history is %+v, %v", past, err)
	}
	putKey(t, s, "key", "s1")
}
