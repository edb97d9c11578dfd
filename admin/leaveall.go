package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// leave deletes what no file names, of the kinds that the files hold. What
// something else still names is told all at once.
func (m *making) leave(ctx context.Context) error {
	if !m.prune {
		return nil
	}
	var inUse []string
	for _, delete := range []func(context.Context) error{m.leaveKeys, m.leaveUsers, m.leaveUpstreams} {
		err := delete(ctx)
		if errors.Is(err, accounts.ErrInUse) {
			inUse = append(inUse, strings.Split(err.Error(), "\n")...)
		} else if err != nil {
			return err
		}
	}
	if len(inUse) > 0 {
		return fail(http.StatusConflict, api.CodeInUse, strings.Join(inUse, "; "),
			"put what names them into the files as well, or delete that first")
	}
	return nil
}

func (m *making) leaveKeys(context.Context) error {
	if !m.files.Holds(rules.KindKey) {
		return nil
	}
	named := namesAmong(m.files.Keys, func(k *rules.WrittenKey) string { return k.Name })
	for i := range m.before.objects.Keys {
		if key := &m.before.objects.Keys[i]; !named[key.Name] {
			if err := m.st.DeleteKey(key.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *making) leaveUsers(ctx context.Context) error {
	if !m.files.Holds(rules.KindUser) {
		return nil
	}
	named := namesAmong(m.files.Users, func(u *rules.WrittenUser) string { return u.Name })
	var inUse []error
	for i := range m.before.objects.Users {
		user := &m.before.objects.Users[i]
		if named[user.Name] {
			continue
		}
		if callerOf(ctx).owns(user.ID) {
			m.warnings = append(m.warnings, rules.Problem{Message: fmt.Sprintf("user %q is in no file and stays: nobody deletes themselves with an apply", user.Name)})
			continue
		}
		if err := m.may.give(ctx, user.Role); err != nil {
			return err
		}
		err := m.st.DeleteUser(user.ID)
		if errors.Is(err, accounts.ErrInUse) {
			inUse = append(inUse, err)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(inUse...)
}

func (m *making) leaveUpstreams(context.Context) error {
	if !m.files.Holds(rules.KindUpstream) {
		return nil
	}
	named := namesAmong(m.files.Upstreams, func(u *rules.WrittenUpstream) string { return u.Name })
	var inUse []error
	for i := range m.before.objects.Upstreams {
		upstream := &m.before.objects.Upstreams[i]
		if named[upstream.Name] {
			continue
		}
		err := m.st.DeleteUpstream(upstream.ID)
		if errors.Is(err, accounts.ErrInUse) {
			inUse = append(inUse, err)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(inUse...)
}

func namesAmong[T any](objects []T, name func(*T) string) map[string]bool {
	named := map[string]bool{}
	for i := range objects {
		named[name(&objects[i])] = true
	}
	return named
}
