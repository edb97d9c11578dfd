// Package llmgw_test holds what is true of the whole tree rather than of one
// package: who may import whom, and that the files around the code (Dockerfile,
// README, CI) say what the code does. It stands at the root because it looks at
// everything below it.
package llmgw_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/llmgw/llmgw"

// room is a part of the tree with walls around it. Packages below its folder
// belong to it, unless they are in a room of their own.
type room struct {
	may  []string // rooms that it may import, besides itself
	all  bool     // it may import every room
	pure bool     // neither IO nor clock
}

// house is what the checker holds.
type house struct {
	rooms   map[string]room
	folders []string // top-level folders without Go code of the main module
	banned  []string // names that say nothing about what is inside
	fences  []fence
}

// plan is the picture in CONTRIBUTING.md.
func plan(fences []fence) house {
	return house{
		rooms: map[string]room{
			"accounts":   {pure: true},
			"migrations": {},
			"rules":      {pure: true, may: []string{"accounts"}},
			"admin/api":  {may: []string{"accounts"}},
			"proxy":      {may: []string{"accounts", "rules"}},
			"proxy/mock": {}, // a provider, and so a stranger to the gateway
			"store":      {may: []string{"accounts", "rules", "migrations", "store/storetest/servers", "store/storetest/faults"}},
			"admin":      {may: []string{"accounts", "rules", "admin/api"}},
			"tui":        {may: []string{"accounts", "admin/api"}}, // of accounts the words: roles and secrets
			"cmd/llmgw":  {all: true},
			"bench":      {may: []string{"store/storetest/servers", "store/storetest/faults"}}, // measures binaries from outside

			"store/storetest/servers": {}, // somebody else's programs, for tests and bench
			"store/storetest/faults":  {}, // what happens on the way to them
		},
		folders: []string{"cmd", "deploy", "docs", "testdata", "tools"},
		banned:  []string{"internal", "pkg", "util", "utils", "helper", "helpers", "common", "shared", "misc", "base", "info", "data", "types", "models", "config", "metrics", "manager"},
		fences:  fences,
	}
}

