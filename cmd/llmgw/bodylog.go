package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// bodyLogOff is the value of body-log where no bodies are logged.
const bodyLogOff = "off"

// maxBodyFile is the size at which the body log begins a new file. One old file
// is kept beside it, so that both together take twice as much.
const maxBodyFile = 100 << 20

// bodyFile is the file of the body log. It holds what people wrote to models, and
// so only its own user may read it.
type bodyFile struct {
	path string
	most int64
	file *os.File // nil after a failure; the next line tries again
	size int64
}

// openBodyFile opens the file, or makes it. What is no file is refused: bodies
// go to no terminal and no pipe.
func openBodyFile(path string, most int64) (*bodyFile, error) {
	b := &bodyFile{path: path, most: most}
	return b, b.open()
}

func (b *bodyFile) open() error {
	if stat, err := os.Stat(b.path); err == nil && !stat.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	stat, err := f.Stat()
	if err == nil && stat.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	b.file, b.size = f, stat.Size()
	return nil
}

// Write adds a line, whole or not at all.
func (b *bodyFile) Write(line []byte) (int, error) {
	if err := b.makeRoom(int64(len(line))); err != nil {
		return 0, fmt.Errorf("writing the body log: %w", err)
	}
	n, err := b.file.Write(line)
	if err == nil {
		b.size += int64(n)
		return n, nil
	}
	if n > 0 { // a full disk took a part of it
		err = errors.Join(err, b.file.Truncate(b.size))
	}
	return 0, fmt.Errorf("writing the body log: %w", err)
}

// makeRoom begins a new file where the one there is would become too large.
func (b *bodyFile) makeRoom(n int64) error {
	if b.file == nil {
		if err := b.open(); err != nil {
			return err
		}
	}
	if b.size == 0 || b.size+n <= b.most {
		return nil
	}
	full := b.file
	b.file = nil
	if err := errors.Join(full.Close(), os.Rename(b.path, b.path+".1")); err != nil {
		return err
	}
	return b.open()
}

func (b *bodyFile) close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// bodyLogPath refuses what is neither off nor a file.
func bodyLogPath(text string) error {
	if text == "" || os.IsPathSeparator(text[len(text)-1]) {
		return fmt.Errorf("%q is no file; write off or the path of a file", text)
	}
	return nil
}

// openBodyLog opens the file of the body log where one is to be kept.
func (n *node) openBodyLog(context.Context) error {
	path := n.settings.text("body-log")
	if path == bodyLogOff {
		return nil
	}
	path, err := filepath.Abs(expandHome(path))
	if err != nil {
		return fmt.Errorf("finding the body log: %w", err)
	}
	file, err := openBodyFile(path, maxBodyFile)
	if err != nil {
		return invalid("opening the body log %s: %s", shortPath(path), reason(err))
	}
	n.bodyLog = file
	n.onClose(file.close)
	return nil
}
