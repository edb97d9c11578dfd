package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store"
)

func newBackupVerify(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "read a backup whole, and say whether it can be restored",
		Long: "Reads a backup whole, without a gateway: it must be the file that was written, a sound\n" +
			"database, its log unbroken, and all of it what FILE.json says. Where a secret key is at\n" +
			"hand (that of the data directory, LLMGW_SECRET_KEY, LLMGW_SECRET_KEY_FILE), it must open\n" +
			"what is sealed, or the exit code is 3.",
		Args: takes("FILE"),
		RunE: a.does(func(ctx context.Context, args []string) error { return a.backupVerify(ctx, args[0]) }),
	}
}

func (a *app) backupVerify(ctx context.Context, file string) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	o, err := a.output(s)
	if err != nil {
		return err
	}
	r, err := readBackup(ctx, file)
	if err != nil {
		return err
	}
	n, _ := a.alone(s)
	if n.data, err = s.data(); err != nil {
		return err
	}
	known, err := n.keysAtHand(ctx)
	if err != nil {
		return err
	}
	unsealed := n.opensBackup(ctx, r, known)
	err = writeOne(ctx, o, r, func(w io.Writer) {
		fmt.Fprintf(w, "%s is whole: %s\n", shortPath(r.File), r.holds())
		if r.KeyAtHand != "" {
			fmt.Fprintf(w, "secret key: %s opens it\n", r.KeyAtHand)
		}
	})
	if err == nil && !known {
		a.note("no secret key is at hand: to restore it, key %s… is needed", r.SecretKey)
	}
	return errors.Join(err, unsealed)
}

// readBackup verifies a backup and gives what it says of itself.
func readBackup(ctx context.Context, file string) (*backupReport, error) {
	path, err := filepath.Abs(expandHome(file))
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", file, err)
	}
	stat, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, invalid("there is no backup at %s (%s)", file, reason(err))
	case !stat.Mode().IsRegular():
		return nil, invalid("%s is no file", file)
	}
	m, err := store.VerifyBackup(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, invalid("%s has no %s beside it: it is no backup, or was not made to the end", file, filepath.Base(store.ManifestPath(file)))
	case err != nil:
		return nil, explainBackup(file, err)
	}
	return &backupReport{File: path, Backup: api.Backup(m)}, nil
}

// keysAtHand finds the keys that a start would find, and makes none. It is false
// where there is none.
func (n *node) keysAtHand(ctx context.Context) (known bool, err error) {
	if n.settings.text("secret-key") == "" && n.settings.text("secret-key-file") == "" {
		if _, err := os.Stat(filepath.Join(n.data, secretKeyName)); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
	}
	if err := n.openSecretKey(ctx); err != nil {
		return false, err
	}
	return true, n.openKeyring(ctx)
}

// opensBackup says why the keys that are known do not open a backup, and notes in
// the report which one does.
func (n *node) opensBackup(ctx context.Context, r *backupReport, known bool) error {
	if !known {
		return nil
	}
	err := store.BackupOpens(ctx, r.File, n.keys)
	if err == nil {
		r.KeyAtHand = n.secretSource()
		return nil
	}
	var sealed *store.SealedError
	var wrong *accounts.WrongKeyError
	if !errors.As(err, &sealed) || !errors.As(err, &wrong) {
		return invalid("%s: %s", shortPath(r.File), oneLine(err.Error()))
	}
	what := plural(sealed.Credentials, "upstream credential") + " of the backup cannot be read: they were"
	if sealed.Credentials == 0 {
		what = "the backup cannot be read: it was"
	}
	return invalid("%s encrypted with key %s…, %s is %s…. Restore the old key", what, wrong.Sealed, n.secretSource(), wrong.Have).
		withHint("%s", n.whereIs(wrong.Sealed))
}

// whereIs says where the key of a backup may be found.
func (n *node) whereIs(fingerprint string) string {
	path := filepath.Join(n.data, oldKeyName)
	text, err := readRegular(path, longestSecret)
	if err == nil {
		if old, err := accounts.ParseSecretKey(string(text)); err == nil && old.Fingerprint() == fingerprint {
			return fmt.Sprintf("that key is %s: put it in the place of %s, or give it: LLMGW_SECRET_KEY_FILE", shortPath(path), n.secretSource())
		}
	}
	return "give it: LLMGW_SECRET_KEY_FILE=FILE"
}