func TestEveryPackageKeepsToItsRoom(t *testing.T) {
	fences := readFences(t, ".golangci.yml")
	seen, violations, err := plan(fences).inspect(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
	if !slices.Contains(seen, "cmd/llmgw/main.go") {
		t.Errorf("the walk missed cmd/llmgw/main.go; it saw %d files", len(seen))
	}
}

func TestWallsAreNoticedWhenTheyFall(t *testing.T) {
	imports := func(paths ...string) string {
		return "package x\n\nimport (\n\t_ \"" + strings.Join(paths, "\"\n\t_ \"") + "\"\n)\n"
	}
	fences := []fence{{pkg: "database/sql", rooms: []string{"store"}, because: "only store talks to a database"}}

	for name, c := range map[string]struct {
		file, source string
		want         string // part of the violation; empty: lawful
	}{
		"rules may import accounts":                   {"rules/decide.go", imports(module + "/accounts"), ""},
		"cmd may import everything":                   {"cmd/llmgw/serve.go", imports(module+"/proxy/mock", module+"/store"), ""},
		"a package may import its own room":           {"store/limit/limit.go", imports(module + "/store"), ""},
		"store may import what is fenced to it":       {"store/sqlite/open.go", imports("database/sql/driver"), ""},
		"a test may import what it likes":             {"accounts/key_test.go", imports(module+"/store", "os"), ""},
		"dot folders are nobody's room":               {".build/x/x.go", imports(module + "/store"), ""},
		"a nested module is another house":            {"tools/x/x.go", imports(module + "/store"), ""},
		"a rule may hold a time":                      {"rules/rule.go", "package rules\n\nimport \"time\"\n\nvar day = 24 * time.Hour\n", ""},
		"a method may be called init":                 {"proxy/a.go", "package proxy\n\ntype a struct{}\n\nfunc (a) init() {}\n", ""},
		"accounts imports nothing of ours":            {"accounts/key.go", imports(module + "/rules"), "accounts imports rules"},
		"migrations import nothing of ours":           {"migrations/m.go", imports(module + "/accounts"), "migrations imports accounts"},
		"proxy and store do not know each other":      {"proxy/reload.go", imports(module + "/store"), "proxy imports store"},
		"store and admin do not know each other":      {"store/a.go", imports(module + "/admin"), "store imports admin"},
		"a console knows the wire types only":         {"tui/load.go", imports(module + "/admin"), "tui imports admin"},
		"wire types know no rules":                    {"admin/api/types.go", imports(module + "/rules"), "admin/api imports rules"},
		"the mock knows nothing of the gateway":       {"proxy/mock/mock.go", imports(module + "/proxy"), "proxy/mock imports proxy"},
		"bench may start servers":                     {"bench/a.go", imports(module + "/store/storetest/servers"), ""},
		"bench does not look into the store":          {"bench/a.go", imports(module + "/store"), "bench imports store"},
		"throw-away servers know no store":            {"store/storetest/servers/a.go", imports(module + "/store"), "store/storetest/servers imports store"},
		"the proxy does not know the mock":            {"proxy/attempt.go", imports(module + "/proxy/mock"), "proxy imports proxy/mock"},
		"nobody imports a command":                    {"admin/a.go", imports(module + "/cmd/llmgw"), "admin imports cmd/llmgw"},
		"nobody imports what is in no room":           {"admin/a.go", imports(module + "/docs"), "admin imports docs"},
		"a fenced package stays behind its fence":     {"admin/a.go", imports("database/sql"), "only store talks to a database"},
		"a room with a similar name is not the room":  {"storefront/a.go", imports("database/sql"), "only store talks to a database"},
		"rules do no IO":                              {"rules/decode.go", imports("os"), "rules imports os"},
		"accounts do not ask the network":             {"accounts/a.go", imports("net/http"), "accounts imports net/http"},
		"rules do not ask the clock":                  {"rules/rule.go", "package rules\n\nimport \"time\"\n\nvar at = time.Now()\n", "time.Now"},
		"rules do not ask the clock by another name":  {"rules/rule.go", "package rules\n\nimport clock \"time\"\n\nvar at = clock.Now\n", "time.Now"},
		"rules may take an address apart":             {"rules/host.go", "package rules\n\nimport \"net\"\n\nvar split = net.SplitHostPort\n", ""},
		"rules do not ask for a name's address":       {"rules/host.go", "package rules\n\nimport \"net\"\n\nvar ask = net.LookupHost\n", "net.LookupHost"},
		"nothing runs before main":                    {"proxy/a.go", "package proxy\n\nfunc init() {}\n", "init()"},
		"state for a whole package is refused":        {"proxy/a.go", "package proxy\n\nvar cache map[string]int\n", "variable cache"},
		"state in a group is refused":                 {"proxy/a.go", "package proxy\n\nvar (\n\ta = 1\n\tb int\n)\n", "variable b"},
		"a table has its value":                       {"proxy/a.go", "package proxy\n\nvar table = map[string]int{\"a\": 1}\n", ""},
		"a variable of a function is nobody's state":  {"proxy/a.go", "package proxy\n\nfunc f() int { var n int; return n }\n", ""},
		"an embedded file has a value":                {"migrations/m.go", "package migrations\n\nimport \"embed\"\n\n//go:embed a.sql\nvar files embed.FS\n", ""},
		"a new room needs a line in the plan":         {"gateway/a.go", imports("fmt"), `folder "gateway"`},
		"a folder without Go needs one too":           {"assets/logo.svg", "<svg/>", `folder "assets"`},
		"names that say nothing are refused":          {"proxy/utils/a.go", imports("fmt"), `"utils" says nothing`},
		"internal is such a name":                     {"internal/a/a.go", imports("fmt"), `"internal" says nothing`},
		"the root has no code":                        {"llmgw.go", imports("fmt"), "in no room"},
		"a folder of a noun has no code without room": {"docs/a.go", imports("fmt"), "in no room"},
		"a file that does not parse is no way around": {"proxy/a.go", "package proxy\n\nimport {", "parsing: proxy/a.go"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := fstest.MapFS{"tools/go.mod": {Data: []byte("module x\n")}, c.file: {Data: []byte(c.source)}}
			_, violations, err := plan(fences).inspect(tree)
			got := strings.Join(violations, "\n")
			if err != nil {
				got += err.Error()
			}
			if c.want == "" && got != "" {
				t.Errorf("lawful source refused: %s", got)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want it to tell of %q", got, c.want)
			}
		})
	}
}

// inspect walks a tree and gives the source files it read and what is wrong
// with them.
func (h house) inspect(tree fs.FS) (seen, violations []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			v, skip := h.folder(tree, name)
			violations = append(violations, v...)
			if skip {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		seen = append(seen, name)
		v, err := h.source(tree, name)
		violations = append(violations, v...)
		return err
	})
	return seen, violations, err
}

