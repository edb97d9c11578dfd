package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// largestRules bounds what is read as rules, all files together.
const largestRules = 32 << 20

// readRules reads files, directories (their *.yaml and *.yml, all levels, less tests) and
// - for stdin, as they were named.
func (a *app) readRules(paths []string) ([]api.Source, error) { return a.readFiles(paths, rulesOf) }

// readTests reads rule tests in the same way; see testsOf.
func (a *app) readTests(paths []string) ([]api.Source, error) { return a.readFiles(paths, testsOf) }

func (a *app) readFiles(paths []string, of func([]string) []string) ([]api.Source, error) {
	if len(paths) == 0 {
		return nil, usage("missing flag -f").withHint("a file, a directory, or - for stdin: llmgw %s -f rules.yaml", subcommand(a.command))
	}
	var sources []api.Source
	total := 0
	for _, path := range paths {
		found, err := a.readFilesAt(path, of)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			total += len(s.Content)
		}
		sources = append(sources, found...)
	}
	if total > largestRules {
		return nil, invalid("the rules are over %d MiB", largestRules>>20)
	}
	return sources, nil
}

func (a *app) readFilesAt(path string, of func([]string) []string) ([]api.Source, error) {
	if path == "-" {
		source, err := io.ReadAll(io.LimitReader(a.in, largestRules+1))
		if err != nil {
			return nil, fmt.Errorf("reading rules from stdin: %w", err)
		}
		return []api.Source{{Name: "stdin", Content: string(source)}}, nil
	}
	files, err := filesAt(path, of)
	if err != nil {
		return nil, err
	}
	sources := make([]api.Source, 0, len(files))
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, invalid("reading %v", err)
		}
		sources = append(sources, api.Source{Name: file, Content: string(source)})
	}
	return sources, nil
}

// filesAt lists the files that a path stands for: itself, or those of a directory
// that of chooses.
func filesAt(path string, of func([]string) []string) ([]string, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, invalid("no rules at %s", path)
	}
	if !stat.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(file)) {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		return nil, invalid("reading %s: %v", path, err)
	}
	if files = of(files); len(files) == 0 {
		return nil, invalid("no *.yaml in %s", path)
	}
	return files, nil
}

// rulesOf leaves the rule tests of a directory out, which stand beside the rules
// as NAME.test.yaml.
func rulesOf(files []string) []string {
	return slices.DeleteFunc(slices.Clone(files), isTestFile)
}

// testsOf takes those, or everything where nothing is called so.
func testsOf(files []string) []string {
	if !slices.ContainsFunc(files, isTestFile) {
		return files
	}
	return slices.DeleteFunc(slices.Clone(files), func(file string) bool { return !isTestFile(file) })
}

func isTestFile(file string) bool {
	return strings.HasSuffix(strings.TrimSuffix(file, filepath.Ext(file)), ".test")
}

// decoded is what could be told of rules files without a gateway.
type decoded struct {
	files            []rules.File
	from             []string // the name of the source of each of files
	errors, warnings []problem
}

// decodeRules reads every file and gives all problems of all of them.
func decodeRules(sources []api.Source) decoded {
	var d decoded
	for _, s := range sources {
		files, problems := rules.Decode(s.Name, []byte(s.Content))
		d.files = append(d.files, files...)
		d.from = append(d.from, slices.Repeat([]string{s.Name}, len(files))...)
		d.add(problems, sources)
	}
	if len(d.errors) == 0 {
		d.add(rules.Check(d.files), sources)
	}
	return d
}

func (d *decoded) add(problems rules.Problems, sources []api.Source) {
	for i := range problems {
		p := &problems[i]
		shown := problem{Problem: api.Problem{
			File: p.File, Line: p.Line, Column: p.Column, Set: p.Set, Rule: p.Rule, Field: p.Field,
			Message: p.Message, Hint: p.Hint, Suggestion: p.Suggestion,
		}}
		if at := slices.IndexFunc(sources, func(s api.Source) bool { return s.Name == p.File }); at >= 0 {
			shown.excerpt = p.Excerpt([]byte(sources[at].Content))
		}
		if p.Warning {
			d.warnings = append(d.warnings, shown)
		} else {
			d.errors = append(d.errors, shown)
		}
	}
}

func newRulesValidate(a *app) *cobra.Command {
	var paths []string
	var strict bool
	c := &cobra.Command{
		Use: "validate", Short: "check rules files, without a gateway", Args: takes(),
		RunE: a.does(func(_ context.Context, _ []string) error {
			sources, err := a.readRules(paths)
			if err != nil {
				return err
			}
			return a.validateRules(decodeRules(sources), len(sources), strict)
		}),
	}
	addFilesFlag(c, &paths)
	c.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return c
}

func (a *app) validateRules(d decoded, files int, strict bool) error {
	if strict {
		d.errors, d.warnings = append(d.errors, d.warnings...), nil
	}
	a.showWarnings(d.warnings)
	if len(d.errors) > 0 {
		return invalidFiles(d.errors)
	}
	count := 0
	for _, f := range d.files {
		count += len(f.Rules)
	}
	_, err := fmt.Fprintf(a.out, "valid: %s in %s\n", plural(count, "rule"), plural(files, "file"))
	return err
}

func (a *app) showWarnings(warnings []problem) {
	look := a.errStyle()
	for _, w := range warnings {
		w.write(a.err, look, look.yellow("warning:"))
	}
}

func addFilesFlag(c *cobra.Command, paths *[]string) {
	c.Flags().StringArrayVarP(paths, "file", "f", nil, "rules file, directory, or - for stdin; repeatable (`FILE`)")
}

// subcommand is a command's path without the program's name.
func subcommand(c *cobra.Command) string {
	path := c.Name()
	for p := c.Parent(); p != nil && p.HasParent(); p = p.Parent() {
		path = p.Name() + " " + path
	}
	return path
}

// excerptOf shows the line that a problem of the server's is about.
func excerptOf(p api.Problem, source string) string {
	found := rules.Problem{File: p.File, Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message, Suggestion: p.Suggestion}
	return found.Excerpt([]byte(source))
}
