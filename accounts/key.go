package accounts

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"sync"
	"time"
)

// KeyPrefix begins every gateway key, so that scanners and people know one.
const KeyPrefix = "sk-lgw-"

// A gateway key is KeyPrefix, 43 base62 digits (256 random bits), a dash, and
// 6 base62 digits of checksum.
const (
	keyRandomDigits = 43
	keyCheckDigits  = 6
	secretDigits    = keyRandomDigits + 1 + keyCheckDigits // what follows the prefix

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// ErrMalformedKey says that a text cannot be a key of this installation: its
// form or its checksum is wrong. No store needs to be asked about it.
var ErrMalformedKey = errors.New("API key is malformed (checksum does not match): was it cut when copied?")

// Key is a gateway key as it is stored and shown: never the secret itself.
type Key struct {
	ID          string
	Name        string
	UserID      string // the owner; empty: nobody's, as keys of the first start are
	Tags        map[string]string
	Models      []string // globs as in rules, ! excludes: the models that the key may ask for; empty: all
	Limits      []Limit
	Disabled    bool
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: never
	RevokedAt   time.Time // zero: in force
	KeepStreams bool      // of a revoked key: streams under way were left to end
	Secrets     []KeySecret

	LastUsedAt time.Time // zero: never. Read only, to a minute: uses are no changes
	Seq        int64     // of the change that made the key what it is. Read only
}

// KeySecret is one secret of a key. A key has one, or two while a rotation
// leaves the old one its grace.
type KeySecret struct {
	Hash      KeyHash
	Last4     string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: as long as the key
}

// KeyHash is the SHA-256 of a gateway key, the only form in which it is kept.
// The key has 256 random bits, so nothing slower is needed.
type KeyHash [sha256.Size]byte

// HashKey hashes a gateway key as the caller sent it.
func HashKey(text string) KeyHash { return sha256.Sum256([]byte(text)) }

// KeyState is what a genuine key may do at a moment.
type KeyState uint8

// The states of a key.
const (
	KeyActive KeyState = iota
	KeyRevoked
	KeyExpired
	KeyDisabled
	OwnerDisabled
)

var keyStateNames = [...]string{"active", "revoked", "expired", "disabled", "user disabled"}

func (s KeyState) String() string { return keyStateNames[s] }

// State tells whether the key is in force at now.
func (k *Key) State(now time.Time) KeyState {
	switch {
	case !k.RevokedAt.IsZero():
		return KeyRevoked
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return KeyExpired
	case k.Disabled:
		return KeyDisabled
	}
	return KeyActive
}

// Identity is who a caller turned out to be: what a key's hash leads to, read
// at one moment of the store's log. It is immutable once made.
type Identity struct {
	KeyID     string
	KeyName   string
	Tags      map[string]string
	Models    []string // that the key may ask for; see Key.Models
	Limits    []Limit
	Disabled  bool
	ExpiresAt time.Time // of the key or of this secret, whichever is first; zero: never
	RevokedAt time.Time

	UserID       string // empty: the key is nobody's, and what follows is zero
	UserName     string
	UserTags     map[string]string
	UserDisabled bool

	KeepStreams bool  // see Key.KeepStreams
	Seq         int64 // the store's change number at which this was read
}

// State tells whether the identity is in force at now.
func (i *Identity) State(now time.Time) KeyState {
	k := Key{ExpiresAt: i.ExpiresAt, RevokedAt: i.RevokedAt, Disabled: i.Disabled}
	if state := k.State(now); state != KeyActive || !i.UserDisabled {
		return state
	}
	return OwnerDisabled
}

// Issuer makes gateway keys and tells those of this installation from any
// other text, with a secret that is made once and kept sealed in the store.
//
// A nil one is of an installation whose secret is not known yet. It makes none,
// and takes what has the form of a key for one: whoever is asked whose it is will
// say that this cannot be told.
type Issuer struct {
	macs sync.Pool // of hash.Hash: a keyed hash keeps its prepared state over a Reset
}

// IssuerSecretBytes is the length of an Issuer's secret.
const IssuerSecretBytes = 32

// NewIssuer makes an Issuer. The secret must have IssuerSecretBytes bytes.
func NewIssuer(secret []byte) (*Issuer, error) {
	if len(secret) != IssuerSecretBytes {
		return nil, fmt.Errorf("checksum secret has %d bytes, wants %d", len(secret), IssuerSecretBytes)
	}
	kept := append([]byte(nil), secret...)
	return &Issuer{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, kept) }}}, nil
}

// Issue makes a new key. The error is that of the system's random source, or
// ErrUnavailable of a nil Issuer.
func (i *Issuer) Issue() (Secret, error) { return i.issue(KeyPrefix) }

// issue makes a secret that begins with prefix.
func (i *Issuer) issue(prefix string) (Secret, error) {
	if i == nil {
		return Secret{}, fmt.Errorf("making a key: %w", ErrUnavailable)
	}
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return Secret{}, fmt.Errorf("reading random bytes: %w", err)
	}
	body := prefix + toBase62(random[:], keyRandomDigits)
	check := i.checksum(body)
	return NewSecret(body + "-" + string(check[:])), nil
}

// Check says whether text is a key that this installation could have issued.
// A wrong one costs no query: 1 in 5·10^10 random texts of the right form
// passes.
func (i *Issuer) Check(text string) error {
	if !i.issued(KeyPrefix, text) {
		return ErrMalformedKey
	}
	return nil
}

// issued says whether text has the form and the checksum of what issue makes.
func (i *Issuer) issued(prefix, text string) bool {
	if len(text) != len(prefix)+secretDigits || !strings.HasPrefix(text, prefix) {
		return false
	}
	end := len(text) - keyCheckDigits
	body, sent := text[:end-1], text[end:]
	if i == nil {
		return text[end-1] == '-'
	}
	check := i.checksum(body)
	return text[end-1] == '-' && subtle.ConstantTimeCompare(check[:], []byte(sent)) == 1
}

// checksum is the truncated HMAC-SHA256 of a key's body, as base62 digits.
func (i *Issuer) checksum(body string) (digits [keyCheckDigits]byte) {
	mac := i.macs.Get().(hash.Hash)
	defer i.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(body))
	var sum [sha256.Size]byte
	rest := binary.BigEndian.Uint64(mac.Sum(sum[:0]))
	for n := range digits {
		digits[keyCheckDigits-1-n] = base62[rest%uint64(len(base62))]
		rest /= uint64(len(base62))
	}
	return digits
}

// toBase62 writes the number in b, big endian, in its last n base62 digits.
func toBase62(b []byte, n int) string {
	rest, digit, base := new(big.Int).SetBytes(b), new(big.Int), big.NewInt(int64(len(base62)))
	out := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		rest.DivMod(rest, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}
