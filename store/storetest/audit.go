package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func audit(t *testing.T, s *store.Store, q store.AuditQuery) []accounts.Audit {
	t.Helper()
	rows, err := s.Audit(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// shape shows which objects a list of audit rows is about, and what happened.
func shape(rows []accounts.Audit) string {
	var out []string
	for _, r := range rows {
		what := "edit"
		switch {
		case r.Before == nil:
			what = "add"
		case r.After == nil:
			what = "delete"
		}
		out = append(out, fmt.Sprintf("%d %s %s", r.Seq, what, r.Subject))
	}
	return strings.Join(out, ", ")
}

// field reads one field of an object in the audit.
func field(t *testing.T, object []byte, name string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return string(fields[name])
}

func testAudit(t *testing.T, empty Database) {
	t.Run("everything that is made, altered or taken away is written down, the newest change first", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putConfig(upstream("u"), file("default", 100, "u", "a")))
		must(t, s, putUser(user("dana")))
		must(t, s, putKey(owned("k", "dana", "s1")))
		must(t, s, putBinding(accounts.Binding{ID: "binding_1", KeyID: "key_k", UpstreamID: "up_u", Weight: 1}))
		k := owned("k", "dana", "s1")
		k.Disabled = true
		must(t, s, putKey(k))
		must(t, s, func(st *store.State) error { return st.DeleteKey("k") })
		must(t, s, func(st *store.State) error { return st.DeleteUser("dana") })
		must(t, s, func(st *store.State) error { return errors.Join(st.DeleteSet("default"), st.DeleteUpstream("u")) })
		want := "8 delete upstream:up_u, 8 delete set:default, 7 delete user:user_dana, " +
			"6 delete binding:binding_1, 6 delete key:key_k, 5 edit key:key_k, 4 add binding:binding_1, 3 add key:key_k, " +
			"2 add user:user_dana, 1 add upstream:up_u, 1 add set:default"
		rows := audit(t, s, store.AuditQuery{})
		if got := shape(rows); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if r := rows[5]; r.Actor != "tester" || r.From != "socket" || r.Why != "because" || r.Kind != "test.change" || r.At.IsZero() || r.Name != "k" ||
			field(t, r.Before, "enabled") != "true" || field(t, r.After, "enabled") != "false" {
			t.Errorf("the edit is %s", text(t, r))
		}
	})
	t.Run("a secret stands there as a fingerprint, and a password as set or none", func(t *testing.T) {
		s := one(t, empty)
		u := user("dana")
		must(t, s, putUser(u))
		u.Password = accounts.NewSecret("$argon2id$canary")
		must(t, s, putUser(u))
		must(t, s, putKey(key("k", "sk-lgw-canary")))
		must(t, s, putUpstream(full(t)))
		rows := audit(t, s, store.AuditQuery{})
		if field(t, rows[2].Before, "password") != `"none"` || field(t, rows[2].After, "password") != `"set"` {
			t.Errorf("the user is %s", rows[2].After)
		}
		hash := accounts.HashKey("sk-lgw-canary")
		if got := field(t, rows[1].After, "secrets"); !strings.Contains(got, fmt.Sprintf(`"sha256:%x"`, hash[:4])) || strings.Contains(got, fmt.Sprintf("%x", hash[:5])) {
			t.Errorf("the key's secrets are %s", got)
		}
		if got := field(t, rows[0].After, "credentials"); strings.Count(got, `"sha256:`) != 2 || !strings.Contains(got, "env:KEY") {
			t.Errorf("the credentials are %s", got)
		}
	})
	t.Run("of a set stand the rules that changed, and the names where their order did", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putConfig(upstream("u"), file("default", 100, "u", "a", "b", "c")))
		edited := file("default", 100, "u", "a", "b", "c")
		edited.Rules[1].Description = "edited"
		must(t, s, putConfig(upstream("u"), edited))
		must(t, s, putConfig(upstream("u"), file("default", 100, "u", "c", "a", "d")))
		rows := audit(t, s, store.AuditQuery{Subject: "set:default"})
		for i, want := range []struct{ beforeNames, afterNames, before, after string }{
			{`["a","b","c"]`, `["c","a","d"]`, `"b"`, `"d"`},
			{``, ``, `"b"`, `"edited"`},
		} {
			r := rows[i]
			if field(t, r.Before, "names") != want.beforeNames || field(t, r.After, "names") != want.afterNames ||
				!strings.Contains(field(t, r.Before, "rules"), want.before) || !strings.Contains(field(t, r.After, "rules"), want.after) ||
				strings.Contains(field(t, r.After, "rules"), `"a"`) {
				t.Errorf("%d: before %s\nafter %s", i, r.Before, r.After)
			}
		}
	})
	t.Run("what comes to nothing within a change is not written down, and twice is once", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, func(st *store.State) error {
			k := key("k", "s1")
			err := st.PutKey(k)
			k.Disabled = true
			return errors.Join(err, st.PutKey(k), st.PutKey(key("gone", "s2")), st.DeleteKey("gone"))
		})
		rows := audit(t, s, store.AuditQuery{})
		if shape(rows) != "1 add key:key_k" || field(t, rows[0].After, "enabled") != "false" {
			t.Errorf("got %s: %s", shape(rows), rows[0].After)
		}
	})
	t.Run("of a key stand the secrets that changed", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putKey(key("k", "s1", "s2", "s3")))
		must(t, s, func(st *store.State) error {
			k, err := st.Key("k")
			if err != nil {
				return err
			}
			ended := key("k", "s1", "s2", "s4")
			for i := range ended.Secrets {
				if ended.Secrets[i].Hash == accounts.HashKey("s2") {
					ended.Secrets[i].ExpiresAt = someday
				}
			}
			ended.CreatedAt = k.CreatedAt
			renamed := ended
			renamed.Name = "renamed"
			return errors.Join(st.PutKey(ended), st.PutKey(renamed))
		})
		fingerprint := func(secret string) string {
			hash := accounts.HashKey(secret)
			return fmt.Sprintf("sha256:%x", hash[:4])
		}
		r := audit(t, s, store.AuditQuery{Limit: 1})[0]
		for secret, want := range map[string][2]bool{"s1": {false, false}, "s2": {true, true}, "s3": {true, false}, "s4": {false, true}} {
			before, after := strings.Contains(string(r.Before), fingerprint(secret)), strings.Contains(string(r.After), fingerprint(secret))
			if before != want[0] || after != want[1] {
				t.Errorf("%s stands before: %t, after: %t, want %v", secret, before, after, want)
			}
		}
	})
	t.Run("a change that is undone leaves nothing", func(t *testing.T) {
		s := one(t, empty)
		_, err := s.Change(t.Context(), meta(), func(st *store.State) error { return errors.Join(st.PutKey(key("k", "s1")), errors.New("no")) })
		if rows := audit(t, s, store.AuditQuery{}); err == nil || len(rows) != 0 {
			t.Errorf("got %s, %v", shape(rows), err)
		}
	})
}

