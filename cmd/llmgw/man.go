package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan makes the command that writes manual pages from the help of commands, so
// that both say the same.
func newMan(a *app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "man [COMMAND]...",
		Short: "the manual page of a command, or with --dir of all",
		Long: "Prints the manual page of llmgw, or of one of its commands, in section 1:\n\n" +
			"  llmgw man console | man -l -\n\n" +
			"With --dir every page is written into a directory, as packages have them.\n" +
			"SOURCE_DATE_EPOCH (seconds since 1970) is the date in them, where it is set.",
		Args: cobra.ArbitraryArgs,
		RunE: a.does(func(_ context.Context, args []string) error {
			if dir != "" && len(args) > 0 {
				return usage("--dir writes all pages; it goes without COMMAND")
			}
			root := newRoot(a)
			forManual(root)
			if dir != "" {
				return a.writeManual(root, dir)
			}
			return a.printManual(root, args)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.Flags().StringVar(&dir, "dir", "", "write every page into this directory, which is made (`DIR`)")
	return c
}

func manualHeader() *doc.GenManHeader {
	return &doc.GenManHeader{Section: "1", Source: "llmgw " + version, Manual: "llmgw"}
}

func (a *app) printManual(root *cobra.Command, args []string) error {
	c, rest, err := root.Find(args)
	if err != nil || len(rest) > 0 || c.IsAdditionalHelpTopicCommand() {
		return usage("there is no command %q", strings.Join(args, " ")).withHint("see what there is: llmgw help")
	}
	var page bytes.Buffer
	if err := doc.GenMan(c, manualHeader(), &page); err != nil {
		return fmt.Errorf("writing the manual page of %s: %w", c.CommandPath(), err)
	}
	_, err = a.out.Write(page.Bytes())
	return err
}

func (a *app) writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return invalid("making the directory of the manual: %s", reason(err))
	}
	if err := doc.GenManTree(root, manualHeader(), dir); err != nil {
		return invalid("writing the manual: %s", reason(err))
	}
	a.note("%s: the manual", shortPath(dir))
	return nil
}

// forManual has the help of a command and those below it say the same as Markdown,
// from which the pages are made.
func forManual(c *cobra.Command) {
	c.DisableAutoGenTag = true
	c.Long = asMarkdown(c.Long)
	for _, sub := range c.Commands() {
		forManual(sub)
	}
}

// asMarkdown keeps lines that begin with spaces as they are, and takes the meaning
// from signs that Markdown has one for.
func asMarkdown(text string) string {
	var b strings.Builder
	kept := false
	for line := range strings.SplitSeq(text, "\n") {
		indented := strings.HasPrefix(line, "  ")
		if indented != kept && line != "" {
			b.WriteString("\n") // a block stands on its own
			kept = indented
		}
		if indented {
			line = "  " + line
		} else {
			line = strings.NewReplacer("*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`).Replace(line)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
