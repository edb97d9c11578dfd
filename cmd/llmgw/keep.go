package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
)

// keep is the directory in which a user's contexts and logins are kept.
type keep struct{ dir string }

// What is in there. Nobody but the user may look into any of it.
const (
	contextsName  = "contexts.yaml"
	loginsName    = "logins.yaml"
	keepLockName  = "lock"
	longestKept   = 1 << 20
	keepLockEvery = 10 * time.Millisecond
	keepLockLimit = 20 * time.Second // whoever has it may be waiting for a gateway
)

func openKeep() (keep, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return keep{}, fmt.Errorf("finding the directory of contexts and logins: %w", err)
	}
	return keep{filepath.Join(dir, "llmgw")}, nil
}

// lock takes the directory for this process alone. The lock is the kernel's: it
// ends with the process, however that ends.
func (k keep) lock(ctx context.Context) (unlock func() error, err error) {
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", shortPath(k.dir), err)
	}
	f, err := os.OpenFile(filepath.Join(k.dir, keepLockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", shortPath(k.dir), err)
	}
	ctx, cancel := context.WithTimeout(ctx, keepLockLimit)
	defer cancel()
	again := time.NewTicker(keepLockEvery)
	defer again.Stop()
	for {
		taken, err := lockFile(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", shortPath(k.dir), err), f.Close())
		}
		if taken {
			return f.Close, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another llmgw that uses %s: %w", shortPath(k.dir), ctx.Err()), f.Close())
		}
	}
}

// locked runs f while nobody else writes here.
func (k keep) locked(ctx context.Context, f func() error) error {
	unlock, err := k.lock(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(), unlock())
}

// read decodes a file; one that is not there leaves into as it is. What is in a
// file of logins is in no error.
func (k keep) read(name string, into any) error {
	path := filepath.Join(k.dir, name)
	text, err := readRegular(path, longestKept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return invalid("reading %s: %s", shortPath(path), reason(err))
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		if name == loginsName {
			return invalid("%s cannot be read", shortPath(path)).withHint("remove it and log in again: llmgw login")
		}
		return invalid("reading %s: %v", shortPath(path), err)
	}
	return nil
}

// write replaces a file whole, for its owner only.
func (k keep) write(name string, what any) error {
	text, err := yaml.Marshal(what)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return writeWhole(filepath.Join(k.dir, name), string(text))
}