func testAuditChain(t *testing.T, empty Database) {
	t.Run("in a random history, every object was what it had become before, and is now what it became last", func(t *testing.T) {
		s := one(t, empty)
		rapid.Check(t, func(r *rapid.T) {
			for range rapid.IntRange(1, 5).Draw(r, "changes") {
				must(t, s, randomObjects(r))
			}
			became := map[string]string{}
			rows := audit(t, s, store.AuditQuery{})
			slices.Reverse(rows)
			for _, row := range rows {
				if was := became[row.Subject]; was != string(row.Before) {
					r.Fatalf("change %d: %s was %s, and is said to have been %s", row.Seq, row.Subject, was, row.Before)
				}
				became[row.Subject] = string(row.After)
			}
			users, err1 := s.Users(t.Context())
			keys, err2 := s.Keys(t.Context())
			bindings, err3 := s.Bindings(t.Context())
			noted(t, errors.Join(err1, err2, err3))
			there := map[string]string{}
			for _, u := range users {
				there["user:"+u.ID] = fmt.Sprintf("%q", u.Email)
			}
			for _, k := range keys {
				there["key:"+k.ID] = fmt.Sprintf("%q", k.UserID)
			}
			for _, b := range bindings {
				there["binding:"+b.ID] = fmt.Sprint(b.Order)
			}
			for subject, last := range became {
				noun, _, _ := strings.Cut(subject, ":")
				name := map[string]string{"user": "email", "key": "user_id", "binding": "order"}[noun]
				switch now, is := there[subject]; {
				case name == "":
				case is != (last != ""):
					r.Fatalf("%s is there: %t; the audit ends with %q", subject, is, last)
				case is && field(t, []byte(last), name) != now && now != `""`:
					r.Fatalf("%s has %s %s; the audit ends with %s", subject, name, now, last)
				}
			}
		})
	})
}

