package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is one run of the program: what the shell gave, and which command of it
// is being carried out.
type app struct {
	shell
	command *cobra.Command // nil until the command line was understood
	typed   *keyboard      // nil until somebody was asked; see keys
}

const (
	groupRun     = "run"
	groupObserve = "observe"
	groupManage  = "manage"
	groupAccess  = "access"
	groupOperate = "operate"
)

// newRoot builds the whole command tree.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:               "llmgw",
		Short:             "a streaming gateway in front of LLM providers",
		Long:              "llmgw is a streaming gateway in front of LLM providers.\n\nStart one with `llmgw serve`, then try `llmgw chat hello` in a second terminal.",
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.begin,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(explainFlag)
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run"},
		&cobra.Group{ID: groupObserve, Title: "Observe"},
		&cobra.Group{ID: groupManage, Title: "Manage"},
		&cobra.Group{ID: groupAccess, Title: "Access"},
		&cobra.Group{ID: groupOperate, Title: "Operate"},
	)
	addGlobalFlags(root.PersistentFlags())
	grouped(root, groupRun, newServe(a), newMock(a), newRun(a), newEnv(a), newChat(a))
	grouped(root, groupObserve, newStatus(a), newTail(a), newConsole(a), newHealth(a), newDoctor(a))
	grouped(root, groupManage, newRules(a), newUpstreams(a), newKeys(a), newUsers(a), newBindings(a), newApply(a), newDiff(a), newExport(a), newValidate(a), newAudit(a))
	grouped(root, groupAccess, newLogin(a), newLogout(a), newWhoami(a), newContext(a), newTokens(a), newAdmin(a))
	grouped(root, groupOperate, newConfig(a), newMigrate(a), newBackup(a), newSecret(a), newVersion(a), newMan(a))
	root.SetCompletionCommandGroupID(groupOperate)
	root.SetHelpCommandGroupID(groupOperate)
	root.SetHelpCommand(newHelp())
	root.AddCommand(&cobra.Command{Use: "exit-codes", Short: "what the exit code says", Long: exitCodesHelp})
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Short = "the script with which a shell completes commands, flags and names"
	}
	onlySubcommands(root)
	return root
}

func grouped(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// addGlobalFlags gives the root the flags that every command has.
func addGlobalFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	addFlags(flags, anyCommand)
	flags.String("jq", "", "filter the JSON of the answer (`EXPR`)")
	flags.Bool("no-headers", false, "leave the headings of tables out")
	flags.StringSlice("columns", nil, "the columns to show, in this order (`a,b`)")
	flags.BoolP("yes", "y", false, "do not ask, do it")
	flags.BoolP("quiet", "q", false, "say nothing but what was asked for")
	flags.BoolP("verbose", "v", false, "tell which gateway is asked")
}

// begin remembers the command that was understood, so that settings and
// failures can ask its flags.
func (a *app) begin(c *cobra.Command, _ []string) error {
	a.command = c
	return nil
}

// settings reads the settings for the command under way.
func (a *app) settings() (*settings, error) { return loadSettings(a.command.Flags()) }

// flag tells a toggle among the flags of the command under way.
func (a *app) flag(name string) bool {
	on, err := a.command.Flags().GetBool(name)
	return err == nil && on
}

// action is what a command does once its arguments have been understood.
type action func(ctx context.Context, args []string) error

// does makes the RunE of a command that the first signal ends.
func (a *app) does(act action) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		ctx, stop := a.untilSignal(c.Context())
		defer stop()
		err := act(ctx, args)
		if i, ok := interrupted(ctx); ok && err != nil && !isStopped(err) {
			return i
		}
		return err
	}
}

// note says something on stderr that nobody's program reads.
func (a *app) note(format string, args ...any) {
	if !a.flag("quiet") {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}

// report shows a failure in the format that was asked for, as far as the
// command line could be understood at all.
func (a *app) report(f *failure) {
	if f.shown {
		return
	}
	if asksForJSON(a.args, a.command) {
		if f.writeJSON(a.err) == nil {
			return
		}
	}
	f.write(a.err, a.errStyle())
}

// onlySubcommands makes every command that has subcommands refuse other words,
// and show its help when given none.
func onlySubcommands(c *cobra.Command) {
	for _, sub := range c.Commands() {
		onlySubcommands(sub)
	}
	if !c.HasSubCommands() || c.Runnable() {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return unknownCommand(c, args)
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// unknownCommand names what was typed and what was probably meant.
func unknownCommand(c *cobra.Command, args []string) *failure {
	typed := strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), c.Root().Name()) + " " + args[0])
	if called := c.CalledAs(); c.HasParent() && called != "" {
		typed = called + " " + args[0]
	}
	meant := ""
	switch {
	case c.HasParent(): // the noun is known: its letters do not count for the verb
		if meant = suggest(c, args[0]); meant != "" {
			meant = strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ") + " " + meant
		}
	case len(args) > 1:
		if meant = suggest(c, typed+" "+args[1]); meant != "" {
			typed += " " + args[1]
		}
	}
	if meant == "" && !c.HasParent() {
		meant = suggest(c, typed)
	}
	if meant != "" {
		return usage("unknown command %q; did you mean %q?", typed, meant)
	}
	help := "llmgw help"
	if c.HasParent() {
		help += " " + c.Name()
	}
	return usage("unknown command %q", typed).withHint("see what there is: %s", help)
}

// suggest finds the command path nearest to what was typed, whether it was
// typed with the noun's name or an alias.
func suggest(root *cobra.Command, typed string) string {
	paths := map[string]string{} // as it may be typed → as it is called
	var words []string
	var walk func(c *cobra.Command, typed []string, path string)
	walk = func(c *cobra.Command, prefixes []string, path string) {
		for _, sub := range c.Commands() {
			if !sub.IsAvailableCommand() {
				continue
			}
			name := strings.TrimSpace(path + " " + sub.Name())
			var spelled []string
			for _, prefix := range prefixes {
				for _, word := range append([]string{sub.Name()}, sub.Aliases...) {
					s := strings.TrimSpace(prefix + " " + word)
					spelled = append(spelled, s)
					paths[s] = name
					words = append(words, s)
				}
			}
			walk(sub, spelled, name)
		}
	}
	walk(root, []string{""}, "")
	return paths[nearest(typed, words)]
}

// newHelp is `llmgw help`, which unlike cobra's own fails on an unknown topic.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND | TOPIC]",
		Short:   "help about a command or a topic (exit-codes)",
		GroupID: groupOperate,
		RunE: func(c *cobra.Command, args []string) error {
			found, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(c.Root(), args)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// takes demands exactly the named arguments.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("missing argument %s", names[len(args)]).withHint("%s", c.UseLine())
		case len(args) > len(names):
			return usage("too many arguments for %q", c.CommandPath()).withHint("%s", c.UseLine())
		}
		return nil
	}
}

// takesAndSome demands one argument of the first name and some of the second.
func takesAndSome(first, second string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return takes(first)(c, args)
		}
		return takesSome(second)(c, args[1:])
	}
}

// takesOneAtMost demands no more than one argument.
func takesOneAtMost(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("too many arguments for %q", c.CommandPath()).withHint("%s", c.UseLine())
	}
	return nil
}

// takesSome demands one argument or more.
func takesSome(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("missing argument %s", name).withHint("%s", c.UseLine())
		}
		return nil
	}
}
