package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// firstUser is who the commands of this file are about unless somebody else is
// named: the same whom a link without a name makes.
const firstUser = "admin"

func newAdmin(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "admin",
		Short: "link | reset-password: the way in for whoever may open the admin socket",
		Long: "The way in, and back in, for whoever may open the admin socket: the gateway's own user,\n" +
			"on its own machine. The current context counts for nothing here.",
	}
	c.AddCommand(newAdminLink(a), newAdminReset(a))
	return c
}

// socketGateway is the gateway of this machine, whatever context is current.
func (a *app) socketGateway(s *settings) (*gateway, error) {
	to, err := s.ownSocket()
	if s.originOf("server") != fromDefault || s.originOf("context") == fromFlag {
		to, err = a.which(s)
	}
	if err != nil {
		return nil, err
	}
	if to.socket == "" {
		return nil, usage("%q goes through the admin socket only", a.command.CommandPath()).
			withHint("run it on the gateway's own machine, as its user")
	}
	return a.connect(s, to)
}

func newAdminLink(a *app) *cobra.Command {
	var wanted api.NewAdminLink
	c := &cobra.Command{
		Use:   "link",
		Short: "a link with which an admin sets a password; one use",
		Long:  "Makes a link with which a user sets a password and logs in:\n\n  llmgw login URL#LINK\n\nA user who is not there yet is made, with the role admin.",
		Args:  takes(),
		RunE: a.callsAt(a.socketGateway, func(ctx context.Context, t talk, _ []string) error {
			link, err := t.AdminLink(ctx, wanted)
			if err != nil {
				return err
			}
			return writeOne(ctx, t.output, link, func(w io.Writer) {
				minutes := int(time.Until(link.ExpiresAt).Round(time.Minute).Minutes())
				fmt.Fprintf(w, "%s   (one use, %d minutes)\n", link.URL, minutes)
			})
		}),
	}
	c.Flags().StringVar(&wanted.User, "user", "", "whose password it sets; default: "+firstUser+" (`NAME`)")
	return c
}

func newAdminReset(a *app) *cobra.Command {
	var user, file string
	c := &cobra.Command{
		Use:   "reset-password",
		Short: "give a user another password; ends their logins",
		Args:  takes(),
		RunE: a.callsAt(a.socketGateway, func(ctx context.Context, t talk, _ []string) error {
			password, err := a.readNewPassword(ctx, t.settings, file)
			if err != nil {
				return err
			}
			if err := t.SetPassword(ctx, user, api.SetPassword{Password: password.Reveal()}); err != nil {
				return err
			}
			a.note("set the password of %s; all logins of %s have ended", user, user)
			return nil
		}),
	}
	c.Flags().StringVar(&user, "user", firstUser, "whose password (`NAME`)")
	c.Flags().StringVar(&file, "password-file", "", "where the password is; - is stdin (`FILE`)")
	return c
}
