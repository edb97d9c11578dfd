package admin

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// least says who may call an operation: a role and those that cover it, or one
// of the two that are no role. Every operation declares one.
type least string

// Who may call an operation at least. A member is let in for what is their own
// only; the handler sees to that, see callerOf.
const (
	anybody  least = "anybody" // without a login
	member         = least(accounts.RoleMember)
	viewer         = least(accounts.RoleViewer)
	operator       = least(accounts.RoleOperator)
	admin          = least(accounts.RoleAdmin)
	socket   least = "socket" // whoever can open the admin socket, and nobody else
)

// roleExtension is where the OpenAPI document has it.
const roleExtension = "x-llmgw-role"

// lets says why c may not do what wants w, or nil.
func (w least) lets(c caller) *failure {
	switch {
	case w == anybody:
		return nil
	case w == socket:
		if c.Via == viaSocket {
			return nil
		}
		return denied("only the admin socket does this", "run the command on the gateway's own machine, as its user")
	case c.Role.Covers(accounts.Role(w)):
		return nil
	}
	return denied(fmt.Sprintf("this needs the role %s, %s has the role %s", w, c.User, c.Role), "ask an admin: llmgw users edit NAME --role "+string(w))
}

// guarded is the middleware of one operation. Nobody without a login comes as
// far as here but to what is for anybody.
func (w least) guarded(ctx huma.Context, next func(huma.Context)) {
	if refused := w.lets(callerOf(ctx.Context())); refused != nil {
		_, out := humago.Unwrap(ctx)
		refused.write(out)
		return
	}
	next(ctx)
}

func denied(detail, hint string) *failure {
	return fail(http.StatusForbidden, api.CodeDenied, detail, hint)
}

// mayGive refuses to give a role that the caller does not have, and to change
// whoever has one.
func mayGive(ctx context.Context, role accounts.Role) error {
	if c := callerOf(ctx); !c.Role.Covers(role) {
		return denied(fmt.Sprintf("%s has the role %s, which does not cover the role %s", c.User, c.Role, role), "ask an admin")
	}
	return nil
}

// mayHandle refuses to change a key that is neither the caller's own nor in the
// caller's hands. Whoever may not see it is told that it is not there,
// by the name or ID that was asked for.
func mayHandle(ctx context.Context, asked string, key *accounts.Key) error {
	switch c := callerOf(ctx); {
	case c.handles(key.UserID):
		return nil
	case c.sees(key.UserID):
		return denied(fmt.Sprintf("key %q is not %s's own", key.Name, c.User), "ask an operator")
	}
	return noSuch("key", asked)
}
