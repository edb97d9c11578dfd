package tui

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

func TestUsersShowWhatTheyMayDoAndHowTheyStand(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("6")
		s.sees("dana", "admin", "● enabled", "○ disabled", "✓ yes", "✕ no", "3 h ago", "never", "1 of 4")
		fits(t, s.frame(), 120, 32)
	})
	for _, size := range [][2]int{{60, 16}, {80, 24}, {200, 60}, {300, 100}} {
		play(t, size[0], size[1], nil, func(s *stage) {
			s.press("6")
			s.sees("LAST LOGIN", "26 h ago")
			s.seesNot("LAST LOGI…")
			fits(t, s.frame(), size[0], size[1])
			for _, key := range []string{"enter", "e", "P", "n", " ", "ctrl+d"} {
				s.press(key)
				fits(t, s.frame(), size[0], size[1])
				if key != "enter" {
					s.press("esc")
				}
			}
		})
	}
}

func TestUsersAreFilteredByWhatIsKnownOfThem(t *testing.T) {
	for filter, want := range map[string]string{
		"role:admin": "dana", "state:disabled": "gone", "password:no name:a*": "ana", "team:研究": "ana", "email:*@example.com": "dana", "keys>0 -user:dana role!=member": "lee",
	} {
		play(t, 100, 30, nil, func(s *stage) {
			s.press("6", "/")
			s.write(filter)
			s.press("enter")
			s.sees("1 of 4", "▸"+want)
		})
	}
}

func TestADetailTellsOfTheKeysAndLoginsOfAUser(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("6")
		s.sees("enter: keys and logins")
		if s.fake.reads["/tokens"] > 0 {
			t.Error("logins were asked for before anybody looked at them")
		}
		s.press("enter")
		s.sees("dana@example.com", "ci-bot", "login", "…Lg11", "from 10.0.0.4", "deploy", "used never", "ends in 12 d")
		s.press("esc")
		s.sees("1 of 4")
	})
}

func TestTheLoginsThatAreShownAreTheUsers(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.fake.on("GET /tokens", func(r *http.Request, _ []byte) (int, any) {
			user := r.URL.Query().Get("user")
			if user == "lee" {
				return http.StatusForbidden, api.Error{Status: 403, Code: api.CodeDenied, Detail: "not those of lee"}
			}
			return http.StatusOK, listOf(api.Token{Name: "token of " + user, User: user})
		})
		s.press("6", "enter")
		s.sees("token of dana")
		s.press("esc", "j", "enter")
		s.sees("not those of lee")
		s.seesNot("token of dana")
		s.press("esc", "j", "enter")
		s.sees("token of ana")
		before := s.fake.reads["/tokens"]
		s.fake.send(api.Event{ID: "1", Change: &api.Changed{Seq: 42, Revision: 41, Subjects: []string{"session:sess_01A"}}})
		s.wait(time.Second)
		if n := s.fake.reads["/tokens"]; n != before+1 {
			t.Errorf("logins were asked for %d times after they had changed", n-before)
		}
	})
}

func TestWhoIsNoAdminIsToldThatLoginsAreNotShown(t *testing.T) {
	play(t, 120, 32, func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "lee", Role: "operator", Via: "login"}) }, func(s *stage) {
		s.press("6", "enter")
		s.sees("only an admin sees them, and dana")
		if s.fake.reads["/tokens"] > 0 {
			t.Error("they were asked for")
		}
		s.press("esc", "j", "enter")
		s.sees("…Lg11") // one's own are
	})
}

func TestAUserIsMadeAndThePasswordIsSeenNowhere(t *testing.T) {
	const password = "canary horse battery"
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("POST /users", api.User{Name: "vic"})
		s.press("6", "n")
		s.sees("admin", "operator", "viewer", "[member]")
		s.write("vic")
		s.press("enter")
		s.write("vic@example.com")
		s.press("enter", "left", "enter")
		s.write("team=web")
		s.press("enter")
		s.write(password)
		s.seesNot("canary")
		s.press("enter")
		s.write(password + "!")
		s.press("enter")
		s.sees("the two passwords differ")
		s.did()
		s.press("backspace", "enter")
		s.did(`POST /users {"name":"vic","email":"vic@example.com","role":"viewer","tags":{"team":"web"},"password":"` + password + `"}`)
		s.sees("user vic made")
		s.logs("llmgw users create vic --role viewer --email vic@example.com --tag team=web --password-file - --context prod")
		s.press("!")
		s.seesNot("canary")
	})
}

func TestAUserWithoutAPasswordIsMade(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("POST /users", api.User{Name: "vic"})
		s.press("6", "n")
		s.write("vic")
		s.press("ctrl+s")
		s.did(`POST /users {"name":"vic","role":"member"}`)
		s.logs("llmgw users create vic --role member --context prod")
	})
}

