package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// formatJUnit is a format of `rules test` alone.
const formatJUnit = "junit"

func newRulesTest(a *app) *cobra.Command {
	var paths []string
	c := &cobra.Command{
		Use:   "test -f FILE TESTS…",
		Short: "run test files against rules files, without a gateway",
		Long: "Decides the requests of test files under the rules of files and compares what\n" +
			"becomes of them with what is expected. Upstreams are taken to exist. Rules that no\n" +
			"test reached are named at the end.\n\n" +
			"  llmgw rules test -f rules.yaml tests.yaml\n" +
			"  llmgw rules test -f rules/ tests/ -o junit > report.xml\n\n" +
			"Exit code: 0 all passed, 1 a test failed, 3 a file has errors.",
		Args: takesSome("TESTS"),
		RunE: a.does(func(ctx context.Context, args []string) error {
			junit := a.asksForJUnit()
			s, err := a.settings()
			if err != nil {
				return err
			}
			o, err := a.output(s)
			if err != nil {
				return err
			}
			report, err := a.testRules(paths, args)
			if err != nil {
				return err
			}
			return a.showTests(ctx, o, report, junit)
		}),
	}
	addFilesFlag(c, &paths)
	return c
}

// asksForJUnit takes -o junit off the command line, since the settings that all
// commands share do not know it.
func (a *app) asksForJUnit() bool {
	f := a.command.Flags().Lookup("output")
	if f == nil || f.Value.String() != formatJUnit {
		return false
	}
	return f.Value.Set(formatTable) == nil
}

// testRules reads rules and tests, all problems of both, and runs the tests.
func (a *app) testRules(paths, testPaths []string) (rules.Report, error) {
	sources, err := a.readRules(paths)
	if err != nil {
		return rules.Report{}, err
	}
	testSources, err := a.readTests(testPaths)
	if err != nil {
		return rules.Report{}, err
	}
	d := decodeRules(sources)
	var tests []rules.Test
	for _, s := range testSources {
		found, problems := rules.DecodeTests(s.Name, []byte(s.Content))
		tests = append(tests, found...)
		d.add(problems, testSources)
	}
	if len(d.errors) > 0 {
		return rules.Report{}, invalidFiles(d.errors)
	}
	if len(tests) == 0 {
		return rules.Report{}, invalid("there are no tests in %s", strings.Join(testPaths, ", "))
	}
	report, problems := rules.RunTests(d.files, tests)
	if bad := problems.Errors(); len(bad) > 0 {
		d.add(bad, sources)
		return report, invalidFiles(d.errors)
	}
	return report, nil
}

// The report as programs read it.
type (
	testReport struct {
		Tests     []testResult `json:"tests"`
		Passed    int          `json:"passed"`
		Failed    int          `json:"failed"`
		Unreached []string     `json:"unreached"` // rules that took no test's request
	}
	testResult struct {
		Name    string   `json:"name"`
		File    string   `json:"file"`
		Line    int      `json:"line"`
		Column  int      `json:"column"`
		Passed  bool     `json:"passed"`
		Rule    string   `json:"rule,omitempty"` // that decided
		Diff    []string `json:"diff,omitempty"`
		Reasons []string `json:"reasons,omitempty"`
	}
)

func viewReport(r *rules.Report) testReport {
	view := testReport{
		Tests: []testResult{}, Failed: r.Failed(), Passed: len(r.Results) - r.Failed(), Unreached: nonNil(r.Unreached),
	}
	for i := range r.Results {
		one := &r.Results[i]
		view.Tests = append(view.Tests, testResult{
			Name: one.Name, File: one.File, Line: one.Line, Column: one.Column, Passed: one.Passed(), Rule: one.Rule, Diff: one.Diff, Reasons: one.Reasons,
		})
	}
	return view
}

// showTests prints the report, and ends with 1 where a test failed.
func (a *app) showTests(ctx context.Context, o *output, report rules.Report, junit bool) error {
	view := viewReport(&report)
	var err error
	switch {
	case junit:
		_, err = a.out.Write(report.JUnit())
	case o.isTable():
		_, err = io.WriteString(a.out, view.text(o))
	default:
		err = o.value(ctx, view)
	}
	if err == nil && view.Failed > 0 {
		return answered()
	}
	return err
}

// text is one line for each test, and below it what was not as expected.
func (r *testReport) text(o *output) string {
	var b strings.Builder
	passed, failed := "✓", "✗"
	if o.look.ascii {
		passed, failed = "ok", "FAIL"
	}
	for i := range r.Tests {
		t := &r.Tests[i]
		switch {
		case !t.Passed:
			t.failed(&b, o.look, failed)
		case !o.quiet:
			fmt.Fprintf(&b, "%s %s\n", o.look.green(passed), oneLine(t.Name))
		}
	}
	if o.quiet {
		return b.String()
	}
	fmt.Fprintf(&b, "%d of %d passed\n", r.Passed, len(r.Tests))
	if len(r.Unreached) > 0 {
		fmt.Fprintf(&b, "not reached by any test: %s\n", strings.Join(r.Unreached, ", "))
	}
	return b.String()
}

func (t *testResult) failed(w io.Writer, look style, mark string) {
	place := location(api.Problem{File: t.File, Line: t.Line, Column: t.Column})
	fmt.Fprintf(w, "%s %s  %s\n", look.red(mark), oneLine(t.Name), look.dim(place))
	for _, line := range t.Diff {
		fmt.Fprintln(w, "    "+paintUnified(look, oneLine(line)))
	}
	for _, reason := range t.Reasons {
		fmt.Fprintln(w, "    "+oneLine(reason))
	}
}
