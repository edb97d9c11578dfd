package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// explainFlag turns what pflag says about a command line into a failure. The
// value of a flag is never repeated: it may be a secret.
func explainFlag(c *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		wrong   *pflag.InvalidValueError
	)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown):
		return unknownFlag(c, unknown)
	case errors.As(err, &missing):
		return usage("flag %s wants a value", dashed(missing.GetSpecifiedName())).withHint("%s --help", c.CommandPath())
	case errors.As(err, &wrong):
		return usage("flag --%s wants %s", wrong.GetFlag().Name, inPlainWords(wrong.GetFlag().Value.Type())).withHint("%s --help", c.CommandPath())
	}
	return usage("the command line cannot be read").withHint("%s --help", c.CommandPath())
}

// inPlainWords says what a flag's type is to people.
func inPlainWords(kind string) string {
	switch kind {
	case "int", "int64", "uint", "uint64":
		return "a whole number"
	}
	return "a " + kind
}

func unknownFlag(c *cobra.Command, unknown *pflag.NotExistError) *failure {
	name := unknown.GetSpecifiedName()
	if slices.Contains(secretFlags(), strings.ToLower(name)) {
		if c.Flags().Lookup("password-file") != nil {
			return passwordInFlag()
		}
		return secretInFlag()
	}
	if unknown.GetSpecifiedShortnames() != "" {
		return usage("unknown flag %q", "-"+name).withHint("%s --help", c.CommandPath())
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	c.InheritedFlags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := nearest(name, known); near != "" {
		return usage("unknown flag %q; did you mean %q?", "--"+name, "--"+near)
	}
	return usage("unknown flag %q", "--"+name).withHint("%s --help", c.CommandPath())
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// secretFlags are names under which people expect to hand over a secret.
func secretFlags() []string {
	return []string{"api-key", "apikey", "credential", "secret", "secret-key", "password", "token"}
}

// secretInFlag is the answer to a secret on the command line.
func secretInFlag() *failure {
	return usage("do not put a key on the command line (it shows in ps and shell history). " +
		"Use --credential-from-env NAME, --credential-from-file FILE, or --credential - and paste it")
}
