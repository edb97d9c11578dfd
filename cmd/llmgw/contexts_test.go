package main

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func TestAServerHasOneForm(t *testing.T) {
	for text, want := range map[string][3]string{
		"https://LLM.example.com":                          {"https://llm.example.com", "", "llm.example.com"},
		"https://llm.example.com/":                         {"https://llm.example.com", "", "llm.example.com"},
		"https://llm.example.com:443":                      {"https://llm.example.com", "", "llm.example.com"},
		"https://llm.example.com:4101/":                    {"https://llm.example.com:4101", "", "llm.example.com-4101"},
		"http://127.0.0.1:80":                              {"http://127.0.0.1", "", "127.0.0.1"},
		"http://127.0.0.1:443":                             {"http://127.0.0.1:443", "", "127.0.0.1-443"},
		"http://[::1]:4101/setup#Xq4T-9mKd-2LrV":           {"http://[::1]:4101", "Xq4T-9mKd-2LrV", "1-4101"},
		"https://llm.example.com/gw/setup#Xq4T-9mKd-2LrV":  {"https://llm.example.com/gw", "Xq4T-9mKd-2LrV", "llm.example.com"},
		"https://llm.example.com/gw/?a=b":                  {"https://llm.example.com/gw", "", "llm.example.com"},
		"unix:///run/llmgw/admin.sock":                     {"unix:///run/llmgw/admin.sock", "", ""},
		"https://llm.example.com/setup/#Xq4T-9mKd-2LrV":    {"https://llm.example.com", "Xq4T-9mKd-2LrV", "llm.example.com"},
		"https://llm.example.com/setup?x=y#Xq4T-9mKd-2LrV": {"https://llm.example.com", "Xq4T-9mKd-2LrV", "llm.example.com"},
	} {
		server, link, err := serverOf(text)
		if got := [3]string{server, link, nameOf(server)}; err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "llm.example.com", "ftp://llm.example.com", "https://dana:secret@llm.example.com", "https://", "://"} {
		if server, _, err := serverOf(text); err == nil {
			t.Errorf("%q is a server: %s", text, server)
		}
	}
}

func TestOnlyThisMachineIsSpokenToInClear(t *testing.T) {
	for server, want := range map[string]bool{
		"http://127.0.0.1:4101": true, "http://localhost:4101": true, "http://[::1]:4101": true, "http://[::ffff:127.0.0.1]:1": true,
		"http://127.0.0.1.example.com": false, "http://10.0.0.1:4101": false, "http://gw:4101": false, "http://0.0.0.0:4101": false,
		"https://gw:4101": true,
	} {
		c := place{Name: "c", Server: server}
		if err := c.check(); (err == nil) != want {
			t.Errorf("%s: %v", server, err)
		}
		c.InsecureHTTP = true
		if err := c.check(); err != nil {
			t.Errorf("%s, where that is said to be safe: %v", server, err)
		}
	}
}

// TestWhichGatewayIsMeant goes through the places that can name one, the
// strongest last.
func TestALoginGoesToTheContextOfItsUser(t *testing.T) {
	admins := place{Name: "prod", Server: "https://a:9", User: "admin", CAFile: "/a.pem"}
	lees := place{Name: "lees", Server: "https://a:9", User: "lee"}
	all := places{Current: "prod", Contexts: []place{admins, lees, {Name: "b", Server: "https://b"}}}
	for _, c := range []struct {
		name, server, user string
		want               place
	}{
		{"a server that nobody knows", "https://c:9", "dana", place{Name: "c-9", Server: "https://c:9"}},
		{"nobody is said", "https://a:9", "", admins},
		{"the user of the current one", "https://a:9", "admin", admins},
		{"the user of another one", "https://a:9", "lee", lees},
		{"a user who has none there", "https://a:9", "dana", place{Name: "a-9", Server: "https://a:9", CAFile: "/a.pem"}},
		{"one that nobody has logged in to", "https://b", "dana", all.Contexts[2]},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, all.of(c.server, c.user)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhichGatewayIsMeant(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "LLMGW_SERVER", "LLMGW_CONTEXT", "LLMGW_DATA", "LLMGW_CONFIG"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Chdir(home)
	k, err := openKeep()
	if err != nil {
		t.Fatal(err)
	}
	known := []place{
		{Name: "a", Server: "https://a"}, {Name: "b", Server: "https://b", CAFile: "/b.pem"},
		{Name: "sock", Server: "unix:///s/admin.sock"},
	}
	own := goal{socket: filepath.Join(home, ".local/share/llmgw", socketName)}
	for _, c := range []struct {
		name    string
		current string
		env     map[string]string
		args    []string
		want    goal
	}{
		{"nothing is said", "", nil, nil, own},
		{"the current context", "a", nil, nil, goal{place: known[0]}},
		{"a current context that is a socket", "sock", nil, nil, goal{socket: "/s/admin.sock", place: known[2]}},
		{"LLMGW_DATA", "a", map[string]string{"LLMGW_DATA": "/d"}, nil, goal{socket: "/d/" + socketName}},
		{"LLMGW_CONTEXT", "a", map[string]string{"LLMGW_DATA": "/d", "LLMGW_CONTEXT": "b"}, nil, goal{place: known[1]}},
		{"LLMGW_SERVER", "a", map[string]string{"LLMGW_CONTEXT": "b", "LLMGW_SERVER": "https://c"}, nil, goal{place: place{Server: "https://c"}}},
		{"a server that a context knows", "a", map[string]string{"LLMGW_SERVER": "https://B:443/"}, nil, goal{place: known[1]}},
		{"--data", "a", map[string]string{"LLMGW_SERVER": "https://c"}, []string{"--data", "/e"}, goal{socket: "/e/" + socketName}},
		{"--context", "a", map[string]string{"LLMGW_SERVER": "https://c"}, []string{"--data", "/e", "--context", "b"}, goal{place: known[1]}},
		{"--server", "a", nil, []string{"--context", "b", "--server", "https://d"}, goal{place: place{Server: "https://d"}}},
		{"--server as a socket", "a", nil, []string{"--server", "unix:///x.sock"}, goal{socket: "/x.sock", place: place{Server: "unix:///x.sock"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			if err := k.changePlaces(t.Context(), func(all *places) error {
				*all = places{Current: c.current, Contexts: known}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			command := &cobra.Command{}
			addFlags(command.Flags(), anyCommand)
			if err := command.ParseFlags(c.args); err != nil {
				t.Fatal(err)
			}
			a := &app{command: command}
			s, err := a.settings()
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.which(s)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(goal{})); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}
