package store

import (
	"errors"
	"net/url"
	"path/filepath"
	"syscall"
	"testing"
)

func TestADiskThatIsFullIsToldAsTheSystemDoes(t *testing.T) {
	db, err := openSQLite(filepath.Join(t.TempDir(), "small.db"), 1, url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := session{on: db}
	for _, text := range []string{`CREATE TABLE t (x BLOB)`, `PRAGMA max_page_count = 3`} {
		if _, err := s.run(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.run(t.Context(), `INSERT INTO t VALUES (zeroblob(1000000))`)
	if got := full(err); !errors.Is(got, syscall.ENOSPC) || !errors.Is(got, err) {
		t.Errorf("it is %v", got)
	}
	_, err = s.run(t.Context(), `INSERT INTO none VALUES (1)`)
	if got := full(err); err == nil || !errors.Is(got, err) || errors.Is(got, syscall.ENOSPC) {
		t.Errorf("another error is %v", got)
	}
	if full(nil) != nil {
		t.Error("no error became one")
	}
}
