package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/tui"
)

// consoleFlags are what was said about the console.
type consoleFlags struct {
	readOnly, mouse bool
	theme, screen   string
	keys            []string
}

func newConsole(a *app) *cobra.Command {
	var f consoleFlags
	c := &cobra.Command{
		Use:   "console",
		Short: "watch and change a gateway in this terminal",
		Long:  consoleHelp(tui.KeyMap()),
		Args:  takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := a.untilTerminated(c.Context())
			defer stop()
			return a.console(ctx, &f)
		},
	}
	c.Flags().BoolVar(&f.readOnly, "readonly", false, "look only, change nothing")
	c.Flags().BoolVar(&f.mouse, "mouse", false, "rows and tabs can be clicked; M switches that as well")
	c.Flags().StringVar(&f.theme, "theme", "", "dark or light; else as the terminal's background is (`NAME`)")
	c.Flags().StringVar(&f.screen, "screen", "", "the screen to begin with: "+strings.Join(tui.Screens(), ", ")+" (`NAME`)")
	c.Flags().StringArrayVar(&f.keys, "key", nil, "other keys for an action, instead of its own: --key refresh=f5,r (`ACTION=KEY,KEY`)")
	completeFlag(c, "screen", cobra.FixedCompletions(tui.Screens(), cobra.ShellCompDirectiveNoFileComp))
	completeFlag(c, "theme", cobra.FixedCompletions(consoleThemes(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// untilTerminated gives a context that SIGTERM ends. ctrl-c is a key of the
// console; where the terminal makes a signal of it, an editor has the terminal,
// and the signal is the editor's. The returned function ends the watching.
func (s shell) untilTerminated(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case sig := <-s.signals:
				if sig != os.Interrupt {
					cancel(interruption{sig})
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-done
	}
}

// console shows a gateway until it is left. Nothing is asked of the gateway before
// the first frame: one that is not there is shown as that.
func (a *app) console(ctx context.Context, f *consoleFlags) error {
	if err := a.mustShow(); err != nil {
		return err
	}
	keys, err := f.check()
	if err != nil {
		return err
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	v := &viewing{app: a, settings: s}
	first, err := v.first()
	if err != nil {
		return err
	}
	look := a.outStyle()
	return tui.Run(ctx, tui.Options{
		Gateway: first, Contexts: v.contexts(), Connect: v.connect,
		ReadOnly: f.readOnly, ASCII: look.ascii, NoColour: !look.colour, Theme: f.theme, Mouse: f.mouse, Start: f.screen, Keys: keys,
		Editor: editorFor(ctx), Doctor: v.doctor,
		Left: func(what string) { a.warn("%s", what) },
		In:   a.in, Out: a.out, Getenv: os.Getenv, Version: version,
	})
}

// mustShow refuses what cannot show a console: a pipe, or a terminal that cannot
// move its cursor.
func (a *app) mustShow() error {
	const refusal = "llmgw console needs a terminal; for scripts: llmgw status -o json"
	switch {
	case !a.inIsTerm, !a.outIsTerm:
		return usage(refusal)
	case os.Getenv("TERM") == "dumb":
		return usage(refusal).withHint("TERM is dumb: this terminal shows lines only")
	}
	return nil
}

func consoleThemes() []string { return []string{"dark", "light"} }

// check refuses what is no theme, screen or action, and gives the other keys.
func (f *consoleFlags) check() (map[string][]string, error) {
	for _, c := range []struct {
		flag, value string
		words       []string
	}{{"theme", f.theme, consoleThemes()}, {"screen", f.screen, tui.Screens()}} {
		if c.value == "" {
			continue
		}
		if err := oneOf(c.words...)(c.value); err != nil {
			return nil, usage("--%s: %v", c.flag, err)
		}
	}
	return otherKeys(f.keys, tui.KeyMap())
}
