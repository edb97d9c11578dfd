package admin

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/llmgw/llmgw/accounts"
)

// An access token is a JWT (RFC 7519), signed with HMAC-SHA-256 under a secret
// of the installation. There is no other algorithm, and no header but accessHead.
const (
	accessLife     = 15 * time.Minute
	accessLeeway   = 30 * time.Second // between the clocks of two nodes
	accessIssuer   = "llmgw"
	accessAudience = "llmgw-admin"
	accessHead     = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." // {"alg":"HS256","typ":"JWT"}

	signingSecret = "jwt" // name of the secret among what is sealed
	signingBytes  = 32
	signingKept   = time.Minute // before it is read again, for a store that was restored
)

// claims are what an access token says. What it is worth is for the session to
// say, on every call.
type claims struct {
	jwt.RegisteredClaims
	Session string        `json:"sid"`
	Role    accounts.Role `json:"role"`
}

// signer makes and reads access tokens.
type signer struct {
	sealed func(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error)
	now    func() time.Time

	mu     sync.Mutex
	secret []byte
	readAt time.Time
}

// sign makes the access token of a session, and says when it ends.
func (g *signer) sign(ctx context.Context, session *accounts.Session, role accounts.Role) (string, time.Time, error) {
	secret, err := g.key(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	now := g.now().Truncate(time.Second)
	c := claims{Session: session.ID, Role: role, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: accessIssuer, Audience: jwt.ClaimStrings{accessAudience}, Subject: session.UserID,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(accessLife)),
	}}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, &c).SignedString(secret)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("signing access token: %w", err)
	}
	return text, c.ExpiresAt.Time, nil
}

// read gives what an access token says, nil where it is none that is in force.
// The error is that of the store.
func (g *signer) read(ctx context.Context, text string) (*claims, error) {
	if !strings.HasPrefix(text, accessHead) || strings.Count(text, ".") != 2 {
		return nil, nil
	}
	secret, err := g.key(ctx)
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(accessIssuer), jwt.WithAudience(accessAudience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(accessLeeway), jwt.WithTimeFunc(g.now),
	)
	var c claims
	if _, err := parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return secret, nil }); err != nil {
		return nil, nil //nolint:nilerr // what is wrong with a forged token is nobody's business
	}
	if c.Subject == "" || c.Session == "" || !c.Role.Valid() || c.IssuedAt == nil || len(c.Audience) != 1 {
		return nil, nil
	}
	return &c, nil
}

// key gives the secret that tokens are signed with.
func (g *signer) key(ctx context.Context) ([]byte, error) {
	now := g.now()
	if secret := g.kept(now); secret != nil {
		return secret, nil
	}
	secret, err := g.sealed(ctx, signingSecret, func() ([]byte, error) {
		made := make([]byte, signingBytes)
		_, err := rand.Read(made)
		return made, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the secret of access tokens: %w", err)
	}
	if len(secret) != signingBytes {
		return nil, fmt.Errorf("the secret of access tokens has %d bytes, wants %d", len(secret), signingBytes)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.secret, g.readAt = secret, now
	return secret, nil
}

func (g *signer) kept(now time.Time) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if age := now.Sub(g.readAt); age < 0 || age >= signingKept {
		return nil
	}
	return g.secret
}
