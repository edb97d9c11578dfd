package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

// withRule is a gateway with one rule of an operator's.
func withRule(t *testing.T) (data string) {
	t.Helper()
	data = shortDir(t)
	serveAt(t, data, "--no-detect")
	file := filepath.Join(data, "rules.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nrules:\n  - {name: r, match: {model: [m]}, action: {upstream: mock}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, shown := types(t, "", "rules", "apply", "-f", file, "--yes", "--data", data, "--color", "never"); code != exitDone {
		t.Fatalf("apply ended with %d: %s", code, shown)
	}
	return data
}

func TestARollbackShowsItsPlanAndAsks(t *testing.T) {
	data := withRule(t)
	for _, c := range []struct {
		name, typed string
		args        []string
		code        int
		shows       []string
	}{
		{"no rolls nothing back", "n\n", []string{"1"}, exitFailed,
			[]string{"- r\n", "Roll back to revision 1, 1 change? [y/N] ", "error: cancelled, nothing was changed"}},
		{"nobody to ask", "y\n", []string{"1", "--no-input"}, exitUsage, []string{"needs --yes"}},
		{"nothing to do asks nothing", "", []string{"2"}, exitDone, []string{"nothing to do, revision 2"}},
		{"yes does it", "y\n", []string{"1"}, exitDone, []string{"applied revision 3 in "}},
		{"JSON is not mixed with the question", "y\n", []string{"2", "--jq", ".revision"}, exitDone, []string{"4\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"rules", "rollback"}, c.args...)
			code, shown := types(t, c.typed, append(args, "--data", data, "--color", "never")...)
			if code != c.code {
				t.Errorf("it ended with %d, want %d", code, c.code)
			}
			for _, want := range c.shows {
				if !strings.Contains(shown, want) {
					t.Errorf("it does not show %q:\n%s", want, shown)
				}
			}
		})
	}
}

// TestASignalWhileEditingLosesNothing: the editor has written when the signal
// comes, and is told of it.
func TestASignalWhileEditingLosesNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the editor here is a shell script")
	}
	data, dir := withRule(t), t.TempDir()
	editor, ready := filepath.Join(dir, "editor"), filepath.Join(dir, "ready")
	script := `trap 'exit 7' INT
sed 's/upstream: mock/upstream: typed/' "$1" > "$1.new" && mv "$1.new" "$1"
: > ` + ready + `
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0.1; done
`
	if err := os.WriteFile(editor, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VISUAL", "sh "+editor)
	t.Setenv("TMPDIR", dir)

	tty := &terminal{signals: make(chan os.Signal, 1)}
	exit := make(chan int, 1)
	go func() {
		exit <- run(context.Background(), shell{
			args: []string{"rules", "edit", "r", "--data", data, "--color", "never"},
			in:   strings.NewReader(""), out: tty, err: tty, signals: tty.signals,
		})
	}()
	until(t, "the editor to have written", func() bool {
		_, err := os.Stat(ready)
		return err == nil
	})
	tty.signals <- os.Interrupt
	if code := <-exit; code != exitInterrupted {
		t.Errorf("it ended with %d, want %d", code, exitInterrupted)
	}
	named := regexp.MustCompile(`what you typed is kept in (\S+)`).FindStringSubmatch(tty.String())
	if named == nil {
		t.Fatalf("it does not name the file:\n%s", tty)
	}
	text, err := os.ReadFile(named[1])
	if err != nil || !strings.Contains(string(text), "upstream: typed") {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

func TestAnItemOfAListStandsByItself(t *testing.T) {
	for item, want := range map[string]string{
		"- name: a\n  match: {}\n":                          "name: a\nmatch: {}\n",
		"- name: a\n  description: |\n    one\n\n    two\n": "name: a\ndescription: |\n  one\n\n  two\n",
		"- {name: a}\n":                                     "{name: a}\n",
		"":                                                  "",
	} {
		if got := unlisted(item); got != want {
			t.Errorf("%q became %q, want %q", item, got, want)
		}
	}
}

func TestAFailureOnTopOfAFileCountsItsLinesThere(t *testing.T) {
	f := invalidFiles([]problem{
		{Problem: api.Problem{File: "f", Line: 2, Column: 1, Field: "match", Message: "first", Hint: "do this"}, excerpt: "x\nx"},
		{Problem: api.Problem{Message: "second"}},
	})
	want := `# error: f:8:1: first
#     8 | match: x
#       | ^^^^^
# hint: do this
# error: second
# correct it and save; left as it is, nothing is changed and the file is kept
`
	if got := f.asComment("name: a\nmatch: x\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if rest := withoutHeading(want + "name: a\n# mine\n"); rest != "name: a\n# mine\n" {
		t.Errorf("without its heading it is %q", rest)
	}
}
