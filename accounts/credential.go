package accounts

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Credential is what an upstream wants to see before it answers: a reference
// to where the secret stands, or the sealed secret itself.
type Credential struct {
	ID        string
	Name      string // unique within its upstream
	Reference string // "env:NAME", "file:PATH"; empty where Sealed holds the secret
	Sealed    []byte // see SecretKey.Seal; nil where Reference names it, and where there is no secret yet
	Last4     string // of a sealed secret; what a reference leads to is known only where it is read
	Weight    int
	Enabled   bool
	CreatedAt time.Time
}

// SealContext is what a credential's sealed bytes are bound to: moved to another
// upstream, or to another scheme, host or port of this one, they do not open. An
// upstream whose URL changes in one of these needs its credential set anew. What
// a reference leads to stands outside and is bound to nothing.
func (u *Upstream) SealContext() string {
	scheme, _, _ := strings.Cut(u.URL, ":")
	return "credential\x00" + u.ID + "\x00" + strings.ToLower(scheme) + "://" + u.Host()
}

// schemelessContext is what credentials were bound to before the scheme was a
// part of it. Those that are stored so go on opening; new ones are not made.
func (u *Upstream) schemelessContext() string {
	return "credential\x00" + u.ID + "\x00" + u.Host()
}

// References reads secrets that stand somewhere else, by the scheme before the
// first colon of a reference. A vault joins by adding its scheme.
type References map[string]func(ctx context.Context, name string) (Secret, error)

// Schemes lists what references may begin with.
func (r References) Schemes() []string {
	schemes := make([]string, 0, len(r))
	for scheme := range r {
		schemes = append(schemes, scheme)
	}
	sort.Strings(schemes)
	return schemes
}

// Valid checks the form of a reference without reading what it leads to.
func (r References) Valid(reference string) error {
	scheme, name, ok := strings.Cut(reference, ":")
	if !ok || r[scheme] == nil || name == "" {
		return fmt.Errorf("credential reference must be one of %s, followed by a colon and a name", strings.Join(r.Schemes(), ", "))
	}
	return nil
}

// Read follows a reference.
func (r References) Read(ctx context.Context, reference string) (Secret, error) {
	if err := r.Valid(reference); err != nil {
		return Secret{}, err
	}
	scheme, name, _ := strings.Cut(reference, ":")
	secret, err := r[scheme](ctx, name)
	if err != nil {
		return Secret{}, fmt.Errorf("reading credential %s: %w", reference, err)
	}
	if secret.IsZero() {
		return Secret{}, fmt.Errorf("reading credential %s: it is empty", reference)
	}
	return secret, nil
}

// Vault reads credentials: it opens what is sealed and follows references.
type Vault struct {
	Key        Sealer
	References References
}

// Read gives the secret of a credential of u.
func (v Vault) Read(ctx context.Context, u *Upstream, c *Credential) (Secret, error) {
	if c.Reference != "" {
		return v.References.Read(ctx, c.Reference)
	}
	return v.Unseal(u, c)
}

// Unseal gives what c holds sealed, whether a reference goes before it or not.
func (v Vault) Unseal(u *Upstream, c *Credential) (Secret, error) {
	if len(c.Sealed) == 0 {
		return Secret{}, fmt.Errorf("opening credential %q of upstream %q: %w", c.Name, u.Name, ErrNoSecret)
	}
	text, err := v.Key.Open(u.SealContext(), c.Sealed)
	if errors.Is(err, ErrUnreadable) {
		text, err = v.Key.Open(u.schemelessContext(), c.Sealed)
	}
	if err != nil {
		return Secret{}, fmt.Errorf("opening credential %q of upstream %q: %w", c.Name, u.Name, err)
	}
	return NewSecret(string(text)), nil
}

// ErrNoSecret says that a credential waits for the secret that is to be sealed in
// it: it came from a file, where secrets have no place.
var ErrNoSecret = errors.New("it has no secret yet")

// ErrNoCredential says that an upstream wants a credential and has none.
var ErrNoCredential = errors.New("no credential")

// Choose gives a credential with which requests to u go out, the first enabled
// one that can be read, and its secret. Where u wants none it gives nil and the
// zero Secret; where it has none, ErrNoCredential.
func (v Vault) Choose(ctx context.Context, u *Upstream) (*Credential, Secret, error) {
	if !u.NeedsCredential() {
		return nil, Secret{}, nil
	}
	var problems []error
	for i := range u.Credentials {
		c := &u.Credentials[i]
		if !c.Enabled {
			continue
		}
		secret, err := v.Read(ctx, u, c)
		if err == nil {
			return c, secret, nil
		}
		problems = append(problems, err)
	}
	if len(problems) == 0 {
		return nil, Secret{}, ErrNoCredential
	}
	return nil, Secret{}, errors.Join(problems...)
}

// Seal puts a secret into c, bound to u.
func (v Vault) Seal(u *Upstream, c *Credential, secret Secret) error {
	sealed, err := v.Key.Seal(u.SealContext(), []byte(secret.Reveal()))
	if err != nil {
		return err
	}
	c.Sealed, c.Last4, c.Reference = sealed, secret.Last4(), ""
	return nil
}
