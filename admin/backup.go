package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/llmgw/llmgw/admin/api"
)

const (
	backupPath  = "/backup"
	backupLimit = 30 * time.Minute // the copy, and its way to the client
	backupChunk = 256 << 10
	backupPace  = 30 * time.Second // a client that does not take a chunk in this time is cut
)

// Backup makes a copy of the store, whole and of one moment. Whoever asked reads it
// and closes it, and then it is gone.
type Backup func(ctx context.Context) (api.Backup, io.ReadCloser, error)

// registerBackup adds the operation whose answer is a file.
func (s *Server) registerBackup(r routes) {
	op := r.operation(http.MethodPost, http.StatusOK, admin, backupPath, "Back up the store")
	op.Responses["200"] = &huma.Response{
		Description: "The store as one SQLite file, its secrets sealed. The header says what it must hold; the secret key is not in it.",
		Content:     map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
		Headers: map[string]*huma.Param{api.BackupHeader: {
			Description: "The manifest, as JSON", Schema: r.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Backup](), true, "Backup"),
		}},
	}
	huma.Register(r.api, op, func(ctx context.Context, _ *nothing) (*huma.StreamResponse, error) {
		if s.backup == nil {
			return nil, fail(http.StatusNotFound, api.CodeNotFound, "this gateway has no store of its own to back up", "")
		}
		if !s.backing.TryLock() {
			return nil, fail(http.StatusConflict, api.CodeConflict, "another backup is being made", "try again when it is done")
		}
		return &huma.StreamResponse{Body: func(asked huma.Context) {
			defer s.backing.Unlock()
			_, w := humago.Unwrap(asked)
			s.sendBackup(ctx, w)
		}}, nil
	})
}

// sendBackup makes the copy first: what is wrong with it can still be said then.
func (s *Server) sendBackup(ctx context.Context, w http.ResponseWriter) {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(backupLimit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		internal().write(w)
		return
	}
	b, from, err := s.backup(ctx)
	if err != nil {
		s.noBackup(err).write(w)
		return
	}
	manifest, err := json.Marshal(b)
	if err == nil {
		w.Header().Set(api.BackupHeader, string(manifest))
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(b.Bytes, 10))
		err = sendFile(control, w, from)
	}
	if err := from.Close(); err != nil {
		s.log.Warn().Err(err).Msg("the copy that a backup was sent from is not gone")
	}
	s.noteBackup(ctx, &b, err)
	if err != nil {
		panic(http.ErrAbortHandler) // so that what was sent does not look whole
	}
}

// noteBackup tells the log who has a copy. It is no change, so that the audit does
// not know of it.
func (s *Server) noteBackup(ctx context.Context, b *api.Backup, err error) {
	who := callerOf(ctx)
	line, said := s.log.Info(), "store backed up"
	if err != nil {
		line, said = s.log.Warn().Err(err), "backup broken off"
	}
	line.Int64("bytes", b.Bytes).Int64("seq", b.Seq).Str("actor", who.User).Str("from", who.From).Msg(said)
}

// sendFile sends a file in chunks, each within its time.
func sendFile(control *http.ResponseController, w io.Writer, from io.Reader) error {
	for {
		if err := control.SetWriteDeadline(time.Now().Add(backupPace)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		n, err := io.CopyN(w, from, backupChunk)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.ErrNoProgress
		}
	}
}

// noBackup says why there is no copy.
func (s *Server) noBackup(err error) *failure {
	if errors.Is(err, syscall.ENOSPC) {
		s.log.Error().Err(err).Msg("no room for a backup")
		return fail(http.StatusInsufficientStorage, api.CodeInternal, "there is no room for the copy on the disk of the gateway's data directory",
			"make room there; or stop the gateway and copy from its data directory: llmgw backup create FILE")
	}
	var f *failure
	if !errors.As(s.refuse(err), &f) {
		f = internal()
	}
	return f
}
