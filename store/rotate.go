package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// The secret key of an installation is exchanged row by row: each value that the
// old key sealed is opened, sealed with the new one, and stored in a transaction
// of its own. Whoever is killed in between begins again and goes on with what is
// left; until then both keys are needed. The checksum secret comes last, in the
// change that ends it, so that a store whose checksum secret opens with a key has
// nothing left that the key before it sealed.

// SecretReport says which keys the store's secrets were sealed with.
type SecretReport struct {
	Sealed     int              // values that are sealed
	ByKey      map[string]int   // how many of them each key sealed, by its fingerprint; "" for what is no sealed value
	Unreadable []UnreadableSeal // those that do not open here
}

// UnreadableSeal is a sealed value that does not open.
type UnreadableSeal struct {
	Upstream   string // empty: a secret of the installation itself
	Credential string // the name of the credential, or of the secret
	Cause      error  // *accounts.WrongKeyError, or accounts.ErrUnreadable: it was changed, or its upstream's host was
}

func (u UnreadableSeal) String() string {
	if u.Upstream == "" {
		return "secret " + u.Credential
	}
	return "credential " + u.Upstream + "/" + u.Credential
}

// UnreadableError names what cannot be sealed anew because it does not open.
type UnreadableError struct{ Seals []UnreadableSeal }

func (e *UnreadableError) Error() string {
	names := make([]string, 0, len(e.Seals))
	for _, seal := range e.Seals {
		names = append(names, seal.String())
	}
	return "cannot be read with either key: " + strings.Join(names, ", ")
}

// CheckSecrets tries to open everything that is sealed.
func (s *Store) CheckSecrets(ctx context.Context) (SecretReport, error) {
	report := SecretReport{ByKey: map[string]int{}}
	err := s.read(ctx, "checking secrets", func(ctx context.Context, on session) error {
		seals, err := readSeals(ctx, on)
		if err != nil {
			return err
		}
		report.Sealed = len(seals)
		for i := range seals {
			report.ByKey[seals[i].by()]++
		}
		report.Unreadable = unreadable(seals, s.options.Secret)
		return nil
	})
	return report, err
}

// RotateSecret seals with to what from sealed, while everything goes on being
// read, and tells done after each value. It may be called again after it was cut
// off at any moment, with the same keys. m says who does it; its Kind is set.
//
// The store's own Secret must open what either key sealed, and seal with to
// already: a Keyring after Use. Where it returns nil, nothing needs from any
// more, but for nodes that have not taken over the change that ends it.
//
// Errors: *UnreadableError, with nothing touched, where a value opens with
// neither key: a credential must be set anew or deleted first.
func (s *Store) RotateSecret(ctx context.Context, m accounts.Meta, from, to *accounts.SecretKey, done func(n, of int)) error {
	m.Kind = "secret.rotate"
	if err := s.hasBoth(from, to); err != nil {
		return fmt.Errorf("rotating secret key: %w", err)
	}
	var seals []seal
	err := s.read(ctx, "rotating secret key", func(ctx context.Context, on session) (err error) {
		seals, err = readSeals(ctx, on)
		return err
	})
	if err != nil {
		return err
	}
	if bad := unreadable(seals, accounts.NewKeyring(to, from)); len(bad) > 0 {
		return fmt.Errorf("rotating secret key: %w", &UnreadableError{Seals: bad})
	}
	n := 0
	for i := range seals {
		if seals[i].by() != from.Fingerprint() {
			n++
			continue
		}
		if seals[i].isIssuer() {
			continue // comes last
		}
		if err := s.resealOne(ctx, &seals[i], from, to); err != nil {
			return fmt.Errorf("rotating secret key: %w", err)
		}
		n++
		done(n, len(seals))
	}
	if _, err := s.Change(ctx, m, func(st *State) error { return st.endRotation(from, to) }); err != nil {
		return fmt.Errorf("rotating secret key: %w", err)
	}
	done(len(seals), len(seals))
	return nil
}

// hasBoth says whether this store can work while some values are sealed with one
// key and some with the other.
func (s *Store) hasBoth(from, to *accounts.SecretKey) error {
	const place = "probe"
	if from.Fingerprint() == to.Fingerprint() {
		return errors.New("both keys are the same")
	}
	sealed, err := s.options.Secret.Seal(place, nil)
	if err != nil {
		return err
	}
	if by, _ := accounts.SealedBy(sealed); by != to.Fingerprint() {
		return fmt.Errorf("the gateway seals with key %s, not with the new one, %s", by, to.Fingerprint())
	}
	if sealed, err = from.Seal(place, nil); err != nil {
		return err
	}
	if _, err := s.options.Secret.Open(place, sealed); err != nil {
		return fmt.Errorf("the gateway has not got the old key: %w", err)
	}
	return nil
}

