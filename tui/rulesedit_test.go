package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// editor stands for somebody's editor: it keeps what it was opened on, and saves
// one text after the other.
type editor struct {
	t      *testing.T
	dir    string
	opened []string
	saves  []func(was string) string
	err    error
}

func saves(text string) func(string) string { return func(string) string { return text } }

// withEditor plays with an editor, and with a folder of its own for its files.
func withEditor(t *testing.T, do func(*stage, *editor), answers ...func(string) string) {
	t.Helper()
	withEditorAt(t, 110, 40, do, answers...)
}

func withEditorAt(t *testing.T, w, h int, do func(*stage, *editor), answers ...func(string) string) {
	t.Helper()
	e := &editor{t: t, dir: t.TempDir(), saves: answers}
	t.Setenv("TMPDIR", e.dir)
	play(t, w, h, func(o *Options, _ *fake) {
		o.Editor = func(path string) *exec.Cmd { return exec.CommandContext(t.Context(), "editor", path) }
	}, func(s *stage) {
		s.console.desk.runs = e.run
		do(s, e)
	})
}

func (e *editor) run(c *exec.Cmd, done tea.ExecCallback) tea.Cmd {
	return func() tea.Msg {
		path := c.Args[1]
		content, err := os.ReadFile(path)
		if err != nil {
			e.t.Error(err)
		}
		if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
			e.t.Errorf("the file's mode is %v (%v)", stat.Mode(), err)
		}
		e.opened = append(e.opened, string(content))
		if len(e.saves) > 0 {
			if err := os.WriteFile(path, []byte(e.saves[0](string(content))), 0o600); err != nil {
				e.t.Error(err)
			}
			e.saves = e.saves[1:]
		}
		return done(e.err)
	}
}

// left is what the files hold that are still there.
func (e *editor) left() string {
	all := ""
	names, err := filepath.Glob(e.dir + "/*")
	if err != nil {
		e.t.Error(err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			e.t.Error(err)
		}
		all += string(content)
	}
	return all
}

const (
	mine   = "name: anthropic\nmatch:\n  path: /v1/messages/**\naction:\n  upstream: groq\n"
	theirs = "- name: anthropic\n  match:\n    path: /v1/messages\n  action:\n    upstream: anthropic\n"
)

func changing(s *stage) {
	s.fake.answer("PUT /rules/anthropic", api.Plan{
		Changes:  []api.PlanChange{{Op: "change", Set: "default", Rule: "anthropic", Position: 2, Fields: []string{"action.upstream: anthropic → groq"}}},
		Warnings: []api.Problem{{Rule: "vision", Message: "can never match", Hint: "move it up"}}, Revision: 42,
	})
}

// changedMeanwhile has somebody change the rule between reading and sending.
func changedMeanwhile(s *stage, yaml string) {
	s.fake.refuse("PUT /rules/anthropic", api.Error{Status: 409, Code: api.CodeConflict, Detail: "rules changed since you read them (now 42 by lee 5 s ago)"})
	list := api.RuleList{Items: sampleRules(), Revision: 42}
	if yaml == "" {
		list.Items = list.Items[:1]
	} else {
		list.Items[1].YAML = yaml
	}
	s.fake.answer("GET /rules", list)
}

func TestARuleIsEditedLookedAtAndApplied(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		changing(s)
		s.press("3", "j", "e")
		s.did(`PUT /rules/anthropic {"yaml":"name: anthropic\nmatch:\n  path: /v1/messages/**\naction:\n  upstream: groq\n","if_revision":41,"dry_run":true}`)
		s.sees("Apply to prod?", "-  upstream: anthropic", "+  upstream: groq", "The rule took 7,665 requests in the last 15 min.", "▲ vision: can never match", "[ Cancel ]", "Edit again")
		s.press("tab", "enter")
		s.did(`PUT /rules/anthropic {"yaml":"name: anthropic`)
		s.sees("rule anthropic applied, revision 42")
		s.logs("llmgw rules edit anthropic -f - --context prod")
		if got := e.left(); got != "" {
			t.Errorf("a file is left: %q", got)
		}
		if !strings.HasPrefix(e.opened[0], "# rule anthropic, revision 41") || !strings.Contains(e.opened[0], "\n# match: ") || !strings.HasSuffix(e.opened[0], "\nname: anthropic\nmatch:\n  path: /v1/messages/**\naction:\n  upstream: anthropic\n") {
			t.Errorf("the editor was opened on %q", e.opened[0])
		}
	}, saves("# mine\n"+mine))
}

