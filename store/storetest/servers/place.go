package servers

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// longestPlace is how long a directory's path may be so that the path of a socket
// in it fits into a socket's address: 104 bytes on macOS, 108 on Linux.
const longestPlace = 80

// place is a server's own directory and whom it runs as.
type place struct {
	dir      string
	uid, gid int // -1: as who we are
}

// makePlace makes a directory for one server. Where we are root, it belongs to
// somebody without rights, because PostgreSQL refuses to run as root.
func makePlace(prefix string) (place, error) {
	p := place{uid: -1, gid: -1}
	if os.Getuid() == 0 {
		if err := p.lowerTo("postgres", "nobody"); err != nil {
			return p, err
		}
	}
	var err error
	if p.dir, err = os.MkdirTemp(roof(p.uid >= 0), prefix); err != nil {
		return p, fmt.Errorf("making a directory for a server: %w", err)
	}
	if err := p.own(p.dir); err != nil {
		_ = os.Remove(p.dir) // the first error is the one to tell of
		return p, err
	}
	return p, nil
}

// lowerTo takes the first of these users that this machine knows.
func (p *place) lowerTo(names ...string) error {
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUser := strconv.Atoi(u.Uid)
		gid, errGroup := strconv.Atoi(u.Gid)
		if errUser == nil && errGroup == nil {
			p.uid, p.gid = uid, gid
			return nil
		}
	}
	return fmt.Errorf("finding somebody to run a server as: root must not, and of the users %q there is none", names)
}

// own gives a file to whom the server runs as.
func (p *place) own(name string) error {
	if p.uid < 0 {
		return nil
	}
	if err := os.Lchown(name, p.uid, p.gid); err != nil {
		return fmt.Errorf("giving a server its directory: %w", err)
	}
	return nil
}

// write makes a file that only the server reads.
func (p *place) write(name, text string) error {
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing %s for a server: %w", name, err)
	}
	return p.own(path)
}

// roof is the directory that servers' directories are made in: the system's one
// for temporary files, unless its path is too long for sockets or others may not
// pass through it and must.
func roof(byOthers bool) string {
	own := os.TempDir()
	if len(own) <= longestPlace-len("/llmgw-postgres-0123456789") && (!byOthers || openToOthers(own)) {
		return own
	}
	return "/tmp"
}

// openToOthers says whether every user may pass through a directory and those
// above it.
func openToOthers(dir string) bool {
	for {
		at, err := os.Stat(dir)
		if err != nil || at.Mode().Perm()&0o001 == 0 {
			return false
		}
		above := filepath.Dir(dir)
		if above == dir {
			return true
		}
		dir = above
	}
}

// freePort is a port of 127.0.0.1 that nobody listened at a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // listening at a loopback address waits for nobody
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
