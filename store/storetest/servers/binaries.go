package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrMissing says that a program is not on this machine; the error that wraps it
// says how to get it.
var ErrMissing = errors.New("not on this machine")

// postgresPlaces are where packages put initdb and postgres without putting them
// on PATH: Debian, Fedora and Alpine, the PostgreSQL project's own packages, brew.
func postgresPlaces() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/libexec/postgresql*",
		"/usr/pgsql-*/bin",
		"/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	}
}

// findPostgres gives the folder that holds initdb and postgres: that of the one
// on PATH, else the newest of the usual places.
func findPostgres() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(initdb); err == nil && holdsPostgres(filepath.Dir(real)) {
			return filepath.Dir(real), nil
		}
	}
	var found []string
	for _, pattern := range postgresPlaces() {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("looking for PostgreSQL: %w", err)
		}
		found = append(found, dirs...)
	}
	found = slices.DeleteFunc(found, func(dir string) bool { return !holdsPostgres(dir) })
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL (initdb and postgres): %w: apt-get install postgresql, dnf install postgresql-server, apk add postgresql, or brew install postgresql@17", ErrMissing)
	}
	return slices.MaxFunc(found, func(a, b string) int { return majorIn(a) - majorIn(b) }), nil
}

func holdsPostgres(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// majorIn is the first number in a path: the major version in all the usual
// places.
func majorIn(path string) int {
	begin := slices.IndexFunc([]byte(path), isDigit)
	if begin < 0 {
		return 0
	}
	end := begin
	for end < len(path) && isDigit(path[end]) {
		end++
	}
	n, err := strconv.Atoi(path[begin:end])
	if err != nil {
		return 0 // more digits than any version has
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// findRedis gives the path of redis-server, or of valkey-server, which is the
// same to us.
func findRedis() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("Redis (redis-server or valkey-server): %w: apt-get install redis-server, dnf install redis or valkey, apk add redis, or brew install redis", ErrMissing)
}
