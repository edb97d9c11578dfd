package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// references reads credentials that stand in the gateway's own environment or
// in a file. Whoever may name one can have it sent to an upstream of theirs, so
// the gateway's own keys, by their paths, are not among them.
func references(ownKeys ...string) accounts.References {
	return accounts.References{
		"env": func(_ context.Context, name string) (accounts.Secret, error) {
			if strings.HasPrefix(name, "LLMGW_") {
				return accounts.Secret{}, errors.New("the gateway's own variables are no credentials")
			}
			text, ok := os.LookupEnv(name)
			if !ok {
				return accounts.Secret{}, errors.New("the variable is not set")
			}
			return accounts.NewSecret(strings.TrimSpace(text)), nil
		},
		"file": func(_ context.Context, path string) (accounts.Secret, error) {
			if err := noOwnKey(path, ownKeys); err != nil {
				return accounts.Secret{}, err
			}
			text, err := readRegular(path, longestSecret)
			if err != nil {
				return accounts.Secret{}, err
			}
			return accounts.NewSecret(strings.TrimSpace(string(text))), nil
		},
	}
}

// ownKeys are the files that hold keys of the gateway's own, there or not.
func (n *node) ownKeys() []string {
	keys := []string{expandHome(n.settings.text("secret-key-file")), expandHome(n.settings.text("tls-key"))}
	for _, name := range []string{secretKeyName, nextKeyName, oldKeyName} {
		keys = append(keys, filepath.Join(n.data, name))
	}
	return keys
}

// noOwnKey refuses a file that is one of keys, under whatever name, and what the
// system says of the gateway's process: its environment, where a key may stand.
func noOwnKey(path string, keys []string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("looking for the file: %w", err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return fmt.Errorf("looking for the file: %w", err)
	}
	if strings.HasPrefix(real, "/proc/") {
		return errors.New("what the system says of processes is no credential")
	}
	asked, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("looking for the file: %w", err)
	}
	for _, key := range keys {
		if own, err := os.Stat(key); err == nil && os.SameFile(own, asked) {
			return errors.New("the gateway's own keys are no credentials")
		}
	}
	return nil
}
