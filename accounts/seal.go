package accounts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// SecretKeyBytes is the length of a SecretKey.
const SecretKeyBytes = 32

// sealVersion begins every sealed value; after it come the fingerprint of the
// key, the nonce, and what AES-256-GCM made of the text.
const sealVersion = 1

const fingerprintBytes = 4

// ErrUnreadable says that a sealed value does not open: it was changed, or
// belongs to something else than it was opened for.
var ErrUnreadable = errors.New("sealed value cannot be read: it was changed or moved")

// WrongKeyError says that a value was sealed with another key.
type WrongKeyError struct{ Sealed, Have string }

func (e *WrongKeyError) Error() string {
	return fmt.Sprintf("sealed with key %s, the secret key here is %s", e.Sealed, e.Have)
}

// SecretKey seals the credentials of an installation with AES-256-GCM.
type SecretKey struct {
	aead        cipher.AEAD
	fingerprint [fingerprintBytes]byte
}

// NewSecretKey makes a SecretKey of exactly SecretKeyBytes bytes.
func NewSecretKey(key []byte) (*SecretKey, error) {
	if len(key) != SecretKeyBytes {
		return nil, fmt.Errorf("secret key has %d bytes, wants %d", len(key), SecretKeyBytes)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("preparing secret key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("preparing secret key: %w", err)
	}
	k := &SecretKey{aead: aead}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("llmgw secret key fingerprint"))
	copy(k.fingerprint[:], mac.Sum(nil))
	return k, nil
}

// ParseSecretKey reads a key written as base64 (either alphabet, with or
// without padding) or hex. The text is never part of the error.
func ParseSecretKey(text string) (*SecretKey, error) {
	text = strings.TrimSpace(text)
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == SecretKeyBytes {
		return NewSecretKey(raw)
	}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	if raw, err := base64.RawStdEncoding.DecodeString(standard); err == nil && len(raw) == SecretKeyBytes {
		return NewSecretKey(raw)
	}
	return nil, fmt.Errorf("secret key must be %d bytes as base64 or hex", SecretKeyBytes)
}

// Fingerprint names the key without telling anything of it: 8 hex digits.
func (k *SecretKey) Fingerprint() string { return hex.EncodeToString(k.fingerprint[:]) }

// Seal encrypts text and binds it to context: only Open with the same context
// gives it back.
func (k *SecretKey) Seal(context string, text []byte) ([]byte, error) {
	head := 1 + fingerprintBytes
	out := make([]byte, head+k.aead.NonceSize(), head+k.aead.NonceSize()+len(text)+k.aead.Overhead())
	out[0] = sealVersion
	copy(out[1:], k.fingerprint[:])
	nonce := out[head:]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	return k.aead.Seal(out, nonce, text, []byte(context)), nil
}

// Open decrypts what Seal made for context. It fails with a *WrongKeyError
// where another key sealed it, and with ErrUnreadable otherwise.
func (k *SecretKey) Open(context string, sealed []byte) ([]byte, error) {
	head := 1 + fingerprintBytes
	if len(sealed) < head+k.aead.NonceSize()+k.aead.Overhead() || sealed[0] != sealVersion {
		return nil, ErrUnreadable
	}
	if by := sealed[1:head]; !hmac.Equal(by, k.fingerprint[:]) {
		return nil, &WrongKeyError{Sealed: hex.EncodeToString(by), Have: k.Fingerprint()}
	}
	nonce := sealed[head : head+k.aead.NonceSize()]
	text, err := k.aead.Open(nil, nonce, sealed[head+k.aead.NonceSize():], []byte(context))
	if err != nil {
		return nil, ErrUnreadable
	}
	return text, nil
}
