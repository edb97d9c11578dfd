package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/admin/api"
)

// How the secret key is exchanged, so that whoever is killed at any moment can
// start again:
//
//  1. The new key is written to secret.key.next.
//  2. Everything is sealed with it, row by row, while the old key opens what is
//     left. A start that finds both keys goes on here.
//  3. The old key goes to secret.key.old, the new one in its place.
//
// A key that is given by a variable, or in a file of the operator's, is theirs to
// replace: secret.key.next stays until they have.
const (
	nextKeyName = "secret.key.next"
	oldKeyName  = "secret.key.old"
)

// rotation is the exchange of the secret key, if there is or was one.
type rotation struct {
	mu    sync.Mutex
	state api.SecretRotation // To is empty before the first
	from  *accounts.SecretKey
	to    *accounts.SecretKey
}

// set is for whoever holds the lock, or is alone.
func (r *rotation) set(from, to *accounts.SecretKey) {
	r.from, r.to = from, to
	r.state = api.SecretRotation{From: from.Fingerprint(), To: to.Fingerprint(), Running: true}
}

func (r *rotation) progress(n, of int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Done, r.state.Of = n, of
}

func (r *rotation) end(next string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now().UTC().Truncate(time.Millisecond)
	r.state.Running, r.state.EndedAt, r.state.Next = false, &now, next
	if err != nil {
		r.state.Problem = err.Error()
	}
}

// seen is the state for whoever asks, or nil where there was no rotation.
func (r *rotation) seen() *api.SecretRotation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.To == "" {
		return nil
	}
	state := r.state
	return &state
}

// secretKey is what the admin API may do with the key that seals.
func (n *node) secretKey() admin.SecretKey {
	return admin.SecretKey{Report: n.reportSecret, Rotate: n.startRotation}
}

func (n *node) reportSecret(ctx context.Context) (api.SecretReport, error) {
	found, err := n.store.CheckSecrets(ctx)
	report := api.SecretReport{
		Fingerprint: n.keys.Fingerprint(), Sealed: found.Sealed, Readable: found.Sealed - len(found.Unreadable),
		ByKey: found.ByKey, Rotation: n.rotation.seen(),
	}
	for _, bad := range found.Unreadable {
		report.Unreadable = append(report.Unreadable, api.UnreadableSecret{Name: bad.String(), Problem: bad.Cause.Error()})
	}
	return report, err
}

// startRotation begins a rotation, or goes on with one that failed; one for
// another key comes after it.
func (n *node) startRotation(m accounts.Meta, text accounts.Secret) (api.SecretRotation, error) {
	to, err := accounts.ParseSecretKey(text.Reveal())
	if err != nil {
		return api.SecretRotation{}, err
	}
	n.rotation.mu.Lock()
	defer n.rotation.mu.Unlock()
	if err := n.ctx.Err(); err != nil { // stopping; the next start may be asked
		return api.SecretRotation{}, err
	}
	if n.rotation.state.Running {
		return n.rotation.state, nil
	}
	from, next := n.keys.Current(), to
	there, err := n.readNextKey()
	switch {
	case err != nil:
		return api.SecretRotation{}, err
	case there != nil && n.rotation.state.Problem != "": // the one that failed goes first
		from, next = n.rotation.from, there
	case there != nil: // it waits for the operator to put it in its place
		return n.rotation.state, nil
	case from.Fingerprint() == to.Fingerprint():
		return api.SecretRotation{From: to.Fingerprint(), To: to.Fingerprint(), Next: "nothing: this key seals already"}, nil
	default:
		// It is kept before anything is sealed with it.
		if err := writeWhole(filepath.Join(n.data, nextKeyName), strings.TrimSpace(text.Reveal())+"\n"); err != nil {
			return api.SecretRotation{}, err
		}
	}
	n.rotation.set(from, next)
	n.parts.Go(func() error {
		n.rotate(n.ctx, m, from, next)
		return nil // a rotation that fails is no reason to stop
	})
	return n.rotation.state, nil
}

// rotate exchanges the secret key. The old one goes on opening what it sealed:
// what the proxy took over before may be sealed with it.
func (n *node) rotate(ctx context.Context, m accounts.Meta, from, to *accounts.SecretKey) {
	n.keys.Use(to)
	err := n.store.RotateSecret(ctx, m, from, to, n.rotation.progress)
	next := ""
	if err == nil {
		next, err = n.putKeyInPlace()
	}
	n.rotation.end(next, err)
	line := n.log.Info()
	if err != nil {
		line = n.log.Error().Err(err)
	}
	line.Str("from", from.Fingerprint()).Str("to", to.Fingerprint()).Str("next", next).Msg("secret key rotation ended")
}

// readNextKey gives the key of a rotation that is not done, or nil.
func (n *node) readNextKey() (*accounts.SecretKey, error) {
	path := filepath.Join(n.data, nextKeyName)
	text, err := readRegular(path, longestSecret)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is no such key
	}
	if err != nil {
		return nil, invalid("reading %s: %s", shortPath(path), reason(err))
	}
	key, err := accounts.ParseSecretKey(string(text))
	if err != nil {
		return nil, invalid("%s: %v", shortPath(path), err)
	}
	return key, nil
}

// putKeyInPlace makes the new key the one that the next start finds, and tells
// what the operator has to do.
func (n *node) putKeyInPlace() (string, error) {
	if source := n.givenKey(); source != "" {
		return fmt.Sprintf("give the new key in %s before the next start, then %s goes", source, filepath.Join(n.data, nextKeyName)), nil
	}
	own, old := filepath.Join(n.data, secretKeyName), filepath.Join(n.data, oldKeyName)
	text, err := readRegular(own, longestSecret)
	if err != nil {
		return "", fmt.Errorf("keeping the old key: %w", err)
	}
	if err := writeWhole(old, string(text)); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(n.data, nextKeyName), own); err != nil {
		return "", fmt.Errorf("putting the new key in its place: %w", err)
	}
	return "keep " + old + " as long as backups that were made before", nil
}

// givenKey names where the operator gives the secret key, or "" where it is the
// gateway's own file.
func (n *node) givenKey() string {
	switch {
	case n.settings.text("secret-key") != "":
		return "LLMGW_SECRET_KEY"
	case n.settings.text("secret-key-file") != "":
		return n.settings.text("secret-key-file")
	}
	return ""
}

// openKeyring takes the key that was found, and the one that it is being
// exchanged for.
func (n *node) openKeyring(context.Context) error {
	n.keys = accounts.NewKeyring(n.secret)
	next, err := n.readNextKey()
	if err != nil || next == nil || next.Fingerprint() == n.secret.Fingerprint() {
		return err
	}
	n.keys.Use(next)
	n.rotation.set(n.secret, next)
	return nil
}

// resumeRotation goes on with a rotation that was cut off. What keeps it from
// being done is said, and is no reason not to start: both keys are here.
func (n *node) resumeRotation(ctx context.Context) error {
	r := n.rotation.seen()
	if r == nil {
		return n.forgetNextKey()
	}
	n.log.Info().Str("from", r.From).Str("to", r.To).Msg("going on with the rotation of the secret key")
	n.rotate(ctx, accounts.Meta{Kind: "secret.rotate", Actor: "local", From: "start"}, n.rotation.from, n.rotation.to)
	return nil
}

// forgetNextKey removes what the operator has put in its place by now, once the
// store has opened with it.
func (n *node) forgetNextKey() error {
	err := os.Remove(filepath.Join(n.data, nextKeyName))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return invalid("removing %s: %s", nextKeyName, strings.TrimSpace(reason(err)))
}
