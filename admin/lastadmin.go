package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// keepsAdmin refuses, at the end of a change of users, that nobody is left who
// could log in and do everything. before are those users before the change: where
// none was such an admin, nothing was taken away. Whoever needs no login can
// always make an admin link, and is not refused.
func keepsAdmin(ctx context.Context, st State, before ...*accounts.User) error {
	was := slices.IndexFunc(before, logsInAsAdmin)
	if callerOf(ctx).Via == viaSocket || was < 0 {
		return nil
	}
	users, err := st.Users()
	if err != nil {
		return err
	}
	for i := range users {
		if logsInAsAdmin(&users[i]) {
			return nil
		}
	}
	return fail(http.StatusConflict, api.CodeInUse,
		fmt.Sprintf("user %q is the last admin who can log in", before[was].Name),
		"give another user the role admin and a password first, or do it on the gateway's own machine, as its user")
}

// logsInAsAdmin says whether a user can log in and then do everything. Tokens do
// not count: without a password there is no login to make the next one with.
func logsInAsAdmin(u *accounts.User) bool {
	return u.Role == accounts.RoleAdmin && !u.Disabled && !u.Password.IsZero()
}
