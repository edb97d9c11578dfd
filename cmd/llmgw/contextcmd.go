package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newContext(a *app) *cobra.Command {
	c := &cobra.Command{Use: "context", Aliases: []string{"contexts", "ctx"}, Short: "list | use | add | remove | rename | show the gateways that commands talk to"}
	c.AddCommand(newContextList(a), newContextUse(a), newContextAdd(a), newContextRemove(a), newContextRename(a), newContextShow(a))
	return c
}

// shownPlace is a context as it is shown: with who is logged in there, and
// without any token.
type shownPlace struct {
	place
	Current  bool   `json:"current"`
	LoggedIn bool   `json:"logged_in"`
	Role     string `json:"role,omitempty"`
}

func showPlace(c place, all *places, known logins) shownPlace {
	l := known[c.Name]
	here := l.Server == c.Server && l.Refresh != ""
	shown := shownPlace{place: c, Current: c.Name == all.Current, LoggedIn: here}
	if here {
		shown.User, shown.Role = l.User, l.Role
	}
	return shown
}

// local makes the RunE of a command that needs no gateway, only what is kept.
func (a *app) local(do func(ctx context.Context, k keep, o *output, args []string) error) func(*cobra.Command, []string) error {
	return a.does(func(ctx context.Context, args []string) error {
		s, err := a.settings()
		if err != nil {
			return err
		}
		o, err := a.output(s)
		if err != nil {
			return err
		}
		k, err := openKeep()
		if err != nil {
			return err
		}
		return do(ctx, k, o, args)
	})
}

func newContextList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "the contexts, and who is logged in", Args: takes(),
		RunE: a.local(func(ctx context.Context, k keep, o *output, _ []string) error {
			all, err := k.places()
			if err != nil {
				return err
			}
			known, err := k.logins()
			if err != nil {
				return err
			}
			items := []shownPlace{}
			for _, c := range all.Contexts {
				items = append(items, showPlace(c, &all, known))
			}
			return writeList(ctx, o, items, api.List[shownPlace]{Items: items}, placeColumns(), "")
		}),
	}
}

func placeColumns() []column[shownPlace] {
	mark := func(on bool) string {
		if on {
			return "●"
		}
		return "○"
	}
	return []column[shownPlace]{
		{name: "CURRENT", text: func(c shownPlace) string { return mark(c.Current) }},
		{name: "NAME", text: func(c shownPlace) string { return c.Name }},
		{name: "SERVER", text: func(c shownPlace) string { return c.Server }},
		{name: "USER", text: func(c shownPlace) string { return dash(c.User) }},
		{name: "LOGIN", text: func(c shownPlace) string { return mark(c.LoggedIn) }},
		{name: "CA-FILE", wide: true, text: func(c shownPlace) string { return dash(c.CAFile) }},
		{name: "SERVER-NAME", wide: true, text: func(c shownPlace) string { return dash(c.ServerName) }},
	}
}

func newContextShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "one context; without a name the current one", Args: takesOneAtMost,
		RunE: a.local(func(ctx context.Context, k keep, o *output, args []string) error {
			all, err := k.places()
			if err != nil {
				return err
			}
			name := all.Current
			if len(args) == 1 {
				name = args[0]
			}
			if name == "" {
				return noCurrent()
			}
			c, err := all.named(name)
			if err != nil {
				return err
			}
			known, err := k.logins()
			if err != nil {
				return err
			}
			shown := showPlace(c, &all, known)
			return writeOne(ctx, o, shown, func(w io.Writer) {
				fields(w, "name", shown.Name, "server", shown.Server, "current", yesNo(shown.Current), "user", dash(shown.User),
					"logged in", yesNo(shown.LoggedIn), "role", dash(shown.Role), "ca file", dash(shortPath(shown.CAFile)),
					"server name", dash(shown.ServerName), "http allowed", yesNo(shown.InsecureHTTP))
			})
		}),
	}
}

func noCurrent() *failure {
	f := &failure{exit: exitNotFound, code: api.CodeNotFound, message: "no context is current: commands talk to the gateway on this machine"}
	return f.withHint("make one: llmgw login URL")
}

