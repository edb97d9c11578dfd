package main

import (
	"context"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// login is what is kept of a login at a remote gateway. Its tokens go to the
// server that gave them and to no other, whatever becomes of the context.
type login struct {
	Server    string    `yaml:"server"`
	User      string    `yaml:"user"`
	Role      string    `yaml:"role,omitempty"`
	Access    string    `yaml:"access_token,omitempty"`
	ExpiresAt time.Time `yaml:"expires_at,omitempty"` // of Access
	Refresh   string    `yaml:"refresh_token,omitempty"`
	EndedAt   time.Time `yaml:"ended_at,omitempty"` // when the gateway refused it; there are no tokens then
}

func loginOf(server string, t api.Tokens) login {
	return login{
		Server: server, User: t.User, Role: t.Role, Access: t.Access, ExpiresAt: t.ExpiresAt.UTC(), Refresh: t.Refresh,
	}
}

// String keeps tokens out of whatever prints a login.
func (l login) String() string { return "login of " + l.User + " at " + l.Server }

// over is what is left of a login that the gateway refuses.
func (l login) over(now time.Time) login {
	return login{Server: l.Server, User: l.User, EndedAt: now.UTC().Truncate(time.Second)}
}

// logins are those of a user, by the names of their contexts.
type logins map[string]login

func (k keep) logins() (logins, error) {
	all := logins{}
	err := k.read(loginsName, &all)
	return all, err
}

// login gives the one of a context at a server; the zero login where there is
// none.
func (k keep) login(context, server string) (login, error) {
	all, err := k.logins()
	if l := all[context]; l.Server == server {
		return l, err
	}
	return login{}, err
}

// changeLogins changes the logins while nobody else does.
func (k keep) changeLogins(ctx context.Context, change func(logins) error) error {
	return k.locked(ctx, func() error {
		all, err := k.logins()
		if err != nil {
			return err
		}
		if err := change(all); err != nil {
			return err
		}
		return k.write(loginsName, all)
	})
}
