package tui

import (
	"strings"

	"github.com/charmbracelet/bubbles/cursor"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
)

// form asks for values. It stays open until what was sent is answered, so that
// nothing that was written is lost where that is refused.
type form struct {
	look    *look
	title   string
	intro   []string
	fields  []*field
	at      int
	submit  func(*form) tea.Cmd // it answers with formDone or formRefused
	sending bool
	closed  bool
	problem string
	changed func(*form) tea.Cmd   // after every key; nil: nothing follows
	extra   func(w, h int) string // drawn below the fields; nil: nothing
}

// field is one value of a form.
type field struct {
	name    string // what answers call it
	label   string
	hint    string // beside it
	input   textinput.Model
	choices []string // one of these, chosen with left and right; empty: it is written
	chosen  int
	hidden  bool // a secret: not shown, and forgotten when the form closes
	problem string
}

// formDone closes the form that is on top; formRefused says why it was not done.
type (
	formDone    struct{ form *form }
	formRefused struct {
		form *form
		err  error
	}
)

// writtenField makes a field that is written.
func writtenField(name, label, value, hint string) *field {
	f := &field{name: name, label: label, hint: hint, input: textinput.New()}
	f.input.Prompt = ""
	f.input.CharLimit = 8192
	f.input.Cursor.SetMode(cursor.CursorHide) // no cursor of its own: drawing must not depend on time
	f.input.SetValue(value)
	return f
}

// hiddenField makes a field for a secret.
func hiddenField(name, label, hint string) *field {
	f := writtenField(name, label, "", hint)
	f.hidden = true
	f.input.EchoMode = textinput.EchoPassword
	f.input.EchoCharacter = '*'
	return f
}

// choiceField makes a field with a few possible values.
func choiceField(name, label string, choices []string, chosen string, hint string) *field {
	f := &field{name: name, label: label, hint: hint, choices: choices}
	for i, c := range choices {
		if c == chosen {
			f.chosen = i
		}
	}
	return f
}

// value is what the field holds.
func (f *field) value() string {
	if len(f.choices) > 0 {
		return f.choices[f.chosen]
	}
	if f.hidden {
		return f.input.Value()
	}
	return strings.TrimSpace(f.input.Value())
}

// value gives the value of a field by its name.
func (f *form) value(name string) string {
	for _, one := range f.fields {
		if one.name == name {
			return one.value()
		}
	}
	return ""
}

// words gives the value of a field as a list: parts between commas or spaces.
func (f *form) words(name string) []string {
	return strings.FieldsFunc(f.value(name), func(r rune) bool { return r == ',' || r == ' ' })
}

func (f *form) update(msg tea.Msg) (tea.Cmd, bool) {
	switch m := msg.(type) {
	case formDone:
		if m.form == f {
			f.forget()
			return nil, true
		}
	case formRefused:
		if m.form == f {
			f.refused(m.err)
		}
	case tea.KeyMsg:
		return f.press(m)
	}
	return nil, false
}

func (f *form) press(key tea.KeyMsg) (tea.Cmd, bool) {
	if key.String() == "esc" {
		f.forget()
		return nil, true
	}
	if f.sending {
		return nil, false
	}
	switch key.String() {
	case "tab", "down":
		f.at = (f.at + 1) % len(f.fields)
	case "shift+tab", "up":
		f.at = (f.at + len(f.fields) - 1) % len(f.fields)
	case "ctrl+s":
		return f.send(), false
	case "enter":
		if f.at == len(f.fields)-1 {
			return f.send(), false
		}
		f.at++
	default:
		return f.write(key), false
	}
	return nil, false
}

func (f *form) write(key tea.KeyMsg) tea.Cmd {
	one := f.fields[f.at]
	if n := len(one.choices); n > 0 {
		switch key.String() {
		case "left", "h":
			one.chosen = (one.chosen + n - 1) % n
		case "right", "l", " ":
			one.chosen = (one.chosen + 1) % n
		}
	} else {
		one.input.Focus()
		one.input, _ = one.input.Update(key)
	}
	one.problem = ""
	if f.changed != nil {
		return f.changed(f)
	}
	return nil
}

func (f *form) send() tea.Cmd {
	f.problem = ""
	cmd := f.submit(f)
	f.sending = cmd != nil
	return cmd
}

// refused shows why: beside the field where the gateway named one.
func (f *form) refused(err error) {
	f.sending = false
	f.problem = reason(err)
	if hint := advice(err); hint != "" {
		f.problem += ". " + hint
	}
	for _, p := range problemsOf(err) {
		if one := f.fieldOf(p.Field); one != nil {
			one.problem = clean(p.Message)
		} else if message := clean(p.Message); message != "" && !strings.Contains(f.problem, message) {
			f.problem += ". " + clean(strings.TrimSpace(p.Field+" "+p.Message))
		}
	}
}

// fieldOf finds the field that a problem is about: "url", "credential.secret" and
// "tags.plan" are about url, secret and tags; nil: there is none.
func (f *form) fieldOf(name string) *field {
	for _, one := range f.fields {
		if name == one.name || strings.HasSuffix(name, "."+one.name) || strings.HasPrefix(name, one.name+".") || strings.HasPrefix(name, one.name+"[") {
			return one
		}
	}
	return nil
}