// folder judges a folder by its name, and says whether what is in it is not
// ours to judge.
func (h house) folder(tree fs.FS, name string) (violations []string, skip bool) {
	own := path.Base(name)
	if name == "." {
		return nil, false
	}
	if strings.HasPrefix(own, ".") || own == "testdata" {
		return nil, true
	}
	if slices.Contains(h.banned, own) {
		violations = append(violations, fmt.Sprintf("%s: the name %q says nothing about what is inside", name, own))
	}
	if !strings.Contains(name, "/") && !h.knows(name) {
		violations = append(violations, fmt.Sprintf("folder %q is not in the plan: one sentence in CONTRIBUTING.md and a line in layers_test.go say why it is there", name))
	}
	_, err := fs.Stat(tree, name+"/go.mod")
	return violations, err == nil
}

// knows says whether a top-level folder is a room, holds one, or is on the
// list of folders without code.
func (h house) knows(folder string) bool {
	if slices.Contains(h.folders, folder) {
		return true
	}
	for name := range h.rooms {
		if within(name, folder) {
			return true
		}
	}
	return false
}

// source judges one file.
func (h house) source(tree fs.FS, name string) ([]string, error) {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parsing: %w", err)
	}
	dir := path.Dir(name)
	own := h.roomOf(dir)
	var violations []string
	report := func(format string, args ...any) {
		violations = append(violations, name+": "+fmt.Sprintf(format, args...))
	}
	if own == "" {
		report("it is in no room of layers_test.go")
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return violations, fmt.Errorf("%s: reading an import: %w", name, err)
		}
		if complaint := h.wall(own, imported); complaint != "" {
			report("%s", complaint)
		}
		for _, f := range h.fences {
			if f.forbids(dir, imported) {
				report("imports %s: %s", imported, f.because)
			}
		}
		if h.rooms[own].pure {
			for _, doing := range doingsIn(file, spec, imported) {
				report("%s is pure, and this asks %s", own, doing)
			}
		}
	}
	if hasInit(file) {
		report("has an init(); what must be made is made where it is needed")
	}
	for _, name := range emptyVars(file) {
		report("the package-level variable %s begins without a value, so it is there to be changed", name)
	}
	return violations, nil
}

// wall says what is wrong with a package of room own importing another.
func (h house) wall(own, imported string) string {
	if h.rooms[own].pure && slices.Contains([]string{"os", "os/exec", "io/fs", "net/http", "syscall"}, imported) {
		return fmt.Sprintf("%s imports %s; it is pure", own, imported)
	}
	if !within(imported, module) {
		return ""
	}
	dir := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
	other, r := h.roomOf(dir), h.rooms[own]
	if other != "" && (other == own || r.all || slices.Contains(r.may, other)) {
		return ""
	}
	if other == "" {
		other = dir + ", which is in no room"
	}
	return fmt.Sprintf("%s imports %s", own, other)
}

// roomOf gives the innermost room of a folder, or "".
func (h house) roomOf(dir string) string {
	for ; dir != "." && dir != ""; dir = path.Dir(dir) {
		if _, ok := h.rooms[dir]; ok {
			return dir
		}
	}
	return ""
}

// within says whether a slash-separated name is parent or below it.
func within(name, parent string) bool {
	return name == parent || strings.HasPrefix(name, parent+"/")
}

// doings are the functions of packages that pure code may use otherwise, by
// how their names begin: those that ask the clock or the network.
func doings(imported string) []string {
	switch imported {
	case "time":
		return []string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTicker", "NewTimer", "LoadLocation"}
	case "net":
		return []string{"Dial", "Listen", "Lookup", "Interface", "Resolve", "DefaultResolver"}
	}
	return nil
}

// doingsIn lists the doings of an imported package that the file names.
func doingsIn(file *ast.File, spec *ast.ImportSpec, imported string) []string {
	known := path.Base(imported)
	if spec.Name != nil {
		known = spec.Name.Name
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		begins := func(doing string) bool { return strings.HasPrefix(s.Sel.Name, doing) }
		if x, ok := s.X.(*ast.Ident); ok && x.Name == known && slices.ContainsFunc(doings(imported), begins) {
			found = append(found, path.Base(imported)+"."+s.Sel.Name)
		}
		return true
	})
	return found
}

// emptyVars lists the package-level variables that are given no value where they
// are declared. What go:embed fills in has one.
func emptyVars(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, spec := range d.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if !ok || len(v.Values) > 0 || embeds(d.Doc) || embeds(v.Doc) {
				continue
			}
			for _, name := range v.Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func hasInit(file *ast.File) bool {
	return slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && f.Recv == nil && f.Name.Name == "init"
	})
}
