package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newConfig(a *app) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "show | validate | path of the settings"}
	c.AddCommand(newConfigShow(a), newConfigValidate(a), newConfigPath(a))
	return c
}

// shownSetting is a setting as config show prints it.
type shownSetting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin,omitempty"`
	Source string `json:"source,omitempty"` // the variable or file
}

func newConfigShow(a *app) *cobra.Command {
	var origin bool
	c := &cobra.Command{
		Use:   "show",
		Short: "every setting in force, secrets masked",
		Args:  takes(),
		RunE:  a.does(func(ctx context.Context, _ []string) error { return a.configShow(ctx, origin) }),
	}
	c.Flags().BoolVar(&origin, "origin", false, "tell where each value comes from")
	addFlags(c.Flags(), serveOnly)
	return c
}

func (a *app) configShow(ctx context.Context, origin bool) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	o, err := a.output(s)
	if err != nil {
		return err
	}
	shown := s.shown(origin)
	columns := []column[shownSetting]{
		{name: "NAME", text: func(s shownSetting) string { return s.Name }},
		{name: "VALUE", text: func(s shownSetting) string { return dash(s.Value) }},
	}
	if origin {
		columns = append(columns, column[shownSetting]{name: "ORIGIN", text: func(s shownSetting) string {
			if s.Source == "" {
				return s.Origin
			}
			return s.Origin + " " + s.Source
		}})
	}
	return writeList(ctx, o, shown, map[string]any{"items": shown}, columns, "")
}

// shown lists the settings that serve and the data directory depend on.
func (s *settings) shown(origin bool) []shownSetting {
	var all []shownSetting
	for _, t := range settingsTable() {
		if !t.is(inFile) && !t.secret {
			continue
		}
		one := shownSetting{Name: t.key(), Value: masked(t, s.text(t.name))}
		if origin {
			one.Origin, one.Source = s.origin(t), s.source(t)
		}
		all = append(all, one)
	}
	return all
}

// told is shown for whoever asks a running gateway.
func (s *settings) told() []api.Setting {
	shown := s.shown(true)
	all := make([]api.Setting, len(shown))
	for i, one := range shown {
		all[i] = api.Setting(one)
	}
	return all
}

// source names what an origin points at.
func (s *settings) source(t setting) string {
	switch s.origin(t) {
	case fromFlag:
		return "--" + t.name
	case fromEnv:
		return t.variable()
	case fromFile:
		return shortPath(s.file)
	}
	return ""
}

// masked gives a value without what is secret in it.
func masked(t setting, value string) string {
	if value == "" {
		return ""
	}
	if t.secret {
		return "***"
	}
	switch {
	case t.name == "bus":
		return maskedBus(value)
	case isPostgres(value):
		return maskedPostgres(value)
	}
	u, err := url.Parse(value)
	switch {
	case err != nil && strings.Contains(value, "@"):
		return "***" // whatever it is, somebody's password may be in it
	case err != nil || u.User == nil:
		return value
	}
	return u.Redacted()
}

func newConfigValidate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "check the configuration file and the variables",
		Args:  takes(),
		RunE: a.does(func(_ context.Context, _ []string) error {
			s, err := a.settings()
			if err != nil {
				return err
			}
			if s.file == "" {
				fmt.Fprintln(a.out, "valid: no configuration file, defaults and variables only")
				return nil
			}
			fmt.Fprintf(a.out, "%s: valid\n", shortPath(s.file))
			return nil
		}),
	}
}

func newConfigPath(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "the configuration file in use",
		Args:  takes(),
		RunE: a.does(func(_ context.Context, _ []string) error {
			path := configPath(a.command.Flags())
			if path == "" {
				f := failed(nil, "there is no configuration file")
				return f.withHint("it is looked for at %s", joined(configCandidates()))
			}
			fmt.Fprintln(a.out, path)
			return nil
		}),
	}
}

func joined(paths []string) string {
	text := ""
	for i, path := range paths {
		if i > 0 {
			text += ", "
		}
		text += shortPath(path)
	}
	return text
}

// dash stands for nothing in a table.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
