package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func newRulesEdit(a *app) *cobra.Command {
	var file, message string
	c := &cobra.Command{
		Use:   "edit NAME",
		Short: "change a rule in $VISUAL or $EDITOR",
		Long: "Opens a rule in $VISUAL or $EDITOR and puts what is saved in its place. A mistake\n" +
			"opens the file again with the message on top; a file that is left as it is changes\n" +
			"nothing. Whatever goes wrong, what was typed stays in a temporary file whose name is\n" +
			"printed. With -f the text comes from a file (- for stdin) and no editor is opened.",
		Args: takes("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			if a.command.Flags().Changed("file") {
				return a.replaceRule(ctx, t, args[0], file, message)
			}
			return a.editRule(ctx, t, args[0], message)
		}),
	}
	c.Flags().StringVarP(&file, "file", "f", "", "take the rule from a file, - for stdin (`FILE`)")
	addMessageFlag(c, &message)
	return c
}

// replaceRule puts a rule from a file in the place of another.
func (a *app) replaceRule(ctx context.Context, t talk, name, file, message string) error {
	source, err := a.readOneRule(file)
	if err != nil {
		return err
	}
	plan, err := t.EditRule(ctx, name, api.RuleText{YAML: source.Content, Message: message})
	if err != nil {
		return inSource(err, source)
	}
	return a.showChanged(ctx, t, plan, "changed", name)
}

// draft is a rule while somebody edits it.
type draft struct {
	app      *app
	talk     talk
	name     string
	revision int64 // the one that the rule was read at
	message  string

	original string // the rule as it was read
	text     string // what stood in the file when it was last opened
	path     string
}

func (a *app) editRule(ctx context.Context, t talk, name, message string) error {
	if err := a.mustEdit(); err != nil {
		return err
	}
	d := draft{app: a, talk: t, name: name, message: message}
	if err := d.read(ctx); err != nil {
		return err
	}
	path, err := scratch(name, d.original)
	if err != nil {
		return err
	}
	d.path = path
	plan, err := d.rounds(ctx)
	if err != nil {
		return d.keep(ctx, err)
	}
	if err := os.Remove(d.path); err != nil {
		a.note("the file %s stays: %v", d.path, err)
	}
	if plan == nil {
		a.note("cancelled: rule %s stays as it is", name)
		return nil
	}
	return a.showChanged(ctx, t, *plan, "changed", name)
}

// read gets the rule and the revision that it is of.
func (d *draft) read(ctx context.Context) error {
	list, err := d.talk.Rules(ctx)
	if err != nil {
		return err
	}
	for _, r := range list.Items {
		if r.Name == d.name {
			d.revision, d.original = list.Revision, unlisted(r.YAML)
			return nil
		}
	}
	_, err = d.talk.Rule(ctx, d.name) // says that there is none
	if err == nil {
		err = failed(nil, "rule %q was made just now; try again", d.name)
	}
	return err
}

// unlisted writes an item of a list as what it is by itself.
func unlisted(item string) string {
	var b strings.Builder
	for line := range strings.Lines(item) {
		if len(line) > 2 && (strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "  ")) {
			line = line[2:]
		}
		b.WriteString(line)
	}
	return b.String()
}

// rounds opens the editor until what is saved can be used. There is no plan
// where nothing is to be done.
func (d *draft) rounds(ctx context.Context) (*api.Plan, error) {
	d.text = d.original
	heading := fmt.Sprintf("# rule %s, revision %d: save and close to apply, leave as it is to change nothing\n", d.name, d.revision)
	var mistake *failure
	for {
		saved, err := d.edited(ctx, heading)
		switch {
		case err != nil:
			return nil, err
		case strings.TrimSpace(saved) == "", sameText(saved, d.original):
			return nil, nil
		case mistake != nil && sameText(saved, d.text):
			return nil, mistake
		}
		d.text = saved
		plan, err := d.send(ctx)
		if err == nil {
			return &plan, nil
		}
		if mistake = explain(err); mistake.exit != exitInvalid {
			return nil, err
		}
		heading = mistake.asComment(d.text)
	}
}

