package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func newKeys(a *app) *cobra.Command {
	c := &cobra.Command{Use: "keys", Aliases: []string{"key"}, Short: "create | list | get | revoke the keys that clients use"}
	c.AddCommand(newKeysCreate(a), newKeysList(a), newKeysGet(a), newKeysRevoke(a))
	return c
}

func newKeysCreate(a *app) *cobra.Command {
	var tags []string
	var expires string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "make a key; its secret goes to stdout, once",
		Long:  "Makes a key. The secret is printed on stdout and nowhere else, and never again:\n\n  KEY=$(llmgw keys create ci-bot)",
		Args:  takes("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			wanted, err := newKey(args[0], tags, expires, time.Now())
			if err != nil {
				return err
			}
			return a.createKey(ctx, t, wanted)
		}),
	}
	c.Flags().StringArrayVar(&tags, "tag", nil, "a tag for rules and logs, repeatable (`NAME=VALUE`)")
	c.Flags().StringVar(&expires, "expires", "", "when the key ends: 12h, 90d or a date (`WHEN`)")
	return c
}

// newKey reads what was said about a key.
func newKey(name string, tags []string, expires string, now time.Time) (api.NewKey, error) {
	key := api.NewKey{Name: name}
	for _, tag := range tags {
		k, v, ok := strings.Cut(tag, "=")
		if !ok || k == "" {
			return key, usage("--tag %q: write NAME=VALUE", tag)
		}
		if key.Tags == nil {
			key.Tags = map[string]string{}
		}
		key.Tags[k] = v
	}
	if expires == "" {
		return key, nil
	}
	at, err := moment(expires, now)
	if err != nil {
		return key, usage("--expires: %v", err)
	}
	key.ExpiresAt = &at
	return key, nil
}

// moment reads a time to come: a duration from now, days too, or a date.
func moment(text string, now time.Time) (time.Time, error) {
	at, err := anyMoment(text, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time; write 12h, 90d or 2027-02-20", text)
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("%q is not in the future", text)
	}
	return at.UTC().Truncate(time.Second), nil
}

func anyMoment(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return now.Add(time.Duration(n) * 24 * time.Hour), err
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.Parse(time.DateOnly, text)
}

func (a *app) createKey(ctx context.Context, t talk, wanted api.NewKey) error {
	key, err := t.CreateKey(ctx, wanted)
	if err != nil {
		return err
	}
	if !t.output.isTable() {
		return t.output.value(ctx, key)
	}
	if _, err := fmt.Fprintln(a.out, key.Secret); err != nil {
		return fmt.Errorf("writing the key (%s is made, revoke it): %w", key.Name, err)
	}
	ends := "never expires"
	if key.ExpiresAt != nil {
		ends = "expires " + key.ExpiresAt.Format(time.DateOnly)
	}
	a.note("created key %s (id %s, %s)", key.Name, key.ID, ends)
	return nil
}

func newKeysList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "the keys, without their secrets", Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			keys, err := t.Keys(ctx)
			if err != nil {
				return err
			}
			return writeList(ctx, t.output, keys, api.List[api.Key]{Items: nonNil(keys)}, keyColumns(), "")
		}),
	}
}

func keyColumns() []column[api.Key] {
	return []column[api.Key]{
		{name: "NAME", text: func(k api.Key) string { return k.Name }},
		{name: "KEY", text: func(k api.Key) string { return accounts.KeyPrefix + "…" + k.Last4 }},
		{name: "STATE", text: func(k api.Key) string { return k.State }},
		{name: "EXPIRES", text: func(k api.Key) string { return date(k.ExpiresAt) }},
		{name: "TAGS", text: func(k api.Key) string { return dash(pairs(k.Tags)) }},
		{name: "ID", wide: true, text: func(k api.Key) string { return k.ID }},
		{name: "CREATED", wide: true, text: func(k api.Key) string { return date(&k.CreatedAt) }},
	}
}

func newKeysGet(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME…", Short: "one key or several, without their secrets", Args: takesSome("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			return getEach(ctx, a, t, args, t.Key, func(w io.Writer, k api.Key) {
				fields(w,
					"name", k.Name, "id", k.ID, "key", accounts.KeyPrefix+"…"+k.Last4, "state", k.State,
					"created", date(&k.CreatedAt), "expires", date(k.ExpiresAt), "revoked", date(k.RevokedAt), "tags", dash(pairs(k.Tags)))
			})
		}),
	}
}

func newKeysRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME…", Short: "end a key for good, and cut what it runs", Args: takesSome("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			names, err := a.destroyable(ctx, t, args, "revoke key", "keys revoke")
			if err != nil {
				return err
			}
			return a.forEach(names, func(name string) error {
				key, err := t.RevokeKey(ctx, name, api.RevokeKey{})
				if err == nil {
					a.note("revoked key %s", key.Name)
				}
				return err
			})
		}),
	}
}

// destroyable gives the names after the operator agreed to lose them.
func (a *app) destroyable(ctx context.Context, t talk, args []string, verb, command string) ([]string, error) {
	if slices.Contains(args, "-") && !a.flag("yes") {
		return nil, usage("%s needs --yes where names come from stdin", command)
	}
	names, err := a.names(args)
	if err != nil {
		return nil, err
	}
	return names, a.mayDestroy(ctx, t.settings, verb+" "+strings.Join(names, ", ")+"?", command)
}

// getEach prints one object or several. JSON of several is a list.
func getEach[T any](ctx context.Context, a *app, t talk, args []string, get func(context.Context, string) (T, error), text func(io.Writer, T)) error {
	names, err := a.names(args)
	if err != nil {
		return err
	}
	found := make([]T, 0, len(names))
	failure := a.forEach(names, func(name string) error {
		one, err := get(ctx, name)
		if err == nil {
			found = append(found, one)
		}
		return t.explain(err)
	})
	if err := writeEach(ctx, t.output, names, found, text); err != nil {
		return err
	}
	return failure
}

func writeEach[T any](ctx context.Context, o *output, names []string, found []T, text func(io.Writer, T)) error {
	switch {
	case len(found) == 0:
		return nil
	case len(names) == 1:
		return writeOne(ctx, o, found[0], func(w io.Writer) { text(w, found[0]) })
	case o.format == formatJSONL && o.filter == nil:
		for _, one := range found {
			if err := writeCompact(o.w, one); err != nil {
				return err
			}
		}
		return nil
	}
	return writeOne(ctx, o, api.List[T]{Items: found}, func(w io.Writer) {
		for i, one := range found {
			if i > 0 {
				fmt.Fprintln(w)
			}
			text(w, one)
		}
	})
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

// pairs writes a map as a=b,c=d in the order of its keys.
func pairs(m map[string]string) string {
	all := make([]string, 0, len(m))
	for k, v := range m {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
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