func (s *Store) resealOne(ctx context.Context, from *seal, old, next *accounts.SecretKey) error {
	return s.write(ctx, "sealing "+from.name().String(), func(ctx context.Context, on session) error {
		return from.reseal(ctx, on, old, next)
	})
}

// endRotation seals the checksum secret anew, and whatever was sealed with the
// old key since the rotation looked. It is a change of the configuration: every
// node loads what is sealed with the new key.
func (st *State) endRotation(from, to *accounts.SecretKey) error {
	seals, err := readSeals(st.ctx, st.on)
	if err != nil {
		return err
	}
	left := 0
	for i := range seals {
		if seals[i].by() != from.Fingerprint() {
			continue
		}
		if err := seals[i].reseal(st.ctx, st.on, from, to); err != nil {
			return err
		}
		left++
	}
	if left == 0 {
		return nil // it was ended before
	}
	subject := "secret:" + to.Fingerprint()
	st.touch(subject, true)
	st.note(subject, "", auditRotation{from.Fingerprint()}, auditRotation{to.Fingerprint()})
	return nil
}

// auditRotation is how an exchange of the secret key stands in the audit.
type auditRotation struct {
	Fingerprint string `json:"fingerprint"`
}

// seal is a sealed value and where it stands.
type seal struct {
	sealed     []byte
	place      string               // what the seal of a secret of the installation is bound to
	secret     string               // name of such a secret
	upstream   *accounts.Upstream   // or else the upstream
	credential *accounts.Credential // of this credential
}

// readSeals gives everything that is sealed: credentials, then the secrets of
// the installation.
func readSeals(ctx context.Context, on session) ([]seal, error) {
	upstreams, err := readUpstreams(ctx, on, "")
	if err != nil {
		return nil, err
	}
	var seals []seal
	for i := range upstreams {
		u := &upstreams[i]
		for j := range u.Credentials {
			if c := &u.Credentials[j]; c.Sealed != nil {
				seals = append(seals, seal{sealed: c.Sealed, upstream: u, credential: c})
			}
		}
	}
	var rows []struct {
		Name  string `db:"name"`
		Value []byte `db:"value"`
	}
	if err := on.all(ctx, &rows, `SELECT name, value FROM sealed ORDER BY name`); err != nil {
		return nil, unavailable(err)
	}
	for _, r := range rows {
		place, err := sealContext(ctx, on, r.Name)
		if err != nil {
			return nil, err
		}
		seals = append(seals, seal{sealed: r.Value, place: place, secret: r.Name})
	}
	return seals, nil
}

// by is the fingerprint of the key that sealed it, "" for what is no sealed
// value.
func (l *seal) by() string {
	by, _ := accounts.SealedBy(l.sealed)
	return by
}

func (l *seal) isIssuer() bool { return l.upstream == nil && l.secret == issuerSecret }

func (l *seal) name() UnreadableSeal {
	if l.upstream == nil {
		return UnreadableSeal{Credential: l.secret}
	}
	return UnreadableSeal{Upstream: l.upstream.Name, Credential: l.credential.Name}
}

// open gives the text, and what it is to be bound to when it is sealed anew.
func (l *seal) open(key accounts.Sealer) (place string, text []byte, err error) {
	if l.upstream != nil {
		secret, err := accounts.Vault{Key: key}.Unseal(l.upstream, l.credential)
		return l.upstream.SealContext(), []byte(secret.Reveal()), err
	}
	if text, err = key.Open(l.place, l.sealed); err != nil {
		err = fmt.Errorf("opening secret %q: %w", l.secret, err)
	}
	return l.place, text, err
}

// reseal stores the value sealed with another key, unless something else stands
// there by now: whoever put it there sealed it.
func (l *seal) reseal(ctx context.Context, on session, old, next accounts.Sealer) error {
	place, text, err := l.open(old)
	if err != nil {
		return err
	}
	sealed, err := next.Seal(place, text)
	if err != nil {
		return err
	}
	if l.upstream != nil {
		_, err = on.run(ctx, `UPDATE credentials SET sealed = ? WHERE id = ? AND sealed = ?`, sealed, l.credential.ID, l.sealed)
	} else {
		_, err = on.run(ctx, `UPDATE sealed SET value = ? WHERE name = ? AND value = ?`, sealed, l.secret, l.sealed)
	}
	return unavailable(err)
}

// unreadable gives those that key does not open.
func unreadable(seals []seal, key accounts.Sealer) (bad []UnreadableSeal) {
	for i := range seals {
		if _, _, err := seals[i].open(key); err != nil {
			name := seals[i].name()
			name.Cause = err
			bad = append(bad, name)
		}
	}
	return bad
}
