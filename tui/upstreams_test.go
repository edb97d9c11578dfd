package tui

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/llmgw/llmgw/admin/api"
)

func TestUpstreamsShowHowTheyStand(t *testing.T) {
	play(t, 140, 32, nil, func(s *stage) {
		s.press("4")
		s.wait(3 * time.Second)
		s.sees("STATE", "CRED", "P50/P95 TTFT", "IN FLIGHT",
			"▲ 4.2% errors", "api.anthropic.com", "…9fKq env", "610 ms / 1.4 s", "10.2",
			"● enabled", "…x4Qd sealed", "◷ draining", "○ off", "1 of 5")
		fits(t, s.frame(), 140, 32)
	})
}

func TestAnUpstreamIsInTroubleForAReason(t *testing.T) {
	usable := []api.Credential{{Name: "default", Usable: true, Enabled: true}}
	for name, c := range map[string]struct {
		upstream api.Upstream
		want     string
	}{
		"a credential that cannot be read": {api.Upstream{Enabled: true, Credentials: []api.Credential{{Enabled: true, Problem: "X is not set"}}}, "▲ no credential"},
		"no credential at all":             {api.Upstream{Enabled: true}, "▲ no credential"},
		"none that is needed":              {api.Upstream{Enabled: true, Auth: "none"}, "● enabled"},
		"only one that is off":             {api.Upstream{Enabled: true, Credentials: []api.Credential{{Usable: true}}}, "▲ no credential"},
		"one of two that cannot be read":   {api.Upstream{Enabled: true, Credentials: append([]api.Credential{{Enabled: true}}, usable...)}, "▲ a credential"},
		"a last error":                     {api.Upstream{Enabled: true, Credentials: []api.Credential{{Usable: true, Enabled: true, LastError: "401 now"}}}, "▲ 401 now"},
		"an error of one that is off":      {api.Upstream{Enabled: true, Credentials: append([]api.Credential{{LastError: "401 now"}}, usable...)}, "● enabled"},
		"one that is off is only off":      {api.Upstream{}, "○ off"},
	} {
		t.Run(name, func(t *testing.T) {
			c.upstream.Name = "lonely"
			play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /upstreams", listOf(c.upstream)) }, func(s *stage) {
				s.press("4")
				s.sees("lonely", c.want)
			})
		})
	}
}

func TestAnUpstreamOpensToEverythingThatIsKnown(t *testing.T) {
	play(t, 100, 40, func(_ *Options, f *fake) {
		ups := sampleUpstreams()
		ups[0].Timeouts, ups[0].Models, ups[0].Wires = &api.Timeouts{Connect: "5s", Total: "0s"}, []string{"claude-*"}, []string{"anthropic"}
		ups[0].MaxIdle, ups[0].IdleTimeout, ups[0].Websocket = 64, "1m30s", true
		f.answer("GET /upstreams", listOf(ups...))
	}, func(s *stage) {
		s.press("4")
		s.wait(3 * time.Second)
		s.press("enter")
		s.sees("https://api.anthropic.com", "8,190 requests", "4.2%", "610 ms / 1.4 s", "400k in, 100k out",
			"env:ANTHROPIC_API_KEY", "last error 429 2 min ago", "rules", "anthropic", "bindings", "user lee",
			"connect 5s, total none", "claude-*", "at most 64 idle, kept for 1m30s", "relayed", "×31", "model claude-opus-5")
		s.press("esc", "G", "enter")
		s.sees("rules", "fast-lane", "tag plan=trial")
		s.press("esc", "k", "enter")
		s.sees("old-embed (off)", "none lead to it", "AZURE_KEY is not set")
	})
}

