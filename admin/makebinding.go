package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// ends are what bindings may lead from and to, by name.
type ends struct {
	keys, users map[string]string // IDs
	upstreams   map[string]*accounts.Upstream
}

func newEnds(o *rules.Objects) *ends {
	e := &ends{keys: map[string]string{}, users: map[string]string{}, upstreams: map[string]*accounts.Upstream{}}
	for i := range o.Keys {
		e.keys[o.Keys[i].Name] = o.Keys[i].ID
	}
	for i := range o.Users {
		e.users[o.Users[i].Name] = o.Users[i].ID
	}
	for i := range o.Upstreams {
		e.upstreams[o.Upstreams[i].Name] = &o.Upstreams[i].Upstream
	}
	return e
}

// resolve finds what the bindings of the files lead from and to: in the files, or
// in the gateway.
func (m *making) resolve(context.Context) error {
	now, err := storedIn(m.st)
	if err != nil {
		return err
	}
	e := newEnds(&now.objects)
	for i := range m.files.Bindings {
		m.bound = append(m.bound, m.binding(e, &m.files.Bindings[i]))
	}
	return nil
}

func (m *making) binding(e *ends, b *rules.WrittenBinding) accounts.Binding {
	missing := func(noun, name string) {
		if m.inFiles(noun, name) { // it is refused itself, and what is wrong is told there
			return
		}
		m.refuse(b, noun, fmt.Sprintf("no %s %q in the files or the gateway", noun, name), "")
	}
	found := accounts.Binding{
		KeyID: e.keys[b.Key], UserID: e.users[b.User], Order: b.Order, Weight: b.Weight, Models: b.Models,
	}
	found.Tag, found.TagValue, _ = strings.Cut(b.Tag, "=")
	if b.Key != "" && found.KeyID == "" {
		missing("key", b.Key)
	}
	if b.User != "" && found.UserID == "" {
		missing("user", b.User)
	}
	upstream := e.upstreams[b.Upstream]
	if upstream == nil {
		missing("upstream", b.Upstream)
		return found
	}
	found.UpstreamID = upstream.ID
	if b.Credential == "" {
		return found
	}
	at := credentialAt(upstream.Credentials, b.Credential)
	if at < 0 {
		m.refuse(b, "credential", fmt.Sprintf("upstream %q has no credential %q", b.Upstream, b.Credential), "")
		return found
	}
	found.CredentialID = upstream.Credentials[at].ID
	return found
}

// inFiles says whether the files name what a binding may lead from or to.
func (m *making) inFiles(noun, name string) bool {
	switch noun {
	case "key":
		return slices.ContainsFunc(m.files.Keys, func(k rules.WrittenKey) bool { return k.Name == name })
	case "user":
		return slices.ContainsFunc(m.files.Users, func(u rules.WrittenUser) bool { return u.Name == name })
	}
	return slices.ContainsFunc(m.files.Upstreams, func(u rules.WrittenUpstream) bool { return u.Name == name })
}

// boundable looks whether callers have more bindings than one may have, of the
// files and of the gateway together.
func (m *making) boundable(context.Context) error {
	now, err := storedIn(m.st)
	if err != nil {
		return err
	}
	of := map[string]int{}
	for i := range now.objects.Bindings {
		of[now.objects.Bindings[i].Whose()]++
	}
	for i := range m.files.Bindings {
		b := &m.files.Bindings[i]
		if whose := b.Whose(); of[whose] > rules.MaxBindings {
			of[whose] = 0 // told once
			m.refuse(b, "", fmt.Sprintf("%s would have more than %d bindings", whose, rules.MaxBindings), "")
		}
	}
	return m.refusal()
}

func (m *making) bindings(context.Context) error {
	kept := map[string]bool{}
	for i, j := range rules.PairBindings(m.before.objects.Bindings, m.files.Bindings) {
		binding := m.bound[i]
		if j >= 0 {
			binding.ID = m.before.bindings[j]
			kept[binding.ID] = true
		} else {
			binding.ID, binding.CreatedAt = accounts.NewID("binding", m.server.now()), m.server.now()
		}
		if err := m.st.PutBinding(binding); err != nil {
			return err
		}
	}
	if !m.prune || !m.files.Holds(rules.KindBinding) {
		return nil
	}
	for _, id := range m.before.bindings {
		if kept[id] {
			continue
		}
		if err := m.st.DeleteBinding(id); err != nil {
			return err
		}
	}
	return nil
}