func TestNobodyIsOfferedRolesAboveTheirOwn(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "lee", Role: "operator", Via: "login"}) }, func(s *stage) {
		s.press("6", "n")
		s.sees("operator   viewer  [member]")
		s.seesNot("admin   operator")
		s.press("esc")
		s.seesNot("e edit", "delete", "password  ") // dana is an admin
		s.press("e", " ", "P", "ctrl+d")
		s.seesNot("esc cancel", "Cancel")
		s.press("j")
		s.sees("e edit", "ctrl+d delete")
		s.press("k", "v", "v", "ctrl+d") // marks dana and lee
		s.sees("Delete 1 user?", "lee")
	})
}

func TestAUserIsEdited(t *testing.T) {
	for name, c := range map[string]struct {
		field int
		text  string
		call  string
		twin  string
	}{
		"the name":       {0, "leo", `{"name":"leo"}`, "--name leo"},
		"the address":    {1, "lee@x.org", `{"email":"lee@x.org"}`, "--email lee@x.org"},
		"tags":           {3, "team=a b", `{"tags":{"team":"a b"}}`, "--tag 'team=a b'"},
		"no tag is a ,":  {3, "a=1,,b=2", `{"tags":{"a":"1","b":"2"}}`, "--tag a=1 --tag b=2"},
		"a wide address": {1, "研@例え.jp", `{"email":"研@例え.jp"}`, "--email '研@例え.jp'"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 100, 30, nil, func(s *stage) {
				s.fake.answer("PATCH /users/lee", api.User{Name: "lee"})
				s.press("6", "j", "e")
				for range c.field {
					s.press("tab")
				}
				s.clear()
				s.write(c.text)
				s.press("ctrl+s")
				s.did("PATCH /users/lee " + c.call)
				s.logs("llmgw users edit lee " + c.twin + " --context prod")
				s.sees("user lee changed")
			})
		})
	}
}

func TestAnEditOfAUserThatIsWrongOrNothingIsNotSent(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("6", "e", "ctrl+s")
		s.sees("nothing was changed")
		s.press("tab", "tab", "tab")
		s.write("team")
		s.press("ctrl+s")
		s.sees("team is no tag")
		s.did()
	})
}

func TestAnotherRoleIsAskedAboutAndTheLastAdminStays(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("PATCH /users/dana", api.Error{Status: 409, Code: api.CodeInUse, Detail: `user "dana" is the last admin who can log in`, Hint: "give another user the role admin"})
		s.press("6", "e", "tab", "tab", "right", "ctrl+s")
		s.sees("Another role?", "has the role admin and gets the role operator", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.sees("User dana", "[operator]") // what was chosen stays
		s.press("ctrl+s", "tab", "enter")
		s.did(`PATCH /users/dana {"role":"operator"}`)
		s.sees(`user "dana" is the last admin who can log in. give another user the role`, "[operator]")
		s.logs("llmgw users edit dana --role operator --context prod")
	})
}

func TestAUserWhomSomebodyElseChangedIsShownAsTheyAreNow(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		theirs := sampleUsers()[1]
		theirs.Role, theirs.ETag = "viewer", "9"
		s.fake.answer("GET /users/lee", theirs)
		s.fake.on("PATCH /users/lee", func(r *http.Request, body []byte) (int, any) {
			if r.Header.Get("If-Match") != `"9"` {
				return http.StatusPreconditionFailed, api.Error{Status: 412, Code: api.CodeConflict, Detail: `user "lee" was changed since you read it`}
			}
			return http.StatusOK, theirs
		})
		s.press("6", "j", "e", "tab")
		s.write("lee@x.org")
		s.press("ctrl+s")
		s.sees("[viewer]", "changed by somebody else meanwhile", "lee@x.org")
		s.fake.called()
		s.press("ctrl+s")
		s.did(`PATCH /users/lee {"email":"lee@x.org"}`)
		s.sees("user lee changed")
	})
}

func TestAPasswordIsTypedTwiceAndNeverShown(t *testing.T) {
	const password = "canary horse battery"
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.on("PUT /users/lee/password", func(*http.Request, []byte) (int, any) { return http.StatusNoContent, nil })
		s.press("6", "j", "P")
		s.sees("All logins and tokens of lee end.")
		s.press("ctrl+s")
		s.sees("a password is needed; llmgw users password lee --clear takes it away")
		s.write(password)
		s.press("ctrl+s")
		s.sees("the two passwords differ")
		s.did()
		s.press("tab")
		s.write(password)
		s.seesNot("canary")
		s.press("enter")
		s.did(`PUT /users/lee/password {"password":"` + password + `"}`)
		s.sees("the password of lee is set; logins have ended")
		s.logs("llmgw users password lee --context prod")
	})
}

func TestWhoChangesTheirOwnPasswordSaysTheOneInForce(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("PUT /users/dana/password", api.Error{Status: 422, Code: api.CodeInvalid, Detail: "the input is not valid", Problems: []api.Problem{{Field: "current", Message: "is not the password in force"}}})
		s.press("6", "P")
		s.sees("this one too", "The one in force")
		s.write("old one")
		s.press("tab")
		s.write("new password")
		s.press("tab")
		s.write("new password")
		s.press("ctrl+s")
		s.did(`PUT /users/dana/password {"password":"new password","current":"old one"}`)
		s.sees("is not the password in force", "********")
		s.logs("llmgw users password dana --context prod")
	})
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "dana", Role: "admin", Via: "socket"}) }, func(s *stage) {
		s.press("6", "P")
		s.seesNot("The one in force") // on the socket nobody is a user
	})
}

