package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// SaveBackup keeps a backup that comes from elsewhere at path, with its manifest
// beside it, both for their owner only. It has the name only once it is whole and
// verified as VerifyBackup does; what was begun goes where it fails. ErrExists where
// there is a file already, unless it is to be replaced.
//
// Errors: those of VerifyBackup.
func SaveBackup(ctx context.Context, path string, m Manifest, from io.Reader, replace bool) error {
	ctx, cancel := context.WithTimeout(ctx, backupWithin)
	defer cancel()
	if err := saveBackup(ctx, path, m, from, replace); err != nil {
		return fmt.Errorf("saving backup: %w", err)
	}
	return nil
}

func saveBackup(ctx context.Context, path string, m Manifest, from io.Reader, replace bool) error {
	if !replace {
		if err := absent(path); err != nil {
			return err
		}
	}
	fresh, err := keepBeside(path, ".backup", io.LimitReader(from, m.Bytes+1)) // one more shows that it is another
	if err != nil {
		return err
	}
	if err := verify(ctx, fresh, &m); err != nil {
		return errors.Join(err, removed(fresh))
	}
	if err := giveName(fresh, path, replace); err != nil {
		return errors.Join(err, removed(fresh))
	}
	if err := writeManifest(path, &m); err != nil {
		return errors.Join(err, removed(path))
	}
	return nil
}

// giveName puts a file in its place. The manifest of what stood there goes first: a
// backup that has one is whole.
func giveName(fresh, path string, replace bool) error {
	if !replace {
		return errors.Join(linkOrRename(fresh, path), removed(fresh))
	}
	if err := removed(ManifestPath(path)); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// keepBeside writes all that comes into a file of its own in the folder of another,
// for its owner only.
func keepBeside(beside, prefix string, from io.Reader) (path string, err error) {
	f, err := os.CreateTemp(filepath.Dir(beside), prefix) // 0600
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
