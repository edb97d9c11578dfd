package admin

import (
	"context"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// A one-use key is for a command that needs a key right now and throws it away.
// Nothing counts its uses: it is short-lived, and nobody keeps it. The next one
// takes the place of one that has ended, so that there are never more of them
// than commands within chatKeyLife.
const (
	chatKeyPrefix = "chat-"
	chatKeyLife   = 10 * time.Minute
	oneUseTag     = "one-use"
)

func oneUse(key *accounts.Key) bool {
	return key.Tags[oneUseTag] == "true" && strings.HasPrefix(key.Name, chatKeyPrefix)
}

func (s *Server) createChatKey(ctx context.Context, _ *nothing) (api.CreatedKey, error) {
	id := accounts.NewID("key", s.now())
	key := accounts.Key{
		ID: id, Name: chatKeyPrefix + strings.ToLower(id[len(id)-8:]),
		Tags: map[string]string{oneUseTag: "true"}, ExpiresAt: s.now().Add(chatKeyLife),
	}
	secret, err := s.issue(&key)
	if err != nil {
		return api.CreatedKey{}, err
	}
	created := api.CreatedKey{Secret: secret.Reveal()}
	_, _, err = s.change(ctx, by(ctx, "key.create"), func(st State) error {
		ended, err := s.endedChatKey(st)
		if err != nil {
			return err
		}
		if ended != "" {
			key.ID = ended
		}
		created.Key, err = s.putKey(st, &key)
		return err
	})
	if err != nil {
		return api.CreatedKey{}, err
	}
	return created, nil
}

// endedChatKey gives the ID of a one-use key that is no longer in force, or "".
func (s *Server) endedChatKey(st State) (string, error) {
	keys, err := st.Keys()
	if err != nil {
		return "", err
	}
	for i := range keys {
		if oneUse(&keys[i]) && keys[i].State(s.now()) != accounts.KeyActive {
			return keys[i].ID, nil
		}
	}
	return "", nil
}
