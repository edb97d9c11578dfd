package tui

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// clear empties the field that is written.
func (s *stage) clear() {
	s.press("end")
	for range 60 {
		s.send(keyOf("backspace"))
	}
}

func TestAKeyIsMadeWithEverythingThatTheFormAsks(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("POST /keys", api.CreatedKey{Key: api.Key{Name: "robot"}, Secret: "sk-lgw-canary"})
		s.press("5", "n")
		for _, text := range []string{"robot", "dana", "gpt-5*,claude-*", "plan=trial, team=web", "30d"} {
			s.write(text)
			s.press("enter")
		}
		s.did(`POST /keys {"name":"robot","user":"dana","tags":{"plan":"trial","team":"web"},"models":["gpt-5*","claude-*"],"expires_at":"2026-12-22T21:04:`)
		s.logs("llmgw keys create robot --user dana --models 'gpt-5*,claude-*' --tag plan=trial --tag team=web --expires 30d --context prod")
	})
}

func TestWhatIsNoTagAndNoEndIsToldBeforeTheGatewayIsAsked(t *testing.T) {
	for written, want := range map[string][2]string{
		"a tag without a value":  {"plan", "plan is no tag; write NAME=VALUE"},
		"a tag without a name":   {"=x", "=x is no tag"},
		"an end that is none":    {"|soon", "soon is no end; 30d, 12h and 2030-01-31 are"},
		"an end that is over":    {"|2020-01-01", "2020-01-01 is over"},
		"an end that is no time": {"|-4h", "-4h is no end"},
	} {
		for _, key := range []string{"n", "e"} {
			t.Run(written+" with "+key, func(t *testing.T) {
				play(t, 100, 30, nil, func(s *stage) {
					tags, end, _ := strings.Cut(want[0], "|")
					s.press("5", key)
					s.write("x")
					s.press("tab", "tab", "tab")
					s.write(tags)
					s.press("tab")
					s.write(end)
					s.press("ctrl+s")
					s.sees(want[1])
					s.did()
				})
			})
		}
	}
}

func TestAnEditSendsWhatWasChangedAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		field int
		text  string
		call  string
		twin  string
	}{
		"the name":                 {0, "robot", `{"name":"robot"}`, "--name robot"},
		"the owner is taken away":  {1, "", `{"user":""}`, "--user ''"},
		"another owner":            {1, "lee", `{"user":"lee"}`, "--user lee"},
		"the models":               {2, "gpt-5", `{"models":["gpt-5"]}`, "--models gpt-5"},
		"every model":              {2, "", `{"models":[]}`, "--models ''"},
		"the tags":                 {3, "b=2, a=1", `{"tags":{"a":"1","b":"2"}}`, "--tag a=1 --tag b=2"},
		"no tags":                  {3, "", `{"tags":{}}`, "--tag ''"},
		"no end":                   {4, "", `{"expires_at":""}`, "--expires never"},
		"never is no end":          {4, "never", `{"expires_at":""}`, "--expires never"},
		"an end at a date":         {4, "2030-01-31", `{"expires_at":"2030-01-31T00:00:00Z"}`, "--expires 2030-01-31"},
		"an end at a certain time": {4, "2030-01-31T10:00:00+01:00", `{"expires_at":"2030-01-31T09:00:00Z"}`, "--expires 2030-01-31T10:00:00+01:00"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 100, 30, nil, func(s *stage) {
				s.fake.answer("PATCH /keys/notebook", api.Key{Name: "notebook"})
				s.press("5", "j", "e")
				for range c.field {
					s.press("tab")
				}
				s.clear()
				s.write(c.text)
				s.press("ctrl+s")
				s.did("PATCH /keys/notebook " + c.call)
				s.logs("llmgw keys edit notebook " + c.twin + " --context prod")
				s.sees("key notebook changed")
				s.seesNot("ctrl+s send")
			})
		})
	}
}

func TestAnEditOfNothingIsNotSent(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5", "e", "ctrl+s")
		s.sees("nothing was changed")
		s.did()
	})
}

func TestAnEditSaysWhichVersionItIsOf(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		var match string
		s.fake.on("PATCH /keys/ci-bot", func(r *http.Request, _ []byte) (int, any) {
			match = r.Header.Get("If-Match")
			return http.StatusOK, api.Key{Name: "ci-bot"}
		})
		s.press("5", "e", "tab")
		s.clear()
		s.write("lee")
		s.press("ctrl+s")
		if match != `"1"` {
			t.Errorf("If-Match was %q", match)
		}
	})
}

