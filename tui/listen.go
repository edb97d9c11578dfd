package tui

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

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

// hear takes in what came on the stream.
func (c *console) hear(m fed) tea.Cmd {
	if m.from != c.feed {
		return nil // another one was opened since
	}
	l := &c.desk.link
	l.missed += m.dropped
	if len(m.events) > 0 {
		c.hearAgain()
	}
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
		l.state, l.since, l.err, l.tries, l.mute = live, c.desk.now(), nil, 0, time.Time{}
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

// hearAgain ends the silence of a gateway. What it did not answer is asked again.
func (c *console) hearAgain() {
	if c.desk.link.mute.IsZero() {
		return
	}
	c.desk.link.mute = time.Time{}
	for b := range allBooks {
		c.desk.books.of(b).forgive()
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
