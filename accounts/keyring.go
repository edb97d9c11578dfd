package accounts

import (
	"encoding/hex"
	"slices"
	"sync/atomic"
)

// Sealer seals what must not be read, and opens it again. A *SecretKey is one
// for good, a *Keyring one whose key can be exchanged.
type Sealer interface {
	Seal(context string, text []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
}

// Keyring seals with one SecretKey and opens what any of several sealed, so that
// the key of an installation can be exchanged while everything goes on being
// read. It may be used from anywhere at any time.
type Keyring struct {
	keys atomic.Pointer[[]*SecretKey] // the first one seals; never empty, never changed
}

// NewKeyring makes a ring that seals with key, and opens what others sealed too.
func NewKeyring(key *SecretKey, others ...*SecretKey) *Keyring {
	r := &Keyring{}
	keys := append([]*SecretKey{key}, others...)
	r.keys.Store(&keys)
	return r
}

// Use makes key the one that seals from now on. What the others sealed still
// opens.
func (r *Keyring) Use(key *SecretKey) {
	r.replace(func(keys []*SecretKey) []*SecretKey {
		return append([]*SecretKey{key}, without(keys, key)...)
	})
}

// Drop forgets a key: what it sealed does not open any more. The one that seals
// stays.
func (r *Keyring) Drop(key *SecretKey) {
	r.replace(func(keys []*SecretKey) []*SecretKey {
		return append([]*SecretKey{keys[0]}, without(keys[1:], key)...)
	})
}

func without(keys []*SecretKey, key *SecretKey) []*SecretKey {
	return slices.DeleteFunc(slices.Clone(keys), func(k *SecretKey) bool { return k.fingerprint == key.fingerprint })
}

func (r *Keyring) replace(next func([]*SecretKey) []*SecretKey) {
	for {
		old := r.keys.Load()
		keys := next(*old)
		if r.keys.CompareAndSwap(old, &keys) {
			return
		}
	}
}

// Current is the key that seals.
func (r *Keyring) Current() *SecretKey { return (*r.keys.Load())[0] }

// Fingerprint names the key that seals.
func (r *Keyring) Fingerprint() string { return r.Current().Fingerprint() }

// Seal is SecretKey.Seal with the key that seals.
func (r *Keyring) Seal(context string, text []byte) ([]byte, error) {
	return r.Current().Seal(context, text)
}

// Open is SecretKey.Open with the key that sealed. A *WrongKeyError names the
// key that seals as the one that is here.
func (r *Keyring) Open(context string, sealed []byte) ([]byte, error) {
	keys := *r.keys.Load()
	by, ok := SealedBy(sealed)
	if !ok {
		return nil, ErrUnreadable
	}
	for _, key := range keys {
		if key.Fingerprint() == by {
			return key.Open(context, sealed)
		}
	}
	return nil, &WrongKeyError{Sealed: by, Have: keys[0].Fingerprint()}
}

// SealedBy gives the fingerprint of the key that a value says it was sealed
// with; ok is false for what is no sealed value. Only opening it proves it.
func SealedBy(sealed []byte) (fingerprint string, ok bool) {
	if len(sealed) <= 1+fingerprintBytes || sealed[0] != sealVersion {
		return "", false
	}
	return hex.EncodeToString(sealed[1 : 1+fingerprintBytes]), true
}