func TestAnEditOfWhatSomebodyElseChangedKeepsWhatWasWritten(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		theirs := sampleKeys()[1]
		theirs.User, theirs.Models, theirs.ETag = "lee", []string{"o*"}, "77"
		s.fake.answer("GET /keys/notebook", theirs)
		var bodies []string
		s.fake.on("PATCH /keys/notebook", func(r *http.Request, body []byte) (int, any) {
			if r.Header.Get("If-Match") != `"77"` {
				return http.StatusPreconditionFailed, api.Error{Status: 412, Code: api.CodeConflict, Detail: `key "notebook" was changed since you read it`}
			}
			bodies = append(bodies, strings.TrimSpace(string(body)))
			return http.StatusOK, theirs
		})
		s.press("5", "j", "e", "tab", "tab")
		s.clear()
		s.write("claude-*")
		s.press("ctrl+s")
		s.sees(`key "notebook" was changed since you read it`, "claude-*", "somebody else wrote o*", "changed by somebody else meanwhile", "lee")
		fits(t, s.frame(), 100, 30)
		s.press("ctrl+s")
		if want := `{"models":["claude-*"]}`; len(bodies) != 1 || bodies[0] != want {
			t.Errorf("sent after that: %q, and not %q", bodies, want)
		}
		s.sees("key notebook changed")
	})
}

func TestATakenNameIsToldAndTheFormStays(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("GET /keys/ci-bot", sampleKeys()[0])
		s.fake.refuse("PATCH /keys/ci-bot", api.Error{Status: 409, Code: api.CodeConflict, Detail: `there is a key "web-prod"`, Hint: "choose another name"})
		s.press("5", "e")
		s.clear()
		s.write("web-prod")
		s.press("ctrl+s")
		s.sees(`there is a key "web-prod". choose another name`, "web-prod")
		s.seesNot("somebody else")
	})
}

func TestProblemsStandBesideTheirFields(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("PATCH /keys/ci-bot", api.Error{Status: 422, Code: api.CodeInvalid, Detail: "2 errors", Problems: []api.Problem{
			{Field: "tags.plan", Message: "must be one line"}, {Field: "limits", Message: "are more than 9"},
		}})
		s.press("5", "e", "tab", "tab", "tab")
		s.write("plan=x")
		s.press("ctrl+s")
		s.sees("✕ must be one line", "2 errors. limits are more than 9")
	})
}

func TestAProblemWithoutAFieldIsToldOnce(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("PATCH /keys/ci-bot", api.Error{Status: 422, Code: api.CodeInvalid, Detail: "limits: are more than 9", Problems: []api.Problem{{Field: "limits", Message: "are more than 9"}}})
		s.press("5", "e")
		s.write("x")
		s.press("ctrl+s")
		s.sees("limits: are more than 9")
		s.seesNot("9. limits")
	})
}

func TestARefusalThatComesAfterTheFormWasLeftIsTold(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		answer := make(chan struct{})
		s.fake.on("PATCH /keys/ci-bot", func(*http.Request, []byte) (int, any) {
			<-answer
			return http.StatusConflict, api.Error{Status: 409, Code: api.CodeInUse, Detail: "no, and this is why"}
		})
		s.press("5", "e", "tab")
		s.write("x")
		s.press("ctrl+s")
		s.sees("waiting for the gateway")
		s.press("esc")
		s.seesNot("waiting for the gateway")
		close(answer)
		s.wait(time.Second)
		s.sees("no, and this is why")
	})
}

func TestARotationAsksForTheGraceAndShowsTheSecretOnce(t *testing.T) {
	for grace, c := range map[string]struct {
		keys []string
		call string
		says string
	}{
		"24h": {nil, `{"grace":"24h0m0s"}`, "The old secret stays valid for 24h."},
		"0s":  {[]string{"left", "left"}, `{"grace":"0s"}`, "The old secret is not valid any more."},
		"7d":  {[]string{"right"}, `{"grace":"168h0m0s"}`, "The old secret stays valid for 7d."},
	} {
		t.Run(grace, func(t *testing.T) {
			play(t, 100, 30, nil, func(s *stage) {
				s.fake.answer("POST /keys/ci-bot/rotate", api.CreatedKey{Key: api.Key{Name: "ci-bot"}, Secret: "sk-lgw-canary"})
				s.press("5", "R")
				s.sees("Rotate ci-bot", "[24h]")
				s.press(c.keys...)
				s.press("ctrl+s")
				s.did("POST /keys/ci-bot/rotate " + c.call)
				s.logs("llmgw keys rotate ci-bot --grace " + grace + " --context prod")
				s.sees("sk-lgw-canary", c.says)
			})
		})
	}
}

