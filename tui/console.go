package tui

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of drawing.
const (
	framesASecond = 10
	tickEvery     = time.Second
	leastWidth    = 60
	leastHeight   = 16
	quietStart    = 150 * time.Millisecond // nothing is said of loading before
	lastingStream = 5 * time.Second        // from then on a stream of events that ends is opened again at once
)

// console is the root: it hands keys and answers to whom they concern, and puts
// the frame around what is shown.
type console struct {
	desk     *desk
	keys     *keymap
	screens  []screen
	at       int // the screen that is shown
	overlays []overlay
	feed     *feed
	started  time.Time
	w, h     int
	mouse    bool
	quitting bool

	frame string // as drawn last
	dirty bool
}

// Run shows the console until it is left, or ctx ends.
func Run(ctx context.Context, o Options) error {
	c, err := newConsole(ctx, o)
	if err != nil {
		return err
	}
	// Whatever is to end the console, a signal as well, ends ctx; see below.
	settings := []tea.ProgramOption{tea.WithAltScreen(), tea.WithFPS(framesASecond), tea.WithoutSignalHandler()}
	if o.In != nil {
		settings = append(settings, tea.WithInput(o.In))
	}
	if o.Out != nil {
		settings = append(settings, tea.WithOutput(o.Out))
	}
	if o.Mouse {
		settings = append(settings, tea.WithMouseCellMotion())
	}
	program := tea.NewProgram(c, settings...)
	// Not tea.WithContext: that ends the loop at once, while the library's reader
	// still reads what it closes, and its signal handler, where it is on, waits for
	// the loop without end.
	stop := context.AfterFunc(ctx, program.Quit)
	defer stop()
	_, err = program.Run()
	c.close()
	return err
}

// newConsole makes a console that has drawn nothing yet.
func newConsole(ctx context.Context, o Options) (*console, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	keys, err := newKeymap(o.Keys)
	if err != nil {
		return nil, err
	}
	light := o.Theme == "light"
	if o.Theme == "" && !o.NoColour {
		light = terminalIsLight(o.Out)
	}
	d := &desk{options: &o, look: newLook(o.Out, o.ASCII, o.NoColour, light), gateway: o.Gateway, keys: keys, ctx: ctx, runs: tea.ExecProcess}
	d.windowQuery = api.WindowQuery{Window: 15 * time.Minute, Points: 120}
	d.link = link{since: d.now()}
	c := &console{desk: d, keys: keys, started: d.now(), mouse: o.Mouse, dirty: true}
	c.build()
	for i, s := range c.screens {
		if s.name() == o.Start {
			c.at = i
		}
	}
	return c, nil
}

// build makes the screens, in the order of their numbers.
func (c *console) build() {
	d := c.desk
	c.screens = []screen{
		newDashboard(d), newTraffic(d), newRules(d), newUpstreams(d), newKeys(d), newUsers(d), newBindings(d), newUsage(d), newSystem(d),
	}
}

func (c *console) close() {
	if c.feed != nil {
		c.feed.cancel()
	}
}

// shown is the screen that is in front.
func (c *console) shown() screen { return c.screens[c.at] }

// ticked is sent once a second.
type ticked time.Time

func tick() tea.Cmd { return tea.Tick(tickEvery, func(t time.Time) tea.Msg { return ticked(t) }) }

// Init opens the stream and loads what the first screen shows.
func (c *console) Init() tea.Cmd {
	first := tea.Tick(quietStart, func(time.Time) tea.Msg { return firstFrame{} })
	return tea.Batch(c.listen(), c.desk.load(bookMe), c.need(), tick(), first)
}

// firstFrame is when something is drawn, whether anything has come or not.
type firstFrame struct{}

// listen opens the stream of events anew.
func (c *console) listen() tea.Cmd {
	if c.feed != nil {
		c.feed.cancel()
	}
	c.desk.anew, c.desk.link.heard = false, time.Time{}
	if c.desk.gateway.Client == nil {
		return nil
	}
	l := &c.desk.link
	l.missed, l.tally = l.missed+l.tally.Dropped, api.Tally{} // which begins anew with a stream
	c.feed = c.desk.startFeed()
	return c.feed.take(c.desk.ctx)
}

