package llmgw_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// fence keeps somebody else's package in the rooms that need it.
type fence struct {
	pkg     string   // import path, with everything below it
	rooms   []string // folders below which it may be imported
	because string
}

func (f fence) forbids(dir, imported string) bool {
	inside := func(room string) bool { return within(dir, room) }
	return within(imported, f.pkg) && !slices.ContainsFunc(f.rooms, inside)
}

// readFences takes the fences around other people's packages from the depguard
// section of the linter's configuration, the one place where they are written.
func readFences(t *testing.T, file string) []fence {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fences, err := parseFences(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return fences
}

func parseFences(text []byte) ([]fence, error) {
	var written struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						Files []string
						Deny  []struct{ Pkg, Desc string }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &written); err != nil {
		return nil, err
	}
	var fences []fence
	for name, rule := range written.Linters.Settings.Depguard.Rules {
		var rooms []string
		for _, pattern := range rule.Files {
			inner, ok := strings.CutPrefix(pattern, "!**/")
			inner, closed := strings.CutSuffix(inner, "/**")
			if !ok || !closed || strings.ContainsAny(inner, "*?!$") {
				return nil, fmt.Errorf("depguard rule %q: file pattern %q is not of the form !**/ROOM/**", name, pattern)
			}
			rooms = append(rooms, inner)
		}
		if len(rooms) == 0 || len(rule.Deny) == 0 {
			return nil, fmt.Errorf("depguard rule %q forbids nothing, or names no room", name)
		}
		for _, d := range rule.Deny {
			fences = append(fences, fence{pkg: d.Pkg, rooms: rooms, because: d.Desc})
		}
	}
	if len(fences) == 0 {
		return nil, errors.New("it has no depguard rules")
	}
	sort.Slice(fences, func(i, j int) bool { return fences[i].pkg < fences[j].pkg })
	return fences, nil
}

func TestFencesAreReadFromTheLintersConfiguration(t *testing.T) {
	const head = "linters:\n  settings:\n    depguard:\n      rules:\n"
	for name, c := range map[string]struct{ text, want string }{
		"one room":              {head + "        sql:\n          files: ['!**/store/**']\n          deny: [{pkg: database/sql, desc: d}]\n", ""},
		"a pattern not known":   {head + "        sql:\n          files: ['$all']\n          deny: [{pkg: database/sql, desc: d}]\n", "not of the form"},
		"a pattern of one file": {head + "        sql:\n          files: ['!**/a.go']\n          deny: [{pkg: database/sql, desc: d}]\n", "not of the form"},
		"no package":            {head + "        sql:\n          files: ['!**/store/**']\n", "forbids nothing"},
		"no rules":              {"linters: {}\n", "no depguard rules"},
	} {
		t.Run(name, func(t *testing.T) {
			fences, err := parseFences([]byte(c.text))
			switch {
			case c.want == "" && (err != nil || len(fences) != 1 || !fences[0].forbids("proxy", "database/sql/driver") || fences[0].forbids("store/limit", "database/sql")):
				t.Errorf("got %+v, %v", fences, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got error %v, want one that tells of %q", err, c.want)
			}
		})
	}
}
