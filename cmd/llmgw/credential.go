package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/llmgw/llmgw/admin/api"
)

// credentialFlags are the three ways of handing over a credential. None of
// them puts it on the command line.
type credentialFlags struct{ env, file, value string }

func (f *credentialFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.env, "credential-from-env", "", "the gateway reads it from this variable of its own (`NAME`)")
	flags.StringVar(&f.file, "credential-from-file", "", "the gateway reads it from this file (`FILE`)")
	flags.StringVar(&f.value, "credential", "", "- reads it from stdin, or a hidden prompt (`-`)")
}

// read gives what was asked for, or nil where nothing was.
func (f *credentialFlags) read(ctx context.Context, a *app, s *settings, upstream string) (*api.NewCredential, error) {
	if f.value != "" && f.value != "-" {
		return nil, secretInFlag()
	}
	given := 0
	for _, v := range []string{f.env, f.file, f.value} {
		if v != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return nil, nil
	case given > 1:
		return nil, usage("give one of --credential-from-env, --credential-from-file and --credential -")
	case f.env != "":
		return &api.NewCredential{Reference: "env:" + f.env}, nil
	case f.file != "":
		path, err := filepath.Abs(expandHome(f.file))
		if err != nil {
			return nil, fmt.Errorf("finding %s: %w", f.file, err)
		}
		return &api.NewCredential{Reference: "file:" + path}, nil
	}
	secret, err := a.readSecret(ctx, s, "credential for "+upstream)
	if err != nil {
		return nil, err
	}
	return &api.NewCredential{Secret: secret.Reveal()}, nil
}

func newUpstreamsCreate(a *app) *cobra.Command {
	var (
		wanted api.NewUpstream
		from   credentialFlags
		noTest bool
	)
	c := &cobra.Command{
		Use: "create NAME", Short: "add an upstream and test it", Args: takes("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) (err error) {
			if wanted.Provider == "" {
				return usage("missing flag --provider").withHint("one of openai, anthropic, gemini, azure, bedrock, generic")
			}
			wanted.Name = args[0]
			if wanted.Credential, err = from.read(ctx, a, t.settings, wanted.Name); err != nil {
				return err
			}
			return a.createUpstream(ctx, t, wanted, !noTest)
		}),
	}
	c.Flags().StringVar(&wanted.Provider, "provider", "", "openai, anthropic, gemini, azure, bedrock or generic (`NAME`)")
	c.Flags().StringVar(&wanted.URL, "url", "", "where it answers; default: the provider's own (`URL`)")
	c.Flags().StringVar(&wanted.Auth, "auth", "", "where the credential goes: bearer, header:NAME, query:NAME or none (`HOW`)")
	c.Flags().StringSliceVar(&wanted.Wires, "wires", nil, "the wire formats it speaks; default: the provider's (`a,b`)")
	c.Flags().StringSliceVar(&wanted.Models, "models", nil, "the models it has (`a,b`)")
	c.Flags().BoolVar(&wanted.Websocket, "websocket", false, "relay WebSockets to it (OpenAI Realtime)")
	c.Flags().BoolVar(&noTest, "no-test", false, "do not test it")
	from.add(c.Flags())
	return c
}

func (a *app) createUpstream(ctx context.Context, t talk, wanted api.NewUpstream, test bool) error {
	u, err := t.CreateUpstream(ctx, wanted)
	if err != nil {
		return err
	}
	if !t.output.isTable() {
		err = t.output.value(ctx, u)
	} else {
		_, err = fmt.Fprintf(a.out, "created upstream %s (%s)\n", u.Name, t.output.look.plain(saidOf(u)))
	}
	if err != nil || !test {
		return err
	}
	return a.testNow(ctx, t, u.Name)
}

// saidOf names the credential of a new upstream as create confirms it.
func saidOf(u api.Upstream) string {
	if len(u.Credentials) == 0 {
		if u.Auth == "none" {
			return "needs no credential"
		}
		return "no credential yet: llmgw upstreams credential set " + u.Name
	}
	c := u.Credentials[0]
	text := "credential sealed"
	if c.Reference != "" {
		text = "credential " + c.Reference
	}
	if c.Last4 != "" {
		text += ", ends …" + c.Last4
	}
	return text
}

func newCredential(a *app) *cobra.Command {
	c := &cobra.Command{Use: "credential", Aliases: []string{"cred"}, Short: "set | rotate | clear | enable | disable a credential of an upstream"}
	c.AddCommand(
		newCredentialSet(a), newCredentialRotate(a), newCredentialClear(a),
		newCredentialSwitch(a, "enable", "put a credential to use again", (*api.Client).EnableCredential),
		newCredentialSwitch(a, "disable", "keep a credential and send no request with it", (*api.Client).DisableCredential),
	)
	return c
}

func newCredentialSet(a *app) *cobra.Command {
	var (
		from   credentialFlags
		name   string
		noTest bool
	)
	c := &cobra.Command{
		Use:   "set UPSTREAM",
		Short: "give an upstream a credential, in place of the one it has",
		Long:  "Gives an upstream a credential. Without a flag it is read from stdin, or from a\nhidden prompt on a terminal.",
		Args:  oneUpstreamNoSecret, ValidArgsFunction: first(upstreamNoun().complete(a)),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			if from == (credentialFlags{}) {
				from.value = "-"
			}
			wanted, err := from.read(ctx, a, t.settings, args[0])
			if err != nil {
				return err
			}
			wanted.Name = name
			return a.setCredential(ctx, t, args[0], *wanted, !noTest)
		}),
	}
	c.Flags().StringVar(&name, "name", "", "name of the credential, where the upstream has several (`NAME`)")
	c.Flags().BoolVar(&noTest, "no-test", false, "do not test it")
	from.add(c.Flags())
	return c
}

// oneUpstreamNoSecret refuses a second argument as what it probably is.
func oneUpstreamNoSecret(c *cobra.Command, args []string) error {
	if len(args) == 2 {
		return secretInFlag()
	}
	return takes("UPSTREAM")(c, args)
}

func (a *app) setCredential(ctx context.Context, t talk, upstream string, wanted api.NewCredential, test bool) error {
	u, err := t.SetCredential(ctx, upstream, wanted)
	if err != nil {
		return err
	}
	if err := a.toldCredential(ctx, t, "set", u); err != nil || !test {
		return err
	}
	return a.testNow(ctx, t, u.Name)
}
