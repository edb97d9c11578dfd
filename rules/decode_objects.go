package rules

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/llmgw/llmgw/accounts"
)

// isObjects says whether a field of a document holds a list of objects other
// than rules.
func isObjects(name string) bool {
	return slices.ContainsFunc(Kinds(), func(k Kind) bool { return k != KindRule && k.plural() == name })
}

// isObjectPath says whether a field belongs to such an object: "keys[2].name".
func isObjectPath(path string) bool {
	list, _, inside := strings.Cut(path, "[")
	return inside && isObjects(list)
}

// namingField puts the field before a message that does not speak of it: of an
// object no line is shown that could tell. The names of tags are left out, since
// people choose them.
func namingField(field, message string) string {
	if strings.HasPrefix(field, "tags.") {
		field = "tags"
	}
	name, _, _ := strings.Cut(field[strings.LastIndexByte(field, '.')+1:], "[")
	if field == "" || strings.Contains(message, name) {
		return message
	}
	return field + ": " + message
}

// DecodeObjects reads a file of every kind of object, with the same strictness
// and the same bounds as Decode: all that can be told from the text alone, every
// problem at once. No problem repeats a value, since people paste secrets into
// the wrong field; what the values mean, and whether what they name is there, is
// for others to check.
func DecodeObjects(name string, source []byte) (Objects, Problems) {
	d := &decoder{file: name}
	var all Objects
	documents := d.parse(source)
	if len(d.problems) > 0 {
		return all, d.problems
	}
	if len(documents) == 0 {
		d.refuse(mark{1, 1}, "", "the smallest file is: {version: 1, rules: []}", "the file is empty")
	}
	for _, document := range documents {
		d.everything(document, &all)
	}
	d.check(func(c *checker) { c.files(all.Sets) })
	d.problems.Sort()
	return all, d.limited()
}

// everything reads a document that may hold a set, and lists of other objects.
func (d *decoder) everything(n *yaml.Node, all *Objects) {
	f := File{Set: DefaultSet, Order: DefaultOrder, from: d.origin("", n)}
	d.set, d.rule, d.from = "", "", f.from
	var rules *yaml.Node
	fields := append(d.setFields(&f, &rules),
		field{"upstreams", func(path string, n *yaml.Node) {
			all.hold(KindUpstream)
			d.objects(path, n, func(w written, n *yaml.Node) { all.Upstreams = append(all.Upstreams, d.upstream(w, n)) })
		}},
		field{"users", func(path string, n *yaml.Node) {
			all.hold(KindUser)
			d.objects(path, n, func(w written, n *yaml.Node) { all.Users = append(all.Users, d.user(w, n)) })
		}},
		field{"keys", func(path string, n *yaml.Node) {
			all.hold(KindKey)
			d.objects(path, n, func(w written, n *yaml.Node) { all.Keys = append(all.Keys, d.key(w, n)) })
		}},
		field{"bindings", func(path string, n *yaml.Node) {
			all.hold(KindBinding)
			d.objects(path, n, func(w written, n *yaml.Node) { all.Bindings = append(all.Bindings, d.binding(w, n)) })
		}},
	)
	seen := d.object("", n, "field", "fields of a file are", fields...)
	if seen == nil {
		return
	}
	d.needsVersion(n, seen)
	if rules != nil {
		all.hold(KindRule)
		d.set = f.Set
		d.rules(&f, rules)
		all.Sets = append(all.Sets, f)
		return
	}
	d.withoutRules(n, seen, f.from)
}

// withoutRules reads a document that holds no set.
func (d *decoder) withoutRules(n *yaml.Node, seen map[string]bool, from *origin) {
	for _, name := range []string{"set", "order"} {
		if seen[name] {
			d.refuse(from.key(name), name, "for a set without rules write rules: []", "there are no rules for it")
		}
	}
	if !seen["upstreams"] && !seen["users"] && !seen["keys"] && !seen["bindings"] {
		d.refuse(at(n), "rules", "a document holds rules, upstreams, users, keys or bindings", "rules is missing")
	}
}

