package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// A backup is a database file, whole and of one moment, and beside it a manifest
// that says what it must hold. The secret key is in neither: without it a backup
// is of no use, to its owner either.

// Manifest says what a backup holds.
type Manifest struct {
	Lineage   string    `json:"lineage"`
	Seq       int64     `json:"seq"`      // of the newest change in it
	Revision  int64     `json:"revision"` // of the configuration in it
	LogHash   string    `json:"log_hash"` // of the newest change, and so of all before it; hex
	Schema    int64     `json:"schema"`
	SecretKey string    `json:"secret_key"` // fingerprint of the key that its secrets are sealed with
	SHA256    string    `json:"sha256"`     // of the file; hex
	Bytes     int64     `json:"bytes"`      // of the file
	MadeAt    time.Time `json:"made_at"`
}

// ManifestPath is where the manifest of a backup stands.
func ManifestPath(backup string) string { return backup + ".json" }

// ErrDamaged says that a backup is not what its manifest says.
var ErrDamaged = errors.New("the backup is damaged")

// backupWithin bounds making, verifying or restoring one: a gigabyte on a slow
// disk.
const backupWithin = 10 * time.Minute

// Backup writes the store as it is now to path, and its manifest beside it, both
// for their owner only. Changes go on meanwhile. The manifest is written last, so
// that a backup with one is whole. ErrExists where there is a file already,
// ErrNoCopy where the store is none.
func (s *Store) Backup(ctx context.Context, path string) (m Manifest, err error) {
	if !s.enter() {
		return m, fmt.Errorf("backing up: %w", errClosed())
	}
	defer s.live.Done()
	if s.options.Postgres != nil {
		return m, fmt.Errorf("backing up: %w", ErrNoCopy)
	}
	return BackupFile(ctx, s.options.Path, path)
}

// BackupFile is Store.Backup for a store that is not open: it is neither opened
// nor brought up to date, and no secret key is needed. Whoever calls it holds the
// lock of the data directory. ErrNotFound where there is no store at from.
func BackupFile(ctx context.Context, from, path string) (m Manifest, err error) {
	ctx, cancel := context.WithTimeout(ctx, backupWithin)
	defer cancel()
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		return m, fmt.Errorf("backing up: %w", notFound("store", from))
	}
	if err := absent(path); err != nil {
		return m, fmt.Errorf("backing up: %w", err)
	}
	if m, err = copyTo(ctx, from, path); err != nil {
		return m, fmt.Errorf("backing up: %w", errors.Join(err, removed(path)))
	}
	if err := writeManifest(path, &m); err != nil {
		return m, fmt.Errorf("backing up: %w", errors.Join(err, removed(path)))
	}
	return m, nil
}

// absent refuses to write over a backup, or over anything else.
func absent(path string) error {
	for _, p := range []string{path, ManifestPath(path)} {
		if _, err := os.Lstat(p); err == nil {
			return fmt.Errorf("file %s: %w", p, accounts.ErrExists)
		}
	}
	return nil
}

// removed takes away what was begun, if it was.
func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// copyTo lets SQLite write a copy, which is of one moment and without the gaps
// and the leavings of deleted rows, and describes it.
func copyTo(ctx context.Context, from, path string) (Manifest, error) {
	if err := ensureFile(path); err != nil { // SQLite takes an empty file, and would make one for everybody
		return Manifest{}, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Manifest{}, err
	}
	db, err := openSQLite(from, 1, url.Values{"mode": {"ro"}, "_busy_timeout": {"2000"}})
	if err != nil {
		return Manifest{}, err
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, absolute)
	if err := errors.Join(err, db.Close()); err != nil {
		return Manifest{}, fmt.Errorf("writing the copy: %w", full(err))
	}
	if err := forgetNodes(ctx, path); err != nil {
		return Manifest{}, fmt.Errorf("taking the nodes out of the copy: %w", err)
	}
	if err := syncFile(path); err != nil {
		return Manifest{}, err
	}
	return describe(ctx, path)
}