func newContextUse(a *app) *cobra.Command {
	var none bool
	c := &cobra.Command{
		Use: "use NAME", Short: "make a context the one that commands talk to",
		Long: "Makes a context the one that commands talk to. --none goes back to the gateway on this\nmachine.",
		Args: takesOneAtMost,
		RunE: a.local(func(ctx context.Context, k keep, _ *output, args []string) error {
			if none == (len(args) == 1) {
				return usage("give the NAME of a context, or --none").withHint("list them: llmgw context list")
			}
			return k.changePlaces(ctx, func(all *places) error {
				if none {
					all.Current = ""
					a.note("no context is current: commands talk to the gateway on this machine")
					return nil
				}
				c, err := all.named(args[0])
				if err == nil {
					all.Current = c.Name
					a.note("context %s is current (%s)", c.Name, c.Server)
				}
				return err
			})
		}),
	}
	c.Flags().BoolVar(&none, "none", false, "no context: the gateway on this machine")
	return c
}

func newContextAdd(a *app) *cobra.Command {
	var flags placeFlags
	var url string
	c := &cobra.Command{
		Use: "add NAME --url URL", Short: "remember a gateway without logging in", Args: takes("NAME"),
		RunE: a.local(func(ctx context.Context, k keep, _ *output, args []string) error {
			if url == "" {
				return usage("missing flag --url").withHint("llmgw context add %s --url https://HOST[:PORT]", args[0])
			}
			server, link, err := serverOf(url)
			if err != nil {
				return err
			}
			if link != "" {
				return usage("this is an admin link").withHint("use it: llmgw login URL")
			}
			c, err := flags.over(place{Name: args[0], Server: server})
			if err != nil {
				return err
			}
			if err := c.check(); err != nil {
				return err
			}
			if _, err := c.trust(); err != nil {
				return err
			}
			return k.changePlaces(ctx, func(all *places) error {
				if all.index(c.Name) >= 0 {
					return placeExists(c.Name)
				}
				all.Contexts = append(all.Contexts, c)
				a.note("added context %s (%s). Log in: llmgw login --context %s", c.Name, c.Server, c.Name)
				return nil
			})
		}),
	}
	c.Flags().StringVar(&url, "url", "", "where its admin API answers: https://HOST[:PORT] or unix:///PATH/admin.sock (`URL`)")
	flags.add(c.Flags())
	return c
}

func placeExists(name string) *failure {
	f := &failure{exit: exitConflict, code: api.CodeConflict, message: fmt.Sprintf("context %q already exists", name)}
	return f.withHint("look at it: llmgw context show %s", name)
}

func newContextRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm", "delete"}, Short: "forget a context and its login", Args: takes("NAME"),
		Long: "Forgets a context and its login. The login itself goes on at the gateway until it is\nover: llmgw logout ends it.",
		RunE: a.local(func(ctx context.Context, k keep, _ *output, args []string) error {
			err := k.changePlaces(ctx, func(all *places) error {
				c, err := all.named(args[0])
				if err != nil {
					return err
				}
				all.Contexts = slices.DeleteFunc(all.Contexts, func(o place) bool { return o.Name == c.Name })
				if all.Current == c.Name {
					all.Current = ""
				}
				return nil
			})
			if err != nil {
				return err
			}
			err = k.changeLogins(ctx, func(all logins) error {
				delete(all, args[0])
				return nil
			})
			if err == nil {
				a.note("removed context %s", args[0])
			}
			return err
		}),
	}
}

func newContextRename(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rename OLD NEW", Short: "call a context something else", Args: takes("OLD", "NEW"),
		RunE: a.local(func(ctx context.Context, k keep, _ *output, args []string) error {
			err := k.changePlaces(ctx, func(all *places) error {
				i := all.index(args[0])
				switch {
				case i < 0:
					return noContext(args[0])
				case all.index(args[1]) >= 0:
					return placeExists(args[1])
				}
				all.Contexts[i].Name = args[1]
				if all.Current == args[0] {
					all.Current = args[1]
				}
				return all.Contexts[i].check()
			})
			if err != nil {
				return err
			}
			err = k.changeLogins(ctx, func(all logins) error {
				if l, ok := all[args[0]]; ok {
					all[args[1]] = l
					delete(all, args[0])
				}
				return nil
			})
			if err == nil {
				a.note("context %s is called %s now", args[0], args[1])
			}
			return err
		}),
	}
}

// absolute is where a file of the operator's is, whatever directory a later
// command runs in.
func absolute(path string) (string, error) {
	path, err := filepath.Abs(expandHome(path))
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", path, err)
	}
	return path, nil
}
