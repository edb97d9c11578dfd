package storetest

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

// login is a session of a user's that has refresh token "refresh-ID".
func login(id, user string) accounts.Session {
	return accounts.Session{
		ID: "session_" + id, UserID: "user_" + user, Hash: accounts.HashKey("refresh-" + id), Role: accounts.RoleMember,
		ExpiresAt: time.Now().Add(time.Hour),
	}
}

func withUsers(t *testing.T, empty Database, names ...string) *store.Store {
	t.Helper()
	s := one(t, empty)
	for _, name := range names {
		must(t, s, putUser(user(name)))
	}
	return s
}

func ids(t *testing.T, s *store.Store, userID string) (found []string) {
	t.Helper()
	sessions, err := s.Sessions(t.Context(), userID)
	if err != nil {
		t.Fatal(err)
	}
	for _, session := range sessions {
		found = append(found, session.ID)
	}
	return found
}

func testSessions(t *testing.T, empty Database) {
	t.Run("a session comes back as it was put, and is no change", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		want := accounts.Session{
			ID: "session_1", UserID: "user_dana", Name: "ci", Hash: accounts.HashKey("lgw_pat_1"), Last4: "abcd", Role: accounts.RoleViewer,
			CreatedAt: someday, UsedAt: someday.Add(time.Hour).Truncate(time.Minute), ExpiresAt: someday.Add(24 * time.Hour), From: "192.0.2.1",
		}
		for i := range reflect.TypeFor[accounts.Session]().NumField() {
			if reflect.ValueOf(want).Field(i).IsZero() {
				t.Fatalf("Session has a field %s that this test does not know", reflect.TypeFor[accounts.Session]().Field(i).Name)
			}
		}
		before := head(t, s)
		noted(t, s.PutSession(t.Context(), want))
		noted(t, s.NoteSessionUse(t.Context(), map[string]time.Time{"session_1": someday.Add(time.Hour), "session_none": someday}))
		byID, err1 := s.Session(t.Context(), "session_1")
		byHash, err2 := s.SessionByHash(t.Context(), want.Hash)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(byID, want) || !reflect.DeepEqual(byHash, want) {
			t.Errorf("by id %+v, %v; by hash %+v, %v", byID, err1, byHash, err2)
		}
		if after := head(t, s); after.Seq != before.Seq {
			t.Errorf("the log is at %d, was at %d", after.Seq, before.Seq)
		}
	})
	t.Run("a session of nobody, of one who is disabled, or put twice is refused", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		out := user("out")
		out.Disabled = true
		must(t, s, putUser(out))
		for _, who := range []string{"none", "out"} {
			if err := s.PutSession(t.Context(), login("1", who)); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("%s: %v", who, err)
			}
		}
		noted(t, s.PutSession(t.Context(), login("1", "dana")))
		if err := s.PutSession(t.Context(), login("1", "dana")); !errors.Is(err, accounts.ErrExists) {
			t.Errorf("twice: %v", err)
		}
	})
	t.Run("sessions are listed by user, and end one by one or all of a user's", func(t *testing.T) {
		s := withUsers(t, empty, "dana", "lee")
		for id, who := range map[string]string{"1": "dana", "2": "dana", "3": "lee"} {
			noted(t, s.PutSession(t.Context(), login(id, who)))
		}
		if got := ids(t, s, ""); len(got) != 3 {
			t.Errorf("all are %v", got)
		}
		noted(t, s.DeleteSession(t.Context(), "session_1"))
		if got := ids(t, s, "user_dana"); !reflect.DeepEqual(got, []string{"session_2"}) {
			t.Errorf("dana's are %v", got)
		}
		if err := s.DeleteSession(t.Context(), "session_1"); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("ending it again: %v", err)
		}
		noted(t, s.DeleteSessions(t.Context(), "user_dana"))
		noted(t, s.DeleteSessions(t.Context(), "user_dana"))
		if got := ids(t, s, ""); !reflect.DeepEqual(got, []string{"session_3"}) {
			t.Errorf("left are %v", got)
		}
		if _, err := s.Session(t.Context(), "session_2"); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("one that ended: %v", err)
		}
	})
	t.Run("who is disabled or given another password loses all sessions, whoever else changes keeps them", func(t *testing.T) {
		for name, c := range map[string]struct {
			edit func(*accounts.User)
			ends bool
		}{
			"disabled":         {func(u *accounts.User) { u.Disabled = true }, true},
			"another password": {func(u *accounts.User) { u.Password = accounts.NewSecret("other") }, true},
			"no password":      {func(u *accounts.User) { u.Password = accounts.Secret{} }, true},
			"another role":     {func(u *accounts.User) { u.Role = accounts.RoleViewer }, false},
			"another name":     {func(u *accounts.User) { u.Name = "lee" }, false},
		} {
			s := one(t, empty)
			u := user("dana")
			u.Password = accounts.NewSecret("first")
			must(t, s, putUser(u))
			noted(t, s.PutSession(t.Context(), login("1", "dana")))
			c.edit(&u)
			must(t, s, putUser(u))
			if got := ids(t, s, ""); (len(got) == 0) != c.ends {
				t.Errorf("%s: sessions are %v", name, got)
			}
		}
	})
	t.Run("sessions that ended long ago go, those that just did stay to be looked at", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		long, just := login("1", "dana"), login("2", "dana")
		long.ExpiresAt, just.ExpiresAt = time.Now().Add(-25*time.Hour), time.Now().Add(-time.Hour)
		for _, session := range []accounts.Session{long, just, login("3", "dana")} {
			noted(t, s.PutSession(t.Context(), session))
		}
		if got := ids(t, s, ""); !reflect.DeepEqual(got, []string{"session_2", "session_3"}) {
			t.Errorf("there are %v", got)
		}
	})
}

