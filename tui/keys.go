package tui

import (
	"cmp"
	"context"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/llmgw/llmgw/admin/api"
)

func keysKeys() []Action {
	return []Action{
		{Name: "keys.create", Scope: "keys", Keys: []string{"n"}, Short: "new", Long: "make a key; it is shown once", Changes: true},
		{Name: "keys.edit", Scope: "keys", Keys: []string{"e"}, Short: "edit", Long: "change its name, owner, models, tags or end", Changes: true},
		{Name: "keys.switch", Scope: "keys", Keys: []string{" "}, Short: "on/off", Long: "disable or enable the key", Changes: true},
		{Name: "keys.rotate", Scope: "keys", Keys: []string{"R"}, Short: "rotate", Long: "give the key a new secret; the old one has its grace", Changes: true},
		{Name: "keys.revoke", Scope: "keys", Keys: []string{"ctrl+d"}, Short: "revoke", Long: "end the key for good, and its streams; asks first", Changes: true},
	}
}

// keysScreen shows the gateway keys.
type keysScreen struct{ list[api.Key] }

func newKeys(d *desk) *keysScreen {
	s := &keysScreen{}
	s.list = list[api.Key]{
		desk: d, heading: "Keys", word: "key", aside: 110,
		empty: emptiness{"No keys yet. A program shows one with every request.", d.look.key.Render("n") + " makes one, or: llmgw keys create ci-bot"},
		load:  func() ([]api.Key, bookState) { return d.books.keys.value, d.books.keys.state() },
	}
	s.detail = s.drawKey
	s.table = table[api.Key]{look: d.look, columns: s.columns(), id: func(k *api.Key) string { return k.Name }, field: keyField}
	return s
}

func (s *keysScreen) columns() []column[api.Key] {
	return []column[api.Key]{
		{title: "NAME", text: func(k *api.Key) string { return clean(k.Name) }, grow: true, least: 10, order: func(a, b *api.Key) int { return cmp.Compare(a.Name, b.Name) }},
		{title: "SECRET", text: func(k *api.Key) string { return lastFour(s.look, k.Last4) }, rank: 2},
		{title: "USER", text: func(k *api.Key) string { return or(clean(k.User), unknown) }, most: 20, rank: 1, order: func(a, b *api.Key) int { return cmp.Compare(a.User, b.User) }},
		{title: "STATE", text: s.state, style: s.stateStyle, order: func(a, b *api.Key) int { return cmp.Compare(a.State, b.State) }},
		{title: "LAST USED", text: func(k *api.Key) string { return s.since(k.LastUsedAt) }, rank: 3, flip: true, order: func(a, b *api.Key) int { return timeOf(a.LastUsedAt).Compare(timeOf(b.LastUsedAt)) }},
		{title: "REQ/MIN", text: func(k *api.Key) string { return s.perMinute("key", k.Name) }, right: true, rank: 4},
	}
}

// state is the key's state with the sign that says the same without colours.
func (s *keysScreen) state(k *api.Key) string {
	switch {
	case k.State == "active" && k.ExpiresAt != nil:
		return s.look.waiting + " ends in " + span(k.ExpiresAt.Sub(s.now()))
	case k.State == "active":
		return s.look.on + " active"
	case k.State == "revoked":
		return s.look.gone + " revoked"
	}
	return s.look.off + " " + clean(k.State)
}

func (s *keysScreen) stateStyle(k *api.Key) lipgloss.Style {
	switch k.State {
	case "active":
		return s.look.good
	case "revoked":
		return s.look.bad
	}
	return s.look.warn
}

// keyField is what a filter looks at.
func keyField(k *api.Key, name string) (string, bool) {
	switch name {
	case "key", "name":
		return k.Name, true
	case "user":
		return k.User, true
	case "state":
		return k.State, true
	}
	if value, ok := k.Tags[strings.TrimPrefix(name, "tag-")]; ok {
		return value, true
	}
	return "", false
}

func (s *keysScreen) name() string     { return "keys" }
func (s *keysScreen) title() string    { return "Keys" }
func (s *keysScreen) scopes() []string { return []string{"keys", inLists} }
func (s *keysScreen) hear(api.Event)   {}

func (s *keysScreen) needs() []need {
	s.windowQuery.By = with(s.windowQuery.By, "key")
	return []need{{book: bookKeys}, {book: bookWindow, every: windowEvery}}
}

func (s *keysScreen) can(action string) bool {
	switch action {
	case "keys.create":
		return true
	case "keys.revoke", "keys.rotate", "keys.switch", "keys.edit":
		row := s.row()
		return row != nil && row.State != "revoked"
	}
	return s.list.can(action)
}

func (s *keysScreen) do(action string) tea.Cmd {
	if cmd, ok := s.doList(action); ok {
		return cmd
	}
	row := s.row()
	switch action {
	case "keys.create":
		s.open(s.newKeyForm())
	case "keys.revoke":
		s.open(s.askRevoke(s.table.chosen()))
	case "keys.switch":
		return s.switchKey(row)
	}
	return nil
}

func (s *keysScreen) update(msg tea.Msg) tea.Cmd { return s.write(msg) }