func (c *console) need() tea.Cmd {
	return c.desk.loadNeeded(append(c.shown().needs(), need{book: bookMe}))
}

// Update takes in what happened.
func (c *console) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if key, ok := msg.(tea.KeyMsg); ok && key.Type == tea.KeyRunes && !key.Paste && len(key.Runes) > 1 {
		return c, c.pressEach(key) // typed faster than they were read
	}
	c.dirty = true
	cmd := c.take(msg)
	d := c.desk
	if len(d.openings) > 0 {
		c.overlays = append(c.overlays, d.openings...)
		d.openings = nil
	}
	if d.anew && !d.link.lost() { // else it is opened when the gateway is back
		cmd = tea.Batch(cmd, c.listen())
	}
	return c, tea.Batch(cmd, c.walk())
}

// pressEach takes letters that came together one by one: jj is twice down.
func (c *console) pressEach(key tea.KeyMsg) tea.Cmd {
	all := make([]tea.Cmd, len(key.Runes))
	for i, r := range key.Runes {
		_, all[i] = c.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: key.Alt})
	}
	return tea.Batch(all...)
}

func (c *console) take(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		c.w, c.h = m.Width, m.Height
	case tea.KeyMsg:
		return c.press(m)
	case tea.MouseMsg:
		return c.point(m)
	case ticked:
		c.pass()
		return tea.Batch(tick(), c.need())
	case fed:
		return c.hear(m)
	case loaded:
		return c.keep(m)
	case answered:
		return c.answered(m)
	case changed:
		return c.changed(m)
	case relisten:
		return c.relisten(m)
	case notCopied:
		c.desk.complain("copying: " + reason(m.err))
	case reconnected:
		return c.reconnected(m)
	case chosenAction:
		return c.act(m.name, m.key)
	case written:
		return c.obey(m.words)
	default:
		return c.hand(msg)
	}
	return nil
}

// answered takes in what a call gave, unless another gateway was chosen since.
func (c *console) answered(m answered) tea.Cmd {
	if m.generation != c.desk.generation {
		return nil
	}
	return c.take(m.msg)
}

// changed takes in the outcome of a change.
func (c *console) changed(m changed) tea.Cmd {
	cmd := c.desk.settle(m)
	if nobodyCalls(m.err) {
		cmd = tea.Batch(cmd, c.logOut(m.err))
	}
	return tea.Batch(cmd, c.need())
}

// hand gives a message to everybody: whoever asked knows its answer.
func (c *console) hand(msg tea.Msg) tea.Cmd {
	var all []tea.Cmd
	for i := len(c.overlays) - 1; i >= 0; i-- {
		cmd, done := c.overlays[i].update(msg)
		all = append(all, cmd)
		if done {
			c.overlays = slices.Delete(c.overlays, i, i+1)
		}
	}
	for _, s := range c.screens {
		all = append(all, s.update(msg))
	}
	return tea.Batch(all...)
}

// keep takes in what was loaded. A login that has ended is asked for again.
func (c *console) keep(m loaded) tea.Cmd {
	before := c.desk.books.me.value.Role
	m.keep()
	switch me := &c.desk.books.me; {
	case m.err != nil && nobodyCalls(m.err):
		return c.logOut(m.err)
	case c.desk.link.state == deaf && before != "" && accounts.Role(me.value.Role).Covers(accounts.RoleViewer) &&
		(before != me.value.Role || c.desk.now().Sub(c.desk.link.since) >= untoldEvery):
		return c.goOn() // who has another role now may be told more
	}
	return tea.Batch(c.hand(m), c.need()) // a screen may have something that rests on it
}

// pass lets a second pass.
func (c *console) pass() {
	d := c.desk
	if d.notes.text != "" && d.now().Sub(d.notes.at) >= noteStays {
		d.notes = notes{}
	}
}

