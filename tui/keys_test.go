package tui

import (
	"net/http"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

func TestKeysShowWhoseTheyAreAndHowTheyStand(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("5")
		s.sees("ci-bot", "…k3Zq", "● active", "◷ ends in 3 d", "✕ revoked", "1 of 4")
		fits(t, s.frame(), 120, 32)
	})
}

func TestAKeyIsMadeAndShownOnce(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.on("POST /keys", func(*http.Request, []byte) (int, any) {
			return http.StatusCreated, api.CreatedKey{Key: api.Key{Name: "robot"}, Secret: "sk-lgw-canary"}
		})
		s.press("5", "n")
		s.write("robot")
		s.press("ctrl+s")
		s.did(`POST /keys {"name":"robot"}`)
		s.sees("sk-lgw-canary", "It will not be shown again")
		s.logs("llmgw keys create robot --context prod")
		s.press("esc")
		s.seesNot("sk-lgw-canary")
	})
}

func TestARevocationAsksFirstAndMeansCancelByDefault(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("POST /keys/ci-bot/revoke", api.Key{Name: "ci-bot", State: "revoked"})
		s.press("5", "ctrl+d")
		s.sees("Revoke 1 key?", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.press("ctrl+d", "tab", "enter")
		s.did("POST /keys/ci-bot/revoke")
		s.sees("key ci-bot revoked")
	})
}

func TestWhoMayOnlyLookIsOfferedNoChange(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "vic", Role: "viewer"}) }, func(s *stage) {
		s.press("5")
		s.sees("read-only")
		s.seesNot("rotate", "on/off")
		s.press("ctrl+d")
		s.did()
		s.seesNot("Revoke 1 key?")
	})
}