// newKeyForm asks for what a new key needs.
func (s *keysScreen) newKeyForm() *form {
	f := &form{look: s.look, title: "New key", fields: []*field{
		writtenField("name", "Name", "", "ci-bot"),
		writtenField("user", "Owner", "", "none"),
		writtenField("models", "Models", "", "all; or gpt-5*, claude-*"),
		writtenField("expires_at", "Ends after", "", "never; or 30d, 12h"),
	}}
	f.submit = func(f *form) tea.Cmd { return s.createKey(f) }
	return f
}

func (s *keysScreen) createKey(f *form) tea.Cmd {
	wanted := api.NewKey{Name: f.value("name"), User: f.value("user"), Models: f.words("models")}
	twin := []string{"keys", "create", wanted.Name}
	if wanted.User != "" {
		twin = append(twin, "--user", wanted.User)
	}
	if len(wanted.Models) > 0 {
		twin = append(twin, "--models", strings.Join(wanted.Models, ","))
	}
	if text := f.value("expires_at"); text != "" {
		after, err := longTime(text)
		if err != nil {
			f.problem = err.Error()
			return nil
		}
		end := s.now().Add(after).UTC()
		wanted.ExpiresAt = &end
		twin = append(twin, "--expires", text)
	}
	var made api.CreatedKey
	return s.submits(f, change{
		twin: twin, books: []book{bookKeys, bookUsers},
		call: func(ctx context.Context, c *api.Client) (_ string, err error) {
			made, err = c.CreateKey(ctx, wanted)
			return "key " + wanted.Name + " made", err
		},
		then: func(string) tea.Cmd {
			s.open(s.shownOnce(made.Name, made.Secret))
			return nil
		},
	})
}

// askRevoke asks before keys end for good.
func (s *keysScreen) askRevoke(keys []api.Key) *question {
	names := make([]string, 0, len(keys))
	q := &question{look: s.look, title: "Revoke " + plural(len(keys), "key") + "?"}
	for i := range keys {
		if keys[i].State == "revoked" {
			continue
		}
		names = append(names, keys[i].Name)
		q.lines = append(q.lines, s.look.bold.Render(clean(keys[i].Name))+"  last used "+s.since(keys[i].LastUsedAt)+", "+s.requests("key", keys[i].Name))
	}
	q.lines = append(q.lines, "", "Requests with it are refused at once, its streams are cut. It cannot be undone.")
	q.answers = []answer{{text: "Revoke", danger: true, do: func() tea.Cmd { return s.revoke(names) }}}
	return q
}

func (s *keysScreen) revoke(names []string) tea.Cmd {
	var all []tea.Cmd
	for _, name := range names {
		all = append(all, s.change(change{
			twin: []string{"keys", "revoke", name, "--yes"}, books: []book{bookKeys},
			call: func(ctx context.Context, c *api.Client) (string, error) {
				_, err := c.RevokeKey(ctx, name, api.RevokeKey{})
				return "key " + name + " revoked", err
			},
		}))
	}
	s.table.unmark()
	return tea.Batch(all...)
}

func (s *keysScreen) switchKey(k *api.Key) tea.Cmd {
	if k == nil {
		return nil
	}
	name, on := k.Name, !k.Enabled
	verb, done := "enable", " enabled"
	if !on {
		verb, done = "disable", " disabled"
	}
	return s.change(change{
		twin: []string{"keys", verb, name}, books: []book{bookKeys},
		call: func(ctx context.Context, c *api.Client) (string, error) {
			_, err := c.EditKey(ctx, name, api.EditKey{Enabled: &on})
			return "key " + name + done, err
		},
	})
}

// shownOnce shows a secret that nobody will be shown again.
func (s *keysScreen) shownOnce(name, secret string) *page {
	p := &page{
		look: s.look, title: "Key " + clean(name), foot: "y copies  esc closes",
		lines: []string{"", "  " + s.look.bold.Render(secret), "", "It will not be shown again."},
	}
	p.keys = map[string]func() tea.Cmd{"y": func() tea.Cmd {
		s.say("copied; if nothing arrives, the terminal does not allow it")
		return s.copiesQuietly(secret)
	}}
	return p
}

func (s *keysScreen) drawKey(k *api.Key, w, h int) string {
	inW, inH := inside(w, h)
	content := s.facts(inW,
		[2]string{"state", s.stateStyle(k).Render(s.state(k))},
		[2]string{"owner", or(clean(k.User), unknown)},
		[2]string{"models", or(clean(strings.Join(k.Models, ", ")), "all")},
		[2]string{"tags", clean(pairsOf(k.Tags))},
		[2]string{"made", ago(s.now(), k.CreatedAt)},
		[2]string{"last used", s.since(k.LastUsedAt)},
		[2]string{"requests", s.requests("key", k.Name)},
	)
	for _, one := range k.Secrets {
		content += "\n" + s.facts(inW, [2]string{"secret", lastFour(s.look, one.Last4) + " made " + ago(s.now(), one.CreatedAt) + endOf(s.now(), one.ExpiresAt)})
	}
	return box{title: clean(k.Name)}.draw(s.look, s.look.block(content, inW, inH), w, h)
}

func endOf(now time.Time, end *time.Time) string {
	if end == nil {
		return ""
	}
	return ", ends in " + span(end.Sub(now))
}
