package main

import (
	"bytes"
	"context"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func newUsersPassword(a *app) *cobra.Command {
	var file, current string
	var gone bool
	c := &cobra.Command{
		Use:   "password NAME",
		Short: "set a user's password, and end the user's logins",
		Long: "Sets a user's password, from a hidden prompt on a terminal, else from stdin or a file.\n" +
			"The user's logins and tokens end. Who changes their own gives the one they have, too.",
		Args: nameNoPassword, ValidArgsFunction: first(userNoun().complete(a)),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			if gone && (file != "" || current != "") {
				return usage("give --clear or a password, not both")
			}
			wanted := api.SetPassword{}
			if !gone {
				var err error
				if wanted, err = a.askPassword(ctx, t, args[0], file, current); err != nil {
					return err
				}
			}
			if err := t.SetPassword(ctx, args[0], wanted); err != nil {
				return err
			}
			done := "set the password of user %s; logins have ended"
			if gone {
				done = "user %s has no password any more; logins have ended"
			}
			a.note(done, args[0])
			return nil
		}),
	}
	addPasswordFlag(c.Flags(), &file)
	c.Flags().StringVar(&current, "current-password-file", "", "your own password, where you change it (`FILE`)")
	c.Flags().BoolVar(&gone, "clear", false, "take the password away: the user cannot log in")
	return c
}

func addPasswordFlag(flags *pflag.FlagSet, file *string) {
	flags.StringVar(file, "password-file", "", "read the password from this file, - for stdin or a hidden prompt (`FILE`)")
}

// askPassword reads the new password of a user, and before it the one that is
// in force where it is the caller's own.
func (a *app) askPassword(ctx context.Context, t talk, user, file, currentFile string) (api.SetPassword, error) {
	var wanted api.SetPassword
	me, err := t.Me(ctx)
	if err != nil {
		return wanted, err
	}
	if own := me.Via != viaSocket && me.User == user; own {
		if currentFile == "" && !a.canAsk(t.settings) {
			return wanted, usage("--current-password-file is missing: who changes their own password gives the one they have")
		}
		current, err := a.readPassword(ctx, t.settings, currentFile, "your current password")
		if err != nil {
			return wanted, err
		}
		wanted.Current = current.Reveal()
	}
	password, err := a.newPassword(ctx, t.settings, file, user)
	wanted.Password = password.Reveal()
	return wanted, err
}

// viaSocket is what api.Me says of a caller who came through the socket, where
// nobody is a user.
const viaSocket = "socket"

// newPassword reads a password that is to be set. What is typed unseen is typed
// twice.
func (a *app) newPassword(ctx context.Context, s *settings, file, user string) (accounts.Secret, error) {
	password, err := a.readPassword(ctx, s, file, "new password for "+user)
	if err != nil || !a.promptsFor(s, file) {
		return password, err
	}
	return a.typedAgain(ctx, password)
}

// typedAgain has a new password that was typed unseen typed once more.
func (a *app) typedAgain(ctx context.Context, password accounts.Secret) (accounts.Secret, error) {
	again, err := a.promptHidden(ctx, "once more")
	if err != nil {
		return accounts.Secret{}, err
	}
	if !again.Equal(password) {
		return accounts.Secret{}, usage("the two passwords differ, nothing was changed")
	}
	return password, nil
}

// readPassword reads a password from a file, a hidden prompt or stdin.
func (a *app) readPassword(ctx context.Context, s *settings, file, prompt string) (accounts.Secret, error) {
	if file == "" || file == "-" {
		return a.readSecret(ctx, s, prompt)
	}
	return passwordIn(file)
}

// passwordIn reads the password that a file holds.
func passwordIn(file string) (accounts.Secret, error) {
	text, err := readRegular(expandHome(file), longestSecret)
	if err != nil {
		return accounts.Secret{}, usage("the password cannot be read: %v", err)
	}
	return oneSecret(bytes.NewReader(text), shortPath(file))
}

// promptsFor says whether somebody types what file stands for.
func (a *app) promptsFor(s *settings, file string) bool {
	_, terminal := a.in.(*os.File)
	return terminal && a.canAsk(s) && (file == "" || file == "-")
}

// nameNoPassword refuses a second argument as what it probably is.
func nameNoPassword(c *cobra.Command, args []string) error {
	if len(args) == 2 {
		return passwordInFlag()
	}
	return takes("NAME")(c, args)
}

// passwordInFlag is the answer to a password on the command line.
func passwordInFlag() *failure {
	return usage("do not put a password on the command line (it shows in ps and shell history). " +
		"Use --password-file FILE, or leave it out and type it at the prompt of: llmgw users password NAME")
}