// forget takes secrets out of the form, which is closed.
func (f *form) forget() {
	f.closed = true
	for _, one := range f.fields {
		if one.hidden {
			one.input.SetValue("")
		}
	}
}

func (f *form) draw(w, h int) string {
	wide := min(w, 78)
	head, current := f.rows(wide)
	tail := f.outcome(wide)
	room := h - 2 - len(tail)
	if f.extra != nil {
		room--
	}
	lines := append(around(head, current, max(1, room)), tail...)
	if f.extra != nil {
		lines = append(lines, strings.Split(f.extra(wide-4, max(1, h-len(lines)-2)), "\n")...)
	}
	for i := range lines {
		lines[i] = " " + lines[i]
	}
	b := box{title: f.title, foot: "tab next  ctrl+s send  esc cancel", focused: true}
	return b.draw(f.look, strings.Join(lines, "\n"), wide, min(h, len(lines)+2))
}

// rows are the lines of the fields and what stands before them, and which one is
// that of the current field.
func (f *form) rows(wide int) (lines []string, current int) {
	label := 0
	for _, one := range f.fields {
		label = max(label, width(one.label))
	}
	for _, line := range f.intro {
		lines = append(lines, wrap(line, wide-4)...)
	}
	if len(f.intro) > 0 {
		lines = append(lines, "")
	}
	for i, one := range f.fields {
		if i == f.at {
			current = len(lines)
		}
		lines = append(lines, f.line(one, i == f.at, label, wide-4))
		if one.problem != "" {
			lines = append(lines, spaces(label+4)+f.look.bad.Render(f.look.cut(f.look.no+" "+one.problem, wide-8-label)))
		}
	}
	return lines, current
}

// outcome tells how it stands with what was sent.
func (f *form) outcome(wide int) []string {
	lines := []string{""}
	switch {
	case f.sending:
		lines = append(lines, f.look.dim.Render("waiting for the gateway"+f.look.more))
	case f.problem != "":
		for _, part := range wrap(f.look.no+" "+f.problem, wide-4) {
			lines = append(lines, f.look.bad.Render(part))
		}
	}
	return lines
}

// around gives so many lines as there is room for, with one of them among them.
func around(lines []string, at, room int) []string {
	if len(lines) <= room {
		return lines
	}
	from := max(0, min(at-room/2, len(lines)-room))
	return lines[from : from+room : from+room]
}

func (f *form) line(one *field, current bool, label, w int) string {
	sign := "  "
	if current {
		sign = f.look.cursor + " "
	}
	left := sign + f.look.fit(one.label, label) + "  "
	room := w - width(left)
	if len(one.choices) > 0 {
		return left + f.choices(one, current, room)
	}
	text, pos := one.input.Value(), one.input.Position()
	if one.hidden {
		text = strings.Repeat("*", len([]rune(text)))
	}
	text = writtenText(f.look, text, pos, current, room)
	if one.hint != "" && !current && one.input.Value() == "" {
		text = f.look.dim.Render(f.look.cut(one.hint, room))
	} else if gap := room - width(text) - width(one.hint) - 2; one.hint != "" && current && gap >= 0 {
		text += "  " + f.look.dim.Render(one.hint)
	}
	return left + text
}

// choices shows what can be chosen. Where there is not room for all, those before
// the chosen one go first.
func (f *form) choices(one *field, current bool, room int) string {
	var parts []string
	upTo := 0 // cells that those up to the chosen one take
	for i, c := range one.choices {
		if i <= one.chosen {
			upTo += width(c) + 3
		}
		switch {
		case i != one.chosen:
			parts = append(parts, f.look.dim.Render(" "+c+" "))
		case current:
			parts = append(parts, f.look.selected.Render("["+c+"]"))
		default:
			parts = append(parts, "["+c+"]")
		}
	}
	sign := ""
	for upTo > room && len(parts) > 1 {
		upTo -= width(parts[0]) + 1
		parts = parts[1:]
		if sign == "" {
			sign = f.look.more
			upTo += width(sign)
		}
	}
	return f.look.cut(sign+strings.Join(parts, " "), room)
}

// writtenText is a text with a cursor in it, and of a long one the part around
// that.
func writtenText(l *look, text string, pos int, current bool, room int) string {
	runes := []rune(text)
	pos = min(pos, len(runes))
	if !current {
		return l.cut(clean(text), room)
	}
	near := max(0, room) // no more runes than cells are looked at: what is written may be very long
	from := max(0, pos-near)
	for from < pos && width(clean(string(runes[from:pos]))) > room-2 {
		from++
	}
	before, under, after := clean(string(runes[from:pos])), " ", ""
	if pos < len(runes) {
		under, after = clean(string(runes[pos])), clean(string(runes[pos+1:min(len(runes), pos+2+near)]))
	}
	return before + l.selected.Render(under) + l.cut(after, max(0, room-width(before)-width(under)))
}