// hear takes in what came on the stream.
func (c *console) hear(m fed) tea.Cmd {
	if m.from != c.feed {
		return nil // another one was opened since
	}
	l := &c.desk.link
	l.missed += m.dropped
	if m.unsure {
		c.spoil(everyBook())
	}
	for i := range m.events {
		c.hearOne(m.events[i])
	}
	if m.ended {
		return c.unlink(m.err)
	}
	return tea.Batch(c.feed.take(c.desk.ctx), c.need())
}

func (c *console) hearOne(e api.Event) {
	l := &c.desk.link
	if e.ID != "" {
		l.after = e.ID
	}
	switch {
	case e.Hello != nil:
		c.linked(*e.Hello)
	case e.Change != nil:
		l.hello.Revision, l.hello.Seq = max(l.hello.Revision, e.Change.Revision), e.Change.Seq
		c.spoil(booksOf(e.Change.Subjects))
	case e.Tally != nil:
		l.tally = *e.Tally
	case e.Partial != nil:
		l.partial = e.Partial
		if len(e.Partial.Nodes) == 0 && e.Partial.Problem == "" {
			l.partial = nil
		}
	}
	for _, s := range c.screens {
		s.hear(e)
	}
}

// linked takes in that the stream has begun. What was loaded before may be old.
func (c *console) linked(h api.Hello) {
	l := &c.desk.link
	if l.state != live {
		l.state, l.since, l.err, l.tries = live, c.desk.now(), nil, 0
		for b := range allBooks {
			c.desk.books.of(b).forgive() // it may have failed for the same reason
		}
	}
	if l.hello.Seq != h.Seq || l.hello.Node != h.Node {
		c.spoil(everyBook())
	}
	l.hello = h
	if l.heard.IsZero() {
		l.heard = c.desk.now()
	}
}

func (c *console) spoil(which []book) {
	for _, b := range which {
		c.desk.books.of(b).spoil()
	}
}

// relisten is when the stream is tried again.
type relisten struct{ from *feed }

func (c *console) relisten(m relisten) tea.Cmd {
	if m.from != c.feed || c.desk.link.state != lost {
		return nil // somebody was quicker
	}
	return c.listen()
}

// unlink takes in that the stream has ended, and tries again: at once where it had
// lasted, or else a little later. A role that may not listen is not told again.
func (c *console) unlink(err error) tea.Cmd {
	l := &c.desk.link
	switch {
	case nobodyCalls(err):
		return c.logOut(err)
	case isRefused(err):
		l.state, l.since, l.err = deaf, c.desk.now(), err
		c.spoil(everyBook()) // the role may have been another
		return c.need()
	case l.state == live && !l.heard.IsZero() && c.desk.now().Sub(l.heard) >= lastingStream:
		return c.listen() // the gateway ends every stream of a login sometime; whether it is gone shows at once
	}
	if l.state != lost {
		l.state, l.since = lost, c.desk.now()
	}
	l.err = err
	l.tries++
	wait := retryAfter(l.tries)
	l.next = c.desk.now().Add(wait)
	from := c.feed
	return tea.Tick(wait, func(time.Time) tea.Msg { return relisten{from} })
}

// show goes to a screen by its name.
func (c *console) show(name string) tea.Cmd {
	for i, s := range c.screens {
		if s.name() == name {
			c.at = i
			return c.need()
		}
	}
	return nil
}

// press does what a key means here.
func (c *console) press(key tea.KeyMsg) tea.Cmd {
	if name, ok := c.keys.find(key.String(), []string{everywhere}); ok && name == "quit" {
		c.quitting = true
		return tea.Quit
	}
	if n := len(c.overlays); n > 0 {
		top := c.overlays[n-1]
		cmd, done := top.update(key)
		if done {
			c.closeOverlay(top)
		}
		return cmd
	}
	if c.shown().writes() {
		return c.shown().update(key)
	}
	name, ok := c.keys.find(key.String(), c.scopes())
	if !ok {
		return nil
	}
	return c.act(name, key.String())
}

func (c *console) closeOverlay(o overlay) {
	if i := slices.Index(c.overlays, o); i >= 0 {
		c.overlays = slices.Delete(c.overlays, i, i+1) // which lets go of it: it may hold a secret
	}
}

// scopes are the parts of the key map in force, the narrowest first.
func (c *console) scopes() []string { return append(c.shown().scopes(), everywhere) }

