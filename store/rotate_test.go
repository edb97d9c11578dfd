package store_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

// rotatePath tells the test's binary to be the victim of a kill in the middle of
// a rotation: it holds the path of the store. rotateSeeds holds the keys, from
// and to.
const (
	rotatePath  = "LLMGW_TEST_ROTATE_STORE"
	rotateSeeds = "LLMGW_TEST_ROTATE_SEEDS"
)

const rotatedCredentials = 60

func secretOf(n int) accounts.Secret {
	return accounts.NewSecret(fmt.Sprintf("sk-canary-%d-abcdefghijkl", n))
}

// fill makes upstreams with a sealed credential each, and one secret of the
// installation beside the store's own.
func fill(t testing.TB, s *store.Store, key accounts.Sealer, n int) {
	t.Helper()
	_, err := s.Change(t.Context(), accounts.Meta{Kind: "apply"}, func(st *store.State) error {
		for i := range n {
			if err := st.PutUpstream(sealedUpstream(t, key, i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sealed(t.Context(), "jwt", func() ([]byte, error) { return []byte("signing"), nil }); err != nil {
		t.Fatal(err)
	}
}

func sealedUpstream(t testing.TB, key accounts.Sealer, n int) accounts.Upstream {
	t.Helper()
	u := accounts.Upstream{
		ID: fmt.Sprintf("up_%d", n), Name: fmt.Sprintf("u%d", n), Provider: accounts.ProviderOpenAI, URL: "https://u.example/v1", Enabled: true,
	}
	c := accounts.Credential{ID: fmt.Sprintf("cred_%d", n), Name: "default", Enabled: true, Weight: 1}
	if err := (accounts.Vault{Key: key}).Seal(&u, &c, secretOf(n)); err != nil {
		t.Fatal(err)
	}
	u.Credentials = []accounts.Credential{c}
	return u
}

// readable holds that every secret opens with key, and is what it was.
func readable(t testing.TB, s *store.Store, key accounts.Sealer, n int) {
	t.Helper()
	config, err := s.Load(t.Context())
	if err != nil || len(config.Upstreams) != n {
		t.Fatalf("%d upstreams, %v", len(config.Upstreams), err)
	}
	for i := range config.Upstreams {
		u := &config.Upstreams[i]
		got, err := accounts.Vault{Key: key}.Read(t.Context(), u, &u.Credentials[0])
		if want := secretOf(mustInt(t, u.Name[1:])); err != nil || !got.Equal(want) {
			t.Errorf("credential of %s: %v", u.Name, err)
		}
	}
	signing, err := s.Sealed(t.Context(), "jwt", func() ([]byte, error) { return nil, errors.New("it was there") })
	if err != nil || string(signing) != "signing" {
		t.Errorf("the signing secret is %q, %v", signing, err)
	}
}

func mustInt(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func withSecret(t testing.TB, path string, secret accounts.Sealer) store.Options {
	o := options(t, path)
	o.Secret = secret
	return o
}

func ignore(int, int) {}

func TestRotateSecret(t *testing.T) {
	first, second := secretKey(t, 1), secretKey(t, 2)
	meta := accounts.Meta{Actor: "dana", From: "192.0.2.1"}
	t.Run("everything is sealed with the new key, and the old one is needed no more", func(t *testing.T) {
		path, ring := newPath(t), accounts.NewKeyring(first)
		s := openWith(t, withSecret(t, path, ring))
		fill(t, s, ring, 5)
		issued, err := s.Issuer().Issue()
		if err != nil {
			t.Fatal(err)
		}
		before, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ring.Use(second)
		var progress []string
		if err := s.RotateSecret(t.Context(), meta, first, second, func(n, of int) { progress = append(progress, fmt.Sprint(n, "/", of)) }); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(progress, " "), "1/7 2/7 3/7 4/7 5/7 6/7 7/7"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		after, err := s.Head(t.Context())
		if err != nil || after.Revision != before.Revision+1 || after.Seq != before.Seq+1 {
			t.Errorf("head went from %+v to %+v, %v", before, after, err)
		}
		rows, err := s.Audit(t.Context(), store.AuditQuery{Action: "secret.rotate"})
		if err != nil || len(rows) != 1 || rows[0].Actor != "dana" || rows[0].Subject != "secret:"+second.Fingerprint() ||
			!strings.Contains(string(rows[0].Before), first.Fingerprint()) {
			t.Errorf("the audit says %+v, %v", rows, err)
		}
		report, err := s.CheckSecrets(t.Context())
		if err != nil || report.Sealed != 7 || report.ByKey[second.Fingerprint()] != 7 || len(report.Unreadable) != 0 {
			t.Errorf("the report is %+v, %v", report, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openWith(t, withSecret(t, path, second))
		readable(t, s, second, 5)
		if err := s.Issuer().Check(issued.Reveal()); err != nil {
			t.Errorf("a key from before: %v", err)
		}
	})
	t.Run("again is no change", func(t *testing.T) {
		ring := accounts.NewKeyring(second, first)
		s := openWith(t, withSecret(t, newPath(t), ring))
		for range 2 {
			if err := s.RotateSecret(t.Context(), meta, first, second, ignore); err != nil {
				t.Fatal(err)
			}
		}
		if h, err := s.Head(t.Context()); err != nil || h.Seq != 0 {
			t.Errorf("head is %+v, %v", h, err)
		}
	})
	t.Run("a store that has not got both keys is not begun with", func(t *testing.T) {
		for name, secret := range map[string]accounts.Sealer{
			"the old one alone":         first,
			"both, sealing with old":    accounts.NewKeyring(first, second),
			"another and the new":       accounts.NewKeyring(secretKey(t, 3), second),
			"the new one and a third":   nil,
			"the same key for old, new": nil,
		} {
			path := newPath(t)
			from, to := first, second
			switch name {
			case "the new one and a third":
				from, secret = secretKey(t, 3), second
			case "the same key for old, new":
				from, secret = second, second
			}
			s := openWith(t, withSecret(t, path, secret))
			if err := s.RotateSecret(t.Context(), meta, from, to, ignore); err == nil {
				t.Errorf("%s: it was", name)
			}
		}
	})
	t.Run("what opens with neither key is named, and nothing is touched", func(t *testing.T) {
		ring := accounts.NewKeyring(first)
		s := openWith(t, withSecret(t, newPath(t), ring))
		fill(t, s, ring, 3)
		moved := sealedUpstream(t, ring, 1)
		moved.URL = "https://elsewhere.example/v1" // its credential does not open there
		if _, err := s.Change(t.Context(), accounts.Meta{Kind: "upstream.edit"}, func(st *store.State) error { return st.PutUpstream(moved) }); err != nil {
			t.Fatal(err)
		}
		ring.Use(second)
		err := s.RotateSecret(t.Context(), meta, first, second, ignore)
		var bad *store.UnreadableError
		if !errors.As(err, &bad) || len(bad.Seals) != 1 || !strings.Contains(err.Error(), "credential u1/default") || !errors.Is(bad.Seals[0].Cause, accounts.ErrUnreadable) {
			t.Errorf("error is %v", err)
		}
		report, err := s.CheckSecrets(t.Context())
		if err != nil || report.ByKey[first.Fingerprint()] != 5 || len(report.Unreadable) != 1 || report.Unreadable[0].Upstream != "u1" {
			t.Errorf("the report is %+v, %v", report, err)
		}
	})
	t.Run("a credential that is set anew while it runs is not overwritten with what it was", func(t *testing.T) {
		ring := accounts.NewKeyring(first)
		s := openWith(t, withSecret(t, newPath(t), ring))
		fill(t, s, ring, 3)
		ring.Use(second)
		anew := sealedUpstream(t, ring, 2)
		if err := (accounts.Vault{Key: ring}).Seal(&anew, &anew.Credentials[0], accounts.NewSecret("sk-another-0123456789")); err != nil {
			t.Fatal(err)
		}
		err := s.RotateSecret(t.Context(), meta, first, second, func(n, _ int) {
			if n == 1 {
				if _, err := s.Change(t.Context(), accounts.Meta{Kind: "upstream.credential.set"}, func(st *store.State) error { return st.PutUpstream(anew) }); err != nil {
					t.Error(err)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		config, err := s.Load(t.Context())
		if err != nil || !bytes.Equal(config.Upstreams[2].Credentials[0].Sealed, anew.Credentials[0].Sealed) {
			t.Errorf("it is %x, %v", config.Upstreams[2].Credentials[0].Sealed, err)
		}
	})
	t.Run("what is sealed with the old key while it runs is found at its end", func(t *testing.T) {
		path, ring := newPath(t), accounts.NewKeyring(first)
		s := openWith(t, withSecret(t, path, ring))
		fill(t, s, ring, 3)
		ring.Use(second)
		err := s.RotateSecret(t.Context(), meta, first, second, func(n, _ int) {
			if n != 3 {
				return
			}
			late := sealedUpstream(t, first, 3) // by somebody who had read the key before it was exchanged
			if _, err := s.Change(t.Context(), accounts.Meta{Kind: "upstream.create"}, func(st *store.State) error { return st.PutUpstream(late) }); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		readable(t, s, second, 4)
	})
}

func TestAStoreInTheMiddleOfARotationOpensWithBothKeysOnly(t *testing.T) {
	first, second := secretKey(t, 1), secretKey(t, 2)
	path, ring := newPath(t), accounts.NewKeyring(first)
	s := openWith(t, withSecret(t, path, ring))
	fill(t, s, ring, 4)
	ring.Use(second)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.RotateSecret(ctx, accounts.Meta{}, first, second, func(n, _ int) {
		if n == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  *accounts.SecretKey
		lost int
	}{"the old one": {first, 2}, "the new one": {second, 2}, "another": {secretKey(t, 3), 4}} {
		before := fingerprint(t, path)
		_, err := store.Open(t.Context(), withSecret(t, path, c.key))
		var sealed *store.SealedError
		var wrong *accounts.WrongKeyError
		if !errors.As(err, &sealed) || !errors.As(err, &wrong) || sealed.Credentials != c.lost || wrong.Have != c.key.Fingerprint() {
			t.Errorf("%s: %v", name, err)
		}
		if fingerprint(t, path) != before {
			t.Errorf("%s: the file was touched", name)
		}
	}
	for _, both := range []*accounts.Keyring{accounts.NewKeyring(first, second), accounts.NewKeyring(second, first)} {
		s := openWith(t, withSecret(t, path, both))
		readable(t, s, both, 4)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSecretsAreReadWhileTheKeyIsExchanged reads everything over and over while
// the key goes back and forth.
func TestSecretsAreReadWhileTheKeyIsExchanged(t *testing.T) {
	first, second := secretKey(t, 1), secretKey(t, 2)
	ring := accounts.NewKeyring(first)
	s := openWith(t, withSecret(t, newPath(t), ring))
	fill(t, s, ring, 10)
	ended := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for reads := 0; ; reads++ {
				select {
				case <-ended:
					if reads == 0 {
						t.Error("nothing was read meanwhile")
					}
					return
				default:
					readable(t, s, ring, 10)
				}
			}
		})
	}
	from, to := first, second
	for range 5 {
		ring.Use(to)
		if err := s.RotateSecret(t.Context(), accounts.Meta{}, from, to, ignore); err != nil {
			t.Error(err)
		}
		from, to = to, from
	}
	close(ended)
	readers.Wait()
}

// rotateUntilKilled exchanges the key and says so after each value, until
// somebody kills it or it is done.
func rotateUntilKilled(path, seeds string) int {
	var from, to byte
	if _, err := fmt.Sscan(seeds, &from, &to); err != nil {
		return 3
	}
	old, err1 := accounts.NewSecretKey([]byte(strings.Repeat(string(rune(from)), accounts.SecretKeyBytes)))
	next, err2 := accounts.NewSecretKey([]byte(strings.Repeat(string(rune(to)), accounts.SecretKeyBytes)))
	if errors.Join(err1, err2) != nil {
		return 3
	}
	s, err := store.Open(context.Background(), store.Options{Path: path, Secret: accounts.NewKeyring(next, old), Log: zerolog.Nop()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	err = s.RotateSecret(context.Background(), accounts.Meta{Actor: "victim"}, old, next, func(n, _ int) { fmt.Println(n) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

const kills = 20

func TestARotationThatIsKilledGoesOnWhereItWas(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := newPath(t)
	first, second := secretKey(t, 1), secretKey(t, 2)
	s := openWith(t, withSecret(t, path, first))
	fill(t, s, first, rotatedCredentials)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	both := accounts.NewKeyring(first, second)
	from, to, rounds, killed := byte(1), byte(2), 0, 0
	for killed < kills {
		done := killRotation(t, path, fmt.Sprint(from, " ", to), 1+rand.IntN(rotatedCredentials/2))
		s := openWith(t, withSecret(t, path, both))
		readable(t, s, both, rotatedCredentials)
		report, err := s.CheckSecrets(t.Context())
		if err != nil || len(report.Unreadable) != 0 || report.Sealed != rotatedCredentials+2 {
			t.Fatalf("after %d kills the report is %+v, %v", killed, report, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !done {
			killed++
			continue
		}
		if report.ByKey[secretKey(t, to).Fingerprint()] != report.Sealed {
			t.Fatalf("after the end the report is %+v", report)
		}
		from, to = to, from
		rounds++
	}
	if rounds == 0 {
		t.Error("no rotation came to its end, so this shows only half")
	}
}

// killRotation starts a rotation and kills it when it has told so many values.
// done says that it was faster.
func killRotation(t *testing.T, path, seeds string, after int) (done bool) {
	t.Helper()
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), rotatePath+"="+path, rotateSeeds+"="+seeds)
	victim.Stderr = os.Stderr
	said, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for count := 1; lines.Scan(); count++ {
		if count == after {
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = victim.Wait()
	if victim.ProcessState.ExitCode() > 0 {
		t.Fatalf("the victim failed: %v", err)
	}
	return err == nil
}
