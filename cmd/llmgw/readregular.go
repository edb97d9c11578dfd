package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// readRegular reads a file, at most limit bytes of it, and nothing on which a
// reader may wait: a named pipe without a writer, a device.
func readRegular(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", filepath.Base(path))
	}
	return io.ReadAll(io.LimitReader(f, limit))
}
