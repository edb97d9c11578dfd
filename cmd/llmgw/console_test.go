package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/tui"
)

func TestWhatTheConsoleRefuses(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	for name, c := range map[string]struct {
		term string
		args []string
		want []string
	}{
		"a terminal that shows lines only": {"dumb", nil, []string{"error: llmgw console needs a terminal; for scripts: llmgw status -o json", "TERM is dumb"}},
		"another theme":                    {"xterm", []string{"--theme", "drak"}, []string{`--theme: "drak" is unknown; did you mean "dark"?`}},
		"another screen":                   {"xterm", []string{"--screen", "upstream"}, []string{`--screen: "upstream" is unknown; did you mean "upstreams"?`}},
		"keys of no action":                {"xterm", []string{"--key", "heap=f1"}, []string{`--key: there is no action "heap"`, `did you mean "help"?`}},
		"a key that means something else":  {"xterm", []string{"--key", "refresh=t"}, []string{`--key: "t" is both refresh and window`, "llmgw help console"}},
		"a key that no keyboard has":       {"xterm", []string{"--key", "refresh=F5"}, []string{`--key: refresh: there is no key "F5"`}},
		"keys without an action":           {"xterm", []string{"--key", "f1"}, []string{`--key: "f1" is not ACTION=KEY,KEY`}},
		"an action without keys":           {"xterm", []string{"--key", "help="}, []string{`--key: "help=" is not ACTION=KEY,KEY`}},
		"a key that is empty":              {"xterm", []string{"--key", "help=f1,"}, []string{`a key that is empty`}},
		"a context that is not there":      {"xterm", []string{"--color", "never", "--context", "nowhere", "--key", "help=f1"}, []string{`no context "nowhere"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", c.term)
			code, text := types(t, "", append([]string{"console", "--color", "never"}, c.args...)...)
			want := exitUsage
			if slices.Contains(c.args, "nowhere") {
				want = exitNotFound
			}
			if code != want {
				t.Errorf("exit %d, want %d", code, want)
			}
			for _, part := range c.want {
				if !strings.Contains(text, part) {
					t.Errorf("%q is not in:\n%s", part, text)
				}
			}
		})
	}
}

func TestOtherKeysOfTheConsole(t *testing.T) {
	got, err := otherKeys([]string{"help=f1", "help=ctrl+g", "traffic.pause=ctrl+t,space", "leave=="}, tui.KeyMap())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]string{"help": {"f1", "ctrl+g"}, "traffic.pause": {"ctrl+t", " "}, "leave": {"="}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheHelpOfTheConsoleHasEveryAction(t *testing.T) {
	actions := tui.KeyMap()
	text := consoleHelp(actions)
	for _, a := range actions {
		line := ""
		for l := range strings.Lines(text) {
			if slices.Contains(strings.Fields(l), a.Name) && strings.HasSuffix(strings.TrimSpace(l), a.Long) {
				line = l
			}
		}
		if !strings.Contains(line, writtenKeys(a.Keys)) || strings.TrimSpace(writtenKeys(a.Keys)) == "" {
			t.Errorf("%s with %q is on the line %q", a.Name, a.Keys, line)
		}
	}
}

// viewingOf is a console that was begun with flags, as far as its gateways go.
func viewingOf(t *testing.T, args ...string) *viewing {
	t.Helper()
	a := &app{}
	root := newRoot(a)
	c, _, err := root.Find([]string{"console"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	a.command = c
	s, err := a.settings()
	if err != nil {
		t.Fatal(err)
	}
	return &viewing{app: a, settings: s}
}

// ofTheirOwn gives a test a home in which nothing is kept.
func ofTheirOwn(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "LLMGW_SERVER", "LLMGW_CONTEXT", "LLMGW_DATA", "LLMGW_TOKEN", "LLMGW_TOKEN_FILE", "LLMGW_CONFIG"} {
		t.Setenv(name, "")
	}
	t.Chdir(t.TempDir())
}

func TestWhatLeadsACommandToTheGatewayThatIsShown(t *testing.T) {
	ofTheirOwn(t)
	k, err := openKeep()
	if err != nil {
		t.Fatal(err)
	}
	err = k.changePlaces(t.Context(), func(all *places) error {
		all.put(place{Name: "prod", Server: "https://gw.example", User: "dana"})
		all.put(place{Name: "lab", Server: "https://lab.example"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	type shown struct{ Name, Where, Twin, User string }
	for name, c := range map[string]struct {
		args    []string
		to      string
		env     string
		want    shown
		noLogin bool
	}{
		"the current context":               {nil, "", "", shown{"prod", "https://gw.example", "", "dana"}, false},
		"another one, named":                {[]string{"--context", "lab"}, "", "", shown{"lab", "https://lab.example", "--context lab", ""}, false},
		"the variable's":                    {nil, "", "lab", shown{"lab", "https://lab.example", "", ""}, false},
		"a URL that a context has":          {[]string{"--server", "https://LAB.example/"}, "", "", shown{"lab", "https://lab.example", "--server https://LAB.example/", ""}, false},
		"a URL that none has":               {[]string{"--server", "https://other.example:8443"}, "", "", shown{"other.example-8443", "https://other.example:8443", "--server https://other.example:8443", ""}, false},
		"a directory with a space":          {[]string{"--data", "/srv/gate way"}, "", "", shown{"local", "/srv/gate way/admin.sock", "--data '/srv/gate way'", ""}, true},
		"a socket by its URL":               {[]string{"--server", "unix:///run/gw/admin.sock"}, "", "", shown{"local", "/run/gw/admin.sock", "--server unix:///run/gw/admin.sock", ""}, true},
		"another one, gone to":              {nil, "lab", "", shown{"lab", "https://lab.example", "--context lab", ""}, false},
		"the current one, come back to":     {nil, "prod", "", shown{"prod", "https://gw.example", "", "dana"}, false},
		"the one of this machine, gone to":  {[]string{"--context", "lab"}, "local", "", shown{"local", "~/.local/share/llmgw/admin.sock", "--data HOME/.local/share/llmgw", ""}, true},
		"that of a directory, come back to": {[]string{"--data", "/srv/gw"}, "local", "", shown{"local", "/srv/gw/admin.sock", "--data /srv/gw", ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LLMGW_CONTEXT", c.env)
			v := viewingOf(t, c.args...)
			g, err := v.first()
			if err == nil && c.to != "" {
				g, err = v.connect(c.to)
			}
			if err != nil {
				t.Fatal(err)
			}
			c.want.Twin = strings.Replace(c.want.Twin, "HOME", os.Getenv("HOME"), 1)
			if got := (shown{g.Name, g.Where, g.Twin, g.User}); got != c.want {
				t.Errorf("shown is %+v, want %+v", got, c.want)
			}
			if g.Client == nil || g.Requests() != 0 || (g.Login == nil) != c.noLogin {
				t.Errorf("%+v", g)
			}
			if diff := cmp.Diff([]string{"prod", "lab", "local"}, v.contexts()); diff != "" {
				t.Error(diff)
			}
			if _, err := v.connect("nowhere"); err == nil || !strings.Contains(err.Error(), `no context "nowhere"`) {
				t.Errorf("to nowhere: %v", err)
			}
		})
	}
}

// TestALoginWithinTheConsole logs in at a running gateway, over the network, with
// a client that has called there before.
func TestALoginWithinTheConsole(t *testing.T) {
	ofTheirOwn(t)
	data := shortDir(t)
	serveAt(t, data, "--no-detect")
	const password = "correct horse battery"
	if code, _, text := typed(password, "users", "create", "dana", "--role", "admin", "--password-file", "-", "--data", data); code != exitDone {
		t.Fatalf("exit %d: %s", code, text)
	}
	status, err := statusAt(t.Context(), filepath.Join(data, socketName))
	if err != nil {
		t.Fatal(err)
	}
	v := viewingOf(t, "--server", status.Admin)
	g, err := v.first()
	if err != nil {
		t.Fatal(err)
	}
	defer g.Client.Close()
	if _, err := g.Client.Me(t.Context()); err == nil {
		t.Fatal("a stranger was let in")
	}
	if err := g.Login(t.Context(), "dana", accounts.NewSecret("some-other-words")); err == nil || strings.Contains(err.Error(), "some-other") {
		t.Errorf("with a wrong password: %v", err)
	}
	k, err := openKeep()
	if err != nil {
		t.Fatal(err)
	}
	if all, err := k.logins(); err != nil || len(all) != 0 {
		t.Errorf("kept is %v, %v", all, err)
	}
	if err := g.Login(t.Context(), "dana", accounts.NewSecret(password)); err != nil {
		t.Fatal(err)
	}
	me, err := g.Client.Me(t.Context())
	if err != nil || me.User != "dana" || g.Requests() < 4 {
		t.Errorf("%+v after %d calls, %v", me, g.Requests(), err)
	}

	all, err := k.places()
	if err != nil || all.Current != "" || len(all.Contexts) != 1 || all.Contexts[0].User != "dana" {
		t.Errorf("contexts: %+v, %v", all, err)
	}
	if code, out, text := typed("", "whoami", "--server", status.Admin); code != exitDone || !strings.Contains(out, "dana") {
		t.Errorf("exit %d: %s%s", code, out, text)
	}

	report, err := v.doctor(t.Context())
	if err != nil || !strings.Contains(report, "gateway") || !strings.Contains(report, "problem") || strings.Contains(report, "\x1b") {
		t.Errorf("%v:\n%s", err, report)
	}
}

func TestATokenIsNoLogin(t *testing.T) {
	ofTheirOwn(t)
	t.Setenv("LLMGW_TOKEN", "lgw_pat_0123456789")
	g, err := viewingOf(t, "--server", "https://gw.example").first()
	if err != nil || g.Login != nil {
		t.Errorf("%+v, %v", g, err)
	}
}

// A gateway that is not there, or does not answer, keeps nobody waiting for the
// first frame.
func TestNothingIsAskedBeforeTheConsoleIsShown(t *testing.T) {
	ofTheirOwn(t)
	began := time.Now()
	g, err := viewingOf(t, "--data", t.TempDir()).first()
	if err != nil || g.Requests() != 0 {
		t.Errorf("%v after %d calls", err, g.Requests())
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}
