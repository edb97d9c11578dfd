package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newBindings(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "bindings", Aliases: []string{"binding"},
		Short: "create | list | get | move | delete what binds a key, user or tag to upstreams",
		Long: "A binding says which upstream a key, a user or whoever has a tag uses where no rule\n" +
			"decides. It has no name: list shows its ID. Those of a key come before those of its\n" +
			"user, these before those of tags; then the lowest order; within one order the weight\n" +
			"decides.",
	}
	n := bindingNoun()
	c.AddCommand(newBindingsCreate(a), newBindingsList(a), n.get(a, "one binding or several, by ID"), newBindingsMove(a),
		n.delete(a, "remove a binding, by ID"))
	return c
}

func bindingNoun() *noun[api.Binding] {
	return &noun[api.Binding]{
		word: "binding", columns: bindingColumns(), show: showBinding, name: func(b api.Binding) string { return b.ID },
		all: (*api.Client).Bindings, one: (*api.Client).Binding, remove: (*api.Client).DeleteBinding,
	}
}

func bindingColumns() []column[api.Binding] {
	return []column[api.Binding]{
		{name: "ID", text: func(b api.Binding) string { return b.ID }},
		{name: "CALLER", text: boundCaller},
		{name: "UPSTREAM", text: boundUpstream},
		{name: "ORDER", text: func(b api.Binding) string { return strconv.Itoa(b.Order) }},
		{name: "WEIGHT", text: func(b api.Binding) string { return strconv.Itoa(b.Weight) }},
		{name: "MODELS", text: func(b api.Binding) string { return dash(strings.Join(b.Models, ",")) }},
		{name: "CREATED", wide: true, text: func(b api.Binding) string { return date(&b.CreatedAt) }},
	}
}

// boundCaller says whom a binding is for: key ci-bot, user dana, tag env=ci.
func boundCaller(b api.Binding) string {
	switch {
	case b.Key != "":
		return "key " + b.Key
	case b.User != "":
		return "user " + b.User
	}
	return "tag " + b.Tag
}

// boundUpstream says where a binding leads: openai-eu, or openai-eu/batch.
func boundUpstream(b api.Binding) string {
	if b.Credential == "" {
		return b.Upstream
	}
	return b.Upstream + "/" + b.Credential
}

func showBinding(w io.Writer, b api.Binding) {
	fields(w,
		"id", b.ID, "caller", boundCaller(b), "upstream", boundUpstream(b), "order", strconv.Itoa(b.Order),
		"weight", strconv.Itoa(b.Weight), "models", dash(strings.Join(b.Models, ", ")), "created", date(&b.CreatedAt))
}

// callerFlags name one caller of bindings.
type callerFlags struct{ key, user, tag string }

func (f *callerFlags) add(a *app, c *cobra.Command, about string) {
	c.Flags().StringVar(&f.key, "key", "", about+" this key (`NAME`)")
	c.Flags().StringVar(&f.user, "user", "", about+" this user (`NAME`)")
	c.Flags().StringVar(&f.tag, "tag", "", about+" who has this tag (`NAME=VALUE`)")
	completeFlag(c, "key", keyNoun().complete(a))
	completeFlag(c, "user", userNoun().complete(a))
}

// named counts the callers that were named.
func (f *callerFlags) named() int {
	n := 0
	for _, name := range []string{f.key, f.user, f.tag} {
		if name != "" {
			n++
		}
	}
	return n
}

func newBindingsList(a *app) *cobra.Command {
	var of callerFlags
	var upstream string
	c := bindingNoun().list(a, "the bindings", func(b api.Binding) bool {
		return (of.key == "" || b.Key == of.key) && (of.user == "" || b.User == of.user) && (of.tag == "" || b.Tag == of.tag) &&
			(upstream == "" || b.Upstream == upstream || boundUpstream(b) == upstream)
	})
	of.add(a, c, "only those of")
	c.Flags().StringVar(&upstream, "upstream", "", "only those to this upstream (`NAME[/CREDENTIAL]`)")
	completeFlag(c, "upstream", upstreamNoun().complete(a))
	return c
}

func newBindingsCreate(a *app) *cobra.Command {
	var (
		of       callerFlags
		wanted   api.NewBinding
		upstream string
		order    int
	)
	c := &cobra.Command{
		Use:   "create (--key K | --user U | --tag NAME=VALUE) --upstream NAME[/CREDENTIAL]",
		Short: "bind a key, a user or a tag to an upstream, or to one of its credentials",
		Args:  takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			if err := of.one(a); err != nil {
				return err
			}
			if upstream == "" {
				return usage("missing flag --upstream").withHint("%s", a.command.UseLine())
			}
			wanted.Key, wanted.User, wanted.Tag = of.key, of.user, of.tag
			wanted.Upstream, wanted.Credential, _ = strings.Cut(upstream, "/")
			if a.command.Flags().Changed("order") {
				wanted.Order = &order
			}
			b, err := t.CreateBinding(ctx, wanted)
			if err != nil {
				return err
			}
			return a.toldBinding(ctx, t, "created", b)
		}),
	}
	of.add(a, c, "for")
	c.Flags().StringVar(&upstream, "upstream", "", "where to, and with which credential (`NAME[/CREDENTIAL]`)")
	c.Flags().IntVar(&order, "order", 100, "the lowest is tried first (`N`)")
	c.Flags().IntVar(&wanted.Weight, "weight", 1, "its share among those of the same order (`N`)")
	c.Flags().StringSliceVar(&wanted.Models, "models", nil, "only for these models, ! excludes; default: all (`GLOBS`)")
	completeFlag(c, "upstream", upstreamNoun().complete(a))
	return c
}

// one refuses flags that do not name exactly one caller.
func (f *callerFlags) one(a *app) error {
	if f.named() != 1 {
		return usage("give one of --key, --user and --tag").withHint("%s", a.command.UseLine())
	}
	if name, _, ok := strings.Cut(f.tag, "="); f.tag != "" && (!ok || name == "") {
		return usage("--tag %q: write NAME=VALUE", f.tag)
	}
	return nil
}

func newBindingsMove(a *app) *cobra.Command {
	var place api.MoveBinding
	c := &cobra.Command{
		Use: "move ID --order N", Short: "give a binding another place among those of its caller", Args: takes("ID"),
		ValidArgsFunction: bindingNoun().complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			if !a.command.Flags().Changed("order") {
				return usage("missing flag --order").withHint("%s", a.command.UseLine())
			}
			b, err := t.MoveBinding(ctx, args[0], place)
			if err != nil {
				return err
			}
			return a.toldBinding(ctx, t, "moved", b)
		}),
	}
	c.Flags().IntVar(&place.Order, "order", 0, "the lowest is tried first (`N`)")
	return c
}

func (a *app) toldBinding(ctx context.Context, t talk, done string, b api.Binding) error {
	if !t.output.isTable() {
		return t.output.value(ctx, b)
	}
	line := fmt.Sprintf("%s binding %s (%s → %s, order %d, weight %d)", done, b.ID, boundCaller(b), boundUpstream(b), b.Order, b.Weight)
	_, err := fmt.Fprintln(a.out, oneLine(t.output.look.plain(line)))
	return err
}