func TestRulesAreFoundByWhatTheySendTo(t *testing.T) {
	for name, c := range map[string]struct {
		action map[string]any
		want   bool
	}{
		"the one":               {map[string]any{"upstream": "a"}, true},
		"one of several":        {map[string]any{"upstreams": []any{map[string]any{"name": "b"}, map[string]any{"name": "a"}}}, true},
		"one that falls back":   {map[string]any{"upstream": "b", "fallback": []any{map[string]any{"name": "a"}}}, true},
		"a name without more":   {map[string]any{"upstreams": []any{"a"}}, true},
		"another":               {map[string]any{"upstream": "ab"}, false},
		"a model of its name":   {map[string]any{"upstream": "b", "model": "a"}, false},
		"something else at all": {map[string]any{"respond": map[string]any{"name": "a"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sendsTo(c.action, "a"); got != c.want {
				t.Errorf("sendsTo: %v", got)
			}
		})
	}
}

func TestFiguresOfAllUpstreamsAreAskedFor(t *testing.T) {
	var queries []string
	play(t, 120, 32, func(_ *Options, f *fake) {
		var many []api.Upstream
		for i := range 30 {
			many = append(many, api.Upstream{Name: fmt.Sprintf("up-%02d", i), Enabled: true, Auth: "none"})
		}
		f.answer("GET /upstreams", listOf(many...))
		f.on("GET /traffic", func(r *http.Request, _ []byte) (int, any) {
			queries = append(queries, r.URL.RawQuery)
			return http.StatusOK, sampleWindow()
		})
	}, func(s *stage) {
		s.press("4")
		s.wait(3 * time.Second)
		if last := queries[len(queries)-1]; !strings.Contains(last, "upstream") || !strings.Contains(last, "names=30") {
			t.Errorf("asked for %q", last)
		}
	})
}

func TestAFigureThatIsNotKnownIsNotZero(t *testing.T) {
	play(t, 140, 32, func(_ *Options, f *fake) {
		w := sampleWindow()
		w.By = nil
		f.answer("GET /traffic", w)
	}, func(s *stage) {
		s.press("4", "enter")
		s.sees("not known yet")
	})
}

func TestATestTellsWhatCameWhen(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("POST /upstreams/anthropic/test", api.UpstreamTest{
			OK: true, Method: "POST", URL: "https://api.anthropic.com/v1/messages", Status: 200, DurationMS: 402,
			Chat: &api.ChatTest{DNSMS: 3, ConnectMS: 21, TLSMS: 30, FirstByteMS: 210, FirstTokenMS: 250, TotalMS: 400, Chunks: 7},
		})
	}, func(s *stage) {
		s.press("4", "T")
		s.sees("Test anthropic", "a few tokens")
		s.write("claude-haiku-4")
		s.press("enter")
		s.did(`POST /upstreams/anthropic/test {"chat":"claude-haiku-4"}`)
		s.logs("llmgw upstreams test anthropic --chat claude-haiku-4 --context prod")
		s.sees("✓ it answers", "dns", "3.0 ms", "connect", "21 ms", "tls", "30 ms", "first byte", "210 ms", "first token", "250 ms", "total", "400 ms", "7 chunks")
		s.press("esc")
		s.seesNot("it answers")
	})
}

func TestATestWithoutAModelAsksForTheModels(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("POST /upstreams/anthropic/test", api.UpstreamTest{Method: "GET", URL: "https://api.anthropic.com/v1/models", Status: 401, DurationMS: 88, Error: "invalid \x1b[31mkey"})
	}, func(s *stage) {
		s.press("4", "T", "ctrl+s")
		s.did("POST /upstreams/anthropic/test")
		s.logs("llmgw upstreams test anthropic --context prod")
		s.sees("✕ it does not answer as it should", "401", "invalid ·[31mkey", "88 ms")
		s.seesNot("first token")
	})
}

func TestPhasesFollowEachOther(t *testing.T) {
	got := fmt.Sprint(testPhasesOf(&api.ChatTest{ConnectMS: 20, FirstByteMS: 100, TotalMS: 90, Chunks: 1}))
	if want := "[{connect 0 20} {first byte 20 100} {total 90 90}]"; got != want {
		t.Errorf("phases: %s", got)
	}
}

func TestAnUpstreamIsDrainedAndTakesRequestsAgain(t *testing.T) {
	play(t, 120, 30, func(_ *Options, f *fake) {
		f.answer("POST /upstreams/openai-eu/drain", api.Upstream{Name: "openai-eu", State: "draining", InFlight: 31})
		f.answer("POST /upstreams/openai-us/undrain", api.Upstream{Name: "openai-us", State: "enabled"})
	}, func(s *stage) {
		s.press("4", "j", "D")
		s.did("POST /upstreams/openai-eu/drain")
		s.logs("llmgw upstreams drain openai-eu --context prod")
		s.sees("upstream openai-eu is draining, 31 in flight")
		s.press("j", "D")
		s.did("POST /upstreams/openai-us/undrain")
		s.logs("llmgw upstreams drain openai-us --undo --context prod")
		s.press("j", "D") // it is off
		s.did()
	})
}

