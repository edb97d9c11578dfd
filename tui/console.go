package tui

import (
	"context"
	"fmt"
	"os"
	"slices"
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
	if o.Left != nil {
		for _, what := range c.unsaved() {
			o.Left(what)
		}
	}
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
	start := slices.Index(Screens(), o.Start)
	if o.Start == "" {
		start = 0
	}
	if start < 0 {
		return nil, fmt.Errorf("there is no screen %q", o.Start)
	}
	light := o.Theme == "light"
	if o.Theme == "" && !o.NoColour {
		light = terminalIsLight(o.Out)
	}
	d := &desk{options: &o, look: newLook(o.Out, o.ASCII, o.NoColour, light), gateway: o.Gateway, keys: keys, ctx: ctx, runs: tea.ExecProcess}
	d.windowQuery = api.WindowQuery{Window: 15 * time.Minute, Points: 120}
	d.link = link{since: d.now()}
	c := &console{desk: d, keys: keys, at: start, started: d.now(), mouse: o.Mouse, dirty: true}
	c.build()
	return c, nil
}

// Screens are the names of the screens, in the order of their numbers.
func Screens() []string {
	return []string{"dashboard", "traffic", "rules", "upstreams", "keys", "users", "bindings", "usage", "system"}
}

// build makes the screens, in the order of Screens.
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

func (c *console) need() tea.Cmd {
	me := need{book: bookMe}
	if c.desk.link.muteFor(c.desk.now()) > 0 {
		me.every = tryAgain // whether it answers again
	}
	return c.desk.loadNeeded(append(c.shown().needs(), me))
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
	switch l := &c.desk.link; {
	case !noAnswer(m.err):
		c.hearAgain()
	case l.mute.IsZero():
		l.mute = c.desk.now() // a gateway that hangs keeps its stream for a while; calls tell sooner
	}
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