func testRenewedSessions(t *testing.T, empty Database) {
	hash := accounts.HashKey
	t.Run("a refresh token is good for one use, and gives the next", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		noted(t, s.PutSession(t.Context(), login("1", "dana")))
		now, end := time.Now(), time.Now().Add(5*time.Hour).Truncate(time.Microsecond)
		got, err := s.RenewSession(t.Context(), hash("refresh-1"), hash("second"), now, end)
		if err != nil || got.ID != "session_1" || got.Hash != hash("second") || !got.ExpiresAt.Equal(end) || got.UsedAt.IsZero() {
			t.Fatalf("got %+v, %v", got, err)
		}
		if stored, err := s.Session(t.Context(), "session_1"); err != nil || !reflect.DeepEqual(stored, got) {
			t.Errorf("stored is %+v, %v", stored, err)
		}
		if _, err := s.RenewSession(t.Context(), hash("second"), hash("third"), now, end); err != nil {
			t.Errorf("the next: %v", err)
		}
	})
	t.Run("one that is used twice ends the login, however long ago it was", func(t *testing.T) {
		for _, stolen := range []string{"refresh-1", "second", "third"} {
			s := withUsers(t, empty, "dana")
			noted(t, s.PutSession(t.Context(), login("1", "dana")))
			noted(t, s.PutSession(t.Context(), login("2", "dana")))
			now, end := time.Now(), time.Now().Add(time.Hour)
			for _, step := range [][2]string{{"refresh-1", "second"}, {"second", "third"}, {"third", "fourth"}} {
				_, err := s.RenewSession(t.Context(), hash(step[0]), hash(step[1]), now, end)
				noted(t, err)
			}
			for _, token := range []string{stolen, "fourth"} {
				if _, err := s.RenewSession(t.Context(), hash(token), hash("thief"), now, end); !errors.Is(err, accounts.ErrNotFound) {
					t.Errorf("%s: %v", token, err)
				}
			}
			if got := ids(t, s, ""); !reflect.DeepEqual(got, []string{"session_2"}) {
				t.Errorf("%s: left are %v", stolen, got)
			}
		}
	})
	t.Run("what ended, was never there, or is a personal access token is not renewed, and stays as it is", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		ended, token := login("1", "dana"), login("2", "dana")
		ended.ExpiresAt, token.Name = time.Now().Add(-time.Minute), "ci"
		noted(t, s.PutSession(t.Context(), ended))
		noted(t, s.PutSession(t.Context(), token))
		for _, old := range []string{"refresh-1", "refresh-2", "refresh-none"} {
			if _, err := s.RenewSession(t.Context(), hash(old), hash("next"), time.Now(), time.Now().Add(time.Hour)); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("%s: %v", old, err)
			}
		}
		if got := ids(t, s, ""); len(got) != 2 {
			t.Errorf("left are %v", got)
		}
	})
	t.Run("of many who renew with one token at once, at most one gets the next, and then none", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		noted(t, s.PutSession(t.Context(), login("1", "dana")))
		var all sync.WaitGroup
		var got atomic.Int64
		for i := range 8 {
			all.Go(func() {
				_, err := s.RenewSession(t.Context(), hash("refresh-1"), hash(string(rune('a'+i))), time.Now(), time.Now().Add(time.Hour))
				switch {
				case err == nil:
					got.Add(1)
				case !errors.Is(err, accounts.ErrNotFound):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if left := ids(t, s, ""); got.Load() != 1 || len(left) != 0 {
			t.Errorf("%d got the next, left are %v", got.Load(), left)
		}
	})
}

func testUses(t *testing.T, empty Database) {
	t.Run("the last use counts, to the minute, and is no change", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putKey(key("a", "s1")))
		must(t, s, putKey(key("b", "s2")))
		before := head(t, s)
		at := someday.Add(30 * time.Second)
		noted(t, s.NoteKeyUse(t.Context(), map[string]time.Time{"key_a": at, "key_none": at}))
		noted(t, s.NoteKeyUse(t.Context(), map[string]time.Time{"key_a": at.Add(-time.Hour)}))
		noted(t, s.NoteKeyUse(t.Context(), nil))
		a, err1 := s.Key(t.Context(), "a")
		b, err2 := s.Key(t.Context(), "b")
		if err1 != nil || err2 != nil || !a.LastUsedAt.Equal(at.Truncate(time.Minute)) || !b.LastUsedAt.IsZero() {
			t.Errorf("last used %s and %s (%v, %v)", a.LastUsedAt, b.LastUsedAt, err1, err2)
		}
		if after := head(t, s); after.Seq != before.Seq {
			t.Errorf("the log is at %d, was at %d", after.Seq, before.Seq)
		}
		if c := must(t, s, putKey(a)); c.ID != "" {
			t.Error("putting the key with another use was a change")
		}
		must(t, s, func(st *store.State) error { return st.DeleteKey("a") })
	})
	t.Run("an earlier login, and one of a user who is gone, change nothing", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		noted(t, s.NoteLogin(t.Context(), "user_dana", someday))
		noted(t, s.NoteLogin(t.Context(), "user_dana", someday.Add(-time.Hour)))
		noted(t, s.NoteLogin(t.Context(), "user_none", someday))
		if u, err := s.User(t.Context(), "dana"); err != nil || !u.LastLogin.Equal(someday) {
			t.Errorf("got %+v, %v", u, err)
		}
	})
}

