package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// noun is a kind of object, and how the verbs that all kinds share are done to
// it. The functions are the client's methods.
type noun[T any] struct {
	word    string // what one of them is called; its commands stand under the plural
	columns []column[T]
	show    func(io.Writer, T) // one of them, for people
	name    func(T) string     // what commands call it by

	all    func(*api.Client, context.Context) ([]T, error)
	one    func(*api.Client, context.Context, string) (T, error)
	remove func(*api.Client, context.Context, string) error
}

// plural is the name of a noun's commands.
func (n *noun[T]) plural() string { return n.word + "s" }

// list makes the verb that lists what keep leaves.
func (n *noun[T]) list(a *app, short string, keep func(T) bool) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: short, Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			all, err := n.all(t.Client, ctx)
			if err != nil {
				return err
			}
			all = nonNil(all)
			if keep != nil {
				all = slices.DeleteFunc(all, func(one T) bool { return !keep(one) })
			}
			return writeList(ctx, t.output, all, api.List[T]{Items: all}, n.columns, "")
		}),
	}
}

// get makes the verb that shows those that are named.
func (n *noun[T]) get(a *app, short string) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME…", Short: short, Args: takesSome("NAME"), ValidArgsFunction: n.complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			names, err := a.names(args)
			if err != nil {
				return err
			}
			found := make([]T, 0, len(names))
			failure := a.forEach(names, func(name string) error {
				one, err := n.one(t.Client, ctx, name)
				if err == nil {
					found = append(found, one)
				}
				return t.explain(err)
			})
			if err := writeEach(ctx, t.output, names, found, n.show); err != nil {
				return err
			}
			return failure
		}),
	}
}

// turn makes a verb that does something to each of those that are named, and
// tells that it was done.
func (n *noun[T]) turn(a *app, verb, short string, do func(*api.Client, context.Context, string) (T, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME…", Short: short, Args: takesSome("NAME"), ValidArgsFunction: n.complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			names, err := a.names(args)
			if err != nil {
				return err
			}
			return n.each(a, t, names, verb+"d", func(name string) (T, error) { return do(t.Client, ctx, name) })
		}),
	}
}

// end makes a verb that takes something away for good from each of those that
// are named, where the operator agrees.
func (n *noun[T]) end(a *app, verb, short string, do func(*api.Client, context.Context, string) (T, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME…", Short: short, Args: takesSome("NAME"), ValidArgsFunction: n.complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			names, err := a.destroyable(ctx, t, args, verb+" "+n.word, n.plural()+" "+verb)
			if err != nil {
				return err
			}
			return n.each(a, t, names, verb+"d", func(name string) (T, error) { return do(t.Client, ctx, name) })
		}),
	}
}

// delete makes the verb that removes those that are named.
func (n *noun[T]) delete(a *app, short string) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME…", Aliases: []string{"rm"}, Short: short, Args: takesSome("NAME"), ValidArgsFunction: n.complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			names, err := a.destroyable(ctx, t, args, "delete "+n.word, n.plural()+" delete")
			if err != nil {
				return err
			}
			return a.forEach(names, func(name string) error {
				err := n.remove(t.Client, ctx, name)
				if err == nil {
					a.note("deleted %s %s", n.word, name)
				}
				return t.explain(err)
			})
		}),
	}
}

// each does something to every name and tells of each that it was done.
func (n *noun[T]) each(a *app, t talk, names []string, done string, do func(name string) (T, error)) error {
	return a.forEach(names, func(name string) error {
		one, err := do(name)
		if err == nil {
			a.note("%s %s %s", done, n.word, n.name(one))
		}
		return t.explain(err)
	})
}

// changed prints what an object became: a sentence for people, the object for
// programs.
func (n *noun[T]) changed(ctx context.Context, t talk, done string, one T) error {
	if !t.output.isTable() {
		return t.output.value(ctx, one)
	}
	_, err := fmt.Fprintf(t.output.w, "%s %s %s\n", done, n.word, oneLine(n.name(one)))
	return err
}

// writeEach prints one object or several. JSON of several is a list.
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