// randomObjects does up to four things to users, their keys and bindings, of
// which what cannot be done is left.
func randomObjects(r *rapid.T) func(*store.State) error {
	type step struct{ what, which, how int }
	steps := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) step {
		return step{rapid.IntRange(0, 5).Draw(r, "what"), rapid.IntRange(0, 1).Draw(r, "which"), rapid.IntRange(0, 3).Draw(r, "how")}
	}), 1, 4).Draw(r, "steps")
	return func(st *store.State) error {
		if err := st.PutUpstream(upstream("u")); err != nil {
			return err
		}
		for _, do := range steps {
			name := fmt.Sprint("x", do.which)
			k, u := key(name), user(name)
			u.Email, k.Disabled = fmt.Sprint(do.how), do.how%2 == 0
			if _, err := st.User(name); err == nil && do.how > 1 {
				k.UserID = u.ID
			}
			var err error
			switch do.what {
			case 0, 1:
				err = st.PutUser(u)
			case 2:
				err = st.PutKey(k)
			case 3:
				err = st.PutBinding(accounts.Binding{ID: "binding_" + name, KeyID: k.ID, UpstreamID: "up_u", Order: do.how, Weight: 1})
			case 4:
				err = st.DeleteKey(name)
			default:
				err = st.DeleteUser(name)
			}
			if err != nil && !errors.Is(err, accounts.ErrNotFound) && !errors.Is(err, accounts.ErrInUse) {
				return err
			}
		}
		return nil
	}
}

func testAuditQueries(t *testing.T, empty Database) {
	s := one(t, empty)
	change := func(actor, kind string, f func(*store.State) error) accounts.Change {
		c, err := s.Change(t.Context(), accounts.Meta{Actor: actor, Kind: kind}, f)
		noted(t, err)
		return c
	}
	change("dana", "key.create", putKey(key("a", "s1")))
	change("lee", "key.create", putKey(key("b", "s2")))
	middle := change("dana", "user.create", putUser(user("x")))
	disabled := key("a", "s1")
	disabled.Disabled = true
	change("lee", "key.disable", putKey(disabled))
	change("lee", "apply", func(st *store.State) error {
		return errors.Join(st.PutKey(key("c", "s3")), st.PutKey(key("d", "s4")), st.PutKey(key("e", "s5")))
	})
	const last = "5 add key:key_c, 5 add key:key_d, 5 add key:key_e"
	for name, c := range map[string]struct {
		q    store.AuditQuery
		want string
	}{
		"who":                              {store.AuditQuery{Actor: "dana"}, "3 add user:user_x, 1 add key:key_a"},
		"what was done":                    {store.AuditQuery{Action: "key.create"}, "2 add key:key_b, 1 add key:key_a"},
		"what was done, by its beginning":  {store.AuditQuery{Action: "key.*"}, "4 edit key:key_a, 2 add key:key_b, 1 add key:key_a"},
		"a word is not taken for a glob":   {store.AuditQuery{Actor: "d%"}, ""},
		"to what":                          {store.AuditQuery{Subject: "key:key_a"}, "4 edit key:key_a, 1 add key:key_a"},
		"to what, by name":                 {store.AuditQuery{Name: "a", Actor: "lee"}, "4 edit key:key_a"},
		"until a moment, which is not in":  {store.AuditQuery{Until: middle.At}, "2 add key:key_b, 1 add key:key_a"},
		"from a moment on, which is in":    {store.AuditQuery{Since: middle.At, Until: middle.At.Add(time.Microsecond)}, "3 add user:user_x"},
		"before a change":                  {store.AuditQuery{Before: 3}, "2 add key:key_b, 1 add key:key_a"},
		"at most so many":                  {store.AuditQuery{Before: 5, Limit: 2}, "4 edit key:key_a, 3 add user:user_x"},
		"a change is not cut in two":       {store.AuditQuery{Limit: 1}, last},
		"nor where a filter cuts it":       {store.AuditQuery{Limit: 1, Action: "apply"}, last},
		"the filter holds for its rest":    {store.AuditQuery{Limit: 1, Action: "apply", Name: "c"}, "5 add key:key_c"},
		"a limit that falls between two":   {store.AuditQuery{Limit: 3}, last},
		"a limit beyond a change":          {store.AuditQuery{Limit: 4}, last + ", 4 edit key:key_a"},
		"nothing that it asks for is here": {store.AuditQuery{Name: "none"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := shape(audit(t, s, c.q)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