func TestMarkedUpstreamsAreDrainedTogether(t *testing.T) {
	play(t, 120, 30, func(_ *Options, f *fake) {
		for _, name := range []string{"anthropic", "openai-eu"} {
			f.answer("POST /upstreams/"+name+"/drain", api.Upstream{Name: name, State: "draining"})
		}
	}, func(s *stage) {
		s.press("4", "v", "v", "v", "D") // the third one drains already
		if got := s.fake.called(); len(got) != 2 {
			t.Errorf("changes: %q", got)
		}
		s.seesNot("marked")
	})
}

func TestTakingAnUpstreamOutOfUseAsksWhereItIsUsed(t *testing.T) {
	play(t, 120, 30, func(_ *Options, f *fake) {
		f.answer("POST /upstreams/openai-eu/disable", api.Upstream{Name: "openai-eu"})
		f.answer("POST /upstreams/azure-eu/enable", api.Upstream{Name: "azure-eu"})
	}, func(s *stage) {
		s.press("4")
		s.wait(3 * time.Second)
		s.press("j", " ")
		s.sees("Disable 1 upstream?", "25k requests in the last 15 min", "31 in flight", "rules: openai", "bindings: key ci-bot", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.press(" ", "tab", "enter")
		s.did("POST /upstreams/openai-eu/disable")
		s.logs("llmgw upstreams disable openai-eu --context prod")
		s.press("j", "j", " ")
		s.did("POST /upstreams/azure-eu/enable")
		s.logs("llmgw upstreams enable azure-eu --context prod")
	})
}

func TestAnUpstreamThatNothingUsesIsSwitchedWithoutAQuestion(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("GET /upstreams", listOf(api.Upstream{Name: "spare", Enabled: true, Auth: "none"}))
		f.answer("POST /upstreams/spare/disable", api.Upstream{Name: "spare"})
	}, func(s *stage) {
		s.press("4")
		s.wait(3 * time.Second)
		s.press(" ")
		s.did("POST /upstreams/spare/disable")
		s.sees("upstream spare disabled")
	})
}

const credentialCanary = "sk-canary-0123456789"

func TestACredentialIsRotatedAndNeverSeen(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("POST /upstreams/openai-eu/credential/rotate", api.Upstream{Name: "openai-eu"})
	}, func(s *stage) {
		s.press("4", "j", "C")
		s.sees("Credential of openai-eu", "[rotate]", "default")
		for _, r := range credentialCanary {
			s.write(string(r))
			s.seesNot(credentialCanary[:4])
		}
		s.sees(strings.Repeat("*", len(credentialCanary)))
		s.press("ctrl+s")
		s.did(`POST /upstreams/openai-eu/credential/rotate {"name":"default","secret":"` + credentialCanary + `"}`)
		s.logs("llmgw upstreams credential rotate openai-eu --credential - --no-test --context prod")
		s.sees("credential default of upstream openai-eu rotated")
		s.press("!")
		s.seesNot(credentialCanary)
	})
}

func TestACredentialIsSetByReferenceUnderAName(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("PUT /upstreams/openai-eu/credential", api.Upstream{Name: "openai-eu"})
	}, func(s *stage) {
		s.press("4", "j", "C", "up", "up", "right", "down")
		s.press("backspace", "backspace", "backspace", "backspace", "backspace", "backspace", "backspace")
		s.write("batch")
		s.press("tab", "tab")
		s.write("vault:x")
		s.press("enter")
		s.sees("a reference is env:NAME or file:/PATH")
		for range len("vault:x") {
			s.press("backspace")
		}
		s.write("env:EU_KEY")
		s.press("enter")
		s.did(`PUT /upstreams/openai-eu/credential {"name":"batch","reference":"env:EU_KEY"}`)
		s.logs("llmgw upstreams credential set openai-eu --credential-from-env EU_KEY --name batch --no-test --context prod")
	})
}

