package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func somewhere(model string) pointed {
	return pointed{base: "http://127.0.0.1:4100", secret: accounts.NewSecret("sk-lgw-x"), model: model}
}

func TestEveryKnownProgramIsSentToTheGateway(t *testing.T) {
	for _, c := range []struct {
		command, model string
		args           []string
		set            map[string]string // beside what every program gets
	}{
		{command: "/usr/local/bin/claude", model: "m", set: map[string]string{
			"ANTHROPIC_MODEL": "m", "ANTHROPIC_DEFAULT_HAIKU_MODEL": "m", "ANTHROPIC_SMALL_FAST_MODEL": "m",
			"OPENAI_MODEL": "m", "GEMINI_MODEL": "m",
		}},
		{command: "claude.exe"},
		{command: "codex", model: "m", args: []string{
			"-c", `model_provider="llmgw"`, "-c", `model_providers.llmgw.name="llmgw"`,
			"-c", `model_providers.llmgw.base_url="http://127.0.0.1:4100/v1"`,
			"-c", `model_providers.llmgw.env_key="OPENAI_API_KEY"`, "-c", `model_providers.llmgw.wire_api="responses"`, "-m", "m",
		}, set: map[string]string{"OPENAI_MODEL": "m", "ANTHROPIC_MODEL": "m", "GEMINI_MODEL": "m"}},
		{command: "gemini"},
		{command: "opencode", model: "openai/m", args: []string{"--model", "openai/m"}, set: map[string]string{
			"ANTHROPIC_API_KEY": "sk-lgw-x", "GOOGLE_GENERATIVE_AI_API_KEY": "sk-lgw-x",
			"OPENCODE_CONFIG_CONTENT": `{"provider":{"anthropic":{"options":{"baseURL":"http://127.0.0.1:4100/v1"}},` +
				`"openai":{"options":{"baseURL":"http://127.0.0.1:4100/v1"}},"google":{"options":{"baseURL":"http://127.0.0.1:4100/v1beta"}}}}`,
			"OPENAI_MODEL": "openai/m", "ANTHROPIC_MODEL": "openai/m", "GEMINI_MODEL": "openai/m",
		}},
		{command: "aider", set: map[string]string{"ANTHROPIC_API_KEY": "sk-lgw-x", "ANTHROPIC_API_BASE": "http://127.0.0.1:4100"}},
		{command: "llm", model: "m", set: map[string]string{
			"ANTHROPIC_API_KEY": "sk-lgw-x", "LLM_MODEL": "m", "OPENAI_MODEL": "m", "ANTHROPIC_MODEL": "m", "GEMINI_MODEL": "m",
		}},
		{command: "my-agent"},
	} {
		t.Run(c.command, func(t *testing.T) {
			want := map[string]string{
				"OPENAI_BASE_URL": "http://127.0.0.1:4100/v1", "OPENAI_API_BASE": "http://127.0.0.1:4100/v1", "OPENAI_API_KEY": "sk-lgw-x",
				"ANTHROPIC_BASE_URL": "http://127.0.0.1:4100", "ANTHROPIC_AUTH_TOKEN": "sk-lgw-x", "ANTHROPIC_API_KEY": "",
				"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:4100", "GEMINI_API_KEY": "sk-lgw-x", "GOOGLE_API_KEY": "sk-lgw-x",
			}
			for name, value := range c.set {
				want[name] = value
			}
			of, to := programOf(c.command), somewhere(c.model)
			got := map[string]string{}
			for _, v := range to.set(of, nil) {
				if _, twice := got[v.name]; twice {
					t.Errorf("%s is set twice", v.name)
				}
				got[v.name] = v.value
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
			args := to.args(of)
			if !slices.Equal(args, c.args) {
				t.Errorf("arguments are %q, want %q", args, c.args)
			}
			if strings.Contains(strings.Join(args, " "), "sk-lgw-") {
				t.Error("the key is an argument")
			}
		})
	}
}

func TestTheEnvironmentOfAProgram(t *testing.T) {
	given := []string{
		"PATH=/bin", "OPENAI_API_KEY=sk-real", "GROQ_API_KEY=gsk-real", "XAI_API_KEY=", "MISTRAL_API_KEY=sk-lgw-of-an-outer-run",
		"LLMGW_SECRET_KEY=k", "EMPTY=", "ODD", "OPENAI_API_KEY=sk-twice",
	}
	to := somewhere("")
	made, hidden := to.environment(given, []variable{{"OPENAI_API_KEY", "sk-lgw-x"}, {"OPENAI_BASE_URL", "u"}})
	if diff := cmp.Diff([]string{"PATH=/bin", "EMPTY=", "ODD", "OPENAI_API_KEY=sk-lgw-x", "OPENAI_BASE_URL=u"}, made); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"GROQ_API_KEY", "LLMGW_SECRET_KEY", "OPENAI_API_KEY"}, hidden); diff != "" {
		t.Errorf("hidden (-want +got):\n%s", diff)
	}
}