// forgetNodes takes the rows of running gateways out of a copy: none of them runs
// on what is restored from it, and nobody should wait for them there.
func forgetNodes(ctx context.Context, path string) (err error) {
	db, err := openSQLite(path, 1, url.Values{"mode": {"rw"}, "_busy_timeout": {"1000"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `DELETE FROM nodes`)
	return err
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// describe reads from a backup what its manifest says.
func describe(ctx context.Context, path string) (m Manifest, err error) {
	m.MadeAt = moment(time.Now())
	if m.SHA256, m.Bytes, err = hashFile(path); err != nil {
		return m, err
	}
	err = inBackup(path, func(on session) error { return m.read(ctx, on) })
	return m, err
}

func (m *Manifest) read(ctx context.Context, on session) error {
	h, err := readHead(ctx, on)
	if err != nil {
		return err
	}
	m.Lineage, m.Seq, m.Revision, m.LogHash = h.Lineage, h.Seq, h.Revision, hex.EncodeToString(h.Hash)
	if err := on.one(ctx, &m.Schema, `SELECT max(version_id) FROM `+versionTable); err != nil {
		return unavailable(err)
	}
	var sealed []byte
	if err := on.one(ctx, &sealed, `SELECT value FROM sealed WHERE name = ?`, issuerSecret); err != nil {
		return unavailable(err)
	}
	m.SecretKey, _ = accounts.SealedBy(sealed)
	return nil
}

func hashFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, errors.Join(err, f.Close())
}

// inBackup opens a backup to be read. Nobody writes to it: SQLite is told so, and
// leaves no files beside it.
func inBackup(path string, f func(session) error) error {
	db, err := openSQLite(path, 1, url.Values{"mode": {"ro"}, "immutable": {"1"}, "_query_only": {"on"}})
	if err != nil {
		return err
	}
	return errors.Join(f(session{on: db}), db.Close())
}

func writeManifest(backup string, m *Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(backup), ".manifest") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), ManifestPath(backup))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(backup))
}

// maxManifest bounds what is read as a manifest.
const maxManifest = 64 << 10

func readManifest(backup string) (m Manifest, err error) {
	f, err := os.Open(ManifestPath(backup))
	if err != nil {
		return m, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err := errors.Join(err, f.Close()); err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil { // one of a newer llmgw may say more
		return m, fmt.Errorf("reading manifest: %w", ErrDamaged)
	}
	return m, nil
}

// VerifyBackup reads the whole of a backup and gives its manifest: the file must
// be the one that was written, the database sound, its log unbroken from the
// first change to the last, and all of it what the manifest says. No secret key
// is needed.
//
// Errors: ErrDamaged; *NewerSchemaError; os.ErrNotExist.
func VerifyBackup(ctx context.Context, path string) (Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, backupWithin)
	defer cancel()
	m, err := readManifest(path)
	if err != nil {
		return m, fmt.Errorf("verifying backup: %w", err)
	}
	if err := verify(ctx, path, &m); err != nil {
		return m, fmt.Errorf("verifying backup: %w", err)
	}
	return m, nil
}

func verify(ctx context.Context, path string, m *Manifest) error {
	sum, size, err := hashFile(path)
	switch {
	case err != nil:
		return err
	case size != m.Bytes:
		return fmt.Errorf("%w: it has %d bytes, and %d were written", ErrDamaged, size, m.Bytes)
	case sum != m.SHA256:
		return fmt.Errorf("%w: it is not the file that was written", ErrDamaged)
	}
	knows, err := newestSchema()
	if err != nil {
		return err
	}
	if m.Schema > knows {
		return &NewerSchemaError{Has: m.Schema, Knows: knows}
	}
	return inBackup(path, func(on session) error {
		var verdict string
		if err := on.one(ctx, &verdict, `PRAGMA integrity_check(1)`); err != nil || verdict != "ok" {
			return fmt.Errorf("%w: %s", errors.Join(ErrDamaged, err), verdict)
		}
		has := Manifest{SHA256: m.SHA256, Bytes: m.Bytes, MadeAt: m.MadeAt}
		if err := has.read(ctx, on); err != nil {
			return err
		}
		if has != *m {
			return fmt.Errorf("%w: its manifest is that of another", ErrDamaged)
		}
		return verifyLog(ctx, on)
	})
}

// verifyLog follows the chain of the log from its origin to its head.
func verifyLog(ctx context.Context, on session) error {
	head, err := readHead(ctx, on)
	if err != nil {
		return err
	}
	at := Head{Lineage: head.Lineage, Hash: origin(head.Lineage)}
	for at.Seq < head.Seq {
		entries, err := readEntries(ctx, on, at.Seq)
		if err != nil {
			return err
		}
		next := head
		if len(entries) > 0 {
			last := &entries[len(entries)-1]
			next.Seq, next.Hash = last.Seq, last.Hash
		}
		if broken := continues(at, next, entries); broken != "" {
			return fmt.Errorf("%w: %s", ErrDamaged, broken)
		}
		at = next
	}
	if !bytes.Equal(at.Hash, head.Hash) {
		return fmt.Errorf("%w: its log does not lead to its head", ErrDamaged)
	}
	return nil
}

// syncFolder makes what was renamed in a folder outlive a power cut. Windows does
// not sync folders.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