func TestARefusedCredentialIsKeptInTheForm(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("POST /upstreams/openai-eu/credential/rotate", api.Error{Status: 422, Code: api.CodeInvalid, Detail: "secret: must be one line of ASCII without spaces", Problems: []api.Problem{{Field: "secret", Message: "must be one line of ASCII without spaces"}}})
	}, func(s *stage) {
		s.press("4", "j", "C", "ctrl+s")
		s.sees("no secret is given")
		s.did()
		s.write(credentialCanary)
		s.press("ctrl+s")
		s.sees("must be one line", strings.Repeat("*", len(credentialCanary)))
		s.seesNot(credentialCanary)
		s.press("esc", "C")
		s.seesNot("****")
	})
}

func TestCredentialsAsTheyAreAskedFor(t *testing.T) {
	for name, c := range map[string]struct{ secret, reference, flags, problem string }{
		"a secret":           {credentialCanary, "", "--credential -", ""},
		"a variable":         {"", "env:KEY", "--credential-from-env KEY", ""},
		"a file":             {"", "file:/run/key", "--credential-from-file /run/key", ""},
		"nothing":            {"", "", "", ""},
		"both":               {credentialCanary, "env:KEY", "", "not both"},
		"a file from here":   {"", "file:key", "", "a reference is"},
		"no name":            {"", "env:", "", "a reference is"},
		"no scheme":          {"", "KEY", "", "a reference is"},
		"a secret by itself": {"", credentialCanary, "", "a reference is"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &form{fields: newUpstreams(&desk{look: plainLook()}).secretFields()}
			f.fields[0].rewrite(c.secret)
			f.fields[1].rewrite(c.reference)
			_, flags, problem := credentialOf(f)
			if got := strings.Join(flags, " "); got != c.flags || !strings.Contains(problem, c.problem) || (problem == "") != (c.problem == "") {
				t.Errorf("flags %q, problem %q", got, problem)
			}
			if strings.Contains(problem+strings.Join(flags, " "), credentialCanary) {
				t.Error("the secret is told")
			}
		})
	}
}

func TestANewUpstreamIsMade(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.on("POST /upstreams", func(*http.Request, []byte) (int, any) { return http.StatusCreated, api.Upstream{Name: "claude"} })
	}, func(s *stage) {
		s.press("4", "n")
		s.write("claude")
		s.press("tab", "right", "tab")
		s.sees("[anthropic]")
		s.press("tab", "tab")
		s.write("claude-*, claude-haiku-4")
		s.press("tab")
		s.write(credentialCanary)
		s.press("ctrl+s")
		s.did(`POST /upstreams {"name":"claude","provider":"anthropic","models":["claude-*","claude-haiku-4"],"credential":{"secret":"` + credentialCanary + `"}}`)
		s.logs("llmgw upstreams create claude --provider anthropic --models 'claude-*,claude-haiku-4' --credential - --no-test --context prod")
		s.sees("upstream claude made")
		s.seesNot(credentialCanary)
	})
}

func TestWhatIsWrongWithANewUpstreamStandsBesideIt(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("POST /upstreams", api.Error{Status: 422, Code: api.CodeInvalid, Detail: "2 problems", Problems: []api.Problem{{Field: "url", Message: "is missing"}, {Field: "credential.reference", Message: "it is not set"}}})
	}, func(s *stage) {
		s.press("4", "n")
		s.write("x")
		s.press("ctrl+s")
		s.sees("New upstream", "is missing", "it is not set", "2 problems")
	})
}

func TestAnUpstreamIsEdited(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.on("PATCH /upstreams/anthropic", func(r *http.Request, _ []byte) (int, any) {
			if got := r.Header.Get("If-Match"); got != `"a1"` {
				t.Errorf("If-Match: %s", got)
			}
			return http.StatusOK, api.Upstream{Name: "anthropic"}
		})
	}, func(s *stage) {
		s.press("4", "e")
		s.sees("Edit anthropic", "https://api.anthropic.com")
		s.press("ctrl+s")
		s.sees("nothing was changed")
		s.press("down", "down", "down", "down") // models
		s.write("claude-*, !claude-1")
		s.press("tab")
		s.write("5s")
		s.press("up", "up", "up", "up", "up", "up", "right", "up", "up") // by the last ones, WebSockets and Kept for
		s.write("lots")
		s.press("ctrl+s")
		s.sees("Idle conns is a number")
		s.press("backspace", "backspace", "backspace", "backspace")
		s.write("64")
		s.press("ctrl+s")
		s.did(`PATCH /upstreams/anthropic {"models":["claude-*","!claude-1"],"timeouts":{"connect":"5s"},"max_idle":64,"websocket":true}`)
		s.logs("llmgw upstreams edit anthropic --models 'claude-*,!claude-1' --connect-timeout 5s --max-idle 64 --websocket=true --no-test --context prod")
		s.sees("upstream anthropic changed")
		s.seesNot("Edit anthropic")
	})
}

