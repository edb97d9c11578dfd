package main

import (
	"database/sql"
	"path/filepath"
	"regexp"
	"testing"
)

func TestAStoreOfANewerProgramIsLeftAlone(t *testing.T) {
	data := shortDir(t)
	serveAt(t, data, "--no-detect").end(t)
	db, err := sql.Open("sqlite", filepath.Join(data, "llmgw.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	code, shown := types(t, "", "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--color", "never")
	want := regexp.MustCompile(`^error: the store has schema 99, this llmgw ` + regexp.QuoteMeta(version) + ` knows \d+\. Use a newer llmgw, or restore a backup\n$`)
	if code != exitInvalid || !want.MatchString(shown) {
		t.Errorf("serve ended with %d: %s", code, shown)
	}
}
