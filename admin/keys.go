package admin

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

type keyList struct {
	OneUse bool `query:"one_use" doc:"List one-use keys too"`
}

func (s *Server) listKeys(ctx context.Context, in *keyList) (api.List[api.Key], error) {
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return api.List[api.Key]{}, err
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i].Name < keys[j].Name })
	list := api.List[api.Key]{Items: make([]api.Key, 0, len(keys))}
	who := callerOf(ctx)
	for i := range keys {
		if who.sees(keys[i].UserID) && (in.OneUse || !oneUse(&keys[i])) {
			list.Items = append(list.Items, s.viewKey(&keys[i]))
		}
	}
	return list, nil
}

func (s *Server) showKey(ctx context.Context, in *named) (api.Key, error) {
	key, err := s.store.Key(ctx, in.Name)
	if err != nil {
		return api.Key{}, found(err, "key", in.Name)
	}
	if !callerOf(ctx).sees(key.UserID) {
		return api.Key{}, noSuch("key", in.Name)
	}
	return s.viewKey(&key), nil
}

func (s *Server) createKey(ctx context.Context, in *body[api.NewKey]) (api.CreatedKey, error) {
	if problems := s.checkNewKey(&in.Body); len(problems) > 0 {
		return api.CreatedKey{}, invalid(problems)
	}
	key := accounts.Key{ID: accounts.NewID("key", s.now()), Name: in.Body.Name, Tags: in.Body.Tags}
	if in.Body.ExpiresAt != nil {
		key.ExpiresAt = in.Body.ExpiresAt.UTC().Truncate(time.Millisecond)
	}
	secret, err := s.issue(&key)
	if err != nil {
		return api.CreatedKey{}, err
	}
	_, _, err = s.change(ctx, by(ctx, "key.create"), func(st State) error {
		switch _, err := st.Key(key.Name); {
		case err == nil:
			return nameTaken("key", key.Name)
		case !errors.Is(err, accounts.ErrNotFound):
			return err
		}
		return st.PutKey(key)
	})
	if err != nil {
		return api.CreatedKey{}, err
	}
	return api.CreatedKey{Key: s.viewKey(&key), Secret: secret.Reveal()}, nil
}

// issue gives key a new secret, in place of any it had, and its birthday.
func (s *Server) issue(key *accounts.Key) (accounts.Secret, error) {
	secret, err := s.issuer().Issue()
	if err != nil {
		return accounts.Secret{}, fmt.Errorf("issuing key %q: %w", key.Name, err)
	}
	key.CreatedAt = s.now()
	key.Secrets = []accounts.KeySecret{{
		Hash: accounts.HashKey(secret.Reveal()), Last4: secret.Last4(), CreatedAt: key.CreatedAt,
	}}
	return secret, nil
}

func (s *Server) revokeKey(ctx context.Context, in *named) (api.Key, error) {
	var key accounts.Key
	_, _, err := s.change(ctx, by(ctx, "key.revoke"), func(st State) error {
		var err error
		if key, err = st.Key(in.Name); err != nil {
			return err
		}
		if !key.RevokedAt.IsZero() {
			return errLeave
		}
		key.RevokedAt = s.now()
		return st.PutKey(key)
	})
	if err != nil {
		return api.Key{}, found(err, "key", in.Name)
	}
	return s.viewKey(&key), nil
}

// The bounds of a key's tags.
const (
	maxTags     = 32
	maxTagValue = 256
)

func (s *Server) checkNewKey(in *api.NewKey) []api.Problem {
	var problems []api.Problem
	if !accounts.ValidName(in.Name) {
		problems = append(problems, badName("name"))
	}
	if in.ExpiresAt != nil && !in.ExpiresAt.After(s.now()) {
		problems = append(problems, api.Problem{Field: "expires_at", Message: "is in the past"})
	}
	if len(in.Tags) > maxTags {
		problems = append(problems, api.Problem{Field: "tags", Message: fmt.Sprintf("are more than %d", maxTags)})
	}
	for name, value := range in.Tags {
		switch {
		case !accounts.ValidName(name):
			problems = append(problems, api.Problem{Field: "tags", Message: "the name of a tag must match " + accounts.NamePattern})
		case name == oneUseTag:
			problems = append(problems, api.Problem{Field: "tags." + name, Message: "is kept for the gateway's own keys"})
		case len(value) > maxTagValue || strings.ContainsFunc(value, unicode.IsControl):
			problems = append(problems, api.Problem{Field: "tags." + name,
				Message: fmt.Sprintf("must be one line of at most %d bytes", maxTagValue)})
		}
	}
	sort.Slice(problems, func(i, j int) bool { return problems[i].Field < problems[j].Field })
	return problems
}

func badName(field string) api.Problem {
	return api.Problem{Field: field, Message: "must match " + accounts.NamePattern}
}

func (s *Server) viewKey(key *accounts.Key) api.Key {
	view := api.Key{
		ID: key.ID, Name: key.Name, Tags: key.Tags, State: key.State(s.now()).String(),
		CreatedAt: key.CreatedAt, ExpiresAt: moment(key.ExpiresAt), RevokedAt: moment(key.RevokedAt),
	}
	view.Last4 = last4(key.Secrets)
	return view
}

// last4 is of the newest secret that lasts as long as its key, by which people
// know a key; those that end by themselves come after it.
func last4(secrets []accounts.KeySecret) string {
	newest := ""
	for i := range secrets {
		if secrets[i].ExpiresAt.IsZero() {
			newest = secrets[i].Last4
		}
	}
	if newest == "" && len(secrets) > 0 {
		newest = secrets[len(secrets)-1].Last4
	}
	return newest
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