func TestTheKeyGoesPastProxies(t *testing.T) {
	for name, c := range map[string]struct {
		given []string
		want  []variable
	}{
		"no proxy at all":         {[]string{"PATH=/bin"}, nil},
		"an empty variable":       {[]string{"HTTP_PROXY="}, nil},
		"a proxy":                 {[]string{"https_proxy=http://p"}, []variable{{"NO_PROXY", "127.0.0.1"}, {"no_proxy", "127.0.0.1"}}},
		"a proxy with exceptions": {[]string{"ALL_PROXY=http://p", "NO_PROXY=.lan"}, []variable{{"NO_PROXY", ".lan,127.0.0.1"}, {"no_proxy", "127.0.0.1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := somewhere("").pastProxies(c.given)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(variable{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAQuotedTextIsOneWordToAShell(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[ -~\n\té→]{0,12}`), 1, 8).Draw(t, "words")
		line := "printf '%s\\0'"
		for _, word := range words {
			line += " " + posixQuoted(word)
		}
		out, err := exec.Command("sh", "-c", line).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, words) {
			t.Fatalf("%s is read as %q, want %q", line, got, words)
		}
	})
}

func TestShellsAreQuotedTheirOwnWay(t *testing.T) {
	v := variable{"NAME", `it's a \ and a $HOME`}
	for shell, want := range map[string]string{
		"sh":         `export NAME='it'\''s a \ and a $HOME'`,
		"fish":       `set -gx NAME 'it\'s a \\ and a $HOME';`,
		"powershell": `$env:NAME = 'it''s a \ and a $HOME'`,
	} {
		if got := shells()[shell](v); got != want {
			t.Errorf("%s: %s, want %s", shell, got, want)
		}
	}
	for _, c := range []struct{ variable, system, want string }{
		{"/usr/bin/fish", "linux", "fish"}, {"/bin/zsh", "darwin", "sh"}, {"", "linux", "sh"}, {"", "windows", "powershell"},
		{"/usr/bin/bash", "windows", "sh"},
	} {
		if got := usualShell(c.variable, c.system); got != c.want {
			t.Errorf("usualShell(%q, %q) = %s, want %s", c.variable, c.system, got, c.want)
		}
	}
}

func TestAMachineHasANameThatAKeyCanHave(t *testing.T) {
	for hostname, want := range map[string]string{
		"laptop": "laptop", "Dana's-MacBook.local": "dana-s-macbook", "BUILD_7": "build_7", "": "machine", ".lan": "machine",
		"-x": "x", "räksmörgås": "r-ksm-rg-s", strings.Repeat("a", 300): strings.Repeat("a", 40),
	} {
		got := machineNamed(hostname)
		if got != want {
			t.Errorf("machineNamed(%q) = %q, want %q", hostname, got, want)
		}
		if !accounts.ValidLoanName("run@" + got) {
			t.Errorf("run@%s is no name of a key", got)
		}
	}
}

func TestALoanIsProlongedWhileItsProgramRuns(t *testing.T) {
	var calls atomic.Int32
	var refuse atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if refuse.Load() {
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, `{"code":"not_found","detail":"no such secret"}`)
			return
		}
		_, _ = fmt.Fprint(w, `{}`)
	}))
	defer server.Close()
	l := &loan{from: &gateway{Client: api.NewClient(api.Options{BaseURL: server.URL})}, key: "run@laptop", id: "ab"}
	defer l.from.Close()

	for _, c := range []struct {
		name   string
		refuse bool
		want   string
	}{
		{"it is", false, ""},
		{"the gateway says no", true, "no such secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refuse.Store(c.refuse)
			before := calls.Load()
			ctx, stop := context.WithCancel(t.Context())
			kept := make(chan error, 1)
			go func() { kept <- l.keep(ctx, time.Millisecond) }()
			until(t, "two calls", func() bool { return calls.Load() > before+2 })
			stop()
			got := ""
			if err := <-kept; err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("it ends with %q, want %q", got, c.want)
			}
		})
	}
	refuse.Store(true)
	if err := l.giveBack(t.Context()); err != nil {
		t.Errorf("a loan that is gone cannot be given back: %v", err)
	}
	server.Close()
	if err := l.giveBack(t.Context()); err == nil {
		t.Error("a loan that could not be given back was")
	}
}