func TestARuleThatIsSavedAsItWasIsLeftAsItIs(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		for range 2 {
			s.press("3", "e")
			s.did()
			s.sees("nothing was changed: rule fast-lane is left as it is")
			if got := e.left(); got != "" {
				t.Errorf("a file is left: %q", got)
			}
		}
	}, func(was string) string { return was }, saves(" \n"))
}

func TestWhatIsNotAppliedIsKeptAndNamed(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		changing(s)
		s.press("3", "j", "e", "enter")
		s.did("PUT /rules/anthropic")
		s.sees("Not applied", "What you wrote is kept in", e.dir, "llmgw rules edit anthropic -f ")
		if got := e.left(); got != mine {
			t.Errorf("kept: %q", got)
		}
		s.press("esc", "e")
		if len(e.opened) != 2 {
			t.Error("it cannot be edited again")
		}
	}, saves(mine))
}

func TestMistakesAreShownByLineAndCorrected(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		s.fake.refuse("PUT /rules/anthropic", api.Error{Status: 422, Code: api.CodeInvalid, Detail: "1 problem", Problems: []api.Problem{
			{Line: 3, Column: 3, Field: "match.pathh", Message: "unknown field", Suggestion: "path"},
		}})
		s.press("3", "j", "e")
		s.did("PUT /rules/anthropic")
		s.sees("1 problem in rule anthropic", "line 4: match.pathh: unknown field (path?)", "pathh: /v1", "[ Edit again ]")
		changing(s)
		s.press("enter")
		s.sees("Apply to prod?")
		if want := "# line 5: match.pathh: unknown field (path?)\n# correct it and save\nname: anthropic\nmatch:\n  pathh:"; !strings.HasPrefix(e.opened[1], want) {
			t.Errorf("the editor was opened on %q", e.opened[1])
		}
	}, saves("# a comment\nname: anthropic\nmatch:\n  pathh: /v1\n"), saves(mine))
	withEditor(t, func(s *stage, e *editor) {
		s.fake.refuse("PUT /rules/anthropic", api.Error{Status: 422, Code: api.CodeInvalid, Detail: "1 problem", Problems: []api.Problem{{Message: "no"}}})
		s.press("3", "j", "e", "esc")
		s.sees("It has mistakes", e.dir)
		if got := e.left(); got != mine {
			t.Errorf("kept: %q", got)
		}
	}, saves(mine))
}

func TestARuleThatSomebodyElseChangedIsShownBothWays(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		s.press("3", "j")
		changedMeanwhile(s, theirs)
		s.press("e")
		s.did("PUT /rules/anthropic")
		s.sees("Somebody else changed rule anthropic", "now 42 by lee", "theirs, revision 42", "+  path: /v1/messages", "yours", "+  upstream: groq", "[ Keep editing ]", "Apply mine on top", "Take theirs")
		changing(s)
		s.press("enter")
		if !strings.Contains(e.opened[1], "revision 42") || !strings.Contains(e.opened[1], "#     path: /v1/messages\n") || !strings.HasSuffix(e.opened[1], mine) {
			t.Errorf("the editor was opened on %q", e.opened[1])
		}
		got := s.fake.called()
		if len(got) != 1 || !strings.Contains(got[0], `"if_revision":42,"dry_run":true`) {
			t.Errorf("asked: %q", got)
		}
		s.sees("Apply to prod?", "-  path: /v1/messages", "+  path: /v1/messages/**")
	}, saves(mine))
}

func TestAConflictIsReadToItsEndOnASmallTerminal(t *testing.T) {
	withEditorAt(t, 60, 16, func(s *stage, _ *editor) {
		s.press("3", "j")
		changedMeanwhile(s, theirs)
		s.press("e")
		s.sees("[ Keep editing ]", "Apply mine on top", "Take theirs", "0 above")
		s.seesNot("+  upstream: groq")
		fits(t, s.frame(), 60, 16)
		s.press("pgdown", "pgdown", "down")
		s.sees("+  upstream: groq", "0 below")
		s.press("pgup", "pgup", "up")
		s.sees("0 above")
		fits(t, s.frame(), 60, 16)
	}, saves(mine))
}

