package main

import (
	"slices"

	"github.com/spf13/pflag"
)

// editFlags reads the flags of an edit: what was not given stays as it is, and an
// empty value takes away.
type editFlags struct{ flags *pflag.FlagSet }

// text points at the value of a flag that was given.
func (e editFlags) text(name string) *string {
	if !e.flags.Changed(name) {
		return nil
	}
	value, err := e.flags.GetString(name)
	if err != nil {
		return nil
	}
	return &value
}

// list points at the values of a flag that was given.
func (e editFlags) list(name string, values []string) *[]string {
	if !e.flags.Changed(name) {
		return nil
	}
	if nothing(values) {
		values = []string{}
	}
	return &values
}

// tags points at the tags where any were given.
func (e editFlags) tags(values []string) (*map[string]string, error) {
	if !e.flags.Changed("tag") {
		return nil, nil
	}
	if nothing(values) {
		return &map[string]string{}, nil
	}
	tags, err := tagMap(values)
	return &tags, err
}

// some refuses an edit that changes nothing. The flags of aside are no changes.
func (e editFlags) some(a *app, aside ...string) error {
	changed := false
	own := a.command.LocalNonPersistentFlags()
	e.flags.Visit(func(f *pflag.Flag) {
		changed = changed || own.Lookup(f.Name) != nil && !slices.Contains(aside, f.Name)
	})
	if !changed {
		return usage("nothing to change was given").withHint("what can be changed: %s --help", a.command.CommandPath())
	}
	return nil
}

// addNameFlag lets an edit give another name.
func addNameFlag(flags *pflag.FlagSet) {
	flags.String("name", "", "another name (`NAME`)")
}

// addTagFlag gives a command tags, in place of those that are there.
func addTagFlag(flags *pflag.FlagSet, tags *[]string, about string) {
	flags.StringArrayVar(tags, "tag", nil, about+", repeatable (`NAME=VALUE`)")
}