// objects reads a list of objects, each with the places of its own fields.
func (d *decoder) objects(path string, n *yaml.Node, read func(w written, n *yaml.Node)) {
	document := d.from
	defer func() { d.from = document }()
	d.list(path, n, true, func(path string, n *yaml.Node) {
		d.from = d.origin(path, n)
		read(written{d.from}, n)
		d.from = document
	})
}

func (d *decoder) upstream(w written, n *yaml.Node) WrittenUpstream {
	u := WrittenUpstream{written: w}
	u.Enabled = true
	d.named(n, "fields of an upstream are",
		field{"name", func(path string, n *yaml.Node) { u.Name = d.label(path, n) }},
		field{"provider", func(path string, n *yaml.Node) { u.Provider = accounts.Provider(d.text(path, n)) }},
		field{"url", func(path string, n *yaml.Node) { u.URL = strings.TrimRight(strings.TrimSpace(d.text(path, n)), "/") }},
		field{"auth", func(path string, n *yaml.Node) { u.Auth = accounts.Auth(d.text(path, n)) }},
		field{"wires", func(path string, n *yaml.Node) { u.Wires = d.texts(path, n) }},
		field{"models", func(path string, n *yaml.Node) { u.Models = d.texts(path, n) }},
		field{"timeouts", func(path string, n *yaml.Node) { u.Timeouts = d.timeoutsUpTo(path, n, math.MaxInt64) }},
		field{"max_idle", func(path string, n *yaml.Node) { u.MaxIdle = d.number(path, n, 0, math.MaxInt32) }},
		field{"idle_timeout", func(path string, n *yaml.Node) { u.IdleTimeout = d.duration(path, n, 0, math.MaxInt64) }},
		field{"websocket", func(path string, n *yaml.Node) { u.Websocket = d.fact(path, n, false) }},
		field{"enabled", func(path string, n *yaml.Node) { u.Enabled = d.fact(path, n, true) }},
		field{"credentials", func(path string, n *yaml.Node) {
			d.list(path, n, true, func(path string, n *yaml.Node) { u.Credentials = append(u.Credentials, d.credential(path, n)) })
		}},
	)
	return u
}

func (d *decoder) credential(path string, n *yaml.Node) accounts.Credential {
	c := accounts.Credential{Weight: 1, Enabled: true}
	seen := d.object(path, n, "field", "fields of a credential are",
		field{"name", func(path string, n *yaml.Node) { c.Name = d.label(path, n) }},
		field{"reference", func(path string, n *yaml.Node) { c.Reference = d.filled(path, n) }},
		field{"weight", func(path string, n *yaml.Node) { c.Weight = d.number(path, n, 1, maxWeight) }},
		field{"enabled", func(path string, n *yaml.Node) { c.Enabled = d.fact(path, n, true) }},
		field{"secret", func(path string, n *yaml.Node) {
			d.refuse(at(n), path, "give a reference (env:NAME, file:PATH), or leave it out and: llmgw upstreams credential set",
				"a secret has no place in a file")
		}},
	)
	if seen != nil && !seen["name"] {
		d.refuse(at(n), join(path, "name"), "the first one of an upstream is called default", "the credential has no name")
	}
	return c
}

func (d *decoder) user(w written, n *yaml.Node) WrittenUser {
	u := WrittenUser{written: w}
	u.Role = accounts.RoleMember
	d.named(n, "fields of a user are",
		field{"name", func(path string, n *yaml.Node) { u.Name = d.label(path, n) }},
		field{"email", func(path string, n *yaml.Node) { u.Email = d.text(path, n) }},
		field{"role", func(path string, n *yaml.Node) { u.Role = accounts.Role(d.text(path, n)) }},
		field{"tags", func(path string, n *yaml.Node) { u.Tags = d.textMap(path, n) }},
		field{"enabled", func(path string, n *yaml.Node) { u.Disabled = !d.fact(path, n, true) }},
	)
	return u
}

