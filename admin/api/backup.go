package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// BackupHeader holds the Backup that an answer's body is, as JSON.
const BackupHeader = "X-Llmgw-Backup"

// The bounds of a backup on its way.
const (
	backupBegins = 11 * time.Minute // the gateway has ten to make the copy
	backupQuiet  = time.Minute      // nothing came for so long: the gateway is gone
)

// Backup says what a backup holds: the manifest that stands beside its file.
type Backup struct {
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

// Backup asks for a copy of the store and calls f with it while it comes; an error
// of f is the error of Backup. What f reads may be cut off: the Backup says how long
// the copy is, and its hash. CodeConflict where another one is being made.
//
// Client's timeout does not bound it: the copy of a large store takes its time.
func (c *Client) Backup(ctx context.Context, f func(Backup, io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(backupBegins, func() { cancel(context.DeadlineExceeded) })
	defer silence.Stop()
	response, err := c.open(ctx, func(ctx context.Context) (*http.Request, error) {
		request, err := c.request(ctx, http.MethodPost, "/backup", nil)
		if err == nil {
			request.Header.Set("Accept", "application/octet-stream")
		}
		return request, err
	})
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var b Backup
	if response.StatusCode != http.StatusOK || json.Unmarshal([]byte(response.Header.Get(BackupHeader)), &b) != nil {
		return c.noStream(response)
	}
	coming := &heard{from: response.Body, alive: func() { silence.Reset(backupQuiet) }}
	err = f(b, coming)
	if err != nil && coming.broken != nil && errors.Is(err, coming.broken) {
		return c.unreachable(causeOf(ctx, coming.broken))
	}
	return err
}

// heard tells of all that is read, and remembers why nothing more was.
type heard struct {
	from   io.Reader
	alive  func()
	broken error
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	h.alive()
	if err != nil && !errors.Is(err, io.EOF) {
		h.broken = err
	}
	return n, err
}
