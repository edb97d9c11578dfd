package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// SecretKey is the key that seals credentials, in the hands of the running node.
type SecretKey struct {
	// Report tries to open everything that is sealed.
	Report func(ctx context.Context) (api.SecretReport, error)
	// Rotate begins to seal everything with another key, written as
	// accounts.ParseSecretKey reads it, and returns. Where a rotation is not done
	// yet it answers how far that one is, whichever key it is for.
	Rotate func(m accounts.Meta, key accounts.Secret) (api.SecretRotation, error)
}

func (s *Server) reportSecret(ctx context.Context, _ *nothing) (api.SecretReport, error) {
	if s.secretKey.Report == nil {
		return api.SecretReport{}, noSecretKey()
	}
	return s.secretKey.Report(ctx)
}

func (s *Server) rotateSecret(ctx context.Context, in *body[api.RotateSecret]) (api.SecretRotation, error) {
	key, err := accounts.ParseSecretKey(in.Body.Key)
	if err != nil {
		return api.SecretRotation{}, invalid([]api.Problem{{Field: "key", Message: err.Error()}})
	}
	if s.secretKey.Rotate == nil {
		return api.SecretRotation{}, noSecretKey()
	}
	if err := s.aloneOnStore(ctx); err != nil {
		return api.SecretRotation{}, err
	}
	begun, err := s.secretKey.Rotate(by(ctx, "secret.rotate"), accounts.NewSecret(in.Body.Key))
	if err != nil {
		return begun, err
	}
	if begun.To != key.Fingerprint() {
		return begun, fail(http.StatusConflict, api.CodeConflict,
			fmt.Sprintf("the exchange of the secret key for %s is not done yet", begun.To), "see how far it is: llmgw secret check")
	}
	return begun, nil
}

func noSecretKey() *failure {
	return fail(http.StatusNotFound, api.CodeNotFound, "this gateway has no secret key to look at", "")
}

// aloneOnStore refuses what another gateway that runs could not bear: it would
// open nothing that is sealed with a key that only this one has, and go on sealing
// with the one before.
func (s *Server) aloneOnStore(ctx context.Context) error {
	nodes, err := s.store.Nodes(ctx)
	if err != nil {
		return err
	}
	var running []string
	for i := range nodes {
		if n := &nodes[i]; !n.Self && !n.Silent() {
			running = append(running, strconv.Quote(n.Name))
		}
	}
	if len(running) == 0 {
		return nil
	}
	return fail(http.StatusConflict, api.CodeConflict,
		fmt.Sprintf("other gateways run on this store (%s): they could read none of its secrets any more", strings.Join(running, ", ")),
		"stop them, repeat the command, and start them with the new key")
}
