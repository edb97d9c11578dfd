package admin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of the secrets that a key is given beside its own. One that has
// ended is kept for a while, so that whoever still sends it is told that it
// expired, and goes when the next is added.
const (
	longestSecretLife = 30 * 24 * time.Hour
	endedSecretKept   = 24 * time.Hour
	maxSecrets        = 256
)

// addSecret gives a key one more secret.
func (s *Server) addSecret(ctx context.Context, in *namedBody[api.NewSecret]) (api.AddedSecret, error) {
	if problems := s.checkNewSecret(in.Name, &in.Body); len(problems) > 0 {
		return api.AddedSecret{}, invalid(problems)
	}
	if in.Body.Make {
		if refused := operator.lets(callerOf(ctx)); refused != nil { // it may make a key
			return api.AddedSecret{}, refused
		}
	}
	secret, err := s.issuer().Issue()
	if err != nil {
		return api.AddedSecret{}, fmt.Errorf("issuing a secret of key %q: %w", in.Name, err)
	}
	added := accounts.KeySecret{
		Hash: accounts.HashKey(secret.Reveal()), Last4: secret.Last4(), CreatedAt: s.now(),
		ExpiresAt: in.Body.ExpiresAt.UTC().Truncate(time.Millisecond),
	}
	var view api.Key
	_, _, err = s.change(ctx, by(ctx, "secret.add"), func(st State) error {
		key, err := s.keyForSecret(ctx, st, in.Name, in.Body.Make)
		if err != nil {
			return err
		}
		if len(key.Secrets) >= maxSecrets {
			return tooManySecrets(key.Name)
		}
		key.Secrets = append(key.Secrets, added)
		view, err = s.putKey(st, &key)
		return err
	})
	if err != nil {
		return api.AddedSecret{}, found(err, "key", in.Name)
	}
	return api.AddedSecret{
		Key: view, Secret: secret.Reveal(),
		SecretID: hex.EncodeToString(added.Hash[:]), SecretExpiresAt: added.ExpiresAt,
	}, nil
}

// keyForSecret gives a key in force, without the secrets that ended long ago.
func (s *Server) keyForSecret(ctx context.Context, st State, name string, mayMake bool) (accounts.Key, error) {
	key, err := st.Key(name)
	switch {
	case errors.Is(err, accounts.ErrNotFound) && mayMake:
		return accounts.Key{ID: accounts.NewID("key", s.now()), Name: name, CreatedAt: s.now()}, nil
	case err != nil:
		return key, err
	}
	if err := mayHandle(ctx, name, &key); err != nil {
		return key, err
	}
	state := key.State(s.now())
	if state == accounts.KeyRevoked && mayMake {
		key.RevokedAt, key.Secrets = time.Time{}, nil // what was revoked stays so
		return key, nil
	}
	if state != accounts.KeyActive {
		return key, notInForce(key.Name, state)
	}
	key.Secrets = slices.DeleteFunc(slices.Clone(key.Secrets), s.endedLongAgo)
	return key, nil
}

func (s *Server) endedLongAgo(secret accounts.KeySecret) bool {
	return !secret.ExpiresAt.IsZero() && secret.ExpiresAt.Before(s.now().Add(-endedSecretKept))
}

func (s *Server) checkNewSecret(name string, in *api.NewSecret) []api.Problem {
	var problems []api.Problem
	if in.Make && !accounts.ValidLoanName(name) {
		problems = append(problems, api.Problem{Field: "make", Message: "is for keys called MAKER@MACHINE only"})
	}
	switch now := s.now(); {
	case !in.ExpiresAt.After(now):
		problems = append(problems, api.Problem{Field: "expires_at", Message: "is in the past"})
	case in.ExpiresAt.After(now.Add(longestSecretLife)):
		problems = append(problems, longLived())
	}
	return problems
}

func longLived() api.Problem {
	return api.Problem{Field: "expires_at", Message: "is more than 30 days away"}
}

type secretEnd struct {
	Name string `path:"name" doc:"Name of the key"`
	ID   string `path:"id" doc:"ID of the secret, as it was told when it was added"`
	Body api.SecretEnd
}

// setSecretEnd moves the end of a secret that has one. A key's own secret ends
// with the key.
func (s *Server) setSecretEnd(ctx context.Context, in *secretEnd) (api.Key, error) {
	if in.Body.ExpiresAt.After(s.now().Add(longestSecretLife)) {
		return api.Key{}, invalid([]api.Problem{longLived()})
	}
	return s.changeKey(ctx, "secret.end", in.Name, "", func(_ State, key *accounts.Key) error {
		i := slices.IndexFunc(key.Secrets, func(k accounts.KeySecret) bool {
			return !k.ExpiresAt.IsZero() && hex.EncodeToString(k.Hash[:]) == in.ID
		})
		if i < 0 {
			return noSuchSecret(key.Name)
		}
		end := in.Body.ExpiresAt.UTC().Truncate(time.Millisecond)
		if now := s.now(); end.Before(now) {
			end = now
		}
		key.Secrets[i].ExpiresAt = end
		return nil
	})
}

func notInForce(name string, state accounts.KeyState) *failure {
	return fail(http.StatusConflict, api.CodeConflict,
		fmt.Sprintf("key %q is %s", name, state), "make another: llmgw keys create NAME")
}

func tooManySecrets(name string) *failure {
	return fail(http.StatusConflict, api.CodeConflict,
		fmt.Sprintf("key %q has %d secrets, and more are not kept", name, maxSecrets), "some end by themselves; or make another key: llmgw keys create NAME")
}

func noSuchSecret(name string) *failure {
	return fail(http.StatusNotFound, api.CodeNotFound, fmt.Sprintf("key %q has no such secret", name), "look at it: llmgw keys get "+name)
}