func (d *decoder) key(w written, n *yaml.Node) WrittenKey {
	k := WrittenKey{written: w}
	d.named(n, "fields of a key are",
		field{"name", func(path string, n *yaml.Node) { k.Name = d.label(path, n) }},
		field{"user", func(path string, n *yaml.Node) { k.Owner = d.label(path, n) }},
		field{"tags", func(path string, n *yaml.Node) { k.Tags = d.textMap(path, n) }},
		field{"models", func(path string, n *yaml.Node) { k.Models = d.texts(path, n) }},
		field{"limits", func(path string, n *yaml.Node) { k.Limits = d.limitsUnseen(path, n) }},
		field{"expires", func(path string, n *yaml.Node) { k.ExpiresAt = d.moment(path, n) }},
		field{"enabled", func(path string, n *yaml.Node) { k.Disabled = !d.fact(path, n, true) }},
	)
	return k
}

func (d *decoder) binding(w written, n *yaml.Node) WrittenBinding {
	b := WrittenBinding{Order: accounts.DefaultOrder, Weight: 1, written: w}
	d.object("", n, "field", "fields of a binding are",
		field{"key", func(path string, n *yaml.Node) { b.Key = d.label(path, n) }},
		field{"user", func(path string, n *yaml.Node) { b.User = d.label(path, n) }},
		field{"tag", func(path string, n *yaml.Node) { b.Tag = d.filled(path, n) }},
		field{"upstream", func(path string, n *yaml.Node) { b.Upstream = d.label(path, n) }},
		field{"credential", func(path string, n *yaml.Node) { b.Credential = d.label(path, n) }},
		field{"order", func(path string, n *yaml.Node) { b.Order = d.number(path, n, 0, 1_000_000) }},
		field{"weight", func(path string, n *yaml.Node) { b.Weight = d.number(path, n, 1, maxWeight) }},
		field{"models", func(path string, n *yaml.Node) { b.Models = d.texts(path, n) }},
	)
	return b
}

// named reads an object that has a name.
func (d *decoder) named(n *yaml.Node, list string, fields ...field) {
	if seen := d.object("", n, "field", list, fields...); seen != nil && !seen["name"] {
		d.refuse(at(n), "name", "names match "+accounts.NamePattern, "name is missing")
	}
}

// label reads the name of an object, and does not repeat what is none.
func (d *decoder) label(path string, n *yaml.Node) string {
	before := len(d.problems)
	name := d.text(path, n)
	if len(d.problems) > before {
		return ""
	}
	if !accounts.ValidName(name) {
		d.refuse(at(n), path, "", "must match %s", accounts.NamePattern)
		return ""
	}
	return name
}

// fact reads true or false, and gives what it is otherwise where it is neither.
func (d *decoder) fact(path string, n *yaml.Node, otherwise bool) bool {
	if value := d.boolean(path, n); value != nil {
		return *value
	}
	return otherwise
}

// limitsUnseen reads limits and does not repeat what is none.
func (d *decoder) limitsUnseen(path string, n *yaml.Node) (limits []accounts.Limit) {
	for i, text := range d.texts(path, n) {
		limit, err := accounts.ParseLimit(text)
		if err != nil {
			path := path + "[" + strconv.Itoa(i) + "]"
			d.refuse(d.from.value(path), path, limitHint, "is not a limit")
			continue
		}
		limits = append(limits, limit)
	}
	return limits
}

// moment reads a time of RFC 3339, or a date, which is its first moment in UTC.
// The first moment of all is the one by which programs write that there is none:
// a key would never end that was to end long ago.
func (d *decoder) moment(path string, n *yaml.Node) time.Time {
	n = d.resolve(n)
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!timestamp" || n.ShortTag() == "!!str") {
		for _, form := range []string{time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(form, n.Value); err == nil && !at.Truncate(time.Millisecond).IsZero() {
				return at.UTC().Truncate(time.Millisecond)
			}
		}
	}
	d.refuse(at(n), path, "it looks like 2030-01-31 or 2030-01-31T12:00:00Z; without one there is no end", "is not a time")
	return time.Time{}
}