func testSealed(t *testing.T, empty Database) {
	t.Run("a secret of the installation is made once, and every node gets the same", func(t *testing.T) {
		a, b := two(t, empty)
		var made atomic.Int64
		fresh := func() ([]byte, error) { return []byte{byte(made.Add(1)), 7}, nil }
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				got, err := []*store.Store{a, b}[i%2].Sealed(t.Context(), "jwt", fresh)
				if err != nil || !reflect.DeepEqual(got, []byte{1, 7}) {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		all.Wait()
		if other, err := a.Sealed(t.Context(), "other", fresh); err != nil || reflect.DeepEqual(other, []byte{1, 7}) {
			t.Errorf("another secret is %v, %v", other, err)
		}
	})
	t.Run("one that could not be made is made the next time, and the store's own is not given", func(t *testing.T) {
		s := one(t, empty)
		cause := errors.New("no entropy")
		if _, err := s.Sealed(t.Context(), "jwt", func() ([]byte, error) { return nil, cause }); !errors.Is(err, cause) {
			t.Errorf("error is %v", err)
		}
		if got, err := s.Sealed(t.Context(), "jwt", func() ([]byte, error) { return []byte("x"), nil }); err != nil || string(got) != "x" {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := s.Sealed(t.Context(), "issuer", func() ([]byte, error) { return nil, nil }); err == nil {
			t.Error("the checksum secret was given")
		}
	})
}
