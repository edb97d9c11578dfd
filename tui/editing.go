package tui

import (
	"context"
	"errors"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// editing is a form that changes an object which others may change, too. It is
// sent only while the object is as it was read. Where it is not, the form takes in
// what the object is now, and keeps what was written.
type editing[T any] struct {
	desk  *desk
	form  *form
	base  map[string]string // what the fields said when the object was read, by their names
	etag  string            // of the object then
	texts func(*T) map[string]string
	tag   func(*T) string
	read  func(context.Context, *api.Client) (T, error)
}

// changed says whether something else than what was read is written in a field.
func (e *editing[T]) changed(name string) bool {
	return e.form.value(name) != strings.TrimSpace(e.base[name]) // as a field gives it
}

// send makes the change. write is given a client that refuses where the object was
// changed meanwhile.
func (e *editing[T]) send(c change, said string, write func(context.Context, *api.Client) error) tea.Cmd {
	etag := e.etag
	var theirs *T
	c.call = func(ctx context.Context, client *api.Client) (string, error) {
		err := write(ctx, client.If(etag))
		if !isCode(err, api.CodeConflict) {
			return said, err
		}
		now, unread := e.read(ctx, client)
		if unread != nil || e.tag(&now) == etag {
			return "", err // it is another conflict: the name is taken
		}
		theirs = &now
		return "", meanwhile(err)
	}
	c.fails = func(error) tea.Cmd {
		if theirs != nil {
			now := e.texts(theirs)
			e.form.restate(e.base, now)
			e.base, e.etag = now, e.tag(theirs)
		}
		return nil
	}
	return e.desk.submits(e.form, c)
}

// meanwhile is a conflict as the form tells of it that has taken in the other
// version.
func meanwhile(err error) error {
	var refusal *api.Error
	if !errors.As(err, &refusal) {
		return err
	}
	told := *refusal
	told.Hint = "What you left alone is as it is now; ctrl+s sends what you wrote"
	return &told
}

// restate takes in what somebody else made of an object: a field that was left
// alone says what it is now, and one that was written stays, with a word on that.
func (f *form) restate(base, now map[string]string) {
	for _, one := range f.fields {
		theirs, known := now[one.name]
		if !known || theirs == base[one.name] || theirs == one.value() {
			continue
		}
		if one.value() != strings.TrimSpace(base[one.name]) {
			one.problem = "somebody else wrote " + or(clean(theirs), "nothing")
			continue
		}
		one.set(theirs)
		one.problem = "changed by somebody else meanwhile"
	}
}

// set writes a value into the field.
func (f *field) set(value string) {
	for i, c := range f.choices {
		if c == value {
			f.chosen = i
		}
	}
	if len(f.choices) == 0 {
		f.input.SetValue(value)
	}
}
