package admin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of a password. The longer one is no limit for people, and keeps
// what is hashed for a stranger small.
const (
	minPassword = 10   // characters
	maxPassword = 1024 // bytes
)

// How many passwords are hashed at once at the most, each for some 20 ms of a core
// and 19 MiB; how many may wait for that, and for how long.
const (
	mostHashing  = 2
	hashingQueue = 16
	hashingWait  = 5 * time.Second
)

// hashingAtOnce is how many passwords are hashed at once where so many threads
// run Go code. One of them is always left to requests: hashing gives nobody way
// for 10 ms at a time, and an exchange changes goroutines often enough to wait
// for that again and again.
func hashingAtOnce(threads int) int { return max(1, min(mostHashing, threads-1)) }

// argon is the cost of a hash (RFC 9106, section 3.1).
type argon struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// costNow is the cost of new hashes, as OWASP's password storage cheat sheet
// has it for argon2id.
const (
	costMemory  = 19 << 10
	costTime    = 2
	costThreads = 1
	saltBytes   = 16
	hashBytes   = 32
)

// The most that a stored hash may ask for.
const (
	mostMemory = 1 << 20 // KiB
	mostTime   = 16
)

// passwords hashes and compares passwords, few at a time.
type passwords struct {
	cost    argon
	slots   chan struct{}
	waiting atomic.Int64
	dummy   string // what the password of a user who is not there is compared with
}

func newPasswords() (*passwords, error) {
	p := &passwords{
		cost:  argon{memory: costMemory, time: costTime, threads: costThreads},
		slots: make(chan struct{}, hashingAtOnce(runtime.GOMAXPROCS(0))),
	}
	// The key is random, so that no password fits it.
	salt, key := make([]byte, saltBytes), make([]byte, hashBytes)
	for _, random := range [][]byte{salt, key} {
		if _, err := rand.Read(random); err != nil {
			return nil, fmt.Errorf("reading random bytes: %w", err)
		}
	}
	p.dummy = p.cost.write(salt, key)
	return p, nil
}

// hash gives the PHC form of a password.
func (p *passwords) hash(ctx context.Context, password string) (accounts.Secret, error) {
	if err := p.enter(ctx); err != nil {
		return accounts.Secret{}, err
	}
	defer p.leave()
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return accounts.Secret{}, fmt.Errorf("reading random bytes: %w", err)
	}
	return accounts.NewSecret(p.cost.write(salt, p.cost.key(password, salt, hashBytes))), nil
}

// matches says whether a password is the one that was hashed, and whether it
// should be hashed anew, at the cost of today. It takes as long where there is
// no hash.
func (p *passwords) matches(ctx context.Context, hashed accounts.Secret, password string) (right, outdated bool, err error) {
	if err := p.enter(ctx); err != nil {
		return false, false, err
	}
	defer p.leave()
	text := hashed.Reveal()
	if text == "" {
		text = p.dummy
	}
	cost, salt, key, err := readHash(text)
	if err != nil {
		return false, false, err
	}
	if len(password) > maxPassword {
		password = ""
	}
	right = subtle.ConstantTimeCompare(cost.key(password, salt, len(key)), key) == 1 && !hashed.IsZero()
	return right, right && cost != p.cost, nil
}

// enter waits for a slot, within bounds.
func (p *passwords) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	if p.waiting.Add(1) > hashingQueue {
		p.waiting.Add(-1)
		return errBusy
	}
	defer p.waiting.Add(-1)
	wait := time.NewTimer(hashingWait)
	defer wait.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-wait.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *passwords) leave() { <-p.slots }

// errBusy is that more passwords are waiting to be compared than may.
var errBusy = errors.New("too many passwords to compare")

func busy() *failure {
	return after(time.Second, fail(http.StatusServiceUnavailable, api.CodeUnavailable,
		"too many log in at once", "try again in a moment"))
}

func (a argon) key(password string, salt []byte, length int) []byte {
	return argon2.IDKey([]byte(password), salt, a.time, a.memory, a.threads, uint32(length))
}

// write gives the PHC string: $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH
func (a argon) write(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, a.memory, a.time, a.threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// errHash is that a stored password is not in the form that is written here. It
// does not say what it is instead.
var errHash = errors.New("reading a password's hash: not argon2id in PHC form, or of a cost beyond bounds")

func readHash(text string) (a argon, salt, key []byte, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return a, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.time, &a.threads); err != nil {
		return a, nil, nil, errHash
	}
	salt, saltErr := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	switch {
	case saltErr != nil || keyErr != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64,
		a.memory < 8 || a.memory > mostMemory || a.time < 1 || a.time > mostTime || a.threads < 1,
		a.write(salt, key) != text: // Sscanf lets something follow
		return a, nil, nil, errHash
	}
	return a, salt, key, nil
}

// checkPassword says what is wrong with a password that somebody chose.
func checkPassword(field, password string) []api.Problem {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return []api.Problem{{Field: field, Message: fmt.Sprintf("must have at least %d characters", minPassword)}}
	case len(password) > maxPassword:
		return []api.Problem{{Field: field, Message: fmt.Sprintf("must have at most %d bytes", maxPassword)}}
	}
	return nil
}
