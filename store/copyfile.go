package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// readCopyFile reads a file whole; nil where there is none. One that is larger
// than any copy is not read.
func readCopyFile(path string) (b []byte, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, errors.New("it is no file")
	}
	const most = mostCopied + 64<<10 // with the first line and the seal
	if stat.Size() > most {
		return nil, fmt.Errorf("it has %d bytes", stat.Size())
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// replaceFile puts a file in the place of another one, whole or not at all, also
// where the power goes: what a copy leaves out because it was revoked must not
// come back with an older one. There is one writer; what it was killed over is
// written over by the next.
func replaceFile(path string, b []byte) error {
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, removed(fresh))
	}
	return syncFolder(filepath.Dir(path))
}
