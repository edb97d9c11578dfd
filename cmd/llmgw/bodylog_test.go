package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheBodyLogBeginsANewFileWhenItIsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bodies.jsonl")
	b, err := openBodyFile(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"1234\n", "5678\n", "90\n", "a line over the bound\n", "z\n"} {
		if n, err := b.Write([]byte(line)); err != nil || n != len(line) {
			t.Fatal(n, err)
		}
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "z\n", path + ".1": "a line over the bound\n"} {
		got, err := os.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", filepath.Base(name), got, err)
		}
		if stat, err := os.Stat(name); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, stat.Mode(), err)
		}
	}
}

func TestTheBodyLogIsAddedToAndItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bodies.jsonl")
	if err := os.WriteFile(path, []byte("old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := openBodyFile(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte("new\n")); err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "old\nnew\n" {
		t.Errorf("%q, %v", got, err)
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", stat.Mode(), err)
	}
}

func TestABodyLogThatCannotBeRenamedStaysBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bodies.jsonl")
	b, err := openBodyFile(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path+".1", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for range 5 {
		if _, err := b.Write([]byte("123456\n")); err != nil {
			failures++
		}
	}
	if stat, err := os.Stat(path); err != nil || stat.Size() != 7 || failures != 4 {
		t.Errorf("%d bytes, %d failures, %v", stat.Size(), failures, err)
	}
	if err := os.RemoveAll(path + ".1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte("again\n")); err != nil {
		t.Errorf("it does not go on: %v", err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoFileIsNoBodyLog(t *testing.T) {
	for _, path := range []string{t.TempDir(), "/dev/null", filepath.Join(t.TempDir(), "no", "such", "folder")} {
		if b, err := openBodyFile(path, 10); err == nil {
			t.Errorf("%s was taken", path)
			_ = b.close()
		}
	}
	for text, ok := range map[string]bool{"off": true, "a/b.jsonl": true, "": false, "a/": false} {
		if err := bodyLogPath(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
