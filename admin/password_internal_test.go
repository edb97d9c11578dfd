package admin

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// cheap is a cost for tests that are not about it.
func cheap(t *testing.T) *passwords {
	t.Helper()
	p, err := newPasswords()
	if err != nil {
		t.Fatal(err)
	}
	p.cost = argon{memory: 64, time: 1, threads: 1}
	return p
}

func TestAPasswordMatchesItsOwnHashOnly(t *testing.T) {
	p := cheap(t)
	one, err := p.hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	two, err := p.hash(t.Context(), "correct horse")
	if err != nil || one.Equal(two) {
		t.Errorf("two hashes of one password are the same, %v", err)
	}
	for password, want := range map[string]bool{
		"correct horse": true, "correct horse ": false, "Correct horse": false, "": false, one.Reveal(): false, strings.Repeat("x", 2000): false,
	} {
		if right, outdated, err := p.matches(t.Context(), one, password); err != nil || right != want || outdated {
			t.Errorf("%.20q: %t %t %v", password, right, outdated, err)
		}
	}
	if right, _, err := p.matches(t.Context(), accounts.Secret{}, ""); right || err != nil {
		t.Errorf("no password matches the empty one: %t %v", right, err)
	}
	p.cost.time++
	if right, outdated, err := p.matches(t.Context(), one, "correct horse"); !right || !outdated || err != nil {
		t.Errorf("at another cost: %t %t %v", right, outdated, err)
	}
}

func TestHashesThatAreNotOurs(t *testing.T) {
	p := cheap(t)
	good, err := p.hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	text := good.Reveal()
	for name, broken := range map[string]string{
		"bcrypt":                    "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"argon2i":                   strings.Replace(text, "argon2id", "argon2i", 1),
		"another version":           strings.Replace(text, "v=19", "v=16", 1),
		"more memory than there is": strings.Replace(text, "m=64", "m=4294967295", 1),
		"more rounds than wanted":   strings.Replace(text, "t=1", "t=1000000", 1),
		"no rounds":                 strings.Replace(text, "t=1", "t=0", 1),
		"no threads":                strings.Replace(text, "p=1", "p=0", 1),
		"something behind a figure": strings.Replace(text, "p=1$", "p=1x$", 1),
		"something in front":        "x" + text,
		"cut":                       text[:len(text)-30],
		"one part more":             text + "$",
		"plain text":                "correct horse",
	} {
		t.Run(name, func(t *testing.T) {
			right, _, err := p.matches(t.Context(), accounts.NewSecret(broken), "correct horse")
			if right || !errors.Is(err, errHash) || strings.Contains(err.Error(), broken) {
				t.Errorf("got %t, %v", right, err)
			}
		})
	}
}

// Two of two would leave requests nothing but turns of 10 ms.
func TestHashingLeavesAThreadToRequests(t *testing.T) {
	for threads, want := range map[int]int{1: 1, 2: 1, 3: 2, 4: 2, 64: 2} {
		if got := hashingAtOnce(threads); got != want {
			t.Errorf("of %d threads, %d hash, want %d", threads, got, want)
		}
	}
	p, err := newPasswords()
	if err != nil || cap(p.slots) != hashingAtOnce(runtime.GOMAXPROCS(0)) {
		t.Errorf("here %d hash at once, %v", cap(p.slots), err)
	}
}

func FuzzReadHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI")
	f.Add("$argon2id$v=19$m=1,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		a, salt, key, err := readHash(text)
		if err == nil && (a.write(salt, key) != text || a.memory > mostMemory || a.time > mostTime || len(key) < 16) {
			t.Fatalf("%q is read as %+v", text, a)
		}
	})
}

func TestFewPasswordsAreHashedAtOnceAndFewWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := cheap(t)
		for range cap(p.slots) {
			if err := p.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		results := make(chan error, hashingQueue)
		for range hashingQueue {
			go func() { results <- p.enter(t.Context()) }()
		}
		synctest.Wait()
		if err := p.enter(t.Context()); !errors.Is(err, errBusy) {
			t.Errorf("one more than may wait gets %v", err)
		}
		p.leave()
		if err := <-results; err != nil {
			t.Errorf("the next in the queue gets %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.enter(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("whoever has gone waits: %v", err)
		}
		begun := time.Now()
		for range hashingQueue - 1 {
			if err := <-results; !errors.Is(err, errBusy) {
				t.Errorf("whoever waited too long gets %v", err)
			}
		}
		if waited := time.Since(begun); waited != hashingWait {
			t.Errorf("they waited %s", waited)
		}
		if n := p.waiting.Load(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}
