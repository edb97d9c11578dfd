package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// defaultGrace is how long the old secret of a key stays valid after a rotation
// that does not say.
const defaultGrace = 24 * time.Hour

// rotateKey gives a key a new secret, and the one it had an end. The secrets that
// programs were lent go on as they were. A key that has no secret gets its first.
func (s *Server) rotateKey(ctx context.Context, in *changedMaybe[api.RotateKey]) (api.CreatedKey, error) {
	grace, problem := readGrace(in.Body)
	if problem != nil {
		return api.CreatedKey{}, problem
	}
	secret, err := s.issuer().Issue()
	if err != nil {
		return api.CreatedKey{}, fmt.Errorf("issuing a secret of key %q: %w", in.Name, err)
	}
	view, err := s.changeKey(ctx, "key.rotate", in.Name, in.IfMatch, func(_ State, key *accounts.Key) error {
		switch state := key.State(s.now()); state {
		case accounts.KeyRevoked, accounts.KeyExpired:
			return notInForce(key.Name, state)
		}
		key.Secrets = s.rotated(key.Secrets, secret, grace)
		if len(key.Secrets) > maxSecrets {
			return tooManySecrets(key.Name)
		}
		return nil
	})
	if err != nil {
		return api.CreatedKey{}, err
	}
	return api.CreatedKey{Key: view, Secret: secret.Reveal()}, nil
}

// rotated gives the secrets of a key after a rotation, without those that ended
// long ago.
func (s *Server) rotated(old []accounts.KeySecret, secret accounts.Secret, grace time.Duration) []accounts.KeySecret {
	now := s.now()
	secrets := slices.DeleteFunc(slices.Clone(old), s.endedLongAgo)
	for i := range secrets {
		if secrets[i].ExpiresAt.IsZero() {
			secrets[i].ExpiresAt = now.Add(grace)
		}
	}
	return append(secrets, accounts.KeySecret{
		Hash: accounts.HashKey(secret.Reveal()), Last4: secret.Last4(), CreatedAt: now,
	})
}

func readGrace(in *api.RotateKey) (time.Duration, error) {
	if in == nil || in.Grace == "" {
		return defaultGrace, nil
	}
	grace, problems := readDuration("grace", in.Grace)
	if len(problems) > 0 {
		return 0, invalid(problems)
	}
	if grace > longestSecretLife {
		return 0, wrongField("grace", "is more than 30 days")
	}
	return grace.Truncate(time.Millisecond), nil
}
