package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newTokens(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "tokens", Aliases: []string{"token"},
		Short: "list | create | delete personal access tokens, for programs that call the admin API",
		Long:  "Personal access tokens are for programs that call the admin API in your name: in\nLLMGW_TOKEN, or in the file of LLMGW_TOKEN_FILE. Clients of the proxy want keys\n(llmgw keys create).",
	}
	c.AddCommand(newTokensList(a), newTokensCreate(a), newTokensDelete(a))
	return c
}

func newTokensList(a *app) *cobra.Command {
	var user string
	var logins bool
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "your tokens, without their secrets", Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			list := t.Tokens
			if logins {
				list = t.Logins
			}
			tokens, err := list(ctx, user)
			if err != nil {
				return err
			}
			return writeList(ctx, t.output, tokens, api.List[api.Token]{Items: nonNil(tokens)}, tokenColumns(), "")
		}),
	}
	c.Flags().StringVar(&user, "user", "", "those of somebody else; for admins (`NAME`)")
	c.Flags().BoolVar(&logins, "logins", false, "list logins too")
	return c
}

func tokenColumns() []column[api.Token] {
	return []column[api.Token]{
		{name: "NAME", text: func(k api.Token) string {
			if k.Name == "" {
				return "(login)"
			}
			return k.Name
		}},
		{name: "ID", text: func(k api.Token) string { return k.ID }},
		{name: "USER", text: func(k api.Token) string { return k.User }},
		{name: "ROLE", text: func(k api.Token) string { return k.Role }},
		{name: "SECRET", text: func(k api.Token) string { return "…" + k.Last4 }},
		{name: "CREATED", text: func(k api.Token) string { return date(&k.CreatedAt) }},
		{name: "USED", text: func(k api.Token) string { return date(k.UsedAt) }},
		{name: "EXPIRES", text: func(k api.Token) string { return date(k.ExpiresAt) }},
		{name: "FROM", wide: true, text: func(k api.Token) string { return dash(k.From) }},
	}
}

func newTokensCreate(a *app) *cobra.Command {
	var role, expires string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "make a token; its secret goes to stdout, once",
		Args:  takes("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			wanted := api.NewToken{Name: args[0], Role: role}
			if expires != "" {
				at, err := moment(expires, time.Now())
				if err != nil {
					return usage("--expires: %v", err)
				}
				wanted.ExpiresAt = &at
			}
			return a.createToken(ctx, t, wanted)
		}),
	}
	c.Flags().StringVar(&role, "role", "", "what it may do at most: admin, operator, viewer or member; default: what you may (`ROLE`)")
	c.Flags().StringVar(&expires, "expires", "", "when it ends: 12h, 90d or a date (`WHEN`)")
	return c
}

func (a *app) createToken(ctx context.Context, t talk, wanted api.NewToken) error {
	token, err := t.CreateToken(ctx, wanted)
	if err != nil {
		return err
	}
	if !t.output.isTable() {
		return t.output.value(ctx, token)
	}
	if _, err := fmt.Fprintln(a.out, token.Secret); err != nil {
		return fmt.Errorf("writing the token (%s is made, delete it): %w", token.Name, err)
	}
	ends := "never expires"
	if token.ExpiresAt != nil {
		ends = "expires " + date(token.ExpiresAt)
	}
	a.note("created token %s (id %s, user %s, role %s, %s)", token.Name, token.ID, token.User, token.Role, ends)
	return nil
}

func newTokensDelete(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME|ID…", Aliases: []string{"rm"}, Short: "end a token, or a login by its ID, at once", Args: takesSome("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			names, err := a.destroyable(ctx, t, args, "delete token", "tokens delete")
			if err != nil {
				return err
			}
			return a.forEach(names, func(name string) error {
				err := t.DeleteToken(ctx, name)
				if err == nil {
					a.note("deleted token %s", name)
				}
				return err
			})
		}),
	}
}
