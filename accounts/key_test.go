package accounts_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

func issuer(t testing.TB, secret string) *accounts.Issuer {
	t.Helper()
	sum := sha256.Sum256([]byte(secret))
	i, err := accounts.NewIssuer(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func issue(t testing.TB, i *accounts.Issuer) string {
	t.Helper()
	key, err := i.Issue()
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

func TestAnIssuedKeyPassesItsOwnCheckAndNoOther(t *testing.T) {
	ours, theirs := issuer(t, "ours"), issuer(t, "theirs")
	seen := map[string]bool{}
	for range 1000 {
		key := issue(t, ours)
		if !strings.HasPrefix(key, "sk-lgw-") || len(key) != 57 || seen[key] {
			t.Fatalf("key of %d characters, seen before: %v", len(key), seen[key])
		}
		seen[key] = true
		if err := ours.Check(key); err != nil {
			t.Fatalf("own key refused: %v", err)
		}
		if theirs.Check(key) == nil {
			t.Fatal("another installation takes the key")
		}
	}
}

func TestAKeyWithAnythingWrongIsMalformed(t *testing.T) {
	i := issuer(t, "ours")
	key := issue(t, i)
	for name, text := range map[string]string{
		"empty":                    "",
		"only the prefix":          "sk-lgw-",
		"cut at the end":           key[:len(key)-1],
		"cut at the start":         key[1:],
		"without its checksum":     key[:len(key)-7],
		"one character more":       key + "A",
		"another separator":        key[:50] + "_" + key[51:],
		"a space in front":         " " + key[:len(key)-1],
		"another prefix":           "sk-ant-" + key[7:],
		"lower case":               strings.ToLower(key),
		"digits exchanged":         key[:10] + string(key[11]) + string(key[10]) + key[12:],
		"right length, all zeroes": "sk-lgw-" + strings.Repeat("0", 43) + "-000000",
	} {
		if text == key {
			continue // exchanging two equal digits changes nothing
		}
		if err := i.Check(text); !errors.Is(err, accounts.ErrMalformedKey) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestEveryChangedCharacterIsNoticed(t *testing.T) {
	i := issuer(t, "ours")
	key := issue(t, i)
	for n := range key {
		other := byte('A')
		if key[n] == other {
			other = 'B'
		}
		if i.Check(key[:n]+string(other)+key[n+1:]) == nil {
			t.Errorf("character %d may be anything", n)
		}
	}
}

func TestTheStateOfAKey(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		key  accounts.Key
		want accounts.KeyState
	}{
		"without an end is active":             {accounts.Key{}, accounts.KeyActive},
		"before its end is active":             {accounts.Key{ExpiresAt: now.Add(time.Second)}, accounts.KeyActive},
		"at its end is expired":                {accounts.Key{ExpiresAt: now}, accounts.KeyExpired},
		"revoked stays revoked when expired":   {accounts.Key{ExpiresAt: now, RevokedAt: now}, accounts.KeyRevoked},
		"revoked in the future is revoked now": {accounts.Key{RevokedAt: now.Add(time.Hour)}, accounts.KeyRevoked},
	} {
		if got := c.key.State(now); got != c.want {
			t.Errorf("a key %s: got %s", name, got)
		}
		identity := accounts.Identity{ExpiresAt: c.key.ExpiresAt, RevokedAt: c.key.RevokedAt}
		if got := identity.State(now); got != c.want {
			t.Errorf("an identity %s: got %s", name, got)
		}
	}
}

func TestAnIssuerWantsAWholeSecret(t *testing.T) {
	if _, err := accounts.NewIssuer(make([]byte, 31)); err == nil {
		t.Error("31 bytes were taken")
	}
}

func BenchmarkCheckKey(b *testing.B) {
	i := issuer(b, "ours")
	key := issue(b, i)
	b.ReportAllocs()
	for b.Loop() {
		if err := i.Check(key); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAnIssuerWhoseSecretIsNotKnown(t *testing.T) {
	known, err := accounts.NewIssuer(make([]byte, accounts.IssuerSecretBytes))
	if err != nil {
		t.Fatal(err)
	}
	key, err := known.Issue()
	if err != nil {
		t.Fatal(err)
	}
	var unknown *accounts.Issuer
	if _, err := unknown.Issue(); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("making a key: %v", err)
	}
	if err := unknown.Check(key.Reveal()); err != nil {
		t.Errorf("what may be a key: %v", err)
	}
	if err := unknown.Check("sk-lgw-cut"); !errors.Is(err, accounts.ErrMalformedKey) {
		t.Errorf("what cannot be one: %v", err)
	}
}
