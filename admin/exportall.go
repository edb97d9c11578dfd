package admin

import (
	"context"
	"slices"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// exportAll writes all that files can say of this gateway, as it is at one moment:
// a key that goes meanwhile does not leave its bindings behind.
func (s *Server) exportAll(ctx context.Context, _ *nothing) (api.ExportedObjects, error) {
	var export api.ExportedObjects
	var stored *stored
	err := s.store.Look(ctx, func(st State) (err error) {
		export.Revision = st.Revision()
		stored, err = storedIn(st)
		return err
	})
	if err != nil {
		return api.ExportedObjects{}, err
	}
	for _, d := range rules.EncodeObjects(&stored.objects) {
		export.Documents = append(export.Documents, api.Document{Name: d.Name, YAML: string(d.YAML)})
	}
	return export, nil
}

// stored is all that files can speak of, as it is stored. What is not of theirs
// is not in it: keys that were revoked, those that the gateway makes for its own
// commands, and bindings of such keys.
type stored struct {
	objects  rules.Objects
	bindings []string // the IDs of objects.Bindings
	names    *names
}

func storedIn(st State) (*stored, error) {
	files, err := st.Files()
	if err != nil {
		return nil, err
	}
	upstreams, err := st.Upstreams()
	if err != nil {
		return nil, err
	}
	users, err := st.Users()
	if err != nil {
		return nil, err
	}
	keys, err := st.Keys()
	if err != nil {
		return nil, err
	}
	bindings, err := st.Bindings()
	if err != nil {
		return nil, err
	}
	return newStored(files, upstreams, users, keys, bindings), nil
}

func newStored(files []rules.File, upstreams []accounts.Upstream, users []accounts.User, keys []accounts.Key, bindings []accounts.Binding) *stored {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k accounts.Key) bool { return !isObject(&k) })
	s := &stored{names: newNames(keys, users, upstreams)}
	s.objects.Sets = inOrder(files)
	for i := range upstreams {
		s.objects.Upstreams = append(s.objects.Upstreams, rules.WrittenUpstream{Upstream: upstreams[i]})
	}
	for i := range users {
		s.objects.Users = append(s.objects.Users, rules.WrittenUser{User: users[i]})
	}
	for i := range keys {
		s.objects.Keys = append(s.objects.Keys, rules.WrittenKey{Key: keys[i], Owner: s.names.users[keys[i].UserID]})
	}
	s.bind(bindings)
	s.objects.Sort()
	return s
}

// bind takes over the bindings whose ends are known, in the order of Sort, so
// that bindings and objects.Bindings go on together.
func (s *stored) bind(bindings []accounts.Binding) {
	bindings = slices.Clone(bindings)
	slices.SortStableFunc(bindings, func(a, b accounts.Binding) int {
		left, right := s.names.writtenBinding(&a), s.names.writtenBinding(&b)
		return left.Compare(&right)
	})
	for i := range bindings {
		if b := s.names.writtenBinding(&bindings[i]); b.Upstream != "" && b.Key+b.User+b.Tag != "" {
			s.objects.Bindings = append(s.objects.Bindings, b)
			s.bindings = append(s.bindings, bindings[i].ID)
		}
	}
}

// isObject says whether a key is one that people made and still use.
func isObject(k *accounts.Key) bool {
	return k.RevokedAt.IsZero() && !oneUse(k) && accounts.ValidName(k.Name)
}

func (n *names) writtenBinding(b *accounts.Binding) rules.WrittenBinding {
	view := n.viewBinding(b)
	return rules.WrittenBinding{
		Key: view.Key, User: view.User, Tag: view.Tag, Upstream: view.Upstream, Credential: view.Credential,
		Order: b.Order, Weight: b.Weight, Models: b.Models,
	}
}
