package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// mostTries bounds how often a draft is looked at again by itself where the rules
// change all the time.
const mostTries = 5

// conflict goes on where the rules are not those any more that a draft was
// written against. A rule that nobody else touched is looked at again on top of
// what there is now; else somebody is asked.
func (d *draft) conflict(now *api.RuleList, why error) tea.Cmd {
	d.notes = notes{}
	if d.tries++; d.tries > mostTries {
		d.tries = 0
		return d.refused("The rules are being changed all the time", why)
	}
	if d.name == "" {
		return d.placeAgain(now)
	}
	at := slices.IndexFunc(now.Items, func(r api.Rule) bool { return r.Name == d.name })
	if at < 0 {
		return d.gone(now, why)
	}
	theirs := unlisted(now.Items[at].YAML)
	if sameText(theirs, d.original) {
		d.revision, d.meanwhile = now.Revision, now.Revision
		return d.check()
	}
	d.askConflict(theirs, now.Revision, why)
	return nil
}

// placeAgain looks for the place of a new rule among the rules as they are now.
func (d *draft) placeAgain(now *api.RuleList) tea.Cmd {
	d.revision, d.meanwhile = now.Revision, now.Revision
	beside := d.place.Before + d.place.After // one of them is empty
	if !slices.ContainsFunc(now.Items, func(r api.Rule) bool { return r.Name == beside }) {
		d.place.Before, d.place.After = "", "" // where the plan says, which is shown before it is applied
	}
	return d.check()
}

// askConflict shows what was written here and there since, and asks what holds.
func (d *draft) askConflict(theirs string, revision int64, why error) {
	q := &question{look: d.look, title: "Somebody else changed " + d.title(), keeps: "Keep editing", lines: []string{reason(why), ""}}
	q.lines = append(q.lines, d.look.bold.Render(fmt.Sprintf("theirs, revision %d", revision)))
	q.lines = append(q.lines, d.look.diff(d.original, theirs)...)
	q.lines = append(q.lines, "", d.look.bold.Render("yours"))
	q.lines = append(q.lines, d.look.diff(d.original, d.text)...)
	onTop := func() { d.original, d.revision = theirs, revision }
	q.cancel = d.then(func() tea.Cmd {
		onTop()
		return d.again(theirsAsComment(theirs, revision))()
	})
	q.leave = d.then(func() tea.Cmd { return d.leave("Theirs stays, and nothing was changed.") })
	q.answers = []answer{
		{text: "Apply mine on top", danger: true, do: func() tea.Cmd { onTop(); return d.check() }},
		{text: "Take theirs", do: func() tea.Cmd { return d.leave("Theirs stays, and nothing was changed.") }},
	}
	d.desk.open(q)
}

// theirsAsComment puts what somebody else wrote over the text, to take from it.
func theirsAsComment(theirs string, revision int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# what the rule is at revision %d; what you save takes its place:\n", revision)
	for _, line := range cleanLines(theirs) {
		b.WriteString("#   " + line + "\n")
	}
	return b.String()
}

// gone asks what becomes of a rule that was deleted meanwhile.
func (d *draft) gone(now *api.RuleList, why error) tea.Cmd {
	leave := func() tea.Cmd { return d.leave("The rule is deleted, and nothing was changed.") }
	q := &question{look: d.look, title: "Somebody else deleted " + d.title(), keeps: "Keep editing", lines: []string{reason(why), "", d.look.bold.Render("yours")}}
	q.lines = append(q.lines, d.look.diff(d.original, d.text)...)
	anew := func() { d.name, d.revision, d.original = "", now.Revision, "" }
	q.cancel = d.then(func() tea.Cmd {
		anew()
		return d.again("# the rule is deleted; what you save is made as a new one\n")()
	})
	q.leave = d.then(leave)
	q.answers = []answer{
		{text: "Make it again", do: func() tea.Cmd { anew(); return d.check() }},
		{text: "Take theirs", do: leave},
	}
	d.desk.open(q)
	return nil
}
