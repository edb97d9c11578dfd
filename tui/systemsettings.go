package tui

import (
	"cmp"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

func settingsList(d *desk) list[api.Setting] {
	return list[api.Setting]{
		desk: d, heading: "Settings", word: "setting",
		empty: emptiness{"The gateway tells of no settings.", "llmgw config show --origin prints those of this machine"},
		load:  func() ([]api.Setting, bookState) { return d.books.settings.value, d.books.settings.state() },
		table: table[api.Setting]{look: d.look, id: func(o *api.Setting) string { return o.Name }, field: settingField, columns: []column[api.Setting]{
			{title: "SETTING", text: func(o *api.Setting) string { return clean(o.Name) }, most: 28, order: func(a, b *api.Setting) int { return cmp.Compare(a.Name, b.Name) }},
			{title: "VALUE", text: func(o *api.Setting) string { return or(clean(o.Value), unknown) }, grow: true, least: 8},
			{title: "ORIGIN", text: func(o *api.Setting) string { return clean(o.Origin) }, rank: 1, order: func(a, b *api.Setting) int { return cmp.Compare(a.Origin, b.Origin) }},
			{title: "SOURCE", text: func(o *api.Setting) string { return clean(o.Source) }, most: 28, rank: 2},
		}},
	}
}

func settingField(o *api.Setting, name string) (string, bool) {
	switch name {
	case "setting", "name":
		return o.Name, true
	case "value":
		return o.Value, true
	case "origin":
		return o.Origin, true
	case "source":
		return o.Source, true
	}
	return "", false
}

func (s *systemScreen) settingPage(o *api.Setting) *page {
	text := s.facts(pageWidth, [2]string{"value", or(clean(o.Value), unknown)}, [2]string{"origin", clean(o.Origin)}, [2]string{"source", clean(o.Source)})
	return &page{look: s.look, title: clean(o.Name), foot: "esc closes", lines: strings.Split(text, "\n")}
}

// actionsList is the key map, with the keys that are in force.
func actionsList(d *desk) list[Action] {
	since := d.now()
	return list[Action]{
		desk: d, heading: "Key map", word: "action", empty: emptiness{"No keys.", ""},
		load: func() ([]Action, bookState) { return d.keys.actions, bookState{there: true, at: since} },
		table: table[Action]{look: d.look, id: func(a *Action) string { return a.Name }, field: actionField, columns: []column[Action]{
			{title: "KEY", text: d.look.keysOf, most: 20},
			{title: "WHERE", text: func(a *Action) string { return a.Scope }, rank: 2, order: func(a, b *Action) int { return cmp.Compare(a.Scope, b.Scope) }},
			{title: "DOES", text: func(a *Action) string { return a.Long }, grow: true, least: 20},
			{title: "ACTION", text: func(a *Action) string { return a.Name }, rank: 1, order: func(a, b *Action) int { return cmp.Compare(a.Name, b.Name) }},
		}},
	}
}

// keysOf are the keys of an action as people read them; a run of digits is told
// by its ends.
func (l *look) keysOf(a *Action) string {
	if slices.Equal(a.Keys, digits()) {
		return "1.." + a.Keys[len(a.Keys)-1]
	}
	texts := make([]string, len(a.Keys))
	for i, key := range a.Keys {
		texts[i] = l.keyText(key)
	}
	return strings.Join(texts, " ")
}

func actionField(a *Action, name string) (string, bool) {
	switch name {
	case "key":
		return strings.Join(a.Keys, " "), true
	case "where":
		return a.Scope, true
	case "action", "name":
		return a.Name, true
	}
	return "", false
}
