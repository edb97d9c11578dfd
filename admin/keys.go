package admin

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

type keyList struct {
	OneUse bool   `query:"one_use" doc:"List one-use keys too"`
	Name   string `query:"name" maxLength:"256" doc:"Of these names: a pattern, * is any run of characters"`
	User   string `query:"user" maxLength:"256" doc:"Of this owner"`
	State  string `query:"state" enum:"active,revoked,expired,disabled,user disabled" doc:"In this state"`
	Tag    string `query:"tag" maxLength:"512" doc:"With this tag: NAME=VALUE, or NAME for any value"`
	Limit  int    `query:"limit" minimum:"0" maximum:"1000" doc:"How many at most; 0: 100"`
	Cursor string `query:"cursor" maxLength:"512" doc:"Next of the page before"`
}

// ownedKey is a key with its owner; nil where it is nobody's.
type ownedKey struct {
	accounts.Key
	owner *accounts.User
}

func (s *Server) listKeys(ctx context.Context, in *keyList) (api.List[api.Key], error) {
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return api.List[api.Key]{}, err
	}
	users, err := s.usersByID(ctx)
	if err != nil {
		return api.List[api.Key]{}, err
	}
	who := callerOf(ctx)
	var wanted []ownedKey
	for i := range keys {
		key := ownedKey{Key: keys[i]}
		if owner, there := users[key.UserID]; there {
			key.owner = &owner
		}
		if who.sees(key.UserID) && s.takesKey(in, &key) {
			wanted = append(wanted, key)
		}
	}
	return pageOf(page{in.Limit, in.Cursor}, wanted,
		func(k *ownedKey) string { return k.Name }, func(k *ownedKey) api.Key { return s.viewKey(&k.Key, k.owner) })
}

func (s *Server) takesKey(in *keyList, key *ownedKey) bool {
	return (in.OneUse || !oneUse(&key.Key)) && takesName(in.Name, key.Name) && takesUser(in.User, key.owner) &&
		takesTag(in.Tag, key.Tags) && (in.State == "" || in.State == s.stateOf(&key.Key, key.owner).String())
}

func (s *Server) showKey(ctx context.Context, in *named) (api.Key, error) {
	key, err := s.store.Key(ctx, in.Name)
	if err != nil {
		return api.Key{}, found(err, "key", in.Name)
	}
	if !callerOf(ctx).sees(key.UserID) {
		return api.Key{}, noSuch("key", in.Name)
	}
	owner, err := ownerOf(&key, func(id string) (accounts.User, error) { return s.store.User(ctx, id) })
	if err != nil {
		return api.Key{}, err
	}
	return s.viewKey(&key, owner), nil
}

func (s *Server) createKey(ctx context.Context, in *body[api.NewKey]) (api.CreatedKey, error) {
	key, problems := s.newKey(&in.Body)
	if len(problems) > 0 {
		return api.CreatedKey{}, invalid(problems)
	}
	secret, err := s.issue(&key)
	if err != nil {
		return api.CreatedKey{}, err
	}
	created := api.CreatedKey{Secret: secret.Reveal()}
	_, _, err = s.change(ctx, by(ctx, "key.create"), func(st State) error {
		if err := keyNameFree(st, key.Name); err != nil {
			return err
		}
		if err := giveKeyTo(st, &key, in.Body.User); err != nil {
			return err
		}
		created.Key, err = s.putKey(st, &key)
		return err
	})
	if err != nil {
		return api.CreatedKey{}, err
	}
	return created, nil
}

// newKey makes a key of what was asked for, without an owner and secrets.
func (s *Server) newKey(in *api.NewKey) (accounts.Key, []api.Problem) {
	key := accounts.Key{ID: accounts.NewID("key", s.now()), Name: in.Name, Tags: in.Tags, Models: in.Models}
	problems := checkTags(in.Tags)
	if !accounts.ValidName(in.Name) {
		problems = append(problems, badName("name"))
	}
	if in.ExpiresAt != nil {
		key.ExpiresAt = in.ExpiresAt.UTC().Truncate(time.Millisecond)
		problems = append(problems, s.checkEnd(key.ExpiresAt)...)
	}
	limits, found := readLimits(in.Limits)
	key.Limits = limits
	problems = append(problems, found...)
	problems = append(problems, checkModels(in.Models)...)
	sort.SliceStable(problems, func(i, j int) bool { return problems[i].Field < problems[j].Field })
	return key, problems
}

func (s *Server) checkEnd(end time.Time) []api.Problem {
	if !end.After(s.now()) {
		return []api.Problem{{Field: "expires_at", Message: "is in the past"}}
	}
	return nil
}

func keyNameFree(st State, name string) error {
	switch _, err := st.Key(name); {
	case err == nil:
		return nameTaken("key", name)
	case !errors.Is(err, accounts.ErrNotFound):
		return err
	}
	return nil
}

// giveKeyTo makes a key a user's, or, where the name is empty, nobody's.
func giveKeyTo(st State, key *accounts.Key, user string) error {
	if user == "" {
		key.UserID = ""
		return nil
	}
	owner, err := st.User(user)
	if err != nil {
		return found(err, "user", user)
	}
	key.UserID = owner.ID
	return nil
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

// putKey stores a key and shows it as it is then.
func (s *Server) putKey(st State, key *accounts.Key) (api.Key, error) {
	if err := st.PutKey(*key); err != nil {
		return api.Key{}, err
	}
	return s.keyIn(st, key.ID)
}

func (s *Server) keyIn(st State, id string) (api.Key, error) {
	key, err := st.Key(id)
	if err != nil {
		return api.Key{}, err
	}
	owner, err := ownerOf(&key, st.User)
	if err != nil {
		return api.Key{}, err
	}
	return s.viewKey(&key, owner), nil
}

// ownerOf finds the owner of a key; nil where it is nobody's.
func ownerOf(key *accounts.Key, find func(id string) (accounts.User, error)) (*accounts.User, error) {
	if key.UserID == "" {
		return nil, nil
	}
	owner, err := find(key.UserID)
	if errors.Is(err, accounts.ErrNotFound) { // went after the key was read
		return nil, nil
	}
	return &owner, err
}

func (s *Server) stateOf(key *accounts.Key, owner *accounts.User) accounts.KeyState {
	state := key.State(s.now())
	if state == accounts.KeyActive && owner != nil && owner.Disabled {
		return accounts.OwnerDisabled
	}
	return state
}

func (s *Server) viewKey(key *accounts.Key, owner *accounts.User) api.Key {
	view := api.Key{
		ID: key.ID, Name: key.Name, Tags: key.Tags, Models: key.Models, Enabled: !key.Disabled,
		State: s.stateOf(key, owner).String(), Last4: last4(key.Secrets),
		CreatedAt: key.CreatedAt, ExpiresAt: moment(key.ExpiresAt), RevokedAt: moment(key.RevokedAt),
		LastUsedAt: moment(key.LastUsedAt), ETag: etag(key.Seq),
	}
	if owner != nil {
		view.User = owner.Name
	}
	for _, limit := range key.Limits {
		view.Limits = append(view.Limits, limit.String())
	}
	for i := range key.Secrets {
		secret := &key.Secrets[i]
		view.Secrets = append(view.Secrets, api.KeySecret{
			Last4: secret.Last4, CreatedAt: secret.CreatedAt, ExpiresAt: moment(secret.ExpiresAt),
		})
	}
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