func TestMineGoesOnTopOfTheirsOnlyAfterItWasSeen(t *testing.T) {
	withEditor(t, func(s *stage, _ *editor) {
		s.press("3", "j")
		changedMeanwhile(s, theirs)
		s.press("e")
		changing(s)
		s.press("tab", "enter")
		s.sees("Apply to prod?", "+  path: /v1/messages/**")
		s.fake.called()
		s.press("tab", "enter")
		got := s.fake.called()
		if len(got) != 1 || !strings.Contains(got[0], `"if_revision":42`) || strings.Contains(got[0], "dry_run") {
			t.Errorf("sent: %q", got)
		}
	}, saves(mine))
}

func TestTakingTheirsKeepsWhatWasWritten(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		s.press("3", "j")
		changedMeanwhile(s, theirs)
		s.press("e", "tab", "tab", "enter")
		s.sees("Theirs stays", e.dir)
		if got := e.left(); got != mine {
			t.Errorf("kept: %q", got)
		}
	}, saves(mine))
}

func TestAChangeOfOtherRulesIsNoConflict(t *testing.T) {
	withEditor(t, func(s *stage, _ *editor) {
		s.press("3", "j")
		changedMeanwhile(s, sampleRules()[1].YAML)
		tries := 0
		refuse := s.fake.routes["PUT /rules/anthropic"]
		s.fake.on("PUT /rules/anthropic", func(r *http.Request, body []byte) (int, any) {
			if tries++; tries == 1 {
				return refuse(r, body)
			}
			return http.StatusOK, api.Plan{Changes: []api.PlanChange{{Op: "change", Rule: "anthropic"}}, Revision: 42}
		})
		s.press("e")
		s.sees("Apply to prod?", "Other rules were changed meanwhile; this is looked at on top of revision 42.")
		if got := s.fake.called(); len(got) != 2 || !strings.Contains(got[1], `"if_revision":42`) {
			t.Errorf("asked: %q", got)
		}
	}, saves(mine))
}

func TestRulesThatNeverStayTheSameAreNotAskedForForever(t *testing.T) {
	withEditor(t, func(s *stage, _ *editor) {
		s.press("3", "j")
		revision := int64(41)
		s.fake.refuse("PUT /rules/anthropic", api.Error{Status: 409, Code: api.CodeConflict, Detail: "rules changed since you read them"})
		s.fake.on("GET /rules", func(*http.Request, []byte) (int, any) {
			revision++
			return 200, api.RuleList{Items: sampleRules(), Revision: revision}
		})
		s.press("e")
		s.sees("The rules are being changed all the time", "[ Edit again ]")
		if got := s.fake.called(); len(got) != mostTries+1 {
			t.Errorf("%d calls", len(got))
		}
	}, saves(mine))
}

func TestARuleThatWasDeletedMeanwhileCanBeMadeAgain(t *testing.T) {
	withEditor(t, func(s *stage, _ *editor) {
		changing(s)
		s.press("3", "j", "e")
		changedMeanwhile(s, "")
		s.press("tab", "enter")
		s.sees("Somebody else deleted rule anthropic", "[ Keep editing ]")
		s.fake.called()
		s.fake.answer("POST /rules", api.Plan{Changes: []api.PlanChange{{Op: "add", Set: "default", Rule: "anthropic", Position: 2}}, Revision: 42})
		s.press("tab", "enter")
		s.did(`POST /rules {"yaml":"name: anthropic`)
		s.sees("Apply to prod?", "+ anthropic (position 2 of set default)")
	}, saves(mine))
}

func TestAGatewayThatIsAwayLeavesTheTextToBeSentLater(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		s.fake.refuse("PUT /rules/anthropic", api.Error{Status: 503, Code: api.CodeUnavailable, Detail: "the store is away", Hint: "wait"})
		s.press("3", "j", "e")
		s.sees("Not accepted", "the store is away", "wait", e.dir, "[ Edit again ]", "Try again")
		changing(s)
		s.press("tab", "enter")
		s.sees("Apply to prod?")
		s.fake.goAway()
		s.wait(time.Second)
		s.press("tab", "enter")
		s.sees("Not applied", "nothing can be changed")
		s.press("left", "tab", "tab", "enter")
		if got := e.left(); got != mine {
			t.Errorf("kept: %q", got)
		}
	}, saves(mine))
}

