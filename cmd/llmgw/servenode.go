package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/llmgw/llmgw/store"
)

// nodeFileName is the file in the data directory that holds the name under which
// this gateway is known to others for as long as it runs. The next one that has
// the directory knows by it whose place it takes: the lock says that the other
// has ended, however it did.
const nodeFileName = "node"

// membership is what this gateway tells others of itself.
func (n *node) membership() store.Membership {
	m := store.Membership{Name: nodeName(), MaxStaleness: n.settings.duration("max-staleness"), Bus: n.hears}
	text, err := os.ReadFile(filepath.Join(n.data, nodeFileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.log.Warn().Err(err).Msg("cannot read which node ran here before; others miss it for a while if it was killed")
	}
	m.Replaces = strings.TrimSpace(string(text))
	return m
}

// rememberNode is for the next start. Without it a killed gateway is missed for
// longer, no more.
func (n *node) rememberNode() {
	if err := writeWhole(filepath.Join(n.data, nodeFileName), n.store.NodeID()+"\n"); err != nil {
		n.log.Warn().Err(err).Msg("cannot keep which node runs here")
	}
}

// hears is how this gateway hears of changes, as others see it. The first row is
// written while the store is being opened.
func (n *node) hears() string {
	switch {
	case n.bus == nil:
		return "in-process"
	case n.store == nil:
		return "redis " + n.busAt
	}
	return n.busStatus()
}
