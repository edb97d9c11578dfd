package tui

import (
	"fmt"
	"strings"
	"time"
)

// View draws what is shown, where anything has changed since the last time.
func (c *console) View() string {
	if !c.dirty {
		return c.frame
	}
	c.dirty = false
	c.frame = c.draw()
	return c.frame
}

func (c *console) draw() string {
	d := c.desk
	switch {
	case c.quitting || c.w <= 0 || c.h <= 0:
		return ""
	case c.w < leastWidth || c.h < leastHeight:
		return c.tooSmall()
	case d.link.state == linking && !d.books.me.there() && d.now().Sub(c.started) < quietStart:
		return "" // no flash of an empty frame where the gateway is quick
	}
	top := []string{c.header(), c.tabs()}
	if bar := c.bar(); bar != "" {
		top = append(top, bar)
	}
	room := c.h - len(top) - 1
	body := d.look.block(c.shown().draw(c.w, room), c.w, room)
	if d.link.lost() || len(c.overlays) > 0 {
		body = d.look.faint(body)
	}
	for _, o := range c.overlays {
		box := o.draw(c.w-2, room)
		x, y := (c.w-width(firstLine(box)))/2, (room-strings.Count(box, "\n")-1)/2
		body = over(body, box, max(0, x), max(0, y))
	}
	return strings.Join(append(top, body, c.footer()), "\n")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func (c *console) tooSmall() string {
	text := fmt.Sprintf("%dx%d needed, have %dx%d", leastWidth, leastHeight, c.w, c.h)
	lines := make([]string, c.h)
	for i := range lines {
		lines[i] = spaces(c.w)
	}
	text = c.desk.look.cut(text, c.w)
	lines[c.h/2] = c.desk.look.fit(spaces((c.w-width(text))/2)+text, c.w)
	return strings.Join(lines, "\n")
}

// header tells where the console is, as whom, and how the link stands.
func (c *console) header() string {
	d := c.desk
	l := d.look
	right := windowName(d.windowQuery.Window) + " " + l.down + "  " + clockOf(d.now()) + "  " + c.linkSign() + " "
	left := " " + l.title.Render("llmgw") + " " + c.health() + " " + l.bold.Render(clean(d.gateway.Name))
	badge := ""
	if d.readOnly() {
		badge = "  " + l.badge.Render(" read-only ")
	}
	room := c.w - width(right) - width(left) - width(badge) - 1
	where, rest := "", c.standing(&room)
	if c.w >= 100 && d.gateway.Where != "" && room > leastWhere {
		where = "  " + l.dim.Render(l.cut(clean(d.gateway.Where), room-2))
	}
	return l.ends(left+where+badge+rest, right, c.w)
}

// leastWhere is the room below which an address is not begun.
const leastWhere = 12

// standing says as whom the console is here, and what is in force, as far as there
// is room: what has none is left out whole.
func (c *console) standing(room *int) string {
	d := c.desk
	var parts []string
	if me := &d.books.me; me.there() {
		parts = append(parts, clean(me.value.User)+" ("+clean(me.value.Role)+")")
	}
	if d.link.hello.Revision > 0 {
		parts = append(parts, fmt.Sprintf("rev %d", d.link.hello.Revision))
	}
	if n := len(d.books.nodes.value); n > 1 {
		parts = append(parts, plural(n, "node"))
	}
	text := ""
	for _, part := range parts {
		if n := width(part) + 2; n <= *room {
			text += "  " + part
			*room -= n
		}
	}
	return text
}

// health is the gateway's state as one sign.
func (c *console) health() string {
	l := c.desk.look
	switch {
	case c.desk.link.lost():
		return l.bad.Render(l.gone)
	case c.desk.link.muteFor(c.desk.now()) > 0:
		return l.warn.Render(l.ill)
	case c.desk.link.state == linking:
		return l.dim.Render(l.off)
	}
	return l.good.Render(l.on)
}

func (c *console) linkSign() string {
	l, link := c.desk.look, &c.desk.link
	switch link.state {
	case live:
		if link.muteFor(c.desk.now()) > 0 {
			return l.warn.Render(l.ill) + " silent"
		}
		return l.good.Render(l.on) + " live"
	case lost:
		return l.bad.Render(l.gone) + " lost"
	case loggedOut:
		return l.warn.Render(l.ill) + " logged out"
	case deaf:
		return l.warn.Render(l.waiting) + " every " + span(untoldEvery)
	}
	return l.dim.Render(l.off + " " + l.more)
}

func (c *console) tab(i int) string {
	text := fmt.Sprintf("%d %s", i+1, c.screens[i].title())
	if c.w < 112 { // the nine of them do not fit
		text = fmt.Sprintf("%d", i+1)
		if i == c.at {
			text += " " + c.screens[i].title()
		}
	}
	return " " + text
}

func (c *console) tabs() string {
	l := c.desk.look
	var b strings.Builder
	for i := range c.screens {
		if i == c.at {
			b.WriteString(l.selected.Render(c.tab(i) + " "))
		} else {
			b.WriteString(l.dim.Render(c.tab(i) + " "))
		}
	}
	return l.ends(b.String(), l.dim.Render("? help "), c.w)
}

// bar tells, on a line of its own, what makes what is shown doubtful.
func (c *console) bar() string {
	d := c.desk
	var text string
	switch link := &d.link; {
	case link.state == lost:
		for _, text = range link.problems(d.now(), c.oldest()) {
			if width(text)+3 <= c.w {
				break
			}
		}
	case link.state == loggedOut && len(c.overlays) == 0:
		text = "not logged in (" + reason(link.err) + "); r logs in"
		if d.gateway.Login == nil {
			text = "not allowed here (" + reason(link.err) + "); r tries again"
		}
		if token := d.gateway.Token; token != "" {
			text = "the token of " + token + " is not valid here, or it has ended; unset it to log in"
		}
	case link.state == linking && d.now().Sub(link.since) >= slowLoad:
		text = "waiting for " + clean(d.gateway.Where) + d.look.more + "  q quits"
	case link.muteFor(d.now()) > 0:
		text = "the gateway does not answer since " + clockOf(link.mute) + age(d.now(), c.oldest())
	case link.partial != nil:
		text = "nothing is known of " + clean(strings.Join(link.partial.Nodes, ", "))
		if len(link.partial.Nodes) == 0 {
			text = "it is not known which nodes there are"
		}
		if link.partial.Problem != "" {
			text += ": " + clean(link.partial.Problem)
		}
	default:
		return ""
	}
	return d.look.warn.Render(d.look.fit(" "+d.look.ill+" "+text, c.w))
}

// age says how old what is shown is; from: when the oldest of it was loaded.
func age(now, from time.Time) string {
	if from.IsZero() {
		return ""
	}
	return "; what is shown is " + span(now.Sub(from)) + " old"
}

// oldest is since when the oldest of what is shown may have been another. What
// events tell of was right until they came no more, whenever it was loaded.
func (c *console) oldest() (oldest time.Time) {
	heard := c.desk.link.heardUntil()
	for _, n := range c.shown().needs() {
		s := c.desk.books.of(n.book).state()
		if !s.there {
			continue
		}
		at := s.at
		if n.every == 0 && heard.After(at) {
			at = heard
		}
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

// footer tells what happened last, and what the keys do.
func (c *console) footer() string {
	d := c.desk
	l := d.look
	var right string
	if d.notes.text != "" {
		style, sign := l.good, l.yes
		if d.notes.bad {
			style, sign = l.bad, l.no
		}
		if len(c.overlays) == 0 || d.notes.bad {
			return style.Render(l.fit(" "+sign+" "+clean(d.notes.text), c.w))
		}
	}
	if len(c.overlays) > 0 {
		return l.fit("", c.w)
	}
	if requests := d.gateway.Requests; requests != nil {
		right = l.dim.Render(count(requests()) + " calls ")
	}
	var parts []string
	for _, a := range c.offered() {
		if a.Quiet {
			continue
		}
		parts = append(parts, l.key.Render(l.keyText(a.Keys[0]))+" "+a.Short)
	}
	return l.ends(" "+strings.Join(parts, "  "), right, c.w)
}

// offered lists the actions that can be done now.
func (c *console) offered() []Action {
	var all []Action
	for _, a := range c.keys.in(c.scopes()) {
		if a.Changes && c.desk.readOnly() && (!a.Own || c.desk.options.ReadOnly) {
			continue
		}
		if a.Scope == everywhere || c.shown().can(a.Name) {
			all = append(all, a)
		}
	}
	return all
}