// edited writes the text with a heading of comments, opens the editor and reads
// what it left, without the heading.
func (d *draft) edited(ctx context.Context, heading string) (string, error) {
	if err := os.WriteFile(d.path, []byte(heading+d.text), 0o600); err != nil {
		return "", fmt.Errorf("writing the file to edit: %w", err)
	}
	editing := d.app.editFile(ctx, d.path)
	content, err := os.ReadFile(d.path)
	if err != nil {
		return "", fmt.Errorf("reading what was edited: %w", err)
	}
	saved := withoutHeading(string(content))
	if editing != nil {
		if saved != "" && !sameText(saved, d.original) {
			d.text = saved
		}
		return "", editing
	}
	return saved, nil
}

// withoutHeading drops the comments that a text begins with.
func withoutHeading(text string) string {
	for strings.HasPrefix(text, "#") {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

func sameText(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }

// send looks for mistakes here first: they are shown with their lines.
func (d *draft) send(ctx context.Context) (api.Plan, error) {
	source := api.Source{Name: d.path, Content: d.text}
	if err := checkOneRule(source); err != nil {
		return api.Plan{}, err
	}
	request := api.RuleText{YAML: d.text, IfRevision: &d.revision, Message: d.message}
	plan, err := d.talk.EditRule(ctx, d.name, request)
	if err != nil {
		return plan, inSource(err, source)
	}
	return plan, nil
}

// keep leaves what was typed in the file and says where it is. A file in which
// nothing was typed is removed.
func (d *draft) keep(ctx context.Context, err error) error {
	if sameText(d.text, d.original) {
		_ = os.Remove(d.path) // holds nothing that the gateway does not have
		return err
	}
	if writing := os.WriteFile(d.path, []byte(d.text), 0o600); writing != nil {
		fmt.Fprintln(d.app.err, d.text) // the terminal is the last place left
		return fmt.Errorf("keeping what was typed: %w", writing)
	}
	if _, ok := interrupted(ctx); ok { // whose failure says nothing else
		fmt.Fprintf(d.app.err, "what you typed is kept in %s\n", d.path)
		return err
	}
	f := *explain(d.talk.explain(err))
	f.cause = nil // it is told; whoever looked into it again would drop the hint
	return f.withHint("what you typed is kept in %s; send it: llmgw rules edit %s -f %s", d.path, d.name, d.path)
}

// asComment writes a failure as the first lines of the file with text, and
// counts the lines as they are then.
func (f *failure) asComment(text string) string {
	above := len(f.commentLines())
	moved := *f
	moved.problems = slices.Clone(f.problems)
	for i := range moved.problems {
		if p := &moved.problems[i]; p.Line > 0 {
			p.Line += above
			p.excerpt = excerptOf(p.Problem, strings.Repeat("\n", above)+text)
		}
	}
	return "# " + strings.Join(moved.commentLines(), "\n# ") + "\n"
}

func (f *failure) commentLines() []string {
	var b strings.Builder
	f.write(&b, style{})
	b.WriteString("correct it and save; left as it is, nothing is changed and the file is kept")
	return strings.Split(b.String(), "\n")
}

// inSource gives the problems that the gateway found in a rule the name of the
// file that it came from, and their lines.
func inSource(err error, source api.Source) error {
	f := explain(err)
	if f.exit != exitInvalid {
		return err
	}
	for i := range f.problems {
		if p := &f.problems[i]; p.File == "" && p.Line > 0 {
			p.File = source.Name
			p.excerpt = excerptOf(p.Problem, source.Content)
		}
	}
	return f
}

// checkOneRule reads a rule as the gateway will, and gives all its problems.
func checkOneRule(source api.Source) error {
	_, problems := rules.DecodeRule(source.Name, []byte(source.Content))
	var d decoded
	d.add(problems.Errors(), []api.Source{source})
	if len(d.errors) > 0 {
		return invalidFiles(d.errors)
	}
	return nil
}

// readOneRule reads and checks the file of one rule.
func (a *app) readOneRule(path string) (api.Source, error) {
	sources, err := a.readFilesAt(path, rulesOf)
	if err != nil {
		return api.Source{}, err
	}
	if len(sources) != 1 {
		return api.Source{}, invalid("%s holds %d files; this is the place of one rule", path, len(sources)).
			withHint("for several: llmgw rules apply -f %s", path)
	}
	return sources[0], checkOneRule(sources[0])
}

func addMessageFlag(c *cobra.Command, message *string) {
	c.Flags().StringVar(message, "message", "", "why, for those who read the history (`TEXT`)")
}