func TestAnEditorThatFailsLosesNothing(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		e.err = errors.New("exit status 1")
		s.press("3", "j", "e")
		s.sees("the editor ended with: exit status 1", e.dir)
		s.did()
		s.press("esc", "esc", "e")
		s.sees("the editor ended with: exit status 1")
		if got := e.left(); got != mine {
			t.Errorf("kept: %q", got)
		}
	}, saves(mine))
}

func TestANewRuleGoesBesideTheOneUnderTheCursor(t *testing.T) {
	for key, place := range map[string]string{"n": "after", "N": "before"} {
		withEditor(t, func(s *stage, e *editor) {
			s.fake.answer("POST /rules", api.Plan{Changes: []api.PlanChange{{Op: "add", Set: "default", Rule: "vision", Position: 3}}, Revision: 42})
			s.press("3", "j", key)
			s.sees("Apply to prod?", "+name: vision", "+ vision (position 3 of set default)")
			s.press("tab", "enter")
			got := s.fake.called()
			if len(got) != 2 || !strings.Contains(got[1], `"`+place+`":"anthropic","if_revision":41`) || strings.Contains(got[1], "dry_run") {
				t.Errorf("sent: %q", got)
			}
			s.sees("new rule vision applied, revision 42")
			s.logs("llmgw rules create -f - --" + place + " anthropic --context prod")
			if e.left() != "" || !strings.Contains(e.opened[0], "upstream: anthropic") {
				t.Errorf("left %q, opened on %q", e.left(), e.opened[0])
			}
		}, saves("name: vision\nmatch: {}\naction: {upstream: groq}\n"))
	}
}

func TestANewRuleWhoseNeighbourIsGoneGoesToTheEnd(t *testing.T) {
	withEditor(t, func(s *stage, _ *editor) {
		s.fake.on("POST /rules", func(_ *http.Request, body []byte) (int, any) {
			if strings.Contains(string(body), "anthropic") {
				return 409, api.Error{Status: 409, Code: api.CodeConflict, Detail: "rules changed"}
			}
			return 200, api.Plan{Changes: []api.PlanChange{{Op: "add", Set: "default", Rule: "vision", Position: 5}}, Revision: 42}
		})
		s.press("3", "j")
		s.fake.answer("GET /rules", api.RuleList{Items: sampleRules()[2:], Revision: 42})
		s.press("n")
		s.sees("+ vision (position 5 of set default)")
	}, saves("name: vision\nmatch: {}\naction: {upstream: groq}\n"))
}

func TestADraftOfAnotherGatewayIsNotSentToThisOne(t *testing.T) {
	e := &editor{t: t, dir: t.TempDir(), saves: []func(string) string{saves(mine)}}
	t.Setenv("TMPDIR", e.dir)
	play(t, 110, 40, func(o *Options, _ *fake) {
		o.Editor = func(path string) *exec.Cmd { return exec.CommandContext(t.Context(), "editor", path) }
		o.Connect = func(string) (Gateway, error) { return o.Gateway, nil }
	}, func(s *stage) {
		var edited tea.Msg
		s.console.desk.runs = func(c *exec.Cmd, done tea.ExecCallback) tea.Cmd {
			return func() tea.Msg { edited = e.run(c, done)(); return nil }
		}
		s.press("3", "j", "e")
		s.run(s.console.switchTo("other"))
		s.wait(time.Second)
		s.send(edited)
		s.wait(time.Second)
		s.did()
		if got := e.left(); !strings.HasSuffix(got, mine) {
			t.Errorf("kept: %q", got)
		}
	})
}

