package rules_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

const recipesFolder = "../testdata/rules"

// recipes lists the rules files that operators are shown.
func recipes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recipesFolder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if !strings.HasSuffix(file, ".test.yaml") {
			found = append(found, file)
		}
	}
	if len(found) < 10 {
		t.Fatalf("there are %d recipes in %s: %v", len(found), recipesFolder, found)
	}
	return found
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEveryRecipeDoesWhatItsTestsSay(t *testing.T) {
	for _, name := range recipes(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			source := readFile(t, name)
			files, problems := rules.Decode(name, source)
			if problems = append(problems, rules.Check(files)...); len(problems) > 0 {
				t.Fatalf("problems: %v", problems)
			}
			testName := strings.TrimSuffix(name, ".yaml") + ".test.yaml"
			tests, problems := rules.DecodeTests(testName, readFile(t, testName))
			if len(problems) > 0 {
				t.Fatalf("problems of the tests: %v", problems)
			}
			if len(tests) < 2 {
				t.Errorf("there are %d tests", len(tests))
			}
			report, problems := rules.RunTests(files, tests)
			if len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
			for _, r := range report.Results {
				if !r.Passed() {
					t.Errorf("%s:%d: %s\n%s", r.File, r.Line, r.Name, strings.Join(append(r.Diff, r.Reasons...), "\n"))
				}
			}
			if len(report.Unreached) > 0 {
				t.Errorf("no test reaches %v", report.Unreached)
			}
		})
	}
}

func TestEveryRecipeIsWrittenAsFormatWritesIt(t *testing.T) {
	for _, name := range recipes(t) {
		source := readFile(t, name)
		formatted, problems := rules.Format(name, source)
		if len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		} else if diff := cmp.Diff(string(source), string(formatted)); diff != "" {
			t.Errorf("%s (-written +formatted):\n%s", name, diff)
		}
	}
}

// An operator may apply the whole folder.
func TestRecipesStandBesideEachOther(t *testing.T) {
	var files []rules.File
	for _, name := range recipes(t) {
		decoded, problems := rules.Decode(name, readFile(t, name))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		files = append(files, decoded...)
	}
	if errors := rules.Check(files).Errors(); len(errors) > 0 {
		t.Error(errors)
	}
}

func TestTheIndexOfRecipesIsComplete(t *testing.T) {
	index := readFile(t, filepath.Join(recipesFolder, "README.md"))
	for _, name := range recipes(t) {
		for _, file := range []string{filepath.Base(name), strings.TrimSuffix(filepath.Base(name), ".yaml") + ".test.yaml"} {
			if !bytes.Contains(index, []byte("]("+file+")")) {
				t.Errorf("README.md does not link to %s", file)
			}
		}
	}
}
