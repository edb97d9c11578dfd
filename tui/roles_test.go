package tui

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// asMember is a gateway that shows a member what is their own, and nothing else.
func asMember(_ *Options, f *fake) {
	refusal := api.Error{Status: 403, Code: api.CodeDenied, Detail: "this needs the role viewer, ana has the role member", Hint: "ask an admin"}
	for _, route := range append(f.reading(), "GET /events") {
		f.refuse(route, refusal)
	}
	f.answer("GET /me", api.Me{User: "ana", Role: "member", Via: "login"})
	f.answer("GET /keys", listOf(api.Key{Name: "notebook", User: "ana", State: keyActive, Enabled: true}))
}

func TestAMemberIsNotToldThatTheGatewayIsGone(t *testing.T) {
	play(t, 120, 32, asMember, func(s *stage) {
		for _, key := range []string{"1", "2", "3", "4", "6", "7", "8"} {
			s.press(key)
			s.sees("ana (member)", "read-only", "◷ every 15 s", "this needs the role viewer", "What is your own: the keys on the screen Keys")
			s.seesNot("not reachable", "Log in", "lost")
		}
		s.press("5")
		s.sees("▸notebook", "R rotate")
		s.seesNot("ctrl+d revoke", "e edit", "n new")
		s.fake.read()
		s.wait(time.Minute)
		if _, of := s.fake.read(); of["/events"] > 0 || of["/keys"] < 3 || of["/keys"] > 5 {
			t.Errorf("in a minute without events: %v", of)
		}
	})
}

func TestAMemberRotatesTheirOwnKeyAndSetsTheirOwnPassword(t *testing.T) {
	play(t, 120, 32, asMember, func(s *stage) {
		s.fake.answer("POST /keys/notebook/rotate", api.CreatedKey{Key: api.Key{Name: "notebook"}, Secret: "sk-lgw-new"})
		s.press("5", "R", "ctrl+s")
		s.did(`POST /keys/notebook/rotate {"grace":"24h0m0s"}`)
		s.logs("llmgw keys rotate notebook --grace 24h --context prod")
		s.sees("sk-lgw-new")
		s.fake.answer("PUT /users/ana/password", nil)
		s.press("esc", "6", "P")
		s.sees("Password of ana", "The one in force")
		s.write("the one before")
		s.press("tab")
		s.write("correct horse")
		s.press("tab")
		s.write("correct horse")
		s.press("enter")
		s.did(`PUT /users/ana/password {"password":"correct horse","current":"the one before"}`)
		s.logs("llmgw users password ana --context prod")
	})
}

func TestAViewerChangesWhatIsTheirOwnAndNothingElse(t *testing.T) {
	as := func(user string, readOnly bool) func(*Options, *fake) {
		return func(o *Options, f *fake) {
			o.ReadOnly = readOnly
			f.answer("GET /me", api.Me{User: user, Role: "viewer", Via: "login"})
		}
	}
	play(t, 120, 32, as("dana", false), func(s *stage) {
		s.command("keys ci-bot")
		s.sees("R rotate", "owner      dana")
		s.command("keys web-prod")
		s.sees("owner      lee")
		s.seesNot("R rotate")
		s.press("R")
		s.seesNot("Rotate web-prod")
		s.command("users lee")
		s.seesNot("P password")
		s.press("P")
		s.seesNot("Password of lee")
		s.command("users dana")
		s.sees("P password")
		s.seesNot("e edit", "ctrl+d delete")
		s.press("P")
		s.sees("Password of dana")
		s.did()
	})
	play(t, 120, 32, as("dana", true), func(s *stage) {
		s.command("keys ci-bot")
		s.seesNot("R rotate")
		s.press("R")
		s.sees("--readonly")
		s.seesNot("Rotate ci-bot")
	})
}

func TestAMemberWhoGetsAnotherRoleIsShownTheRest(t *testing.T) {
	play(t, 120, 32, asMember, func(s *stage) {
		s.press("6")
		s.sees("this needs the role viewer")
		for route, value := range sample() {
			s.fake.answer(route, value)
		}
		s.fake.forget("GET /events")
		s.fake.answer("GET /me", api.Me{User: "ana", Role: "viewer", Via: "login"})
		s.wait(20 * time.Second)
		s.sees("● live", "ana (viewer)", "dana", "1 of 4")
	})
}

func TestAStreamThatTheGatewayEndsIsOpenedAgainWithoutAWord(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("5")
		s.wait(15 * time.Minute)
		before := len(s.fake.streams())
		_ = s.fake.events.Close()
		for range 12 {
			s.wait(100 * time.Millisecond)
			s.seesNot("not reachable", "lost")
		}
		s.sees("● live")
		if n := len(s.fake.streams()) - before; n != 1 {
			t.Errorf("it was opened %d times", n)
		}
	})
}

func TestARoleThatIsBackBeforeAnybodyLookedIsTriedAgain(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.wait(time.Minute)
		s.fake.refuse("GET /events", api.Error{Status: 403, Code: api.CodeDenied, Detail: "this needs the role viewer"})
		_ = s.fake.events.Close()
		s.wait(time.Second)
		s.sees("every 15 s")
		s.wait(30 * time.Second)
		s.sees("every 15 s")
		s.fake.forget("GET /events")
		s.wait(20 * time.Second)
		s.sees("● live")
	})
}

func TestAViewerWhoBecomesAMemberIsToldSo(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("6")
		s.wait(time.Minute)
		asMember(nil, s.fake)
		_ = s.fake.events.Close()
		s.wait(time.Second)
		s.sees("ana (member)", "every 15 s")
		s.seesNot("not reachable", "Log in")
	})
}

func TestWhoLogsInInPlaceOfSomebodyElseIsShownNothingOfTheirs(t *testing.T) {
	play(t, 100, 30, withLogin(func(_ *Options, f *fake) {
		f.answer("GET /me", api.Me{User: "lee", Role: "admin", Via: "login"})
	}), func(s *stage) {
		s.press("5", "n")
		s.write("key-of-lee")
		s.fake.deniesAll()
		s.press("esc", "!", "esc", "r")
		s.sees("Log in to prod")
		s.write("right")
		s.press("enter")
		s.wait(time.Second)
		s.sees("dana (admin)", "● live", "1 of 4")
		if n := len(s.console.overlays); n != 0 {
			t.Errorf("%d things are open", n)
		}
	})
}

func TestAPasswordIsKeptWhereTheGatewayWasNotReached(t *testing.T) {
	play(t, 100, 30, withLogin(func(_ *Options, f *fake) { f.deniesAll() }), func(s *stage) {
		s.console.desk.gateway.Login = func(context.Context, string, accounts.Secret) error { return syscall.ECONNREFUSED }
		s.write("right")
		s.press("enter")
		s.sees("connection refused", "*****")
	})
}

func TestWhereTheGatewayFindsACredentialIsAskedOfAdminsOnly(t *testing.T) {
	for role, asked := range map[string]bool{"admin": true, "operator": false} {
		play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "lee", Role: role, Via: "login"}) }, func(s *stage) {
			for _, key := range []string{"C", "n"} {
				s.press("4", key)
				s.sees("Secret")
				if asked {
					s.sees("or Reference")
				} else {
					s.seesNot("or Reference")
				}
				s.press("esc")
			}
			s.fake.answer("POST /upstreams/anthropic/credential/rotate", api.Upstream{Name: "anthropic"})
			s.command("upstreams anthropic")
			s.press("C")
			s.write("sk-new")
			s.press("ctrl+s")
			s.did(`POST /upstreams/anthropic/credential/rotate {"name":"default","secret":"sk-new"}`)
		})
	}
}
