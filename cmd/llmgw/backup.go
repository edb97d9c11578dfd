package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store"
)

func newBackup(a *app) *cobra.Command {
	c := &cobra.Command{Use: "backup", Short: "create | verify | restore: copies of the store"}
	c.AddCommand(newBackupCreate(a), newBackupVerify(a), newBackupRestore(a))
	return c
}

// backupReport is a backup as programs see it.
type backupReport struct {
	File string `json:"file"`
	api.Backup
	KeyAtHand string `json:"key_at_hand,omitempty"` // which of the keys here opens it; empty: none, or nobody looked
	Aside     string `json:"aside,omitempty"`       // where a restore has left the store that was there
}

// size is that of the file, for people.
func (r *backupReport) size() string { return humanize.IBytes(uint64(max(0, r.Bytes))) }

// holds says what is in it.
func (r *backupReport) holds() string {
	return fmt.Sprintf("%s, made %s, change %d, revision %d, schema %d, secret key %s…",
		r.size(), r.MadeAt.UTC().Format(time.RFC3339), r.Seq, r.Revision, r.Schema, r.SecretKey)
}

func newBackupCreate(a *app) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "create FILE",
		Short: "copy the store to a file, while the gateway runs or while it does not",
		Long: "Copies the store, whole and of one moment, to FILE, and what it must hold to FILE.json;\n" +
			"both can be read by their owner only. The copy is verified before it gets its name. It\n" +
			"comes from the gateway that other commands talk to, also over TLS (role admin); where none\n" +
			"runs on this machine, from the data directory.\n\n" +
			"The secret key is in neither file: without it a backup is of no use. Keep it elsewhere.",
		Args: takes("FILE"),
		RunE: a.does(func(ctx context.Context, args []string) error { return a.backupCreate(ctx, args[0], force) }),
	}
	c.Flags().BoolVar(&force, "force", false, "replace a backup that is there")
	return c
}

func (a *app) backupCreate(ctx context.Context, file string, force bool) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	o, err := a.output(s)
	if err != nil {
		return err
	}
	path, err := backupTarget(file, force)
	if err != nil {
		return err
	}
	to, err := a.which(s)
	if err != nil {
		return err
	}
	r := &backupReport{File: path}
	keep := func(b api.Backup, from io.Reader) error {
		r.Backup = b
		return store.SaveBackup(ctx, path, store.Manifest(b), from, force)
	}
	if err := a.backupFrom(ctx, s, to, keep); err != nil {
		return explainBackup(file, err)
	}
	if err := writeOne(ctx, o, r, func(w io.Writer) { fmt.Fprintf(w, "backed up to %s: %s\n", shortPath(r.File), r.holds()) }); err != nil {
		return err
	}
	a.note("the secret key is not in it: keep key %s… elsewhere", r.SecretKey)
	return nil
}

// backupTarget is where a backup goes, absolute. What is refused is refused before
// anything is copied.
func backupTarget(file string, force bool) (string, error) {
	path, err := filepath.Abs(expandHome(file))
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", file, err)
	}
	for _, p := range []string{path, store.ManifestPath(path)} {
		stat, err := os.Lstat(p)
		switch {
		case err == nil && stat.IsDir():
			return "", usage("%s is a directory; give the name of a file in it", file)
		case err == nil && !force:
			return "", explainBackup(file, fmt.Errorf("file %s: %w", p, accounts.ErrExists))
		}
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return "", explainBackup(file, err)
	}
	return path, nil
}

// backupFrom has a copy made: by the gateway that is meant or, where none runs on
// this machine, from the data directory.
func (a *app) backupFrom(ctx context.Context, s *settings, to goal, keep func(api.Backup, io.Reader) error) error {
	g, err := a.connect(s, to)
	if err != nil {
		return err
	}
	defer g.Close()
	if a.flag("verbose") {
		a.note("gateway at %s", g.at)
	}
	err = g.Backup(ctx, keep)
	var refusal *api.Error
	if errors.As(err, &refusal) && refusal.Code == api.CodeUnreachable && s.isOwn(to) && a.hasStore(s) && notListening(err) {
		return a.backupAlone(ctx, s, keep)
	}
	return g.explain(err)
}

// notListening says whether nobody is at a socket.
func notListening(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// isOwn says whether a goal is the gateway of the data directory of this command.
func (s *settings) isOwn(to goal) bool {
	own, err := s.ownSocket()
	return err == nil && to.socket == own.socket
}

// alone is a gateway that does not run, and of which a command needs the data.
func (a *app) alone(s *settings) (*node, func() error) {
	n := &node{app: a, settings: s, log: zerolog.Nop()}
	return n, func() error {
		var errs []error
		for i := len(n.closers) - 1; i >= 0; i-- {
			errs = append(errs, n.closers[i]())
		}
		return errors.Join(errs...)
	}
}

// hasStore says whether there is a store on this machine.
func (a *app) hasStore(s *settings) bool {
	dir, err := s.data()
	if err != nil {
		return false
	}
	n := &node{app: a, settings: s, data: dir}
	return n.needsStore(context.Background()) == nil
}

// backupAlone copies the store of a gateway that does not run. The store is not
// opened, so that one which waits for a newer llmgw is copied as it is.
func (a *app) backupAlone(ctx context.Context, s *settings, keep func(api.Backup, io.Reader) error) (err error) {
	n, end := a.alone(s)
	defer func() { err = errors.Join(err, end()) }()
	for _, step := range []func(context.Context) error{n.openData, n.needsStore} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	b, from, err := takeCopy(ctx, n.data, func(ctx context.Context, path string) (store.Manifest, error) {
		return store.BackupFile(ctx, n.storePath(), path)
	})
	if err != nil {
		return err
	}
	a.note("no gateway runs on %s: copied from there", shortPath(n.data))
	return errors.Join(keep(b, from), from.Close())
}

// explainBackup tells what is wrong with a backup, or with making one.
func explainBackup(file string, err error) error {
	var (
		f     *failure
		newer *store.NewerSchemaError
		place *fs.PathError
	)
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, accounts.ErrExists):
		f := failed(err, "%s is there already, or %s.json is", file, file)
		f.exit, f.code = exitConflict, api.CodeConflict
		return f.withHint("give another name, or replace it: --force")
	case errors.As(err, &newer):
		return invalid("the backup has schema %d, this llmgw %s knows %d", newer.Has, version, newer.Knows).withHint("use a newer llmgw")
	case errors.Is(err, store.ErrDamaged):
		return invalid("%s: %s", file, damage(err)).withHint("take another backup; this one cannot be trusted")
	case errors.Is(err, syscall.ENOSPC):
		return failed(err, "there is no room for %s: %s", file, reason(syscall.ENOSPC)).withHint("nothing was left there; make room, or give another place")
	case errors.As(err, &place):
		return failed(err, "%s cannot be written: %s", file, reason(err))
	}
	return err
}

// damage is what is wrong with a damaged backup, without what was being done.
func damage(err error) string {
	text := oneLine(err.Error())
	for _, doing := range []string{"restoring: ", "saving backup: ", "verifying backup: "} {
		text = strings.TrimPrefix(text, doing)
	}
	return text
}
