package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// shelveConfigFor is how long the shelf keeps a configuration.
const shelveConfigFor = 24 * time.Hour

// shelvedConfig is a configuration as it stands on the shelf, sealed for the
// change that made it and the version of the program. Credentials are sealed in
// there as they are in the database.
type shelvedConfig struct {
	Files     []rules.File        `json:"files"`
	Upstreams []accounts.Upstream `json:"upstreams"`
	Bindings  []accounts.Binding  `json:"bindings"`
}

// loadConfig gives the configuration of a head that was read in the same
// transaction: from the shelf where it is there, else from the database.
func (s *Store) loadConfig(ctx context.Context, on session, h Head) (rules.Config, error) {
	if s.wares == nil || h.Revision == 0 {
		return readConfig(ctx, on, h.Revision)
	}
	made, err := lastConfigEntry(ctx, on)
	if errors.Is(err, accounts.ErrNotFound) {
		return readConfig(ctx, on, h.Revision)
	}
	if err != nil {
		return rules.Config{}, err
	}
	if c, ok := s.wares.takeConfig(ctx, h, made.Hash); ok {
		return c, nil
	}
	c, err := readConfig(ctx, on, h.Revision)
	if err == nil {
		s.wares.putConfig(h, made.Hash, c)
	}
	return c, err
}

// The hash of the change that made a configuration covers all changes before it,
// so that its name stands for one configuration, whatever became of the log.
func configName(h Head, made []byte) string {
	return spaceOf(h.Lineage) + "config:" + base64.RawURLEncoding.EncodeToString(made)
}

func (w *wares) configPlace(h Head, made []byte) string {
	return fmt.Sprintf("config\x00%s\x00%s\x00%d\x00%x", w.version, h.Lineage, h.Revision, made)
}

func (w *wares) takeConfig(ctx context.Context, h Head, made []byte) (rules.Config, bool) {
	sealed, ok := w.take(ctx, configName(h, made))
	if !ok {
		return rules.Config{}, false
	}
	text, err := w.key.Open(w.configPlace(h, made), sealed)
	if err != nil {
		w.count.bad.Add(1)
		return rules.Config{}, false
	}
	var c shelvedConfig
	if err := json.Unmarshal(text, &c); err != nil {
		w.count.bad.Add(1)
		return rules.Config{}, false
	}
	w.count.taken.Add(1)
	return rules.Config{Revision: h.Revision, Files: c.Files, Upstreams: c.Upstreams, Bindings: c.Bindings}, true
}

func (w *wares) putConfig(h Head, made []byte, c rules.Config) {
	w.later(parcel{name: configName(h, made), ttl: shelveConfigFor, seal: func() ([]byte, error) {
		text, err := json.Marshal(shelvedConfig{Files: c.Files, Upstreams: c.Upstreams, Bindings: c.Bindings})
		if err != nil {
			return nil, fmt.Errorf("writing configuration: %w", err)
		}
		return w.key.Seal(w.configPlace(h, made), text)
	}})
}