// act does an action, if it may be done now.
func (c *console) act(name, key string) tea.Cmd {
	a := c.keys.named(name)
	if a.Changes {
		if why := c.desk.mayChange(a.Own); why != "" {
			c.desk.complain(why)
			return nil
		}
	}
	if a.Scope != everywhere {
		if !c.shown().can(name) {
			return nil
		}
		return tea.Batch(c.shown().do(name), c.need())
	}
	return tea.Batch(c.general(name, key), c.need())
}

// general does an action that every screen has.
func (c *console) general(name, key string) tea.Cmd {
	d := c.desk
	switch name {
	case "screen":
		if n := int(key[len(key)-1] - '1'); n >= 0 && n < len(c.screens) {
			c.at = n
		}
	case "command":
		d.open(newCommandLine(c))
	case "help":
		d.open(newHelp(c))
	case "window":
		d.nextWindow()
	case "refresh":
		return c.refresh()
	case "log":
		d.openLog()
	case "mouse":
		return c.switchMouse()
	case "suspend":
		return tea.Suspend
	case "back":
		c.shown().back()
	case "leave":
		if !c.shown().back() {
			return c.leave()
		}
	default: // next-pane, previous-pane: the screen's own
		return c.shown().do(name)
	}
	return nil
}

// refresh asks for what is shown now, and tries what has failed again.
func (c *console) refresh() tea.Cmd {
	d := c.desk
	for _, n := range c.shown().needs() {
		d.books.of(n.book).spoil()
		d.books.of(n.book).forgive()
	}
	switch d.link.state {
	case lost, deaf:
		return c.listen()
	case loggedOut:
		return c.logInAgain()
	}
	return nil
}

// leaver is a screen that has something which would be lost.
type leaver interface{ unsaved() string }

// leave quits, and asks first where something would be lost.
func (c *console) leave() tea.Cmd {
	for _, s := range c.screens {
		l, ok := s.(leaver)
		if !ok || l.unsaved() == "" {
			continue
		}
		c.desk.open(&question{look: c.desk.look, title: "Quit?", lines: []string{l.unsaved()}, answers: []answer{{
			text: "Quit", danger: true, do: func() tea.Cmd { c.quitting = true; return tea.Quit },
		}}})
		return nil
	}
	c.quitting = true
	return tea.Quit
}

func (c *console) switchMouse() tea.Cmd {
	c.mouse = !c.mouse
	if c.mouse {
		c.desk.say("mouse on: a click goes to a row or a screen, the wheel scrolls")
		return tea.EnableMouseCellMotion
	}
	c.desk.say("mouse off")
	return tea.DisableMouse
}

// point does what the mouse means: the wheel moves as the arrows do, and a click
// on the tabs goes there.
func (c *console) point(m tea.MouseMsg) tea.Cmd {
	if len(c.overlays) > 0 {
		return nil
	}
	switch {
	case m.Button == tea.MouseButtonWheelDown:
		return c.act("down", "down")
	case m.Button == tea.MouseButtonWheelUp:
		return c.act("up", "up")
	case m.Button == tea.MouseButtonLeft && m.Action == tea.MouseActionPress && m.Y == 1:
		at := 0
		for i := range c.screens {
			at += width(c.tab(i)) + 1
			if m.X < at {
				c.at = i
				return c.need()
			}
		}
	}
	return nil
}

// nextWindow looks back over another time.
func (d *desk) nextWindow() {
	choices := windows()
	for i, w := range choices {
		if w == d.windowQuery.Window {
			d.setWindow(choices[(i+1)%len(choices)])
			return
		}
	}
	d.setWindow(choices[0])
}

func (d *desk) setWindow(w time.Duration) {
	d.windowQuery.Window = w
	d.books.window.spoil()
}

// windows are the times that can be looked back over: what the gateway keeps in
// memory.
func windows() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
}

// screenNamed finds a screen by its name, or by the beginning of it.
func (c *console) screenNamed(name string) (screen, bool) {
	for _, s := range c.screens {
		if name != "" && strings.HasPrefix(s.name(), name) {
			return s, true
		}
	}
	return nil, false
}
