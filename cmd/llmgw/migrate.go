package main

import (
	"context"
	"fmt"
	"io"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/store"
)

func newMigrate(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "migrate", Short: "status | up of the store's tables",
		Long: "A gateway brings the store's tables up to date when it starts, one at a time where many\n" +
			"start at once. With --migrate=false it does not, and refuses to start until\n" +
			"`llmgw migrate up` did, which may run as a role with more rights.",
	}
	status := &cobra.Command{
		Use: "status", Short: "how far the store's tables are; exit 1 where they are to be brought up to date", Args: takes(),
		RunE: a.does(func(ctx context.Context, _ []string) error { return a.migrateStatus(ctx) }),
	}
	up := &cobra.Command{
		Use: "up", Short: "bring the store's tables up to date", Args: takes(),
		RunE: a.does(func(ctx context.Context, _ []string) error { return a.migrateUp(ctx) }),
	}
	for _, sub := range []*cobra.Command{status, up} {
		addNamed(sub.Flags(), "store")
		c.AddCommand(sub)
	}
	return c
}

// shownSchema is how far the tables are, as it is printed.
type shownSchema struct {
	Store   string `json:"store"`
	Schema  int64  `json:"schema"` // 0: there are no tables yet
	Newest  int64  `json:"newest"`
	Pending int64  `json:"pending"`
}

func (s *shownSchema) write(w io.Writer) {
	switch {
	case s.Schema == 0:
		fmt.Fprintf(w, "%s has no tables yet; they are at schema %d after: llmgw migrate up\n", s.Store, s.Newest)
	case s.Pending > 0:
		fmt.Fprintf(w, "%s has schema %d of %d; bring it up to date: llmgw migrate up\n", s.Store, s.Schema, s.Newest)
	default:
		fmt.Fprintf(w, "%s has schema %d, the newest\n", s.Store, s.Schema)
	}
}

func shownSchemaOf(o *store.Options, state store.SchemaState) *shownSchema {
	return &shownSchema{Store: shortPath(o.Place()), Schema: state.Has, Newest: state.Knows, Pending: state.Knows - state.Has}
}

// onTables finds the store whose tables are meant. It may be in use.
func (a *app) onTables() (*node, store.Options, error) {
	s, err := a.settings()
	if err != nil {
		return nil, store.Options{}, err
	}
	n := &node{app: a, settings: s, log: zerolog.Nop()}
	if n.data, err = s.data(); err != nil {
		return nil, store.Options{}, err
	}
	o, err := n.storeOptions(nil)
	return n, o, err
}

func (a *app) migrateStatus(ctx context.Context) error {
	n, o, err := a.onTables()
	if err != nil {
		return err
	}
	state, err := store.Schema(ctx, &o)
	if err != nil {
		return n.explainStore(err)
	}
	shown := shownSchemaOf(&o, state)
	out, err := a.output(n.settings)
	if err != nil {
		return err
	}
	err = writeOne(ctx, out, shown, shown.write)
	if err == nil && shown.Pending > 0 {
		return answered()
	}
	return err
}

func (a *app) migrateUp(ctx context.Context) error {
	n, o, err := a.onTables()
	if err != nil {
		return err
	}
	before, err := store.Migrate(ctx, &o)
	if err != nil {
		return n.explainStore(err)
	}
	if before.Has == before.Knows {
		a.note("%s has schema %d already, the newest", shortPath(o.Place()), before.Knows)
		return nil
	}
	a.note("%s has schema %d now, it had %d", shortPath(o.Place()), before.Knows, before.Has)
	return nil
}
