package llmgw_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/rules"
)

// read gives a file of the tree.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestREADMEAndCIRunTheSameTests(t *testing.T) {
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(read(t, "README.md"))
	if block == nil {
		t.Fatal("README.md has no block of commands")
	}
	var commands []string
	for line := range strings.Lines(block[1]) {
		command, _, _ := strings.Cut(line, "#")
		if command = strings.TrimSpace(command); command != "" {
			commands = append(commands, command)
		}
	}
	if !slices.Equal(commands, []string{"make run", "make test"}) {
		t.Errorf("README.md begins with %q; .ci/run looks for its `make test` line", commands)
	}
	ci := read(t, ".ci/run")
	for _, needed := range []string{"README.md", `^\(make test\)`, "LLMGW_TEST_REQUIRE_SERVICES=1", "make --no-print-directory check"} {
		if !strings.Contains(ci, needed) {
			t.Errorf(".ci/run lost its %q", needed)
		}
	}
	if workflow := read(t, ".github/workflows/ci.yml"); !strings.Contains(workflow, "run: .ci/run\n") {
		t.Error("the workflow does not call .ci/run")
	}
}

func TestTheREADMEsRuleIsValid(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(read(t, "README.md"))
	if block == nil {
		t.Fatal("README.md shows no rule")
	}
	files, problems := rules.Decode("rules.yaml", []byte(block[1]))
	if problems = append(problems, rules.Check(files)...); len(problems) > 0 || len(files) != 1 {
		t.Errorf("%d files, problems: %v", len(files), problems)
	}
}

func TestEveryMakeTargetThatIsWrittenAboutExists(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	mentioned := regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)")
	for _, name := range append(pages(t), "Makefile", ".ci/run") {
		for _, m := range mentioned.FindAllStringSubmatch(read(t, name), -1) {
			if !targets[m[1]] {
				t.Errorf("%s tells of `make %s`, and there is no such target", name, m[1])
			}
		}
	}
}

func TestEveryLinkBetweenPagesLeadsSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, name := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

// pages are those that people read.
func pages(t *testing.T) []string {
	t.Helper()
	more, err := filepath.Glob("docs/*.md")
	if err != nil || len(more) == 0 {
		t.Fatalf("no pages in docs: %v", err)
	}
	return append(more, "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
}

func TestEveryMetricThatIsWrittenAboutExists(t *testing.T) {
	metric := regexp.MustCompile(`\bllmgw_[a-z_]*[a-z]\b`)
	quoted := regexp.MustCompile(`"(?:llmgw_)?([a-z]+_[a-z_]*[a-z])"`) // the proxy puts the first word before all of its own
	named := map[string]bool{}
	for _, folder := range []string{"cmd", "proxy", "store", "admin"} {
		err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, m := range quoted.FindAllStringSubmatch(read(t, path), -1) {
				named["llmgw_"+m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, page := range pages(t) {
		for _, name := range metric.FindAllString(read(t, page), -1) {
			if !named[name] {
				t.Errorf("%s tells of %s, which no code names", page, name)
			}
		}
	}
}

// instruction is one line of a Dockerfile: its word, and the rest.
type instruction struct{ word, rest string }

// instructions reads a Dockerfile: comments gone, continued lines joined, the
// stages one after the other.
func instructions(text string) (stages [][]instruction) {
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" {
			continue
		}
		if word == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) > 0 {
			last := &stages[len(stages)-1]
			*last = append(*last, instruction{word, strings.Join(strings.Fields(rest), " ")})
		}
	}
	return stages
}

// all gives the rests of the instructions of a word.
func all(stage []instruction, word string) (rests []string) {
	for _, i := range stage {
		if i.word == word {
			rests = append(rests, i.rest)
		}
	}
	return rests
}

func TestImagesRunAsNobodyAndSayHowTheyAre(t *testing.T) {
	for _, name := range []string{"deploy/Dockerfile", "deploy/release.Dockerfile"} {
		t.Run(path.Base(name), func(t *testing.T) {
			stages := instructions(read(t, name))
			if len(stages) != 2 {
				t.Fatalf("%d stages, want one that builds and one that is shipped", len(stages))
			}
			shipped := stages[1]
			for word, want := range map[string]string{
				"FROM":       "scratch",
				"USER":       "65532:65532",
				"VOLUME":     "/var/lib/llmgw",
				"EXPOSE":     "4100",
				"ENV":        "LLMGW_LISTEN=:4100 LLMGW_DATA=/var/lib/llmgw",
				"ENTRYPOINT": `["/usr/local/bin/llmgw"]`,
				"CMD":        `["serve"]`,
			} {
				if got := all(shipped, word); !slices.Equal(got, []string{want}) {
					t.Errorf("%s is %q, want %q", word, got, want)
				}
			}
			health := all(shipped, "HEALTHCHECK")
			if len(health) != 1 || !strings.HasSuffix(health[0], `CMD ["/usr/local/bin/llmgw", "health"]`) {
				t.Errorf("HEALTHCHECK is %q", health)
			}
			if !slices.Contains(all(shipped, "COPY"), "--from=build --chown=65532:65532 /owned/ /var/lib/") {
				t.Error("the data directory does not belong to the user")
			}
		})
	}
}

func TestTheImageBuildsFromThisTreeWithAnyEngine(t *testing.T) {
	text := read(t, "deploy/Dockerfile")
	for _, only := range []string{"# syntax=", "--mount", "--platform", "--link", "--chmod", "<<"} {
		if strings.Contains(text, only) {
			t.Errorf("%q needs BuildKit", only)
		}
	}
	ignored := strings.Fields(read(t, ".dockerignore"))
	build := instructions(text)[0]
	for _, rest := range all(build, "COPY") {
		words := strings.Fields(rest)
		for _, source := range words[:len(words)-1] {
			if _, err := os.Stat(source); err != nil {
				t.Errorf("COPY %s: %v", rest, err)
			}
			if slices.Contains(ignored, source) {
				t.Errorf("COPY %s: .dockerignore leaves %s out", rest, source)
			}
		}
	}
	run := strings.Join(all(build, "RUN"), "\n")
	for _, needed := range []string{"CGO_ENABLED=0 go build", "./cmd/llmgw", "ca-certificates.crt"} {
		if !strings.Contains(run, needed) {
			t.Errorf("the build stage lost its %q", needed)
		}
	}
}
