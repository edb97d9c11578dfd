package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// copyBound is how long copying a data directory may take.
const copyBound = time.Minute

// Copy is a copy of a server's data, kept in its directory.
type Copy struct{ dir string }

// CopyData keeps a copy of all data as they are. The server must not run.
func (p *Postgres) CopyData(ctx context.Context) (Copy, error) {
	if err := p.stopped(); err != nil {
		return Copy{}, fmt.Errorf("copying data: %w", err)
	}
	dir, err := os.MkdirTemp(p.at.dir, "copy-")
	if err != nil {
		return Copy{}, fmt.Errorf("copying data: %w", err)
	}
	c := Copy{dir: filepath.Join(dir, "data")}
	return c, copyTree(ctx, p.data(), c.dir)
}

// RestoreData puts a copy in the place of all data: what a failover onto a
// replica that lagged looks like to clients. The server must not run.
func (p *Postgres) RestoreData(ctx context.Context, c Copy) error {
	if err := p.stopped(); err != nil {
		return fmt.Errorf("restoring data: %w", err)
	}
	if err := os.RemoveAll(p.data()); err != nil {
		return fmt.Errorf("restoring data: %w", err)
	}
	return copyTree(ctx, c.dir, p.data())
}

// copyTree copies a directory with owners and modes, which PostgreSQL looks at.
func copyTree(ctx context.Context, from, to string) error {
	ctx, cancel := context.WithTimeout(ctx, copyBound)
	defer cancel()
	if said, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying data: %w: %s", err, said)
	}
	return nil
}
