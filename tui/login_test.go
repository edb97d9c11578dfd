package tui

import (
	"context"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// withLogin is a gateway at which dana logs in with "right".
func withLogin(more func(*Options, *fake)) func(*Options, *fake) {
	return func(o *Options, f *fake) {
		o.Gateway.User = "dana"
		o.Gateway.Login = func(_ context.Context, user string, password accounts.Secret) error {
			if user != "dana" || password.Reveal() != "right" {
				return &api.Error{Status: 401, Code: api.CodeDenied, Detail: "user or password is wrong"}
			}
			for route, value := range sample() {
				f.answer(route, value)
			}
			f.forget("GET /events")
			return nil
		}
		if more != nil {
			more(o, f)
		}
	}
}

func TestALoginThatEndedIsAskedForAndGoesOnWhereItWas(t *testing.T) {
	play(t, 100, 30, withLogin(nil), func(s *stage) {
		s.press("5", "down", "down")
		s.fake.deniesAll()
		s.press("r")
		s.sees("Log in to prod", "the login has ended", "User", "dana", "logged out")
		s.write("wrong")
		s.sees("*****")
		s.seesNot("wrong")
		s.press("enter")
		s.sees("user or password is wrong", "dana", "Log in to prod")
		s.seesNot("*****")
		f, _ := s.console.overlays[0].(*form)
		s.write("right")
		s.press("enter")
		s.wait(time.Second)
		s.sees("● live", "▸web-prod", "3 of 4")
		s.seesNot("Log in to prod", "logged out")
		if left := f.value("password"); left != "" {
			t.Errorf("the form remembers %q", left)
		}
	})
}

func TestALoginThatWasClosedIsOpenedAgain(t *testing.T) {
	play(t, 100, 30, withLogin(func(_ *Options, f *fake) { f.deniesAll() }), func(s *stage) {
		s.write("secret")
		f, _ := s.console.overlays[0].(*form)
		s.press("esc")
		s.sees("not logged in (the login has ended); r logs in", "logged out")
		s.seesNot("Log in to prod")
		if left := f.value("password"); left != "" {
			t.Errorf("the form remembers %q", left)
		}
		s.press("r")
		s.sees("Log in to prod")
		s.write("right")
		s.press("ctrl+s")
		s.wait(time.Second)
		s.sees("● live", "dana (admin)")
	})
}

func TestALoginAsksOnceHoweverManyCallsAreRefused(t *testing.T) {
	play(t, 100, 30, withLogin(func(_ *Options, f *fake) { f.deniesAll() }), func(s *stage) {
		s.wait(10 * time.Second)
		if n := len(s.console.overlays); n != 1 {
			t.Errorf("%d forms are open", n)
		}
	})
}

func TestALoginNeedsUserAndPassword(t *testing.T) {
	play(t, 100, 30, withLogin(func(_ *Options, f *fake) { f.deniesAll() }), func(s *stage) {
		s.press("enter")
		s.sees("user and password are needed")
	})
}

func TestATokenThatIsRefusedIsToldByItsName(t *testing.T) {
	play(t, 100, 30, func(o *Options, f *fake) {
		o.Gateway.Token = "LLMGW_TOKEN"
		f.deniesAll()
	}, func(s *stage) {
		s.sees("the token of LLMGW_TOKEN is not valid here, or it has ended; unset it to log in")
		s.seesNot("Log in to", "r logs in")
	})
}