func TestALongFormShowsTheLineThatIsWritten(t *testing.T) {
	play(t, 60, 16, nil, func(s *stage) {
		s.press("4", "e")
		s.sees("Name")
		s.press("up")
		s.sees("WebSockets")
		fits(t, s.frame(), 60, 16)
		s.press("tab")
		s.sees("Name")
	})
}

func TestAnotherAddressTakesNoSealedSecretAlong(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("PATCH /upstreams/openai-eu", api.Upstream{Name: "openai-eu"}) }, func(s *stage) {
		s.press("4", "j", "e", "tab")
		s.write(".example")
		s.press("ctrl+s")
		s.sees("Send it to another place?", "1 credential will be taken away")
		s.press("enter")
		s.did()
		s.sees("Edit openai-eu", "https://eu.api.openai.com.example")
		s.press("ctrl+s", "tab", "enter")
		s.did(`PATCH /upstreams/openai-eu {"url":"https://eu.api.openai.com.example"}`)
		s.seesNot("Edit openai-eu")
	})
}

// overtakeUpstream has somebody else change an upstream between its reading and its change.
func overtakeUpstream(f *fake, theirs api.Upstream) {
	f.answer("GET /upstreams/"+theirs.ID, theirs)
	f.on("PATCH /upstreams/anthropic", func(r *http.Request, _ []byte) (int, any) {
		if r.Header.Get("If-Match") == `"`+theirs.ETag+`"` {
			return http.StatusOK, theirs
		}
		return http.StatusPreconditionFailed, api.Error{Status: 412, Code: api.CodeConflict, Detail: `upstream "anthropic" was changed since you read it`}
	})
}

func TestAConflictKeepsWhatWasWrittenAndOffersTheirs(t *testing.T) {
	theirs := sampleUpstreams()[0]
	theirs.ETag, theirs.Models, theirs.Auth = "a2", []string{"claude-opus-5"}, "none"
	prepare := func(_ *Options, f *fake) { overtakeUpstream(f, theirs) }
	write := func(s *stage) {
		s.press("4", "e", "down", "down", "down", "down")
		s.write("claude-haiku-4")
		s.press("ctrl+s")
		s.sees("Somebody else changed it", "theirs  claude-opus-5", "yours   claude-haiku-4", "theirs  none", "[ Cancel ]")
		s.did("PATCH /upstreams/anthropic")
	}
	t.Run("cancel goes on editing", func(t *testing.T) {
		play(t, 100, 40, prepare, func(s *stage) {
			write(s)
			s.press("enter")
			s.did()
			s.sees("Edit anthropic", "claude-haiku-4", "was changed since you read it")
			s.seesNot("claude-opus-5")
		})
	})
	t.Run("mine goes over theirs where both changed something", func(t *testing.T) {
		play(t, 100, 40, prepare, func(s *stage) {
			write(s)
			s.press("tab", "tab", "enter")
			s.did(`PATCH /upstreams/anthropic {"models":["claude-haiku-4"]}`)
			s.seesNot("Edit anthropic")
		})
	})
	t.Run("theirs stands in the form", func(t *testing.T) {
		play(t, 100, 40, prepare, func(s *stage) {
			write(s)
			s.press("tab", "enter")
			s.did()
			s.sees("Edit anthropic", "claude-opus-5")
			s.seesNot("claude-haiku-4")
			s.press("ctrl+s")
			s.sees("nothing was changed")
		})
	})
}

func TestAConflictOfAFormThatWasGivenUpIsNotTold(t *testing.T) {
	var answers chan struct{}
	play(t, 100, 30, func(_ *Options, f *fake) {
		answers = make(chan struct{})
		theirs := sampleUpstreams()[0]
		theirs.ETag = "a2"
		overtakeUpstream(f, theirs)
		f.on("GET /upstreams/"+theirs.ID, func(*http.Request, []byte) (int, any) {
			<-answers
			return http.StatusOK, theirs
		})
	}, func(s *stage) {
		s.press("4", "e")
		s.write("x")
		s.press("ctrl+s")
		s.sees("waiting for the gateway")
		s.press("esc")
		close(answers)
		s.wait(time.Second)
		s.seesNot("Somebody else changed it", "Edit anthropic")
	})
}

