package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// newKeyForm asks for what a new key needs.
func (s *keysScreen) newKeyForm() *form {
	f := &form{look: s.look, title: "New key", fields: keyFields(map[string]string{})}
	f.submit = func(f *form) tea.Cmd { return s.createKey(f) }
	return f
}

// keyFields are what can be written about a key.
func keyFields(texts map[string]string) []*field {
	return []*field{
		writtenField("name", "Name", texts["name"], exampleFor(texts["name"], "ci-bot")),
		writtenField("user", "Owner", texts["user"], "none"),
		writtenField("models", "Models", texts["models"], "all; or gpt-5*, claude-*"),
		writtenField("tags", "Tags", texts["tags"], "none; or plan=trial, team=web"),
		writtenField("expires_at", "Ends", texts["expires_at"], "never; or 30d, 12h, 2030-01-31"),
	}
}

// exampleFor is an example where there is no value yet.
func exampleFor(value, example string) string {
	if value != "" {
		return ""
	}
	return example
}

// keyTexts is a key as its form says it.
func keyTexts(k *api.Key) map[string]string {
	return map[string]string{
		"name": k.Name, "user": k.User, "models": strings.Join(k.Models, ", "), "tags": tagsText(k.Tags), "expires_at": momentOf(k.ExpiresAt),
	}
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
	tags, err := tagsIn(f.value("tags"))
	if err != nil {
		f.problem = err.Error()
		return nil
	}
	if len(tags) > 0 {
		wanted.Tags = tags
		twin = append(twin, tagFlags(tags)...)
	}
	if text := f.value("expires_at"); text != "" && text != "never" {
		end, err := endIn(text, s.now())
		if err != nil {
			f.problem = err.Error()
			return nil
		}
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
		then: func(string) tea.Cmd { return s.showOnce(&made) },
	})
}

// editKeyForm asks what a key is to be.
func (s *keysScreen) editKeyForm(k *api.Key) *form {
	name := k.Name
	f := &form{look: s.look, title: "Key " + clean(name), fields: keyFields(keyTexts(k))}
	e := &editing[api.Key]{
		desk: s.desk, form: f, base: keyTexts(k), etag: k.ETag, texts: keyTexts, tag: func(k *api.Key) string { return k.ETag },
		read: func(ctx context.Context, c *api.Client) (api.Key, error) { return c.Key(ctx, name) },
	}
	f.submit = func(*form) tea.Cmd { return s.editKey(name, e) }
	return f
}

func (s *keysScreen) editKey(name string, e *editing[api.Key]) tea.Cmd {
	edit, flags, err := s.keyEdit(e)
	switch {
	case err != nil:
		e.form.problem = err.Error()
		return nil
	case len(flags) == 0:
		e.form.problem = "nothing was changed"
		return nil
	}
	c := change{twin: append([]string{"keys", "edit", name}, flags...), books: []book{bookKeys, bookUsers, bookBindings}}
	return e.send(c, "key "+name+" changed", func(ctx context.Context, c *api.Client) error {
		_, err := c.EditKey(ctx, name, edit)
		return err
	})
}

// keyEdit gives what was changed in the form, and the flags that say the same.
func (s *keysScreen) keyEdit(e *editing[api.Key]) (edit api.EditKey, flags []string, err error) {
	if e.changed("name") {
		name := e.form.value("name")
		edit.Name, flags = &name, append(flags, "--name", name)
	}
	if e.changed("user") {
		user := e.form.value("user")
		edit.User, flags = &user, append(flags, "--user", user)
	}
	if e.changed("models") {
		models := append([]string{}, e.form.words("models")...)
		edit.Models, flags = &models, append(flags, "--models", strings.Join(models, ","))
	}
	if e.changed("tags") {
		tags, err := tagsIn(e.form.value("tags"))
		if err != nil {
			return edit, nil, err
		}
		edit.Tags, flags = &tags, append(flags, tagFlags(tags)...)
	}
	if e.changed("expires_at") {
		text, end := e.form.value("expires_at"), ""
		if text != "" && text != "never" {
			at, err := endIn(text, s.now())
			if err != nil {
				return edit, nil, err
			}
			end = at.Format(time.RFC3339)
		}
		edit.ExpiresAt, flags = &end, append(flags, "--expires", or(text, "never"))
	}
	return edit, flags, nil
}

// endIn reads when something ends: after 30d or 12h, or at a date or time.
func endIn(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		after, wrong := longTime(text)
		if wrong != nil {
			return time.Time{}, fmt.Errorf("%s is no end; 30d, 12h and 2030-01-31 are", clean(text))
		}
		at = now.Add(after)
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("%s is over", clean(text))
	}
	return at.UTC().Truncate(time.Second), nil
}
