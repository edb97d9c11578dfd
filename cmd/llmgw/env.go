package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const envHelp = `Prints the variables that llmgw run would set, for the shell to take over:

  eval "$(llmgw env)"                                      sh, bash, zsh
  llmgw env --shell fish | source                          fish
  llmgw env --shell powershell | Out-String | iex          PowerShell

It makes a key for that, which ends after --expires: one more secret of the key
that --key names, else of the key env@HOST. The variables hold it, so the output
is a secret. Ended at once: llmgw keys revoke env@HOST.`

// shells are the forms in which a variable can be set.
func shells() map[string]func(variable) string {
	return map[string]func(variable) string{
		"sh":   func(v variable) string { return "export " + v.name + "=" + posixQuoted(v.value) },
		"fish": func(v variable) string { return "set -gx " + v.name + " " + fishQuoted(v.value) + ";" },
		"powershell": func(v variable) string {
			return "$env:" + v.name + " = '" + strings.ReplaceAll(v.value, "'", "''") + "'"
		},
	}
}

func newEnv(a *app) *cobra.Command {
	var key, model, shell, expires string
	c := &cobra.Command{
		Use:   "env",
		Short: "print the variables that `run` would set",
		Long:  envHelp,
		Args:  takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			if err := oneOf("sh", "fish", "powershell")(shell); err != nil {
				return usage("--shell: %v", err)
			}
			if err := namesKey(key); err != nil {
				return err
			}
			ends, err := moment(expires, time.Now())
			if err != nil {
				return usage("--expires: %v", err)
			}
			return a.env(ctx, t, key, model, shell, ends)
		}),
	}
	c.Flags().StringVar(&key, "key", "", "the key that rules and logs see (`NAME`)")
	c.Flags().StringVar(&model, "model", "", "the model that programs are told to use (`NAME`)")
	c.Flags().StringVar(&shell, "shell", usualShell(os.Getenv("SHELL"), runtime.GOOS), "sh, fish or powershell; default: by $SHELL (`SHELL`)")
	c.Flags().StringVar(&expires, "expires", "24h", "when the key ends: 12h, 7d or a date, at most 30 days away (`WHEN`)")
	completeFlag(c, "key", keyNoun().complete(a))
	return c
}

// usualShell is the one that a person uses, as far as can be told.
func usualShell(variable, system string) string {
	switch name := filepath.Base(variable); {
	case name == "fish":
		return "fish"
	case variable == "" && system == "windows":
		return "powershell"
	}
	return "sh"
}

func (a *app) env(ctx context.Context, t talk, key, model, shell string, ends time.Time) error {
	status, err := t.Status(ctx)
	if err != nil {
		return err
	}
	l, err := borrow(ctx, t.gateway, "env", key, ends)
	if err != nil {
		return err
	}
	to := pointed{base: status.Proxy, secret: l.secret, model: model}
	if err := writeVariables(ctx, t.output, to.set(program{}, os.Environ()), shells()[shell]); err != nil {
		return fmt.Errorf("writing the variables (the key is made and ends at %s): %w", l.ends.Format(time.DateTime+" MST"), err)
	}
	if a.outIsTerm {
		a.warn("this shows a key; it is meant for: eval \"$(llmgw env)\"")
	}
	a.note("key %s, until %s", l.key, l.ends.Local().Format(time.DateTime+" MST"))
	return nil
}

// writeVariables prints variables as a shell reads them, or as an object.
func writeVariables(ctx context.Context, o *output, set []variable, written func(variable) string) error {
	if !o.isTable() {
		values := map[string]string{}
		for _, v := range set {
			values[v.name] = v.value
		}
		return o.value(ctx, values)
	}
	var b strings.Builder
	for _, v := range set {
		b.WriteString(written(v) + "\n")
	}
	_, err := io.WriteString(o.w, b.String())
	return err
}

// plainInShells are the signs that no shell gives a meaning.
const plainInShells = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,"

// posixQuoted writes a text as one word of a POSIX shell.
func posixQuoted(text string) string {
	if text != "" && strings.Trim(text, plainInShells) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// fishQuoted writes a text as one word of fish, where a backslash in quotes
// counts before another and before a quote.
func fishQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
