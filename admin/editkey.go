package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// changeKey runs edit on a key within a change, and shows what became of it.
func (s *Server) changeKey(ctx context.Context, kind, name, ifMatch string, edit func(State, *accounts.Key) error) (api.Key, error) {
	var view api.Key
	_, _, err := s.change(ctx, by(ctx, kind), func(st State) error {
		key, err := st.Key(name)
		if err != nil {
			return found(err, "key", name)
		}
		if err := mayHandle(ctx, name, &key); err != nil {
			return err
		}
		if err := matches(ifMatch, key.Seq, "key", key.Name); err != nil {
			return err
		}
		left := edit(st, &key)
		switch {
		case errors.Is(left, errLeave):
			view, err = s.keyIn(st, key.ID)
		case left != nil:
			return left
		default:
			view, err = s.putKey(st, &key)
		}
		if err != nil {
			return err
		}
		return left
	})
	return view, err
}

func (s *Server) editKey(ctx context.Context, in *changedBody[api.EditKey]) (api.Key, error) {
	edit, problems := s.readKeyEdit(&in.Body)
	if len(problems) > 0 {
		return api.Key{}, invalid(problems)
	}
	kind := editKind("key", in.Body.Enabled, in.Body == api.EditKey{Enabled: in.Body.Enabled})
	return s.changeKey(ctx, kind, in.Name, in.IfMatch, func(st State, key *accounts.Key) error {
		if key.State(s.now()) == accounts.KeyRevoked {
			return notInForce(key.Name, accounts.KeyRevoked)
		}
		if oneUse(key) { // it would be a lasting one that no list shows
			return fail(http.StatusConflict, api.CodeConflict,
				fmt.Sprintf("key %q is for one use, and ends by itself", key.Name), "make one that lasts: llmgw keys create NAME")
		}
		if name := in.Body.Name; name != nil && *name != key.Name {
			if err := keyNameFree(st, *name); err != nil {
				return err
			}
		}
		edit(key)
		if user := in.Body.User; user != nil {
			return giveKeyTo(st, key, *user)
		}
		return nil
	})
}

// editKind is how an edit stands in the audit: as it was typed.
func editKind(noun string, enabled *bool, nothingElse bool) string {
	switch {
	case enabled == nil || !nothingElse:
		return noun + ".edit"
	case *enabled:
		return noun + ".enable"
	}
	return noun + ".disable"
}

// readKeyEdit gives what an edit does to a key, its owner aside, and says all
// that is wrong with it.
func (s *Server) readKeyEdit(in *api.EditKey) (func(*accounts.Key), []api.Problem) {
	var problems []api.Problem
	var edits []func(*accounts.Key)
	if in.Name != nil {
		if !accounts.ValidName(*in.Name) {
			problems = append(problems, badName("name"))
		}
		edits = append(edits, func(k *accounts.Key) { k.Name = *in.Name })
	}
	if in.Tags != nil {
		problems = append(problems, checkTags(*in.Tags)...)
		edits = append(edits, func(k *accounts.Key) { k.Tags = *in.Tags })
	}
	if in.Models != nil {
		problems = append(problems, checkModels(*in.Models)...)
		edits = append(edits, func(k *accounts.Key) { k.Models = *in.Models })
	}
	if in.Limits != nil {
		limits, found := readLimits(*in.Limits)
		problems = append(problems, found...)
		edits = append(edits, func(k *accounts.Key) { k.Limits = limits })
	}
	if in.Enabled != nil {
		edits = append(edits, func(k *accounts.Key) { k.Disabled = !*in.Enabled })
	}
	if in.ExpiresAt != nil {
		end, found := s.readEnd(*in.ExpiresAt)
		problems = append(problems, found...)
		edits = append(edits, func(k *accounts.Key) { k.ExpiresAt = end })
	}
	return func(k *accounts.Key) {
		for _, edit := range edits {
			edit(k)
		}
	}, problems
}

// readEnd reads when a key ends; the empty text is never.
func (s *Server) readEnd(text string) (time.Time, []api.Problem) {
	if text == "" {
		return time.Time{}, nil
	}
	end, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, []api.Problem{{Field: "expires_at", Message: "is not a time such as 2030-01-31T00:00:00Z"}}
	}
	end = end.UTC().Truncate(time.Millisecond)
	return end, s.checkEnd(end)
}

// revokeKey ends a key for good. Revoking it again changes nothing, unless the
// streams that were left to end are to be cut after all.
func (s *Server) revokeKey(ctx context.Context, in *changedMaybe[api.RevokeKey]) (api.Key, error) {
	keep := in.Body != nil && in.Body.KeepStreams
	return s.changeKey(ctx, "key.revoke", in.Name, in.IfMatch, func(_ State, key *accounts.Key) error {
		switch {
		case key.RevokedAt.IsZero():
			key.RevokedAt, key.KeepStreams = s.now(), keep
		case key.KeepStreams && !keep:
			key.KeepStreams = false
		default:
			return errLeave
		}
		return nil
	})
}

// deleteKey removes a key and its bindings. Whoever still sends it is told that
// it is not valid, and no more that it was revoked.
func (s *Server) deleteKey(ctx context.Context, in *changed) error {
	_, _, err := s.change(ctx, by(ctx, "key.delete"), func(st State) error {
		key, err := st.Key(in.Name)
		if err != nil {
			return found(err, "key", in.Name)
		}
		if err := matches(in.IfMatch, key.Seq, "key", key.Name); err != nil {
			return err
		}
		return st.DeleteKey(key.ID)
	})
	return err
}
