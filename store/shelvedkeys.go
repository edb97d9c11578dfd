package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// shelveKeysFor is how long the shelf keeps whose a key is. Changes end it
// sooner: it is there for keys that are in use.
const shelveKeysFor = time.Hour

// shelvedKey is an identity as it stands on the shelf, sealed for the key's hash,
// the lineage and the version of the program: one that knows of other fields
// might leave out what restricts a key.
type shelvedKey struct {
	Seq  int64              `json:"seq"`
	Mark []byte             `json:"mark"`
	Who  *accounts.Identity `json:"who"`
}

// wares are what the store keeps on a shelf.
type wares struct {
	*ledge
	key     accounts.Sealer
	version string
	lineage func() string
}

func (w *wares) keyName(lineage string, hash *accounts.KeyHash) string {
	return spaceOf(lineage) + "key:" + base64.RawURLEncoding.EncodeToString(hash[:])
}

func (w *wares) keyPlace(lineage string, hash *accounts.KeyHash) string {
	return "identity\x00" + w.version + "\x00" + lineage + "\x00" + string(hash[:])
}

// takeKey gives what some node has read of a key. Whether that still holds is
// the cache's to judge.
func (w *wares) takeKey(ctx context.Context, hash accounts.KeyHash) (finding, bool) {
	lineage := w.lineage()
	sealed, ok := w.take(ctx, w.keyName(lineage, &hash))
	if !ok {
		return finding{}, false
	}
	text, err := w.key.Open(w.keyPlace(lineage, &hash), sealed)
	if err != nil {
		w.count.bad.Add(1)
		return finding{}, false
	}
	var k shelvedKey
	if err := json.Unmarshal(text, &k); err != nil || k.Who == nil {
		w.count.bad.Add(1)
		return finding{}, false
	}
	return finding{who: k.Who, seq: k.Seq, mark: markOf(k.Mark), shelved: true}, true
}

// putKey puts what was read from the database.
func (w *wares) putKey(hash accounts.KeyHash, f finding) {
	lineage := w.lineage()
	w.later(parcel{name: w.keyName(lineage, &hash), ttl: shelveKeysFor, seal: func() ([]byte, error) {
		text, err := json.Marshal(shelvedKey{Seq: f.seq, Mark: f.mark[:], Who: f.who})
		if err != nil {
			return nil, fmt.Errorf("writing identity: %w", err)
		}
		return w.key.Seal(w.keyPlace(lineage, &hash), text)
	}})
}
