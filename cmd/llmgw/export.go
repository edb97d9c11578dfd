package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newExport(a *app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "export",
		Short: "upstreams, users, keys, rules and bindings as YAML; apply reads it back",
		Long: "Writes everything that apply reads: to stdout, or with -f to a directory, a file for\n" +
			"each kind and for each set of rules. No secret is in it. Keys that were revoked are\n" +
			"left out.",
		Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			export, err := t.Export(ctx)
			switch {
			case err != nil:
				return err
			case dir != "":
				return a.exportTo(dir, export)
			case t.output.isTable():
				_, err = io.WriteString(a.out, oneStream(export.Documents))
				return err
			}
			return t.output.value(ctx, export)
		}),
	}
	c.Flags().StringVarP(&dir, "file", "f", "", "write files into this directory instead (`DIR`)")
	_ = c.MarkFlagDirname("file") // which fails only where there is no such flag
	return c
}

// oneStream puts documents behind one another.
func oneStream(documents []api.Document) string {
	texts := make([]string, len(documents))
	for i, d := range documents {
		texts[i] = ended(d.YAML)
	}
	return strings.Join(texts, "---\n")
}

func (a *app) exportTo(dir string, export api.ExportedObjects) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return failed(err, "making the directory: %v", err)
	}
	var written []string
	for _, d := range export.Documents {
		if d.Name == "" || filepath.Base(d.Name) != d.Name || !filepath.IsLocal(d.Name) {
			return failed(nil, "the gateway names a file %q, which would be outside of %s", d.Name, dir)
		}
		file := filepath.Join(dir, d.Name+".yaml")
		if err := os.WriteFile(file, []byte(ended(d.YAML)), 0o644); err != nil { //nolint:gosec // no secret is in it, and others are to read it
			return failed(err, "writing the export: %v", err)
		}
		written = append(written, file)
	}
	fmt.Fprintf(a.out, "wrote %s to %s, revision %d\n", plural(len(written), "file"), dir, export.Revision)
	others, err := filesAt(dir, rulesOf)
	if err != nil {
		return err
	}
	for _, file := range others {
		if !slices.Contains(written, file) {
			a.note("note: %s was there before and stays; apply -f %s reads it too", file, dir)
		}
	}
	return nil
}