func TestAConflictWithOneThatIsGoneSaysSo(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		overtakeUpstream(f, api.Upstream{ID: "elsewhere", ETag: "z"})
	}, func(s *stage) {
		s.press("4", "e")
		s.write("x")
		s.press("ctrl+s")
		s.sees("Edit anthropic", "cannot be read again")
	})
}

func TestADeletionAsksAndTellsWhatIsInTheWay(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("DELETE /upstreams/anthropic", api.Error{Status: 409, Code: api.CodeInUse, Detail: `upstream "anthropic" is in use by rules anthropic; bindings of user lee`, Hint: "change or delete them first: llmgw rules list, llmgw bindings list"})
		f.on("DELETE /upstreams/groq", func(r *http.Request, _ []byte) (int, any) {
			if r.Header.Get("If-Match") != `"e1"` {
				t.Errorf("If-Match: %q", r.Header.Get("If-Match"))
			}
			return http.StatusNoContent, nil
		})
	}, func(s *stage) {
		s.press("4", "ctrl+d")
		s.sees("Delete 1 upstream?", "rules: anthropic", "bindings: user lee", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.press("ctrl+d", "tab", "enter")
		s.did("DELETE /upstreams/anthropic")
		s.logs("llmgw upstreams delete anthropic --yes --context prod")
		s.sees("Upstream anthropic was not deleted", "in use by rules anthropic; bindings of user lee", "change or delete them first")
		s.press("esc", "G", "ctrl+d", "tab", "enter")
		s.did("DELETE /upstreams/groq")
		s.sees("upstream groq deleted")
	})
}

func TestUpstreamsInEveryState(t *testing.T) {
	t.Run("none yet", func(t *testing.T) {
		play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /upstreams", listOf[api.Upstream]()) }, func(s *stage) {
			s.press("4", "T", "D", " ", "C", "e", "ctrl+d", "enter")
			s.did()
			s.sees("No upstreams yet", "llmgw upstreams create")
			s.press("n")
			s.sees("New upstream")
		})
	})
	t.Run("not loaded", func(t *testing.T) {
		play(t, 100, 30, func(_ *Options, f *fake) {
			f.refuse("GET /upstreams", api.Error{Status: 503, Code: api.CodeUnavailable, Detail: "the store is away"})
		}, func(s *stage) {
			s.press("4")
			s.sees("the store is away", "tries again")
		})
	})
	t.Run("only to be looked at", func(t *testing.T) {
		play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "vic", Role: "viewer"}) }, func(s *stage) {
			s.press("4", "T", "D", " ", "C", "e", "n", "ctrl+d")
			s.wait(2 * noteStays)
			s.did()
			s.sees("Upstreams", "read-only")
			s.seesNot("drain ", "credential", "test")
		})
	})
	t.Run("started with --readonly, a test may be made", func(t *testing.T) {
		play(t, 100, 30, func(o *Options, f *fake) {
			o.ReadOnly = true
			f.answer("POST /upstreams/anthropic/test", api.UpstreamTest{OK: true, Status: 200})
		}, func(s *stage) {
			s.press("4", "C", "T", "ctrl+s")
			s.did("POST /upstreams/anthropic/test")
			s.sees("it answers")
		})
	})
	t.Run("the gateway is away", func(t *testing.T) {
		play(t, 100, 30, nil, func(s *stage) {
			s.press("4")
			s.fake.goAway()
			s.wait(time.Second)
			s.press(" ")
			s.sees("anthropic", "not reachable")
			s.did()
		})
	})
}

