package accounts_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

// holder has secrets where fmt reads by reflection and asks no method.
type holder struct {
	Public  accounts.Secret
	private accounts.Secret
	nested  struct{ deep []accounts.Secret }
	pointer *accounts.Secret
}

// holding is an error that keeps a secret and says nothing of it.
type holding struct{ secret accounts.Secret }

func (*holding) Error() string { return "refused" }

func TestASecretCannotBePrinted(t *testing.T) {
	const canary = "canary-4f1d9"
	s := accounts.NewSecret(canary)
	h := holder{Public: s, private: s, pointer: &s}
	h.nested.deep = []accounts.Secret{s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", &h)
		fmt.Fprintf(&out, verb+"\n", map[string]any{"a": s, "b": h})
		fmt.Fprintf(&out, verb+"\n", fmt.Errorf("wrapped: %v %w", s, errors.New("x")))
	}
	for _, v := range []any{s, h, &h, map[string]any{"s": s}, []accounts.Secret{s}} {
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
	}
	for _, v := range []any{s, &s, h, &h, map[string]any{"s": s}} {
		if b, err := yaml.Marshal(v); err == nil {
			out.Write(b)
		}
		_ = xml.NewEncoder(&out).Encode(v)
		_ = gob.NewEncoder(&out).Encode(v) // where it cannot, it says so
		wrapped := fmt.Errorf("first: %w", fmt.Errorf("second %v: %w", v, &holding{secret: s}))
		fmt.Fprintf(&out, "%v %+v %#v %q\n", wrapped, wrapped, wrapped, errors.Join(wrapped, wrapped))
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", s, "holder", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", s, "pointer", &s, "holder", h, "error", &holding{secret: s})
	zerologger := zerolog.New(&out)
	zerologger.Info().Interface("secret", s).Interface("holder", h).Any("p", &s).Stringer("s", s).Msg("x")
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), strings.Trim(fmt.Sprint([]byte(canary)), "[]")} {
		if strings.Contains(out.String(), form) {
			t.Fatalf("the secret got out as %q", form)
		}
	}
	if s.Reveal() != canary || !s.Equal(accounts.NewSecret(canary)) || s.Equal(accounts.NewSecret("other")) {
		t.Fatal("the secret itself is not what was put in")
	}
}

func TestASecretKeyCannotBePrinted(t *testing.T) {
	raw := []byte("canary-canary-canary-canary-1234")
	k, err := accounts.NewSecretKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := accounts.NewIssuer(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Issue(); err != nil { // so that its pool holds a keyed hash
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", k, *k, issuer)
		fmt.Fprintf(&out, verb+"\n", accounts.Vault{Key: k})
	}
	for _, form := range []string{"canary", fmt.Sprintf("%x", "canary"), fmt.Sprintf("%X", "canary"), strings.Trim(fmt.Sprint([]byte("canary")), "[]")} {
		if strings.Contains(out.String(), form) {
			t.Fatalf("the key got out as %q", form)
		}
	}
}

func TestTheLastFourCharactersAreShownOnlyOfALongSecret(t *testing.T) {
	for text, want := range map[string]string{"": "", "short": "", "elevenchars": "", "twelve-chars": "hars", "sk-proj-abcdefgh9fKq": "9fKq"} {
		if got := accounts.NewSecret(text).Last4(); got != want {
			t.Errorf("of %q: got %q, want %q", text, got, want)
		}
	}
	if !(accounts.Secret{}).IsZero() || (accounts.Secret{}).Reveal() != "" {
		t.Error("the zero secret is not empty")
	}
}

func secretKey(t interface{ Fatal(...any) }, fill byte) *accounts.SecretKey {
	k, err := accounts.NewSecretKey(bytes.Repeat([]byte{fill}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestASealedValueOpensOnlyWhereItBelongs(t *testing.T) {
	k, other := secretKey(t, 1), secretKey(t, 2)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		context := rapid.String().Draw(t, "context")
		sealed, err := k.Seal(context, text)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := k.Open(context, sealed)
		if err != nil || !bytes.Equal(opened, text) {
			t.Fatalf("does not open: %v", err)
		}
		if _, err := k.Open(context+"x", sealed); !errors.Is(err, accounts.ErrUnreadable) {
			t.Fatalf("opens in another context: %v", err)
		}
		var wrong *accounts.WrongKeyError
		if _, err := other.Open(context, sealed); !errors.As(err, &wrong) || wrong.Have != other.Fingerprint() || wrong.Sealed != k.Fingerprint() {
			t.Fatalf("another key: %v", err)
		}
		at := rapid.IntRange(5, len(sealed)-1).Draw(t, "at")
		sealed[at] ^= 0x40
		if _, err := k.Open(context, sealed); !errors.Is(err, accounts.ErrUnreadable) {
			t.Fatalf("a changed byte is not noticed: %v", err)
		}
		if _, err := k.Open(context, sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a cut value opens")
		}
	})
}

func TestASecretKeyIsReadFromBase64AndHex(t *testing.T) {
	want := secretKey(t, 0xfb).Fingerprint()
	for name, text := range map[string]string{
		"hex":                   strings.Repeat("fb", 32),
		"hex in capitals":       strings.Repeat("FB", 32),
		"base64":                "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=",
		"base64 unpadded":       "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s",
		"base64url":             "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s=",
		"with a newline around": "\n" + strings.Repeat("fb", 32) + "\n",
	} {
		k, err := accounts.ParseSecretKey(text)
		if err != nil || k.Fingerprint() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "canary-secret", strings.Repeat("fb", 31), strings.Repeat("fb", 33)} {
		if _, err := accounts.ParseSecretKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%d characters: %v", len(text), err)
		}
	}
}