func TestARefusedRotationIsTold(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("POST /keys/ci-bot/rotate", api.Error{Status: 409, Code: api.CodeConflict, Detail: `key "ci-bot" is revoked`, Hint: "make another"})
		s.press("5", "R", "ctrl+s")
		s.sees(`key "ci-bot" is revoked. make another`)
		s.seesNot("It will not be shown again")
	})
}

func TestASecretThatWasShownOnceIsNowhereAfterwards(t *testing.T) {
	const canary = "sk-lgw-canary-7f3a"
	for _, keys := range [][]string{{"n", "x", "ctrl+s"}, {"R", "ctrl+s"}} {
		t.Run(keys[0], func(t *testing.T) {
			play(t, 100, 30, nil, func(s *stage) {
				made := api.CreatedKey{Key: api.Key{Name: "ci-bot"}, Secret: canary}
				s.fake.answer("POST /keys", made)
				s.fake.answer("POST /keys/ci-bot/rotate", made)
				s.press("5")
				s.press(keys...)
				s.sees(canary)
				if where := holds(reflect.ValueOf(s.console), canary, map[uintptr]bool{}); where == "" {
					t.Fatal("the search does not find what is shown")
				}
				s.press("enter") // as whoever hits it twice does
				s.sees(canary)
				s.press("y")
				s.sees(canary, "It will not be shown again")
				if out := s.out.String(); !strings.Contains(out, "\x1b]52;") {
					t.Errorf("nothing was copied: %q", out)
				}
				s.press("esc")
				s.seesNot(canary)
				if where := holds(reflect.ValueOf(s.console), canary, map[uintptr]bool{}); where != "" {
					t.Errorf("it is still in %s", where)
				}
				s.press("!")
				s.seesNot(canary)
				s.press("esc", "enter")
				s.seesNot(canary)
			})
		})
	}
}

func TestACopyThatTheTerminalDoesNotTakeIsTold(t *testing.T) {
	play(t, 100, 30, func(o *Options, _ *fake) { o.Out = broken{} }, func(s *stage) {
		s.press("5", "y")
		s.sees("copying: the terminal is gone")
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fmt.Errorf("the terminal is gone") }

// holds says in which field a text is, of all that can be reached; empty: in none.
func holds(v reflect.Value, text string, seen map[uintptr]bool) string {
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(v.String(), text) {
			return "a text"
		}
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return ""
		}
		seen[v.Pointer()] = true
		return holds(v.Elem(), text, seen)
	case reflect.Interface:
		return holds(v.Elem(), text, seen)
	case reflect.Struct:
		if v.Type().PkgPath() == "testing" || v.Type().PkgPath() == "net/http" {
			return ""
		}
		for i := range v.NumField() {
			if where := holds(v.Field(i), text, seen); where != "" {
				return v.Type().Name() + "." + v.Type().Field(i).Name + ": " + where
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice {
			v = v.Slice(0, v.Cap()) // what was cut off is there still
		}
		if v.Type().Elem().Kind() == reflect.Uint8 || v.Type().Elem().Kind() == reflect.Int32 {
			if v.Kind() == reflect.Slice && strings.Contains(fmt.Sprint(v), text) {
				return "bytes"
			}
			return ""
		}
		for i := range v.Len() {
			if where := holds(v.Index(i), text, seen); where != "" {
				return where
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if where := holds(v.MapIndex(k), text, seen); where != "" {
				return where
			}
		}
	}
	return ""
}

func TestKeysThatAreMarkedAreRevokedTogether(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		body string
		flag string
	}{
		"their streams are cut":  {[]string{"tab", "enter"}, `{}`, ""},
		"their streams are kept": {[]string{"tab", "tab", "enter"}, `{"keep_streams":true}`, " --keep-streams"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 100, 30, nil, func(s *stage) {
				s.fake.answer("POST /keys/ci-bot/revoke", api.Key{})
				s.fake.refuse("POST /keys/notebook/revoke", api.Error{Status: 503, Code: api.CodeUnavailable, Detail: "the store is away"})
				s.fake.answer("POST /keys/web-prod/revoke", api.Key{})
				s.press("5", "v", "v", "v", "v", "ctrl+d")
				s.sees("Revoke 3 keys?", "16k requests in the last 15 min", "last used 2 h ago")
				s.seesNot("old-laptop  last")
				s.press(c.keys...)
				s.did("POST /keys/ci-bot/revoke "+c.body, "POST /keys/notebook/revoke "+c.body, "POST /keys/web-prod/revoke "+c.body)
				s.sees("2 of 3 keys revoked; notebook: the store is away")
				s.logs("llmgw keys revoke ci-bot notebook web-prod" + c.flag + " --yes --context prod")
				s.seesNot("marked")
			})
		})
	}
}

