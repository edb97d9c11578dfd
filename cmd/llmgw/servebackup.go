package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store"
)

// copyFolder begins the names of the folders in the data directory where copies of
// the store are made.
const copyFolder = ".copy-"

// backup copies the store of the running gateway for whoever asks the admin API.
func (n *node) backup(ctx context.Context) (api.Backup, io.ReadCloser, error) {
	return takeCopy(ctx, n.data, n.store.Backup)
}

// takeCopy has a copy of the store made in a folder of its own, which closing the
// copy takes away. There is one at a time, so that folders which are there already
// are of processes that were killed.
func takeCopy(ctx context.Context, data string, backup func(context.Context, string) (store.Manifest, error)) (api.Backup, io.ReadCloser, error) {
	left, err := filepath.Glob(filepath.Join(data, copyFolder+"*"))
	if err != nil {
		return api.Backup{}, nil, fmt.Errorf("looking for old copies: %w", err)
	}
	for _, folder := range left {
		if err := os.RemoveAll(folder); err != nil {
			return api.Backup{}, nil, fmt.Errorf("removing an old copy: %w", err)
		}
	}
	folder, err := os.MkdirTemp(data, copyFolder) // 0700
	if err != nil {
		return api.Backup{}, nil, fmt.Errorf("making room for a copy: %w", err)
	}
	path := filepath.Join(folder, "llmgw.db")
	m, err := backup(ctx, path)
	if err != nil {
		return api.Backup{}, nil, errors.Join(err, os.RemoveAll(folder))
	}
	f, err := os.Open(path)
	if err != nil {
		return api.Backup{}, nil, errors.Join(err, os.RemoveAll(folder))
	}
	return api.Backup(m), &passingFile{f, folder}, nil
}

// passingFile is a file that goes with its folder once it is closed.
type passingFile struct {
	*os.File
	folder string
}

func (f *passingFile) Close() error {
	return errors.Join(f.File.Close(), os.RemoveAll(f.folder))
}
