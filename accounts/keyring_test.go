package accounts_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

func TestKeyring(t *testing.T) {
	first, second, stranger := secretKey(t, 1), secretKey(t, 2), secretKey(t, 3)
	seal := func(by accounts.Sealer) []byte {
		t.Helper()
		sealed, err := by.Seal("place", []byte("text"))
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	opens := func(r *accounts.Keyring, sealed []byte) bool {
		text, err := r.Open("place", sealed)
		return err == nil && string(text) == "text"
	}

	t.Run("it opens what any of its keys sealed, and seals with the first", func(t *testing.T) {
		r := accounts.NewKeyring(first, second)
		if !opens(r, seal(first)) || !opens(r, seal(second)) {
			t.Error("a value of its own does not open")
		}
		if by, ok := accounts.SealedBy(seal(r)); !ok || by != first.Fingerprint() || r.Fingerprint() != by {
			t.Errorf("it seals with %s", by)
		}
	})
	t.Run("a stranger's value is refused, and both keys are named", func(t *testing.T) {
		_, err := accounts.NewKeyring(first, second).Open("place", seal(stranger))
		var wrong *accounts.WrongKeyError
		if !errors.As(err, &wrong) || wrong.Sealed != stranger.Fingerprint() || wrong.Have != first.Fingerprint() {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("what is no sealed value is unreadable", func(t *testing.T) {
		for _, junk := range [][]byte{nil, {1}, {1, 2, 3, 4, 5}, {9, 9, 9, 9, 9, 9, 9}, seal(first)[:10]} {
			if _, err := accounts.NewKeyring(first).Open("place", junk); err == nil {
				t.Errorf("%x opens", junk)
			}
		}
		if _, err := accounts.NewKeyring(first).Open("other place", seal(first)); !errors.Is(err, accounts.ErrUnreadable) {
			t.Errorf("moved: %v", err)
		}
	})
	t.Run("the key is exchanged while it is in use, and the old one dropped when nothing needs it", func(t *testing.T) {
		r := accounts.NewKeyring(first)
		before := seal(r)
		r.Use(second)
		if !opens(r, before) || r.Current() != second {
			t.Error("after the exchange")
		}
		r.Use(second) // again does no harm
		r.Drop(second)
		if r.Current() != second {
			t.Error("the key that seals was dropped")
		}
		r.Drop(first)
		if opens(r, before) || !opens(r, seal(r)) {
			t.Error("after the old one was dropped")
		}
	})
	t.Run("many at once", func(t *testing.T) {
		r := accounts.NewKeyring(first, second)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				r.Use([]*accounts.SecretKey{first, second}[i%2])
				if !opens(r, seal(r)) {
					t.Error("what was just sealed does not open")
				}
			})
		}
		all.Wait()
	})
}

func TestAVaultWithARing(t *testing.T) {
	from, to := secretKey(t, 1), secretKey(t, 2)
	ring := accounts.NewKeyring(from)
	u := accounts.Upstream{ID: "up_1", Name: "u", URL: "https://u.example/v1"}
	secret := accounts.NewSecret("sk-provider-0123456789")
	old, fresh := accounts.Credential{ID: "cred_1", Name: "old"}, accounts.Credential{ID: "cred_2", Name: "fresh"}
	v := accounts.Vault{Key: ring}
	if err := v.Seal(&u, &old, secret); err != nil {
		t.Fatal(err)
	}
	ring.Use(to)
	if err := v.Seal(&u, &fresh, secret); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*accounts.Credential{&old, &fresh} {
		if got, err := v.Read(t.Context(), &u, c); err != nil || !got.Equal(secret) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	ring.Drop(from)
	var wrong *accounts.WrongKeyError
	if _, err := v.Read(t.Context(), &u, &old); !errors.As(err, &wrong) {
		t.Errorf("without the old key: %v", err)
	}
	fresh.Reference = "env:NAME"
	if got, err := v.Unseal(&u, &fresh); err != nil || !got.Equal(secret) {
		t.Errorf("behind a reference: %v", err)
	}
}