func TestSpaceTurnsAKeyOffAndOn(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("PATCH /keys/ci-bot", api.Key{})
		s.press("5", " ")
		s.did(`PATCH /keys/ci-bot {"enabled":false}`)
		s.sees("key ci-bot disabled")
		s.logs("llmgw keys disable ci-bot --context prod")
		off := sampleKeys()
		off[0].Enabled, off[0].State = false, "disabled"
		s.fake.answer("GET /keys", listOf(off...))
		s.press("r", " ")
		s.did(`PATCH /keys/ci-bot {"enabled":true}`)
		s.logs("llmgw keys enable ci-bot --context prod")
	})
}

func TestSeveralKeysAreDisabledAfterAQuestion(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("PATCH /keys/ci-bot", api.Key{})
		s.fake.answer("PATCH /keys/notebook", api.Key{})
		s.press("5", "v", "v", " ")
		s.sees("Disable 2 keys?", "ci-bot", "notebook")
		s.did()
		s.press("tab", "enter")
		s.did(`PATCH /keys/ci-bot {"enabled":false}`, `PATCH /keys/notebook {"enabled":false}`)
		s.sees("2 keys disabled")
		s.logs("llmgw keys disable ci-bot notebook --context prod")
	})
}

func TestAKeyThatHasEndedIsOfferedLess(t *testing.T) {
	keys := sampleKeys()
	keys[0].State, keys[0].Enabled = "expired", true
	keys[1].State, keys[1].ExpiresAt = "user disabled", nil
	play(t, 110, 30, func(_ *Options, f *fake) { f.answer("GET /keys", listOf(keys...)) }, func(s *stage) {
		s.press("5")
		s.sees("✕ expired", "○ user disabled", "✕ revoked")
		s.seesNot("rotate")
		s.press("R")
		s.seesNot("Rotate ci-bot")
		s.sees("e edit")
		s.press("G")
		s.seesNot("e edit", "on/off", "revoke ", "rotate")
		s.press("e", "R", " ", "ctrl+d")
		s.did()
		s.seesNot("esc cancel", "Revoke")
	})
}

func TestADetailTellsAllOfAKey(t *testing.T) {
	keys := sampleKeys()
	keys[1].Limits = []string{"600/min", "$50/month"}
	keys[1].Secrets = []api.KeySecret{{Last4: "old1", CreatedAt: before(48 * time.Hour), ExpiresAt: beforeP(-time.Hour)}, {Last4: "pp01", CreatedAt: before(time.Hour)}, {Last4: "old0", CreatedAt: before(90 * time.Hour), ExpiresAt: beforeP(time.Hour)}}
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /keys", listOf(keys...)) }, func(s *stage) {
		s.press("5", "j", "enter")
		s.sees("◷ ends in 3 d", "ana", "gpt-5*, claude-*", "600/min, $50/month", "plan=trial", "2026-11-26T05:04:13Z",
			"…old1 made 2 d ago, ends in 59 min", "…pp01 made 1 h ago", "…old0 made 3 d ago, ended 1 h ago", "key_01B")
		s.press("esc")
		s.sees("ci-bot")
	})
	play(t, 60, 16, func(_ *Options, f *fake) { f.answer("GET /keys", listOf(keys...)) }, func(s *stage) {
		s.press("5", "j", "enter")
		s.sees("lines more")
		fits(t, s.frame(), 60, 16)
	})
}
