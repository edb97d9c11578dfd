package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func newRulesFmt(a *app) *cobra.Command {
	var paths []string
	var write, diff bool
	c := &cobra.Command{
		Use:   "fmt",
		Short: "write rules files in their canonical form, without a gateway",
		Long: "Prints rules files in their canonical form. With -w the files themselves are\n" +
			"rewritten, those that change are named. With --diff the changes are shown instead,\n" +
			"and the exit code is 1 where there are any and nothing was written.",
		Args: takes(),
		RunE: a.does(func(_ context.Context, _ []string) error {
			return a.formatRules(paths, write, diff)
		}),
	}
	addFilesFlag(c, &paths)
	c.Flags().BoolVarP(&write, "write", "w", false, "rewrite the files")
	c.Flags().BoolVar(&diff, "diff", false, "show what would change")
	return c
}

// formatted is one file and its canonical form.
type formatted struct {
	api.Source
	canonical string
}

func (f *formatted) changed() bool { return f.Content != f.canonical }

func (a *app) formatRules(paths []string, write, diff bool) error {
	if write && slices.Contains(paths, "-") {
		return usage("-w cannot rewrite stdin").withHint("leave -w out: what stdin says is printed")
	}
	sources, err := a.readRules(paths)
	if err != nil {
		return err
	}
	files, bad := formatAll(sources)
	if len(bad) > 0 {
		return invalidFiles(bad) // nothing is written where anything is wrong
	}
	changed := slices.DeleteFunc(slices.Clone(files), func(f formatted) bool { return !f.changed() })
	if diff {
		if err := a.showFormatting(changed); err != nil {
			return err
		}
	}
	switch {
	case write:
		return a.rewrite(changed)
	case diff && len(changed) > 0:
		return answered()
	case diff:
		return nil
	}
	for i, f := range files {
		text := f.canonical
		if i > 0 {
			text = "---\n" + text
		}
		if _, err := io.WriteString(a.out, text); err != nil {
			return err
		}
	}
	return nil
}

// formatAll gives every file's canonical form, and all problems of all of them.
func formatAll(sources []api.Source) ([]formatted, []problem) {
	var files []formatted
	var d decoded
	for _, s := range sources {
		canonical, problems := rules.Format(s.Name, []byte(s.Content))
		d.add(problems.Errors(), sources)
		files = append(files, formatted{s, string(canonical)})
	}
	return files, d.errors
}

func (a *app) showFormatting(files []formatted) error {
	for _, f := range files {
		text, err := unified(f.Name, f.Name+" (formatted)", f.Content, f.canonical)
		if err == nil {
			err = writeUnified(a.out, a.outStyle(), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) rewrite(files []formatted) error {
	for _, f := range files {
		if err := replaceFile(f.Name, f.canonical); err != nil {
			return failed(err, "rewriting %s: %v", f.Name, err)
		}
		a.note("%s", f.Name)
	}
	return nil
}

// replaceFile puts text in the place of a file's content, all of it or nothing.
// A link stays a link, and the file keeps its mode.
func replaceFile(name, text string) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	stat, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone where it took the name
	_, err = io.WriteString(f, text)
	for _, then := range []func() error{func() error { return f.Chmod(stat.Mode()) }, f.Sync} {
		if err == nil {
			err = then()
		}
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func newRulesSchema(a *app) *cobra.Command {
	var tests bool
	c := &cobra.Command{
		Use:   "schema",
		Short: "the JSON Schema of rules files, for editors",
		Long: "Prints the JSON Schema of rules files. An editor that knows YAML completes and checks\n" +
			"against it when a file begins with\n\n" +
			"  # yaml-language-server: $schema=./rules.schema.json\n\n" +
			"and the schema stands beside it: llmgw rules schema > rules.schema.json",
		Args: takes(),
		RunE: a.does(func(_ context.Context, _ []string) error {
			text := rules.Schema()
			if tests {
				text = rules.TestsSchema()
			}
			_, err := io.WriteString(a.out, ended(string(text)))
			return err
		}),
	}
	c.Flags().BoolVar(&tests, "tests", false, "that of the files that `rules test` reads")
	return c
}
