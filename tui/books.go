package tui

import (
	"context"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// loadLimit bounds one call that loads something, slowLoad is when the person is
// told what is being waited for.
const (
	loadLimit = 10 * time.Second
	slowLoad  = 5 * time.Second
	tryAgain  = 5 * time.Second // what could not be loaded again

	untoldEvery = 15 * time.Second // for whoever is told of no change
)

// held is what was loaded of one kind, and how it stands. What was loaded stays
// while it is loaded again, and when that fails.
type held[T any] struct {
	value T
	at    time.Time // of the last time it came; zero: it never did
	err   error     // of the last try
	tried time.Time // when the last try ended
	asked time.Time // since when it is being waited for; zero: it is not
	stale bool      // something has changed since it was asked for
}

func (h *held[T]) there() bool      { return !h.at.IsZero() }
func (h *held[T]) spoil()           { h.stale = true }
func (h *held[T]) state() bookState { return bookState{h.there(), h.err, h.asked, h.at} }
func (h *held[T]) busy() bool       { return !h.asked.IsZero() }

func (h *held[T]) forgive() {
	if h.err != nil {
		h.err, h.stale = nil, true
	}
}

// old says whether it is to be asked for. What never came and was refused waits for
// a person, or for something to change; what came before is tried again by itself.
func (h *held[T]) old(now time.Time, every time.Duration) bool {
	switch {
	case h.busy():
		return false
	case h.stale:
		return true
	case h.err != nil:
		return h.there() && now.Sub(h.tried) >= max(every, tryAgain)
	}
	return !h.there() || every > 0 && now.Sub(h.at) >= every
}

// bookState is how something that is loaded stands, for whoever draws it.
type bookState struct {
	there bool
	err   error
	asked time.Time
	at    time.Time
}

// book is a kind of thing that is loaded from the gateway.
type book int

// What the console knows of the gateway.
const (
	bookMe book = iota
	bookStatus
	bookNodes
	bookRules
	bookUpstreams
	bookKeys
	bookUsers
	bookBindings
	bookWindow  // requests and tokens of the last while, by what Screen wants
	bookStreams // what is in flight
	bookAudit
	bookHistory
	bookSettings
	bookSessions // logins and tokens of the user that is open
	allBooks
)

// books is everything that was loaded.
type books struct {
	me        held[api.Me]
	status    held[api.Status]
	nodes     held[[]api.Node]
	rules     held[api.RuleList]
	upstreams held[[]api.Upstream]
	keys      held[[]api.Key]
	users     held[[]api.User]
	bindings  held[[]api.Binding]
	window    held[api.Window]
	streams   held[api.Streams]
	audit     held[[]api.AuditEntry]
	history   held[[]api.HistoryEntry]
	settings  held[[]api.Setting]
	sessions  held[sessions]
}

// sessions are the logins and tokens of one user.
type sessions struct {
	user  string
	items []api.Token
}

// shelf is what a book can do whatever is in it.
type shelf interface {
	spoil()
	forgive() // what failed is tried again
	busy() bool
	state() bookState
	old(now time.Time, every time.Duration) bool
}

func (b *books) of(which book) shelf {
	return [allBooks]shelf{
		bookMe: &b.me, bookStatus: &b.status, bookNodes: &b.nodes, bookRules: &b.rules, bookUpstreams: &b.upstreams,
		bookKeys: &b.keys, bookUsers: &b.users, bookBindings: &b.bindings, bookWindow: &b.window, bookStreams: &b.streams,
		bookAudit: &b.audit, bookHistory: &b.history, bookSettings: &b.settings, bookSessions: &b.sessions,
	}[which]
}

// The most of what has no end by itself.
const (
	auditShown   = 20
	historyShown = 100
)

// load asks for a book, unless that is under way.
func (d *desk) load(which book) tea.Cmd {
	if d.books.of(which).busy() || d.gateway.Client == nil {
		return nil
	}
	c := d.gateway.Client
	switch b := &d.books; which {
	case bookMe:
		return fetch(d, &b.me, c.Me)
	case bookStatus:
		return fetch(d, &b.status, c.Status)
	case bookNodes:
		return fetch(d, &b.nodes, c.Nodes)
	case bookRules:
		return fetch(d, &b.rules, c.Rules)
	case bookUpstreams:
		return fetch(d, &b.upstreams, c.Upstreams)
	case bookKeys:
		return fetch(d, &b.keys, c.AllKeys)
	case bookUsers:
		return fetch(d, &b.users, c.Users)
	case bookBindings:
		return fetch(d, &b.bindings, c.Bindings)
	case bookStreams:
		return fetch(d, &b.streams, c.Streams)
	case bookSettings:
		return fetch(d, &b.settings, c.Settings)
	}
	return d.loadPart(which)
}

// loadPart asks for a book of which only a part is wanted.
func (d *desk) loadPart(which book) tea.Cmd {
	c := d.gateway.Client
	switch b := &d.books; which {
	case bookWindow:
		query := d.windowQuery
		return fetch(d, &b.window, func(ctx context.Context) (api.Window, error) { return c.Window(ctx, query) })
	case bookAudit:
		return fetch(d, &b.audit, func(ctx context.Context) ([]api.AuditEntry, error) {
			list, err := c.Audit(ctx, api.AuditQuery{Limit: auditShown})
			return list.Items, err
		})
	case bookHistory:
		return fetch(d, &b.history, func(ctx context.Context) ([]api.HistoryEntry, error) { return c.History(ctx, historyShown) })
	case bookSessions:
		user := d.sessionsOf
		return fetch(d, &b.sessions, func(ctx context.Context) (sessions, error) {
			items, err := c.Logins(ctx, user)
			return sessions{user, items}, err
		})
	}
	return nil
}

// loaded is the answer to a load. It is kept by the goroutine that draws.
type loaded struct {
	err  error
	keep func()
}

func fetch[T any](d *desk, into *held[T], call func(context.Context) (T, error)) tea.Cmd {
	into.asked, into.stale = d.now(), false
	return d.away(loadLimit, func(ctx context.Context) tea.Msg {
		value, err := call(ctx)
		return loaded{err, func() {
			into.asked, into.tried, into.err = time.Time{}, d.now(), err
			if err == nil {
				into.value, into.at = value, d.now()
			}
		}}
	})
}

// need is a book that a screen shows. Every says how often it is asked for while
// nothing tells of changes; 0: never.
type need struct {
	book  book
	every time.Duration
}

// loadNeeded asks for what is missing or old of what is shown.
func (d *desk) loadNeeded(needs []need) tea.Cmd {
	if d.link.lost() {
		return nil // the stream says when it is back
	}
	var all []tea.Cmd
	for _, n := range needs {
		if d.link.state == deaf && n.every == 0 {
			n.every = untoldEvery
		}
		if d.books.of(n.book).old(d.now(), n.every) {
			all = append(all, d.load(n.book))
		}
	}
	return tea.Batch(all...)
}

// booksOf says which books a change of the store made old. Subjects are
// "key:key_01…" and the like; * is everything.
func booksOf(subjects []string) []book {
	bySubject := map[string][]book{
		"rule":       {bookRules, bookHistory, bookAudit},
		"rules":      {bookRules, bookHistory, bookAudit},
		"set":        {bookRules, bookHistory, bookAudit},
		"upstream":   {bookUpstreams, bookRules, bookBindings, bookAudit},
		"credential": {bookUpstreams, bookAudit},
		"key":        {bookKeys, bookUsers, bookBindings, bookAudit},
		"user":       {bookUsers, bookKeys, bookBindings, bookMe, bookSessions, bookAudit},
		"session":    {bookSessions, bookAudit},
		"binding":    {bookBindings, bookAudit},
	}
	var old []book
	for _, s := range subjects {
		kind, known := bySubject[nounOf(s)]
		if !known {
			return everyBook()
		}
		old = append(old, kind...)
	}
	return old
}

func everyBook() []book {
	all := make([]book, allBooks)
	for i := range all {
		all[i] = book(i)
	}
	return all
}
