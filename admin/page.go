package admin

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// How many objects a page of a list has, where the call does not say.
const defaultPage = 100

// page says which part of a list is wanted.
type page struct {
	limit  int
	cursor string // as api.List gave it; it names the last object of the page before
}

// pageOf gives a page of the items in the order of their places, which no two of
// them share. An item that comes or goes between two pages moves no other from
// one to the other.
func pageOf[T, V any](p page, items []T, place func(*T) string, view func(*T) V) (api.List[V], error) {
	none := api.List[V]{}
	after, err := base64.RawURLEncoding.DecodeString(p.cursor)
	if err != nil {
		return none, wrongField("cursor", "is not one that a list gave as next")
	}
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(place(&a), place(&b)) })
	if p.cursor != "" {
		first := slices.IndexFunc(items, func(item T) bool { return place(&item) > string(after) })
		if first < 0 {
			first = len(items)
		}
		items = items[first:]
	}
	limit := cmp.Or(p.limit, defaultPage)
	list := api.List[V]{Items: make([]V, 0, min(limit, len(items)))}
	for i := range items[:min(limit, len(items))] {
		list.Items = append(list.Items, view(&items[i]))
	}
	if len(items) > limit {
		list.Next = base64.RawURLEncoding.EncodeToString([]byte(place(&items[limit-1])))
	}
	return list, nil
}

// takesName says whether a filter takes a name: it is a pattern as in rules, and the
// empty one takes everything.
func takesName(filter, name string) bool {
	return filter == "" || rules.ModelAllowed([]string{filter}, name)
}

// takesTag says whether a filter takes somebody's tags: NAME=VALUE, or NAME for
// any value.
func takesTag(filter string, tags map[string]string) bool {
	if filter == "" {
		return true
	}
	name, want, valued := strings.Cut(filter, "=")
	value, there := tags[name]
	return there && (!valued || value == want)
}

// takesUser says whether a filter takes an owner: by name or ID.
func takesUser(filter string, owner *accounts.User) bool {
	return filter == "" || owner != nil && (owner.Name == filter || owner.ID == filter)
}