func TestUpstreamsFitEveryTerminal(t *testing.T) {
	odd := []api.Upstream{
		{ID: "up_1", Name: strings.Repeat("日本語", 30), URL: "://\x1b]0;owned\x07" + strings.Repeat("x", 300), Enabled: true, State: "enabled", InFlight: 1 << 30, ETag: "1",
			Credentials: []api.Credential{{Name: "a\x1b[2J", Enabled: true, Problem: strings.Repeat("long ", 60)}, {Name: "b", Last4: "\x1b[0m", Enabled: true, Usable: true, LastError: "429 now"}}},
		{Name: "", State: "disabled"},
	}
	for _, size := range [][2]int{{60, 16}, {80, 24}, {120, 32}, {151, 40}, {300, 100}} {
		for name, ups := range map[string][]api.Upstream{"the sample": sampleUpstreams(), "odd ones": odd, "none": {}} {
			t.Run(fmt.Sprintf("%s in %dx%d", name, size[0], size[1]), func(t *testing.T) {
				play(t, size[0], size[1], func(_ *Options, f *fake) { f.answer("GET /upstreams", listOf(ups...)) }, func(s *stage) {
					for _, key := range []string{"4", "enter", "esc", "T", "esc", "C", "esc", "e", "esc", " ", "esc", "ctrl+d", "esc", "n"} {
						s.press(key)
						fits(t, s.frame(), size[0], size[1])
						if strings.Contains(s.frame(), "\x1b]0;") || strings.Contains(s.frame(), "\x1b[2J") {
							t.Fatalf("after %s the terminal is told something: %q", key, s.frame())
						}
					}
				})
			})
		}
	}
}

func TestAChoiceThatIsMadeIsSeenWhereThereIsNotRoomForAll(t *testing.T) {
	play(t, 60, 16, nil, func(s *stage) {
		s.press("4", "n", "tab", "left")
		s.sees("[generic]")
		fits(t, s.frame(), 60, 16)
		s.press("right")
		s.sees("[openai]")
	})
}

func TestColumnsThatGoForWantOfRoomLeaveNoGapBehind(t *testing.T) {
	play(t, 60, 16, nil, func(s *stage) {
		s.press("7")
		s.sees("gpt-oss-*│", "MODELS   │")
	})
}

func TestUpstreamsAreFilteredAndSorted(t *testing.T) {
	for filter, want := range map[string]string{
		"state:draining": "openai-us", "provider:groq": "groq", "url:*.azure.com": "azure-eu", "name:openai-e*": "openai-eu", "sealed 11aa": "groq",
	} {
		t.Run(filter, func(t *testing.T) {
			play(t, 140, 30, nil, func(s *stage) {
				s.press("4", "/")
				s.write(filter)
				s.press("enter")
				s.sees(want, "1 of 5")
			})
		})
	}
	t.Run("a field that there is not finds nothing", func(t *testing.T) {
		play(t, 140, 30, nil, func(s *stage) {
			s.press("4", "/")
			s.write("colour:red")
			s.sees("0 of 5 match")
		})
	})
	t.Run("by every column", func(t *testing.T) {
		play(t, 140, 30, nil, func(s *stage) {
			s.press("4")
			s.wait(3 * time.Second)
			for column, first := range []string{"anthropic", "anthropic", "openai-eu", "anthropic", "anthropic", "openai-eu"} {
				s.press("s", "g")
				if row := s.console.screens[3].(*upstreamsScreen).row(); row.Name != first {
					t.Errorf("sorted by column %d, the first is %s, and not %s:\n%s", column, row.Name, first, s.text())
				}
			}
		})
	})
}

func TestEveryPartOfAnUpstreamCanBeEdited(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("PATCH /upstreams/anthropic", api.Upstream{Name: "anthropic"}) }, func(s *stage) {
		s.press("4", "e")
		for _, text := range []string{"2", "/v1", "bearer", "anthropic", "m", "1s", "2s", "3s", "4s", "5s", "7", "6s"} {
			s.write(text)
			s.press("tab")
		}
		s.press("right", "ctrl+s")
		s.did(`PATCH /upstreams/anthropic {"name":"anthropic2","url":"https://api.anthropic.com/v1","auth":"bearer","wires":["anthropic"],"models":["m"],` +
			`"timeouts":{"connect":"1s","response_header":"2s","first_token":"3s","idle":"4s","total":"5s"},"max_idle":7,"idle_timeout":"6s","websocket":true}`)
		s.logs("llmgw upstreams edit anthropic --name anthropic2 --url https://api.anthropic.com/v1 --auth bearer --wires anthropic --models m " +
			"--connect-timeout 1s --response-header-timeout 2s --first-token-timeout 3s --stream-idle-timeout 4s --total-timeout 5s --max-idle 7 --idle-timeout 6s --websocket=true --no-test --context prod")
	})
}

