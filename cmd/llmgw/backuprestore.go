package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func newBackupRestore(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "put a backup in the place of the store, while no gateway runs",
		Long: "Puts a backup in the place of the store of the data directory of this machine. No gateway\n" +
			"may run on it. The backup is verified first, and must open with the secret key that the\n" +
			"gateway will start with. The store that was there is kept beside it.\n\n" +
			"What was changed since the backup was made is gone with it: keys that were revoked since\n" +
			"then are valid again.",
		Args: takes("FILE"),
		RunE: a.does(func(ctx context.Context, args []string) error { return a.backupRestore(ctx, args[0]) }),
	}
}

func (a *app) backupRestore(ctx context.Context, file string) (err error) {
	s, err := a.settings()
	if err != nil {
		return err
	}
	o, err := a.output(s)
	if err != nil {
		return err
	}
	if err := a.restoresHere(s); err != nil {
		return err
	}
	r, err := readBackup(ctx, file)
	if err != nil {
		return err
	}
	n, end := a.alone(s)
	defer func() { err = errors.Join(err, end()) }()
	if err := n.readyToRestore(ctx, r); err != nil {
		return err
	}
	question := fmt.Sprintf("replace the store %s with %s, made %s?", shortPath(n.storePath()), shortPath(r.File), r.MadeAt.UTC().Format(time.RFC3339))
	if err := a.mayDestroy(ctx, s, question, "backup restore"); err != nil {
		return err
	}
	if r.Aside, err = store.Restore(ctx, r.File, store.Options{Path: n.storePath(), Secret: n.keys, Version: version}); err != nil {
		return explainRestore(file, err)
	}
	if err := writeOne(ctx, o, r, func(w io.Writer) { writeRestored(w, r, n.storePath()) }); err != nil {
		return err
	}
	a.note("what was changed after %s is gone: keys revoked since then are valid again\nstart it: llmgw serve", r.MadeAt.UTC().Format(time.RFC3339))
	return nil
}

func writeRestored(w io.Writer, r *backupReport, path string) {
	fmt.Fprintf(w, "restored %s from %s: %s\n", shortPath(path), shortPath(r.File), r.holds())
	if r.Aside != "" {
		fmt.Fprintf(w, "the store that was there is %s\n", shortPath(r.Aside))
	}
}

// restoresHere refuses to restore into this machine where another one is meant.
func (a *app) restoresHere(s *settings) error {
	to, err := a.which(s)
	if err != nil {
		return err
	}
	if s.isOwn(to) {
		return nil
	}
	at := to.place.Server
	if at == "" {
		at = to.socket
	}
	return usage("backup restore works on a data directory of this machine, and the gateway that is meant is %s", at).
		withHint("run it there, or say which directory: --data DIR")
}

// readyToRestore takes the data directory, and looks whether its secret key opens
// the backup.
func (n *node) readyToRestore(ctx context.Context, r *backupReport) error {
	err := n.openData(ctx)
	var f *failure
	if errors.As(err, &f) && f.exit == exitFailed {
		return f.withHint("stop it first: a restore takes the place of what it has open")
	}
	if err != nil {
		return err
	}
	known, err := n.keysAtHand(ctx)
	switch {
	case err != nil:
		return err
	case !known:
		return invalid("there is no secret key in %s, and the backup is sealed with key %s…", shortPath(n.data), r.SecretKey).
			withHint("put it there as %s, or give it: LLMGW_SECRET_KEY_FILE", secretKeyName)
	}
	return n.opensBackup(ctx, r, known)
}

// explainRestore tells why a backup was not restored. Nothing was changed.
func explainRestore(file string, err error) error {
	if errors.Is(err, accounts.ErrInUse) {
		return failed(err, "%v", err)
	}
	return explainBackup(file, err)
}