func TestUsersAreDisabledAndEnabledAfterAQuestion(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("PATCH /users/lee", api.User{})
		s.fake.answer("PATCH /users/ana", api.User{})
		s.fake.answer("PATCH /users/gone", api.User{})
		s.press("6", "j", " ")
		s.sees("Disable 1 user?", "lee  operator, owns 1 key", "[ Cancel ]", "logins end")
		s.press("enter")
		s.did()
		s.press(" ", "tab", "enter")
		s.did(`PATCH /users/lee {"enabled":false}`)
		s.sees("user lee disabled")
		s.logs("llmgw users disable lee --context prod")
		s.press("v", "v", " ", "tab", "enter")
		s.did(`PATCH /users/lee {"enabled":false}`, `PATCH /users/ana {"enabled":false}`)
		s.logs("llmgw users disable lee ana --context prod")
		s.press("G", " ")
		s.sees("Enable 1 user?")
		s.press("tab", "enter")
		s.did(`PATCH /users/gone {"enabled":true}`)
		s.logs("llmgw users enable gone --context prod")
	})
}

func TestTheLastAdminIsNotDisabled(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.fake.refuse("PATCH /users/dana", api.Error{Status: 409, Code: api.CodeInUse, Detail: `user "dana" is the last admin who can log in`, Hint: "give another user the role admin"})
		s.press("6", " ")
		s.sees("and is you")
		s.press("tab", "enter")
		s.sees(`user "dana" is the last admin who can log in. give another user the role admin`)
	})
}

func TestAUserIsDeletedAfterAQuestion(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.fake.on("DELETE /users/gone", func(*http.Request, []byte) (int, any) { return http.StatusNoContent, nil })
		s.fake.refuse("DELETE /users/lee", api.Error{Status: 409, Code: api.CodeInUse, Detail: `user "lee" owns 1 key`, Hint: "revoke it first"})
		s.press("6", "G", "ctrl+d")
		s.sees("Delete 1 user?", "gone  viewer, owns 0 keys", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.press("ctrl+d", "tab", "enter")
		s.did("DELETE /users/gone")
		s.sees("user gone deleted")
		s.logs("llmgw users delete gone --yes --context prod")
		s.press("g", "j", "ctrl+d", "tab", "enter")
		s.did("DELETE /users/lee")
		s.sees(`user "lee" owns 1 key. revoke it first`)
	})
}

func TestUsersWithoutAnyWithTroubleAndWithoutAGateway(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /users", listOf[api.User]()) }, func(s *stage) {
		s.press("6")
		s.sees("No users yet", "llmgw users create dana")
		s.press("e", " ", "P", "ctrl+d", "enter")
		s.did()
	})
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("GET /users", api.Error{Status: 403, Code: api.CodeDenied, Detail: "this needs the role viewer", Hint: "ask an admin"})
	}, func(s *stage) {
		s.press("6")
		s.sees("this needs the role viewer", "ask an admin", "r tries again")
	})
	play(t, 100, 30, nil, func(s *stage) {
		s.press("6")
		s.fake.goAway()
		s.wait(2 * time.Second)
		s.sees("dana")
		s.press("ctrl+d")
		s.sees("the gateway is not reachable; nothing can be changed")
		s.seesNot("Delete 1 user?")
	})
	play(t, 100, 30, func(o *Options, _ *fake) { o.ReadOnly = true }, func(s *stage) {
		s.press("6")
		s.seesNot("edit", "delete")
		for _, key := range []string{"n", "e", " ", "P", "ctrl+d"} {
			s.press(key)
			s.sees("read-only: the console was started with --readonly")
		}
		s.did()
	})
}

func TestNamesOfUsersObeyNothing(t *testing.T) {
	evil := sampleUsers()
	evil[0].Name, evil[0].Email = "a\x1b[2J\u202eb\u200b", "研究"+strings.Repeat("長", 200)+"\n"
	evil[0].Tags = map[string]string{"x\x07": "y\r"}
	for _, size := range [][2]int{{60, 16}, {120, 32}} {
		play(t, size[0], size[1], func(_ *Options, f *fake) { f.answer("GET /users", listOf(evil...)) }, func(s *stage) {
			s.press("6")
			for _, key := range []string{"enter", "e", "esc", "P", "esc", " ", "esc", "ctrl+d"} {
				s.press(key)
				fits(t, s.frame(), size[0], size[1])
				if frame := s.frame(); strings.Contains(frame, "\x1b[2J") || strings.ContainsAny(frame, "\u202e\u200b\x07\r") {
					t.Errorf("after %s the terminal would obey: %q", key, frame)
				}
			}
		})
	}
}
