package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func newKeys(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "keys", Aliases: []string{"key"},
		Short: "create | list | get | edit | rotate | revoke | enable | disable | delete | limits of the keys that clients use",
	}
	n := keyNoun()
	c.AddCommand(
		newKeysCreate(a), newKeysList(a), n.get(a, "one key or several, without their secrets"), newKeysEdit(a),
		newKeysRotate(a), newKeysRevoke(a),
		n.turn(a, "enable", "put a key to use again that was disabled", switchKey(true)),
		n.turn(a, "disable", "refuse a key until it is enabled", switchKey(false)),
		n.delete(a, "remove a key and its bindings"), newKeysLimits(a),
	)
	return c
}

func keyNoun() *noun[api.Key] {
	return &noun[api.Key]{
		word: "key", columns: keyColumns(), show: showKey, name: func(k api.Key) string { return k.Name },
		all: (*api.Client).Keys, one: (*api.Client).Key, remove: (*api.Client).DeleteKey,
	}
}

func switchKey(on bool) func(*api.Client, context.Context, string) (api.Key, error) {
	return func(c *api.Client, ctx context.Context, name string) (api.Key, error) {
		return c.EditKey(ctx, name, api.EditKey{Enabled: &on})
	}
}

// newKeysList lists keys. The words of its filters are compared whole.
func newKeysList(a *app) *cobra.Command {
	var user, state string
	var tags []string
	c := keyNoun().list(a, "the keys, without their secrets", func(k api.Key) bool {
		tagged := func(tag string) bool {
			name, value, valued := strings.Cut(tag, "=")
			own, there := k.Tags[name]
			return there && (!valued || own == value)
		}
		return (user == "" || k.User == user) && (state == "" || k.State == state) &&
			!slices.ContainsFunc(tags, func(tag string) bool { return !tagged(tag) })
	})
	c.Flags().StringVar(&user, "user", "", "only keys of this user (`NAME`)")
	c.Flags().StringVar(&state, "state", "", "only keys in this state: active, revoked, expired, disabled or 'user disabled' (`STATE`)")
	c.Flags().StringArrayVar(&tags, "tag", nil, "only keys that have this tag, repeatable (`NAME[=VALUE]`)")
	completeFlag(c, "user", userNoun().complete(a))
	return c
}

func keyColumns() []column[api.Key] {
	return []column[api.Key]{
		{name: "NAME", text: func(k api.Key) string { return k.Name }},
		{name: "KEY", text: shortKey},
		{name: "USER", text: func(k api.Key) string { return dash(k.User) }},
		{name: "STATE", text: func(k api.Key) string { return k.State }},
		{name: "EXPIRES", text: func(k api.Key) string { return date(k.ExpiresAt) }},
		{name: "USED", text: func(k api.Key) string { return since(k.LastUsedAt, time.Now()) }},
		{name: "LIMITS", text: func(k api.Key) string { return dash(strings.Join(k.Limits, ", ")) }},
		{name: "TAGS", text: func(k api.Key) string { return dash(pairs(k.Tags)) }},
		{name: "MODELS", wide: true, text: func(k api.Key) string { return dash(strings.Join(k.Models, ",")) }},
		{name: "ID", wide: true, text: func(k api.Key) string { return k.ID }},
		{name: "CREATED", wide: true, text: func(k api.Key) string { return date(&k.CreatedAt) }},
	}
}

// shortKey is by what people know a key: how it begins and how it ends.
func shortKey(k api.Key) string {
	if k.Last4 == "" {
		return "-"
	}
	return accounts.KeyPrefix + "…" + k.Last4
}

// since says how long ago something was, or that it never was.
func since(at *time.Time, now time.Time) string {
	if at == nil || at.IsZero() {
		return "never"
	}
	return age(now.Sub(*at)) + " ago"
}

func showKey(w io.Writer, k api.Key) {
	lines := []string{"name", k.Name, "id", k.ID, "user", dash(k.User), "state", k.State}
	for _, s := range k.Secrets {
		lines = append(lines, "key", secretLine(s))
	}
	if len(k.Secrets) == 0 {
		lines = append(lines, "key", shortKey(k))
	}
	fields(w, append(lines,
		"models", dash(strings.Join(k.Models, ", ")), "limits", dash(strings.Join(k.Limits, ", ")), "tags", dash(pairs(k.Tags)),
		"created", date(&k.CreatedAt), "expires", date(k.ExpiresAt), "revoked", date(k.RevokedAt), "used", since(k.LastUsedAt, time.Now()))...)
}

// secretLine tells one of a key's secrets by its end.
func secretLine(s api.KeySecret) string {
	text := accounts.KeyPrefix + "…" + s.Last4 + ", made " + stamp(s.CreatedAt)
	if s.ExpiresAt != nil {
		text += ", ends " + stamp(*s.ExpiresAt)
	}
	return text
}

func newKeysRevoke(a *app) *cobra.Command {
	var how api.RevokeKey
	c := keyNoun().end(a, "revoke", "end a key for good, and cut what it runs",
		func(c *api.Client, ctx context.Context, name string) (api.Key, error) {
			return c.RevokeKey(ctx, name, how)
		})
	c.Long = "Ends every secret of a key, those in their grace too: the next request is refused.\n" +
		"What it runs is cut with the error of the client's protocol."
	c.Flags().BoolVar(&how.KeepStreams, "keep-streams", false, "let the streams that are under way end")
	return c
}

func newKeysRotate(a *app) *cobra.Command {
	var grace string
	c := &cobra.Command{
		Use:   "rotate NAME",
		Short: "give a key a new secret; it goes to stdout, once",
		Long: "Gives a key a new secret, which is printed on stdout and nowhere else. The old one\n" +
			"stays valid for its grace:\n\n  KEY=$(llmgw keys rotate ci-bot --grace 24h)",
		Args: takes("NAME"), ValidArgsFunction: keyNoun().complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			left, err := span(grace)
			if err != nil {
				return usage("--grace: %v", err)
			}
			key, err := t.RotateKey(ctx, args[0], api.RotateKey{Grace: left.String()})
			if err != nil {
				return err
			}
			ends := "the old one is no longer valid"
			switch {
			case len(key.Secrets) == 1 && left > 0: // it had none: it came from a file
				ends = "it had no secret before"
			case left > 0:
				ends = "the old one stays valid for " + grace
			}
			return a.giveSecret(ctx, t, key, func() string { return fmt.Sprintf("rotated key %s (id %s); %s", key.Name, key.ID, ends) })
		}),
	}
	c.Flags().StringVar(&grace, "grace", "24h", "how long the old secret stays valid, 0 for not at all (`DURATION`)")
	return c
}

// giveSecret prints a key's secret on stdout, and then what was done on stderr.
func (a *app) giveSecret(ctx context.Context, t talk, key api.CreatedKey, done func() string) error {
	if !t.output.isTable() {
		return t.output.value(ctx, key)
	}
	if _, err := fmt.Fprintln(a.out, key.Secret); err != nil {
		return fmt.Errorf("writing the key (%s is made, revoke it): %w", key.Name, err)
	}
	a.note("%s", done())
	return nil
}

// fields writes names and values, one pair a line.
func fields(w io.Writer, namesAndValues ...string) {
	var rows [][]string
	for pair := range slices.Chunk(namesAndValues, 2) {
		rows = append(rows, []string{pair[0], oneLine(pair[1])})
	}
	for _, line := range align(rows) {
		fmt.Fprintln(w, line)
	}
}

func date(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// nonNil makes an empty list [] in JSON, never null.
func nonNil[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