func TestAFileThatCannotBeReadBackIsNeverWrittenOver(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		s.console.desk.runs = func(c *exec.Cmd, done tea.ExecCallback) tea.Cmd {
			return func() tea.Msg {
				if err := os.Remove(c.Args[1]); err != nil {
					t.Error(err)
				}
				if err := os.Mkdir(c.Args[1], 0o700); err != nil { // reading it fails, and it is there
					t.Error(err)
				}
				return done(nil)
			}
		}
		s.press("3", "e")
		s.sees("reading what was written", "What you wrote is kept in", e.dir)
		s.did()
	})
	withEditor(t, func(s *stage, _ *editor) {
		s.console.desk.runs = func(c *exec.Cmd, done tea.ExecCallback) tea.Cmd {
			return func() tea.Msg { return done(os.Remove(c.Args[1])) }
		}
		s.press("3", "e")
		s.sees("the editor left no file: rule fast-lane is left as it is")
		s.did()
	})
}

func TestWhatWasWrittenBeforeOutlivesAnEditorThatRemovesTheFile(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		changing(s)
		s.press("3", "j", "e")
		s.sees("Apply to prod?")
		s.console.desk.runs = func(c *exec.Cmd, done tea.ExecCallback) tea.Cmd {
			return func() tea.Msg { return done(os.Remove(c.Args[1])) }
		}
		s.press("tab", "tab", "enter") // edit again
		s.sees("The editor left no file", "What you wrote is kept in", e.dir)
		if got := e.left(); got != mine {
			t.Errorf("kept: %q", got)
		}
	}, saves(mine))
}

func TestWithoutAnEditorThatIsSaid(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("3", "e")
		s.sees("there is no editor; set VISUAL or EDITOR")
	})
}

// TestTheRealRuntimeOpensTheEditor runs the program as it is, with a script for an
// editor.
func TestTheRealRuntimeOpensTheEditor(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	script := filepath.Join(dir, "editor")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsed s/groq/mock/ \"$1\" >\"$1.new\" && cat \"$1.new\" >\"$1\" && rm \"$1.new\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	f := newFake(t)
	asked := make(chan string, 1)
	f.on("PUT /rules/fast-lane", func(_ *http.Request, body []byte) (int, any) {
		select {
		case asked <- string(body):
		default:
		}
		return 200, api.Plan{Changes: []api.PlanChange{{Op: "change", Rule: "fast-lane"}}}
	})
	read, write := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			In: read, Out: &bytes.Buffer{}, Theme: "dark", Start: "rules", Getenv: func(string) string { return "" },
			Editor:  func(path string) *exec.Cmd { return exec.CommandContext(ctx, script, path) },
			Gateway: Gateway{Name: "prod", Client: api.NewClient(api.Options{BaseURL: "http://llmgw", Transport: f})},
		})
	}()
	go func() {
		for ctx.Err() == nil { // until the rules are there and the key means something
			_, _ = io.WriteString(write, "e")
			select {
			case <-time.After(50 * time.Millisecond):
			case body := <-asked:
				asked <- body
				return
			}
		}
	}()
	select {
	case body := <-asked:
		asked <- body
		if !strings.Contains(body, "upstream: mock") {
			t.Errorf("sent: %s", body)
		}
	case <-ctx.Done():
		t.Fatal("the gateway was not asked")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWhileARuleIsLookedAtNoOtherIsEditedAndQuittingAsks(t *testing.T) {
	withEditor(t, func(s *stage, _ *editor) {
		s.fake.on("PUT /rules/anthropic", func(*http.Request, []byte) (int, any) {
			time.Sleep(5 * time.Second) //nolint:forbidigo // the bubble's time
			return 200, api.Plan{Changes: []api.PlanChange{{Op: "change", Rule: "anthropic"}}}
		})
		s.press("3", "j", "e")
		s.sees("asking what rule anthropic would change")
		s.press("e")
		s.sees("rule anthropic is being written")
		s.press("q")
		s.sees("Quit?", "What was written of rule anthropic is not applied. It is kept in")
		s.press("enter")
		s.wait(6 * time.Second)
		s.sees("Apply to prod?")
	}, saves(mine))
}

func TestARuleWithWhichNothingWouldChangeIsNotAskedAbout(t *testing.T) {
	withEditor(t, func(s *stage, e *editor) {
		s.fake.answer("PUT /rules/anthropic", api.Plan{Revision: 41})
		s.press("3", "j", "e")
		s.sees("nothing would change: rule anthropic is left as it is")
		if got := e.left(); got != "" {
			t.Errorf("a file is left: %q", got)
		}
	}, saves(mine))
}
