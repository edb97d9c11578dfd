package tui

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// fileLimit bounds what is done with the file of a draft.
const fileLimit = 10 * time.Second

// draft is a rule while somebody writes it: a file that the editor is opened on,
// what it held, and the rules that it was written against. It goes
//
//	editFile → closed → check → review → apply
//
// and back to the editor from each of these. Whichever way it is left without
// being applied, the file stays and is named.
type draft struct {
	*desk
	generation int    // of the gateway that it is for
	name       string // of the rule; empty: it is a new one
	place      api.RuleText
	revision   int64  // of the rules that original is of
	original   string // what there is without it; of a new rule the template
	text       string // as it was written last
	heading    string // comments over the text, for whoever writes
	above      int    // lines of comments that were over what was read last
	path       string // of the file; empty: there is none yet
	meanwhile  int64  // the revision that others made of other rules while it was written; 0: none
	tries      int    // how often it was looked at again for that, without anybody being asked
	unread     bool   // the editor had the file, and what it left is not read yet
	ended      bool
}

func (d *draft) open() bool { return d != nil && !d.ended }

// title says which rule it is.
func (d *draft) title() string {
	if d.name == "" {
		return "a new rule"
	}
	return "rule " + clean(d.name)
}

// written says whether there is anything that would be lost.
func (d *draft) written() bool {
	return d.unread || strings.TrimSpace(d.text) != "" && !sameText(d.text, d.original)
}

func sameText(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }

// elsewhere makes a command of a call; what it gives is done here afterwards, if
// the gateway is still the same.
func (d *draft) elsewhere(limit time.Duration, call func(context.Context) func() tea.Cmd) tea.Cmd {
	return d.away(limit, func(ctx context.Context) tea.Msg { return d.step(call(ctx)) })
}

func (d *draft) step(next func() tea.Cmd) tea.Msg {
	return ruleStep{func() tea.Cmd {
		if d.generation != d.desk.generation {
			return d.leave("the console shows another gateway now")
		}
		return next()
	}}
}

// then is step for the answers of a question.
func (d *draft) then(next func() tea.Cmd) tea.Cmd { return func() tea.Msg { return d.step(next) } }

// editFile writes the file and opens the editor on it.
func (d *draft) editFile() tea.Cmd {
	path, text := d.path, d.heading+d.text
	pattern := "llmgw-" + strings.NewReplacer("/", "-", "\\", "-", "*", "-").Replace(or(d.name, "rule")) + "-*.yaml"
	return d.elsewhere(fileLimit, func(context.Context) func() tea.Cmd {
		path, err := writeDraft(path, pattern, text)
		return func() tea.Cmd {
			if path != "" {
				d.path = path
			}
			if err != nil {
				return d.refused("The file could not be written", err)
			}
			d.unread = true
			return d.runs(d.options.Editor(d.path), func(err error) tea.Msg { return d.step(func() tea.Cmd { return d.closed(err) }) })
		}
	})
}

// writeDraft writes a file that only its owner can read, and makes it where there
// is no path yet.
func writeDraft(path, pattern, text string) (string, error) {
	if path != "" {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return path, fmt.Errorf("writing the file to edit: %w", err)
		}
		return path, nil
	}
	f, err := os.CreateTemp("", pattern) // 0600
	if err != nil {
		return "", fmt.Errorf("making a file to edit: %w", err)
	}
	_, err = f.WriteString(text)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return f.Name(), fmt.Errorf("making a file to edit: %w", err)
	}
	return f.Name(), nil
}

// closed reads what the editor left.
func (d *draft) closed(editing error) tea.Cmd {
	path := d.path
	return d.elsewhere(fileLimit, func(context.Context) func() tea.Cmd {
		content, err := os.ReadFile(path)
		return func() tea.Cmd {
			if os.IsNotExist(err) {
				if d.unread = false; d.written() { // before the editor was opened again
					return d.leave("The editor left no file. Nothing was changed.")
				}
				d.ended = true
				d.complain("the editor left no file: " + d.title() + " is left as it is")
				return nil
			}
			if err != nil {
				return d.leave("reading what was written: " + reason(err)) // never written over
			}
			d.unread = false
			text, above := withoutHeading(string(content))
			if editing != nil {
				if text != "" {
					d.text, d.above = text, above
				}
				return d.refused("The editor", fmt.Errorf("the editor ended with: %w", editing))
			}
			return d.saved(text, above)
		}
	})
}

// withoutHeading drops the comments that a text begins with, and counts them.
func withoutHeading(text string) (rest string, lines int) {
	for strings.HasPrefix(text, "#") {
		_, text, _ = strings.Cut(text, "\n")
		lines++
	}
	return text, lines
}

// saved goes on with what was written, if anything was.
func (d *draft) saved(text string, above int) tea.Cmd {
	if strings.TrimSpace(text) == "" || sameText(text, d.original) {
		return d.drop("nothing was changed: " + d.title() + " is left as it is")
	}
	d.text, d.above = text, above
	return d.check()
}

// drop ends a draft whose file holds nothing that the gateway does not have.
func (d *draft) drop(said string) tea.Cmd {
	d.ended = true
	d.say(said)
	path := d.path
	if path == "" {
		return nil
	}
	return d.away(fileLimit, func(context.Context) tea.Msg {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return ruleStep{func() tea.Cmd { d.complain("the file " + path + " stays: " + reason(err)); return nil }}
		}
		return nil
	})
}

// leave ends a draft that is not applied. What was written stays in the file,
// which is named on a page of its own: a line that goes away is not enough.
func (d *draft) leave(why string) tea.Cmd {
	if !d.written() {
		return d.drop(why)
	}
	d.ended = true
	d.desk.open(&page{look: d.look, title: "Not applied", foot: "y copies the path  esc closes", lines: []string{
		why, "", "What you wrote is kept in", "  " + d.look.bold.Render(clean(d.path)), "", "This sends it:", "  " + d.desk.twin(d.twin(d.path)),
	}, keys: map[string]func() tea.Cmd{"y": func() tea.Cmd { return d.copies(d.path) }}})
	return d.keepText()
}

// keepText has the file hold what was written, without the comments over it.
func (d *draft) keepText() tea.Cmd {
	if d.unread {
		return nil
	}
	path, text := d.path, d.text
	return d.away(fileLimit, func(context.Context) tea.Msg {
		if _, err := writeDraft(path, "llmgw-rule-*.yaml", text); err != nil {
			return ruleStep{func() tea.Cmd { d.complain(reason(err)); return nil }}
		}
		return nil
	})
}

// twin is the command that sends it from a file.
func (d *draft) twin(file string) []string {
	switch {
	case d.name != "":
		return []string{"rules", "edit", d.name, "-f", file}
	case d.place.Before != "":
		return []string{"rules", "create", "-f", file, "--before", d.place.Before}
	case d.place.After != "":
		return []string{"rules", "create", "-f", file, "--after", d.place.After}
	}
	return []string{"rules", "create", "-f", file}
}

// request is what is sent of it.
func (d *draft) request(dry bool) api.RuleText {
	q := d.place
	revision := d.revision
	q.YAML, q.IfRevision, q.DryRun = d.text, &revision, dry
	return q
}

func (d *draft) send(ctx context.Context, c *api.Client, q api.RuleText) (api.Plan, error) {
	if d.name == "" {
		return c.CreateRule(ctx, q)
	}
	return c.EditRule(ctx, d.name, q)
}
