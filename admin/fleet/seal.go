package fleet

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/llmgw/llmgw/accounts"
)

// The purposes that the secret serves: one key for each (HKDF, RFC 5869).
const (
	forMessages = "llmgw fleet: messages"
	forChannels = "llmgw fleet: channels"

	spaceBytes = 16
)

// circle is those who know a secret: the key of their messages, and where they
// talk. A message is bound to its channel, so that it can be carried to no other.
type circle struct {
	space string
	key   *accounts.SecretKey
}

func newCircle(secret []byte) (*circle, error) {
	if len(secret) < accounts.SecretKeyBytes {
		return nil, errors.New("the secret that nodes share is too short")
	}
	raw, err := hkdf.Key(sha256.New, secret, nil, forMessages, accounts.SecretKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of messages: %w", err)
	}
	key, err := accounts.NewSecretKey(raw)
	if err != nil {
		return nil, err
	}
	space, err := hkdf.Key(sha256.New, secret, nil, forChannels, spaceBytes)
	if err != nil {
		return nil, fmt.Errorf("deriving the names of channels: %w", err)
	}
	return &circle{space: "llmgw:fleet:" + hex.EncodeToString(space), key: key}, nil
}

// calls is the channel that every node listens to; the others are for as long as
// somebody looks or asks.
func (c *circle) calls() string            { return c.space + ":calls" }
func (c *circle) watch(id string) string   { return c.space + ":watch:" + id }
func (c *circle) answers(id string) string { return c.space + ":answers:" + id }

func (c *circle) seal(channel string, message any) ([]byte, error) {
	text, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("writing message: %w", err)
	}
	return c.key.Seal(channel, text)
}

func (c *circle) open(channel string, sealed []byte, message any) error {
	if len(sealed) > longestMessage {
		return errTooLong
	}
	text, err := c.key.Open(channel, sealed)
	if err != nil {
		return fmt.Errorf("opening message: %w", err)
	}
	if err := json.Unmarshal(text, message); err != nil {
		return fmt.Errorf("reading message: %w", err)
	}
	return nil
}

// newName makes a name that nobody can guess, for a channel.
func newName() string { return rand.Text() }
