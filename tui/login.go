package tui

import (
	"context"
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// reconnected tells that a login succeeded, or that another gateway was chosen.
type reconnected struct {
	form *form
	err  error
}

// logOut takes in that calls are made in nobody's name: the login is asked for
// over the screen, and afterwards everything is where it was.
func (c *console) logOut(err error) tea.Cmd {
	d := c.desk
	if d.link.state == loggedOut {
		return nil
	}
	d.link.state, d.link.since, d.link.err = loggedOut, d.now(), err
	if d.gateway.Login == nil {
		if d.gateway.Token == "" { // else the bar says it
			d.complain("not allowed here: " + reason(err))
		}
		return nil
	}
	d.open(c.loginForm(err))
	return nil
}

func (c *console) loginForm(why error) *form {
	d := c.desk
	f := &form{
		look: d.look, title: "Log in to " + clean(d.gateway.Name),
		intro:  []string{clean(d.gateway.Where), reason(why)},
		fields: []*field{writtenField("user", "User", d.gateway.User, ""), hiddenField("password", "Password", "")},
	}
	if d.gateway.User != "" {
		f.at = 1
	}
	f.submit = func(f *form) tea.Cmd {
		user, password := f.value("user"), accounts.NewSecret(f.value("password"))
		if user == "" || password.IsZero() {
			f.problem = "user and password are needed"
			return nil
		}
		login := d.gateway.Login
		return d.away(loadLimit, func(ctx context.Context) tea.Msg {
			return reconnected{f, login(ctx, user, password)}
		})
	}
	return f
}

// reconnected goes on after a login, as if nothing had been.
func (c *console) reconnected(m reconnected) tea.Cmd {
	if m.err != nil {
		if nobodyCalls(m.err) {
			m.form.forget() // it was the wrong one
		}
		return c.hand(formRefused(m))
	}
	c.hand(formDone{m.form})
	if me := &c.desk.books.me; me.there() && me.value.User != m.form.value("user") {
		return c.begin() // it is not for them what the one before was shown, or wrote
	}
	return c.goOn()
}

// goOn begins anew with the gateway that is shown, and asks for everything again.
func (c *console) goOn() tea.Cmd {
	d := c.desk
	d.link = link{since: d.now(), after: d.link.after}
	for b := range allBooks {
		d.books.of(b).spoil()
		d.books.of(b).forgive()
	}
	return tea.Batch(c.listen(), c.need())
}

// logInAgain is for whoever has closed the login, or has none and tries again.
func (c *console) logInAgain() tea.Cmd {
	d := c.desk
	if d.gateway.Login == nil {
		return c.goOn()
	}
	d.open(c.loginForm(d.link.err))
	return nil
}

// switchTo shows another gateway. What was known of the one before is forgotten.
func (c *console) switchTo(name string) tea.Cmd {
	d := c.desk
	if d.options.Connect == nil {
		d.complain("there is no other context; llmgw login URL makes one")
		return nil
	}
	to, err := d.options.Connect(name)
	if err != nil {
		d.complain(reason(err) + "; there are " + strings.Join(d.options.Contexts, ", "))
		return nil
	}
	d.gateway = to
	d.say(fmt.Sprintf("context %s", name))
	return c.begin()
}

// begin shows the gateway as if the console had only been started.
func (c *console) begin() tea.Cmd {
	d := c.desk
	d.generation++
	d.books, d.log, d.follow = books{}, commandLog{}, api.EventQuery{}
	d.link = link{since: d.now()}
	c.overlays = nil
	c.build()
	return tea.Batch(c.listen(), d.load(bookMe), c.need())
}
