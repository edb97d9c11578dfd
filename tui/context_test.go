package tui

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// withStaging is a console that knows another gateway, on which there is one key.
func withStaging(other **fake, t *testing.T) func(*Options, *fake) {
	return func(o *Options, _ *fake) {
		o.Contexts = []string{"prod", "staging"}
		*other = newFake(t)
		(*other).answer("GET /keys", listOf(api.Key{Name: "stage-key", State: "active", Enabled: true}))
		(*other).answer("GET /me", api.Me{User: "sam", Role: "operator"})
		o.Connect = func(name string) (Gateway, error) {
			if name != "staging" {
				return Gateway{}, errors.New("context " + name + ": no such context")
			}
			return Gateway{Name: name, Where: "https://staging.example.com", Twin: "--context staging", Client: api.NewClient(api.Options{BaseURL: "http://staging", Transport: *other})}, nil
		}
	}
}

func (s *stage) command(text string) {
	s.press(":")
	s.write(text)
	s.press("enter")
}

func TestAnotherGatewayIsShownInPlaceOfTheFirst(t *testing.T) {
	var other *fake
	play(t, 120, 30, withStaging(&other, t), func(s *stage) {
		s.press("5", "down", "v")
		s.command("ctx staging")
		if s.frame() == "" {
			t.Error("nothing is shown while the other is asked")
		}
		s.wait(time.Second)
		s.sees("● staging", "https://staging.example.com", "sam (operator)", "stage-key", "1 of 1", "5 Keys")
		s.seesNot("ci-bot", "dana", "marked")
		other.answer("PATCH /keys/stage-key", api.Key{Name: "stage-key"})
		s.press(" ")
		if got := other.called(); len(got) != 1 {
			t.Errorf("changes there: %q", got)
		}
		s.did()
		s.logs("llmgw keys disable stage-key --context staging")
		s.fake.send(api.Event{Change: &api.Changed{Seq: 99, Revision: 99, Subjects: []string{"*"}}})
		s.wait(time.Second)
		s.seesNot("rev 99")
	})
}

func TestWhatTheGatewayBeforeAnswersLateIsThrownAway(t *testing.T) {
	var other *fake
	play(t, 100, 30, withStaging(&other, t), func(s *stage) {
		late := func(status int, value any) func(*http.Request, []byte) (int, any) {
			return func(*http.Request, []byte) (int, any) {
				time.Sleep(3 * time.Second) //nolint:forbidigo // the bubble's time
				return status, value
			}
		}
		s.fake.on("GET /keys", late(200, listOf(sampleKeys()...)))
		s.fake.on("POST /keys", late(201, api.CreatedKey{Secret: "sk-lgw-of-prod"}))
		s.press("5", "n")
		s.write("robot")
		s.press("ctrl+s")
		s.did("POST /keys")
		s.press("esc", "r")
		s.command("ctx staging")
		s.wait(5 * time.Second)
		s.sees("stage-key", "1 of 1")
		s.seesNot("sk-lgw-of-prod", "ci-bot")
	})
}

func TestAContextThatThereIsNotChangesNothing(t *testing.T) {
	var other *fake
	play(t, 100, 30, withStaging(&other, t), func(s *stage) {
		s.command("ctx moon")
		s.sees("✕ context moon: no such context; there are prod, staging", "● prod")
	})
	play(t, 100, 30, nil, func(s *stage) {
		s.command("ctx moon")
		s.sees("there is no other context", "● prod")
	})
}

func TestTheCommandLineCompletesWhatIsClear(t *testing.T) {
	var other *fake
	play(t, 100, 30, withStaging(&other, t), func(s *stage) {
		s.press(":")
		s.write("ctx s")
		s.press("tab")
		s.sees(":ctx staging")
		s.press("esc", ":")
		s.write("u")
		s.press("tab") // upstreams, users, usage
		s.sees(":u ")
		s.write("se")
		s.press("tab")
		s.sees(":users ")
		s.press("enter")
		s.sees("6 Users")
	})
}

func TestTheCommandLineGoesToARow(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.press("1")
		s.command("keys web-prod")
		s.sees("5 Keys", "▸web-prod")
		s.command("keys nobody")
		s.sees("✕ there is no nobody among them", "5 Keys")
	})
}

func TestTheCommandLineSaysWhatIsWrong(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		for text, want := range map[string]string{
			"moon": "no screen and no command is called moon", "theme": "theme light or theme dark", "theme pink": "theme light or theme dark", "ctx": "ctx NAME:",
		} {
			s.press(":")
			s.write(text)
			s.press("enter")
			s.sees(want, "Go to")
			s.write("x")
			s.seesNot(want)
			s.press("esc")
		}
		s.press(":", "enter")
		s.seesNot("Go to")
	})
}

func TestTheThemeIsChangedWhileItRuns(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		dark, text := s.frame(), s.text()
		s.command("theme light")
		if s.frame() == dark {
			t.Error("nothing has changed")
		}
		s.command("theme dark")
		same(t, "after there and back", timeless(text), timeless(s.text()))
	})
}

func TestTheCommandLineQuits(t *testing.T) {
	for _, text := range []string{"q", "quit"} {
		play(t, 100, 30, nil, func(s *stage) {
			s.command(text)
			if !s.quit {
				t.Errorf(":%s goes on", text)
			}
		})
	}
}

// timeless is a frame without its first line, which has the time.
func timeless(frame string) string { return frame[len(firstLine(frame)):] }

func TestTheCommandLineGoesToARowOfWhatIsNotLoadedYet(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.command("users lee")
		s.sees("6 Users", "▸lee")
		s.seesNot("there is no lee")
	})
	play(t, 100, 30, nil, func(s *stage) {
		s.command("users nobody")
		s.sees("✕ there is no nobody among them", "▸dana")
	})
}
