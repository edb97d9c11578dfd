package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

type bindingList struct {
	Key      string `query:"key" maxLength:"256" doc:"Of this key"`
	User     string `query:"user" maxLength:"256" doc:"Of this user"`
	Tag      string `query:"tag" maxLength:"512" doc:"Of this tag: NAME=VALUE, or NAME for any value"`
	Upstream string `query:"upstream" maxLength:"256" doc:"To this upstream"`
	Limit    int    `query:"limit" minimum:"0" maximum:"1000" doc:"How many at most; 0: 100"`
	Cursor   string `query:"cursor" maxLength:"512" doc:"Next of the page before"`
}

type identified struct {
	ID string `path:"id" doc:"ID of the binding"`
}

type changedBinding struct {
	ID      string `path:"id" doc:"ID of the binding"`
	IfMatch string `header:"If-Match" maxLength:"256" doc:"ETag of the binding as it was read"`
}

type movedBinding struct {
	ID      string `path:"id" doc:"ID of the binding"`
	IfMatch string `header:"If-Match" maxLength:"256" doc:"ETag of the binding as it was read"`
	Body    api.MoveBinding
}

func (s *Server) listBindings(ctx context.Context, in *bindingList) (api.List[api.Binding], error) {
	bindings, err := s.store.Bindings(ctx)
	if err != nil {
		return api.List[api.Binding]{}, err
	}
	names, err := s.namesOf(ctx)
	if err != nil {
		return api.List[api.Binding]{}, err
	}
	bindings = slices.DeleteFunc(bindings, func(b accounts.Binding) bool {
		view := names.viewBinding(&b)
		return in.Key != "" && in.Key != view.Key && in.Key != b.KeyID ||
			in.User != "" && in.User != view.User && in.User != b.UserID ||
			in.Upstream != "" && in.Upstream != view.Upstream && in.Upstream != b.UpstreamID ||
			in.Tag != "" && !takesTag(in.Tag, map[string]string{b.Tag: b.TagValue})
	})
	return pageOf(page{in.Limit, in.Cursor}, bindings, placeOfBinding, names.viewBinding)
}

// placeOfBinding puts bindings in the order in which those of one caller are
// tried.
func placeOfBinding(b *accounts.Binding) string { return fmt.Sprintf("%010d %s", b.Order, b.ID) }

func (s *Server) showBinding(ctx context.Context, in *identified) (api.Binding, error) {
	bindings, err := s.store.Bindings(ctx)
	if err != nil {
		return api.Binding{}, err
	}
	at := slices.IndexFunc(bindings, func(b accounts.Binding) bool { return b.ID == in.ID })
	if at < 0 {
		return api.Binding{}, noSuchBinding(in.ID)
	}
	names, err := s.namesOf(ctx)
	if err != nil {
		return api.Binding{}, err
	}
	return names.viewBinding(&bindings[at]), nil
}

func (s *Server) createBinding(ctx context.Context, in *body[api.NewBinding]) (api.Binding, error) {
	if problems := checkBinding(&in.Body); len(problems) > 0 {
		return api.Binding{}, invalid(problems)
	}
	id := accounts.NewID("binding", s.now())
	var view api.Binding
	_, _, err := s.change(ctx, by(ctx, "binding.create"), func(st State) error {
		binding, err := newBinding(st, &in.Body)
		if err != nil {
			return err
		}
		binding.ID, binding.CreatedAt = id, s.now()
		view, err = putBinding(st, &binding)
		return err
	})
	return view, err
}

// moveBinding gives a binding another place among those of its caller.
func (s *Server) moveBinding(ctx context.Context, in *movedBinding) (api.Binding, error) {
	if problems := checkOrder(in.Body.Order); len(problems) > 0 {
		return api.Binding{}, invalid(problems)
	}
	var view api.Binding
	_, _, err := s.change(ctx, by(ctx, "binding.move"), func(st State) error {
		binding, err := bindingToChange(st, in.ID, in.IfMatch)
		if err != nil {
			return err
		}
		binding.Order = in.Body.Order
		view, err = putBinding(st, &binding)
		return err
	})
	return view, err
}

func (s *Server) deleteBinding(ctx context.Context, in *changedBinding) error {
	_, _, err := s.change(ctx, by(ctx, "binding.delete"), func(st State) error {
		binding, err := bindingToChange(st, in.ID, in.IfMatch)
		if err != nil {
			return err
		}
		return st.DeleteBinding(binding.ID)
	})
	return err
}

func bindingToChange(st State, id, ifMatch string) (accounts.Binding, error) {
	binding, err := st.Binding(id)
	if err != nil {
		return binding, foundBinding(err, id)
	}
	return binding, matches(ifMatch, binding.Seq, "binding", binding.ID)
}

// putBinding stores a binding and shows it as it is then.
func putBinding(st State, b *accounts.Binding) (api.Binding, error) {
	if err := st.PutBinding(*b); err != nil {
		return api.Binding{}, err
	}
	stored, err := st.Binding(b.ID)
	if err != nil {
		return api.Binding{}, err
	}
	names, err := namesIn(st)
	if err != nil {
		return api.Binding{}, err
	}
	return names.viewBinding(&stored), nil
}

// names are those of what bindings lead from and to, by ID.
type names struct{ keys, users, upstreams, credentials map[string]string }

func (s *Server) namesOf(ctx context.Context) (*names, error) {
	config, err := s.store.Load(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	users, err := s.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	return newNames(keys, users, config.Upstreams), nil
}

func namesIn(st State) (*names, error) {
	keys, err := st.Keys()
	if err != nil {
		return nil, err
	}
	users, err := st.Users()
	if err != nil {
		return nil, err
	}
	upstreams, err := st.Upstreams()
	if err != nil {
		return nil, err
	}
	return newNames(keys, users, upstreams), nil
}

func newNames(keys []accounts.Key, users []accounts.User, upstreams []accounts.Upstream) *names {
	n := &names{keys: map[string]string{}, users: map[string]string{}, upstreams: map[string]string{}, credentials: map[string]string{}}
	for i := range keys {
		n.keys[keys[i].ID] = keys[i].Name
	}
	for i := range users {
		n.users[users[i].ID] = users[i].Name
	}
	for i := range upstreams {
		n.upstreams[upstreams[i].ID] = upstreams[i].Name
		for j := range upstreams[i].Credentials {
			n.credentials[upstreams[i].Credentials[j].ID] = upstreams[i].Credentials[j].Name
		}
	}
	return n
}

func (n *names) viewBinding(b *accounts.Binding) api.Binding {
	view := api.Binding{
		ID: b.ID, Key: n.keys[b.KeyID], User: n.users[b.UserID], Upstream: n.upstreams[b.UpstreamID],
		Credential: n.credentials[b.CredentialID], Order: b.Order, Weight: b.Weight, Models: b.Models,
		CreatedAt: b.CreatedAt, ETag: etag(b.Seq),
	}
	if b.Tag != "" {
		view.Tag = b.Tag + "=" + b.TagValue
	}
	return view
}
