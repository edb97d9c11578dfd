package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// defaultCredential is the name of a credential that was given none.
const defaultCredential = "default"

func addCredentialName(c *cobra.Command, name *string) {
	c.Flags().StringVar(name, "name", "", "name of the credential, where the upstream has several (`NAME`)")
}

func newCredentialRotate(a *app) *cobra.Command {
	var (
		from   credentialFlags
		name   string
		noTest bool
	)
	c := &cobra.Command{
		Use:   "rotate UPSTREAM",
		Short: "put another secret in the place of one, without a failed request",
		Long: "Puts another secret in the place of one that an upstream has. Requests under way end\n" +
			"with the old one. Without a flag it is read from stdin, or from a hidden prompt on a\nterminal.",
		Args: oneUpstreamNoSecret, ValidArgsFunction: first(upstreamNoun().complete(a)),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			if from == (credentialFlags{}) {
				from.value = "-"
			}
			name, err := soleCredential(ctx, t, args[0], name)
			if err != nil {
				return err
			}
			wanted, err := from.read(ctx, a, t.settings, args[0])
			if err != nil {
				return err
			}
			wanted.Name = name
			u, err := t.RotateCredential(ctx, args[0], *wanted)
			if err != nil {
				return err
			}
			if err := a.toldCredential(ctx, t, "rotated", u); err != nil || noTest {
				return err
			}
			return a.testNow(ctx, t, u.Name)
		}),
	}
	addCredentialName(c, &name)
	c.Flags().BoolVar(&noTest, "no-test", false, "do not test it")
	from.add(c.Flags())
	return c
}

func newCredentialClear(a *app) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "clear UPSTREAM", Short: "take a credential away from an upstream", Args: takes("UPSTREAM"),
		ValidArgsFunction: first(upstreamNoun().complete(a)),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			name, err := soleCredential(ctx, t, args[0], name)
			if err != nil {
				return err
			}
			question := fmt.Sprintf("clear credential %s of upstream %s?", name, args[0])
			if err := a.mayDestroy(ctx, t.settings, question, "upstreams credential clear"); err != nil {
				return err
			}
			u, err := t.ClearCredential(ctx, args[0], name)
			if err != nil {
				return err
			}
			return a.toldCredential(ctx, t, "cleared", u)
		}),
	}
	addCredentialName(c, &name)
	return c
}

func newCredentialSwitch(a *app, verb, short string, do func(c *api.Client, ctx context.Context, upstream, name string) (api.Upstream, error)) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: verb + " UPSTREAM", Short: short, Args: takes("UPSTREAM"), ValidArgsFunction: first(upstreamNoun().complete(a)),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			name, err := soleCredential(ctx, t, args[0], name)
			if err != nil {
				return err
			}
			u, err := do(t.Client, ctx, args[0], name)
			if err != nil {
				return err
			}
			return a.toldCredential(ctx, t, verb+"d", u)
		}),
	}
	addCredentialName(c, &name)
	return c
}

// soleCredential gives the credential that is meant: the one that is named, or
// the only one that there is.
func soleCredential(ctx context.Context, t talk, upstream, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	u, err := t.Upstream(ctx, upstream)
	switch {
	case err != nil:
		return "", err
	case len(u.Credentials) == 1:
		return u.Credentials[0].Name, nil
	case len(u.Credentials) == 0:
		return defaultCredential, nil // the gateway says that there is none
	}
	return "", usage("upstream %q has %s; say which: --name NAME", upstream, plural(len(u.Credentials), "credential")).
		withHint("llmgw upstreams get %s", upstream)
}

// toldCredential tells what the credentials of an upstream are now.
func (a *app) toldCredential(ctx context.Context, t talk, done string, u api.Upstream) error {
	if !t.output.isTable() {
		return t.output.value(ctx, u)
	}
	_, err := fmt.Fprintf(a.out, "%s credential of upstream %s (%s)\n", done, u.Name, t.output.look.plain(credentials(u)))
	return err
}