func TestWhatIsTakenAwayIsSentAsNothing(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("GET /upstreams", listOf(api.Upstream{Name: "x", Enabled: true, Auth: "none", Models: []string{"m"}, MaxIdle: 7, Websocket: true, Timeouts: &api.Timeouts{Total: "5s"}}))
		f.answer("PATCH /upstreams/x", api.Upstream{Name: "x"})
	}, func(s *stage) {
		s.press("4", "e", "tab", "tab", "tab", "tab", "backspace", "up", "up", "up", "up", "up", "left", "up", "up", "backspace", "up", "backspace", "backspace", "ctrl+s")
		s.did(`PATCH /upstreams/x {"models":[],"timeouts":{},"max_idle":0,"websocket":false}`)
		s.logs("llmgw upstreams edit x --models '' --total-timeout '' --max-idle 0 --websocket=false --no-test --context prod")
	})
}

func TestANewUpstreamTakesAllThatIsWritten(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("POST /upstreams", api.Upstream{Name: "x"}) }, func(s *stage) {
		s.press("4", "n")
		for _, text := range []string{"x", "", "http://h:1", "header:X-Key", "", "", "vault:x"} {
			s.write(text)
			s.press("tab")
		}
		s.press("ctrl+s")
		s.sees("a reference is env:NAME or file:/PATH")
		s.did()
		s.press("up")
		for range len("vault:x") {
			s.press("backspace")
		}
		s.write("file:/run/key")
		s.press("ctrl+s")
		s.did(`POST /upstreams {"name":"x","provider":"openai","url":"http://h:1","auth":"header:X-Key","credential":{"reference":"file:/run/key"}}`)
		s.logs("llmgw upstreams create x --provider openai --url http://h:1 --auth header:X-Key --credential-from-file /run/key --no-test --context prod")
	})
}

func TestCredentialsAreToldWithWhatIsWrongWithThem(t *testing.T) {
	one := func(c api.Credential) string {
		d := &desk{look: newLook(nil, false, true, false)}
		s := newUpstreams(d)
		return ansi.Strip(s.credentialText(&c))
	}
	for name, c := range map[string]struct {
		credential api.Credential
		want       string
	}{
		"one that works":              {api.Credential{Name: "a", Last4: "x4Qd", Usable: true, Enabled: true, Weight: 1}, "● a sealed …x4Qd"},
		"one with a weight":           {api.Credential{Name: "a", Usable: true, Enabled: true, Weight: 3}, "● a sealed, weight 3"},
		"one that is off":             {api.Credential{Name: "a", Reference: "env:K", Usable: true}, "○ a env:K, disabled"},
		"one that cannot be found":    {api.Credential{Name: "a", Reference: "env:K", Enabled: true, Problem: "K is not set"}, "▲ a env:K, K is not set"},
		"one that cannot be used":     {api.Credential{Name: "a", Enabled: true}, "▲ a sealed, it cannot be used"},
		"one that was refused lately": {api.Credential{Name: "a", Usable: true, Enabled: true, LastError: "401 now"}, "▲ a sealed, last error 401 now"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := one(c.credential); got != c.want {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestAnUpstreamThatNeedsNoCredentialSaysSo(t *testing.T) {
	for auth, want := range map[string]string{"none": "none needed", "": "C gives one"} {
		play(t, 100, 30, func(_ *Options, f *fake) {
			f.answer("GET /upstreams", listOf(api.Upstream{Name: "x", Enabled: true, Auth: auth}))
		}, func(s *stage) {
			s.press("4", "enter")
			s.sees(want)
		})
	}
}

func TestWhatOneNodeKnowsIsCalledThat(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("4", "enter")
		s.sees("14 on node a1")
	})
}

func TestLookingOnAsksTheGatewayLessThanOnceASecond(t *testing.T) {
	const minute = 60
	for key, screen := range map[string]string{"4": "Upstreams", "7": "Bindings"} {
		t.Run(screen, func(t *testing.T) {
			play(t, 120, 32, nil, func(s *stage) {
				asked := func() (n int) {
					s.fake.mu.Lock()
					defer s.fake.mu.Unlock()
					for _, one := range s.fake.reads {
						n += one
					}
					return n
				}
				s.press(key)
				s.wait(5 * time.Second)
				before := asked()
				s.wait(minute * time.Second)
				if n := asked() - before; n > minute {
					t.Errorf("%d calls in a minute", n)
				}
			})
		})
	}
}
