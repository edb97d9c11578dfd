package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/llmgw/llmgw/admin/api"
)

func newUsers(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "users", Aliases: []string{"user"},
		Short: "create | list | get | edit | password | enable | disable | delete those who own keys and run the gateway",
	}
	n := userNoun()
	c.AddCommand(
		newUsersCreate(a), newUsersList(a), n.get(a, "one user or several"), newUsersEdit(a), newUsersPassword(a),
		n.turn(a, "enable", "let a user and the user's keys in again", switchUser(true)),
		n.turn(a, "disable", "refuse a user's keys and end the user's logins, until enabled", switchUser(false)),
		n.delete(a, "remove a user who owns no key, and the user's bindings"),
	)
	return c
}

func userNoun() *noun[api.User] {
	return &noun[api.User]{
		word: "user", columns: userColumns(), show: showUser, name: func(u api.User) string { return u.Name },
		all: (*api.Client).Users, one: (*api.Client).User, remove: (*api.Client).DeleteUser,
	}
}

func switchUser(on bool) func(*api.Client, context.Context, string) (api.User, error) {
	return func(c *api.Client, ctx context.Context, name string) (api.User, error) {
		return c.EditUser(ctx, name, api.EditUser{Enabled: &on})
	}
}

func newUsersList(a *app) *cobra.Command {
	var role string
	c := userNoun().list(a, "the users", func(u api.User) bool { return role == "" || u.Role == role })
	c.Flags().StringVar(&role, "role", "", "only users with this role (`ROLE`)")
	return c
}

func userColumns() []column[api.User] {
	return []column[api.User]{
		{name: "NAME", text: func(u api.User) string { return u.Name }},
		{name: "ON", text: func(u api.User) string { return sign(u.Enabled, true) }},
		{name: "ROLE", text: func(u api.User) string { return u.Role }},
		{name: "EMAIL", text: func(u api.User) string { return dash(u.Email) }},
		{name: "KEYS", text: func(u api.User) string { return strconv.Itoa(u.Keys) }},
		{name: "PASSWORD", text: func(u api.User) string { return yesNo(u.HasPassword) }},
		{name: "LOGIN", text: func(u api.User) string { return since(u.LastLoginAt, time.Now()) }},
		{name: "TAGS", text: func(u api.User) string { return dash(pairs(u.Tags)) }},
		{name: "ID", wide: true, text: func(u api.User) string { return u.ID }},
		{name: "CREATED", wide: true, text: func(u api.User) string { return date(&u.CreatedAt) }},
	}
}

func showUser(w io.Writer, u api.User) {
	fields(w,
		"name", u.Name, "id", u.ID, "role", u.Role, "enabled", yesNo(u.Enabled), "email", dash(u.Email),
		"keys", strconv.Itoa(u.Keys), "password", yesNo(u.HasPassword), "login", since(u.LastLoginAt, time.Now()),
		"tags", dash(pairs(u.Tags)), "created", date(&u.CreatedAt))
}

// userFlags are what is said about a user who is made or changed.
type userFlags struct {
	tags        []string
	role, email string
}

func (f *userFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.role, "role", "", "what the user may do: admin, operator, viewer or member (`ROLE`)")
	flags.StringVar(&f.email, "email", "", "the user's address (`ADDRESS`)")
	addTagFlag(flags, &f.tags, "a tag for rules, bindings and logs")
}

func newUsersCreate(a *app) *cobra.Command {
	var f userFlags
	var file string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "add a user, with the role member unless told",
		Long: "Adds a user. Without a password the user owns keys but cannot log in; one can be set\n" +
			"later: llmgw users password NAME",
		Args: nameNoPassword,
		RunE: a.calls(func(ctx context.Context, t talk, args []string) (err error) {
			wanted := api.NewUser{Name: args[0], Email: f.email, Role: f.role}
			if !nothing(f.tags) {
				if wanted.Tags, err = tagMap(f.tags); err != nil {
					return err
				}
			}
			if file != "" {
				password, err := a.newPassword(ctx, t.settings, file, args[0])
				if err != nil {
					return err
				}
				wanted.Password = password.Reveal()
			}
			user, err := t.CreateUser(ctx, wanted)
			if err != nil {
				return err
			}
			return createdUser(ctx, t, user)
		}),
	}
	f.add(c.Flags())
	addPasswordFlag(c.Flags(), &file)
	return c
}

func createdUser(ctx context.Context, t talk, u api.User) error {
	if !t.output.isTable() {
		return t.output.value(ctx, u)
	}
	next := "no password yet: llmgw users password " + u.Name
	if u.HasPassword {
		next = "with a password"
	}
	_, err := fmt.Fprintf(t.output.w, "created user %s (id %s, role %s, %s)\n", u.Name, u.ID, u.Role, next)
	return err
}

func newUsersEdit(a *app) *cobra.Command {
	var f userFlags
	c := &cobra.Command{
		Use:   "edit NAME",
		Short: "change a user's name, role, address or tags",
		Long:  "Changes what is given and leaves the rest. Tags are given whole; an empty value takes\naway: --tag ''.",
		Args:  takes("NAME"), ValidArgsFunction: userNoun().complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) (err error) {
			given := editFlags{a.command.Flags()}
			if err := given.some(a); err != nil {
				return err
			}
			edit := api.EditUser{Name: given.text("name"), Email: given.text("email"), Role: given.text("role")}
			if edit.Tags, err = given.tags(f.tags); err != nil {
				return err
			}
			user, err := t.EditUser(ctx, args[0], edit)
			if err != nil {
				return err
			}
			return userNoun().changed(ctx, t, "changed", user)
		}),
	}
	addNameFlag(c.Flags())
	f.add(c.Flags())
	return c
}
