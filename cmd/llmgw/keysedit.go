package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// keyFlags are what is said about a key when it is made or changed.
type keyFlags struct {
	tags, models, limits []string
	user, expires        string
}

func (f *keyFlags) add(a *app, c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.user, "user", "", "whose key it is (`NAME`)")
	flags.StringSliceVar(&f.models, "models", nil, "the models that it may ask for, ! excludes; default: all (`GLOBS`)")
	addLimitFlag(flags, &f.limits)
	flags.StringVar(&f.expires, "expires", "", "when it ends: 12h, 90d, a date or never (`WHEN`)")
	addTagFlag(flags, &f.tags, "a tag for rules, bindings and logs")
	completeFlag(c, "user", userNoun().complete(a))
}

func addLimitFlag(flags *pflag.FlagSet, limits *[]string) {
	flags.StringArrayVar(limits, "limit", nil, "a limit, repeatable: 600/min, '2M tokens/day', '$50/month', '20 concurrent' (`LIMIT`)")
}

func newKeysCreate(a *app) *cobra.Command {
	var f keyFlags
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "make a key; its secret goes to stdout, once",
		Long:  "Makes a key. The secret is printed on stdout and nowhere else, and never again:\n\n  KEY=$(llmgw keys create ci-bot)",
		Args:  takes("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			wanted, err := f.newKey(args[0], time.Now())
			if err != nil {
				return err
			}
			key, err := t.CreateKey(ctx, wanted)
			if err != nil {
				return err
			}
			return a.giveSecret(ctx, t, key, func() string {
				return fmt.Sprintf("created key %s (%s)%s", key.Name, keySaid(key.Key), boundTo(ctx, t, key.Key))
			})
		}),
	}
	f.add(a, c)
	return c
}

// newKey reads what was said about a new key.
func (f *keyFlags) newKey(name string, now time.Time) (api.NewKey, error) {
	key := api.NewKey{Name: name, User: f.user}
	if !nothing(f.models) {
		key.Models = f.models
	}
	var err error
	if !nothing(f.tags) {
		if key.Tags, err = tagMap(f.tags); err != nil {
			return key, err
		}
	}
	if key.Limits, err = limitsOf(f.limits); err != nil {
		return key, err
	}
	if f.expires == "" || f.expires == "never" {
		return key, nil
	}
	at, err := moment(f.expires, now)
	if err != nil {
		return key, usage("--expires: %v", err)
	}
	key.ExpiresAt = &at
	return key, nil
}

// limitsOf reads limits and gives them in their one spelling.
func limitsOf(texts []string) ([]string, error) {
	if nothing(texts) {
		return nil, nil
	}
	limits := make([]string, 0, len(texts))
	for _, text := range texts {
		limit, err := accounts.ParseLimit(text)
		if err != nil {
			return nil, usage("limit %q: %v", text, err).withHint("as in: 600/min, '2M tokens/day', '$50/month', '20 concurrent'")
		}
		limits = append(limits, limit.String())
	}
	return limits, nil
}

func keySaid(k api.Key) string {
	text := "id " + k.ID
	if k.User != "" {
		text += ", user " + k.User
	}
	if k.ExpiresAt == nil {
		return text + ", never expires"
	}
	return text + ", expires " + k.ExpiresAt.Format(time.DateOnly)
}

// boundTo tells where a new key is bound to by its user and tags. It is made by
// now: nothing is said where that cannot be told.
func boundTo(ctx context.Context, t talk, k api.Key) string {
	if t.output.quiet {
		return ""
	}
	bindings, err := t.Bindings(ctx)
	if err != nil {
		return ""
	}
	var names []string
	for _, b := range bindings {
		tag, value, _ := strings.Cut(b.Tag, "=")
		own, tagged := k.Tags[tag]
		if b.Key == k.Name || b.User != "" && b.User == k.User || b.Tag != "" && tagged && own == value {
			names = append(names, boundUpstream(b))
		}
	}
	if len(names) == 0 {
		return "; binding: none, rules decide"
	}
	return "; binding: " + strings.Join(slices.Compact(names), ", ")
}

func newKeysEdit(a *app) *cobra.Command {
	var f keyFlags
	c := &cobra.Command{
		Use:   "edit NAME",
		Short: "change what a key may do, and whose it is",
		Long: "Changes what is given and leaves the rest. Lists are given whole; an empty value takes\n" +
			"away: --models '' lets the key ask for every model again.",
		Args: takes("NAME"), ValidArgsFunction: keyNoun().complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			given := editFlags{a.command.Flags()}
			edit, err := f.edit(given, time.Now())
			if err == nil {
				err = given.some(a)
			}
			if err != nil {
				return err
			}
			key, err := t.EditKey(ctx, args[0], edit)
			if err != nil {
				return err
			}
			return keyNoun().changed(ctx, t, "changed", key)
		}),
	}
	addNameFlag(c.Flags())
	f.add(a, c)
	return c
}

// edit reads what was said about a key that is there.
func (f *keyFlags) edit(given editFlags, now time.Time) (edit api.EditKey, err error) {
	edit = api.EditKey{Name: given.text("name"), User: given.text("user"), Models: given.list("models", f.models)}
	if edit.Tags, err = given.tags(f.tags); err != nil {
		return edit, err
	}
	limits, err := limitsOf(f.limits)
	if err != nil {
		return edit, err
	}
	edit.Limits = given.list("limit", limits)
	switch {
	case !given.flags.Changed("expires"):
	case f.expires == "" || f.expires == "never":
		edit.ExpiresAt = new(string)
	default:
		at, err := moment(f.expires, now)
		if err != nil {
			return edit, usage("--expires: %v", err)
		}
		text := at.Format(time.RFC3339)
		edit.ExpiresAt = &text
	}
	return edit, nil
}

func newKeysLimits(a *app) *cobra.Command {
	c := &cobra.Command{Use: "limits", Aliases: []string{"limit"}, Short: "set | clear what a key may use"}
	c.AddCommand(
		&cobra.Command{
			Use: "set NAME LIMIT…", Short: "give a key these limits, in place of those that it has",
			Long: "Gives a key limits, in place of those that it has:\n\n  llmgw keys limits set ci-bot 600/min '$50/day'",
			Args: takesAndSome("NAME", "LIMIT"), ValidArgsFunction: first(keyNoun().complete(a)),
			RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
				limits, err := limitsOf(args[1:])
				if err != nil {
					return err
				}
				return a.setLimits(ctx, t, args[0], limits)
			}),
		},
		&cobra.Command{
			Use: "clear NAME", Short: "take the limits of a key away", Args: takes("NAME"), ValidArgsFunction: first(keyNoun().complete(a)),
			RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
				return a.setLimits(ctx, t, args[0], []string{})
			}),
		})
	return c
}

func (a *app) setLimits(ctx context.Context, t talk, name string, limits []string) error {
	if limits == nil {
		limits = []string{}
	}
	key, err := t.EditKey(ctx, name, api.EditKey{Limits: &limits})
	if err != nil {
		return err
	}
	if !t.output.isTable() {
		return t.output.value(ctx, key)
	}
	now := "none"
	if len(key.Limits) > 0 {
		now = strings.Join(key.Limits, ", ")
	}
	_, err = fmt.Fprintf(a.out, "limits of key %s: %s\n", key.Name, now)
	return err
}
