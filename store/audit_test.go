package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func TestTheAuditIsAppendOnly(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	putKey(t, s, "a", "s1")
	for _, text := range []string{
		`UPDATE audit SET after_change = NULL`, `DELETE FROM audit`, `UPDATE audit SET name = name WHERE seq = 1`,
		`UPDATE changes SET actor = 'other'`, `DELETE FROM changes WHERE seq = 1`,
	} {
		if _, err := raw(t, path).ExecContext(t.Context(), text); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if rows, err := s.Audit(t.Context(), store.AuditQuery{}); err != nil || len(rows) != 1 || rows[0].After == nil {
		t.Errorf("the audit is %+v, %v", rows, err)
	}
}

// TestNoSecretStandsInTheAudit makes, alters and takes away everything that has
// a secret, each of which has a mark, and looks for the marks in every row: in
// clear, sealed and hashed.
func TestNoSecretStandsInTheAudit(t *testing.T) {
	path := newPath(t)
	ring := accounts.NewKeyring(secretKey(t, 1))
	s := openWith(t, withSecret(t, path, ring))
	issued, err := s.Issuer().Issue()
	if err != nil {
		t.Fatal(err)
	}
	hash := accounts.HashKey(issued.Reveal())
	password := "$argon2id$v=19$m=19456,t=2,p=1$canarysalt$canaryhash"
	u := sealedUpstream(t, ring, 7)
	user := accounts.User{ID: "user_1", Name: "dana", Role: accounts.RoleAdmin, Password: accounts.NewSecret(password)}
	key := accounts.Key{
		ID: "key_1", Name: "ci", UserID: "user_1",
		Secrets: []accounts.KeySecret{{Hash: hash, Last4: issued.Last4()}},
	}
	steps := []func(*store.State) error{
		func(st *store.State) error { return errors.Join(st.PutUser(user), st.PutKey(key), st.PutUpstream(u)) },
		func(st *store.State) error {
			k, v, other := key, u, user
			k.Disabled, v.Enabled, other.Password = true, false, accounts.NewSecret(password+"2")
			return errors.Join(st.PutUser(other), st.PutKey(k), st.PutUpstream(v))
		},
		func(st *store.State) error {
			return errors.Join(st.DeleteKey("ci"), st.DeleteUser("dana"), st.DeleteUpstream(u.ID))
		},
	}
	for i, f := range steps {
		if _, err := s.Change(t.Context(), accounts.Meta{Kind: fmt.Sprint("step.", i)}, f); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			ring.Use(secretKey(t, 2))
			if err := s.RotateSecret(t.Context(), accounts.Meta{}, secretKey(t, 1), secretKey(t, 2), ignore); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows, err := s.Audit(t.Context(), store.AuditQuery{})
	if err != nil || len(rows) != 10 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	marks := map[string]string{
		"the key": issued.Reveal(), "a part of the key": issued.Reveal()[7:30], "the key's hash": fmt.Sprintf("%x", hash)[:20],
		"the password": "canaryhash", "the credential": secretOf(7).Reveal(), "a part of it": "sk-canary",
		"sealed bytes": fmt.Sprintf("%x", u.Credentials[0].Sealed[:12]),
	}
	fingerprints := 0
	for _, r := range rows {
		text := string(r.Before) + string(r.After) + r.Name + r.Subject
		fingerprints += strings.Count(text, "sha256:")
		for what, mark := range marks {
			if strings.Contains(text, mark) {
				t.Errorf("%s stands in the row of %s: %s", what, r.Subject, text)
			}
		}
	}
	if fingerprints != 6 {
		t.Errorf("%d fingerprints: of a key made and taken away, and of a credential made, altered and taken away", fingerprints)
	}
}

// TestIdentifyIsOneLookupByIndex holds that finding out who calls reads no table
// from end to end.
func TestIdentifyIsOneLookupByIndex(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	for i := range 50 {
		putKey(t, s, fmt.Sprintf("k%d", i), fmt.Sprint(i))
	}
	db := raw(t, path)
	execute(t, db, `ANALYZE`)
	rows, err := db.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+store.IdentifyText, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	searches := 0
	for _, step := range plan {
		switch {
		case strings.HasPrefix(step, "SEARCH") && strings.Contains(step, "INDEX"):
			searches++
		case step != "SCAN h": // head has one row
			t.Errorf("step %q", step)
		}
	}
	if searches != 3 {
		t.Errorf("the plan is %q", plan)
	}
}

func TestABrokenLogTellsListenersThatAnythingMayHaveChanged(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	var heard []accounts.Change
	s.OnChange(func(c accounts.Change) { heard = append(heard, c) })
	putKey(t, s, "a", "s1")
	execute(t, raw(t, path), `UPDATE head SET lineage = 'lineage_other'`)
	if err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(heard) != 2 || len(heard[1].Subjects) != 1 || heard[1].Subjects[0] != store.Everything || heard[1].At.IsZero() || time.Since(heard[1].At) > time.Minute {
		t.Errorf("heard of %+v", heard)
	}
}
