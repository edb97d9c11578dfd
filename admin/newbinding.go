package admin

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of a binding's numbers.
const (
	maxOrder  = 1_000_000
	maxWeight = 1_000_000
)

// checkBinding says what is wrong with a binding, as far as its text tells.
func checkBinding(in *api.NewBinding) []api.Problem {
	var problems []api.Problem
	callers := 0
	for _, caller := range []string{in.Key, in.User, in.Tag} {
		if caller != "" {
			callers++
		}
	}
	if callers != 1 {
		problems = append(problems, api.Problem{Field: "key", Message: "give one of key, user and tag: whose the binding is"})
	}
	if name, value, ok := strings.Cut(in.Tag, "="); in.Tag != "" && (!ok || !accounts.ValidName(name) || !validTagValue(value)) {
		problems = append(problems, api.Problem{Field: "tag", Message: "is not NAME=VALUE"})
	}
	if in.Upstream == "" {
		problems = append(problems, api.Problem{Field: "upstream", Message: "is missing"})
	}
	if in.Order != nil {
		problems = append(problems, checkOrder(*in.Order)...)
	}
	if in.Weight < 0 || in.Weight > maxWeight {
		problems = append(problems, api.Problem{Field: "weight", Message: "must be from 1 to 1,000,000"})
	}
	return append(problems, checkModels(in.Models)...)
}

func checkOrder(order int) []api.Problem {
	if order < 0 || order > maxOrder {
		return []api.Problem{{Field: "order", Message: "must be from 0 to 1,000,000"}}
	}
	return nil
}

// newBinding makes a binding of what was asked for, without ID and birthday:
// names become what they are of.
func newBinding(st State, in *api.NewBinding) (accounts.Binding, error) {
	b := accounts.Binding{Order: accounts.DefaultOrder, Weight: max(in.Weight, 1), Models: in.Models}
	if in.Order != nil {
		b.Order = *in.Order
	}
	b.Tag, b.TagValue, _ = strings.Cut(in.Tag, "=")
	if in.Key != "" {
		key, err := st.Key(in.Key)
		if err != nil {
			return b, found(err, "key", in.Key)
		}
		b.KeyID = key.ID
	}
	if in.User != "" {
		user, err := st.User(in.User)
		if err != nil {
			return b, found(err, "user", in.User)
		}
		b.UserID = user.ID
	}
	upstream, err := st.Upstream(in.Upstream)
	if err != nil {
		return b, found(err, "upstream", in.Upstream)
	}
	b.UpstreamID = upstream.ID
	if in.Credential == "" {
		return b, nil
	}
	at := credentialAt(upstream.Credentials, in.Credential)
	if at < 0 {
		return b, noSuchCredential(upstream.Name, in.Credential)
	}
	b.CredentialID = upstream.Credentials[at].ID
	return b, nil
}

// credentialAt finds a credential by its name or ID; -1 where there is none.
func credentialAt(credentials []accounts.Credential, nameOrID string) int {
	return slices.IndexFunc(credentials, func(c accounts.Credential) bool { return c.Name == nameOrID || c.ID == nameOrID })
}

func noSuchCredential(upstream, name string) *failure {
	f := noSuch("credential", name)
	f.Hint = "look at the upstream: llmgw upstreams get " + upstream
	return f
}

func noSuchBinding(id string) *failure {
	f := fail(http.StatusNotFound, api.CodeNotFound, "no such binding", "list them: llmgw bindings list")
	if strings.HasPrefix(id, "binding_") && accounts.ValidName(strings.ToLower(id)) {
		f.Detail = "no binding " + id
	}
	return f
}

func foundBinding(err error, id string) error {
	if errors.Is(err, accounts.ErrNotFound) {
		return noSuchBinding(id)
	}
	return err
}
