package tui

import (
	"context"
	"os/exec"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// desk is what all screens share: what is known of the gateway, how things look,
// and the doors through which they reach further. Only the goroutine that runs
// Update touches it.
type desk struct {
	options     *Options
	look        *look
	gateway     Gateway
	generation  int // counts gateways: answers of an earlier one are thrown away
	books       books
	link        link
	windowQuery api.WindowQuery
	follow      api.EventQuery // which exchanges the stream brings; see listenTo
	anew        bool           // the stream is to be opened anew, for another follow
	sessionsOf  string         // the user whose logins are looked at
	keys        *keymap
	log         commandLog
	ctx         context.Context // ends with the console
	openings    []overlay       // opened since the console last looked
	going       way             // to the screen that is to be shown next; none: this one stays
	notes       notes

	runs func(*exec.Cmd, tea.ExecCallback) tea.Cmd // another program, in place of the console
}

func (d *desk) now() time.Time { return d.options.Clock() }

// away makes a command of a call that may take its time, but not more than limit.
// Where another gateway was chosen meanwhile, nobody is told what it gave.
func (d *desk) away(limit time.Duration, call func(context.Context) tea.Msg) tea.Cmd {
	parent, generation := d.ctx, d.generation
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(parent, limit)
		defer cancel()
		if msg := call(ctx); msg != nil {
			return answered{generation, msg}
		}
		return nil
	}
}

// answered is what a call gave, and which gateway it was made to.
type answered struct {
	generation int
	msg        tea.Msg
}

// open puts something over the screen.
func (d *desk) open(o overlay) { d.openings = append(d.openings, o) }

// listenTo has the stream bring other exchanges from now on, and those of the
// past that it is to begin with.
func (d *desk) listenTo(q api.EventQuery) {
	d.follow, d.link.after, d.anew = q, "", true
}

// mayChange says why nothing can be changed now; empty: it can. What is the
// person's own, whatever the role.
func (d *desk) mayChange(own bool) string {
	switch {
	case d.readOnly() && (!own || d.options.ReadOnly):
		return "read-only: " + d.whyReadOnly()
	case d.link.lost():
		return "the gateway is not reachable; nothing can be changed"
	}
	return ""
}

// readOnly says whether the person can change nothing here. It is not known before
// the gateway has said who they are.
func (d *desk) readOnly() bool { return d.whyReadOnly() != "" }

func (d *desk) whyReadOnly() string {
	if d.options.ReadOnly {
		return "the console was started with --readonly"
	}
	if me := &d.books.me; !d.operates() {
		return "the role " + me.value.Role + " changes nothing"
	}
	return ""
}

// operates says whether the person's role may change what is not their own. It is
// taken for granted until the gateway has said who they are.
func (d *desk) operates() bool {
	me := &d.books.me
	return !me.there() || accounts.Role(me.value.Role).Covers(accounts.RoleOperator)
}

// isMe says whether the person is the user of that name. On the socket nobody is
// one.
func (d *desk) isMe(user string) bool {
	me := &d.books.me
	return me.there() && me.value.Via != viaSocket && me.value.User == user
}

// viaSocket is what api.Me says of a call through the socket.
const viaSocket = "socket"

// nounOf is the kind of a subject: "key" of "key:key_01…".
func nounOf(subject string) string {
	noun, _, _ := strings.Cut(subject, ":")
	return noun
}

// notes is the one line that tells what happened.
type notes struct {
	text string
	bad  bool
	at   time.Time
}

// noteStays is how long it is shown.
const noteStays = 8 * time.Second

// say shows a line for a while.
func (d *desk) say(text string) { d.notes = notes{text: text, at: d.now()} }

// complain is say for what went wrong.
func (d *desk) complain(text string) { d.notes = notes{text: text, bad: true, at: d.now()} }
