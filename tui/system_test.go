package tui

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

func TestSystemShowsEveryPaneWhereThereIsRoom(t *testing.T) {
	play(t, 200, 60, nil, func(s *stage) {
		s.press("9")
		s.sees("● ready", "postgres at db.example.com:5432/llmgw, 0.80 ms", "redis at cache.example.com:6379", "revision 41, 1 h ago by dana; 4 on, 1 off",
			"a1 (this)", "● in force", "✕ no sign for 12 s", "rule.apply", "LLMGW_LISTEN", "32MiB", "go to a screen by", "dark, unicode signs")
		fits(t, s.frame(), 200, 60)
	})
	for _, size := range [][2]int{{60, 16}, {80, 24}, {99, 40}, {120, 25}, {120, 32}, {180, 40}, {300, 100}} {
		play(t, size[0], size[1], nil, func(s *stage) {
			s.press("9")
			for range 5 {
				s.sees("ready")
				fits(t, s.frame(), size[0], size[1])
				s.press("enter")
				fits(t, s.frame(), size[0], size[1])
				s.press("esc", "/")
				s.write("zzz")
				fits(t, s.frame(), size[0], size[1])
				s.press("esc", "tab")
			}
		})
	}
}

func TestTabGoesThroughThePanesAndBack(t *testing.T) {
	play(t, 80, 24, nil, func(s *stage) {
		s.press("9")
		for _, pane := range []string{"[Nodes]", "[Audit]", "[Settings]", "[Key map]", "[Nodes]"} {
			s.sees(pane)
			s.press("tab")
		}
		s.press("shift+tab", "shift+tab")
		s.sees("[Key map]")
	})
	play(t, 120, 32, nil, func(s *stage) {
		s.press("9")
		s.sees("Settings")
		s.press("shift+tab")
		s.sees("Key map", "Audit")
		s.seesNot("Settings")
	})
}

func TestANodeIsShownWithAllThatIsKnownOfIt(t *testing.T) {
	nodes := sampleNodes()
	nodes[0].MaxStalenessS, nodes[0].FencedAfterS = 30, 45
	nodes[1].Behind, nodes[1].Problem = 3, ""
	nodes[2].Silent, nodes[2].SameLog, nodes[2].Behind, nodes[2].Problem = false, false, -1, ""
	play(t, 120, 32, func(_ *Options, f *fake) { f.answer("GET /nodes", listOf(nodes...)) }, func(s *stage) {
		s.press("9")
		s.sees("◷ 3 changes behind", "▲ knows another store's changes")
		s.press("enter")
		s.sees("Node a1", "node_01A", "412, 0 to come", "after 30.0 s; a change missing: after")
		s.press("esc", "G", "enter")
		s.sees("Node b1", "0.6.4", "12.0 s", "411, 0 to come", "never")
	})
}

func TestAnAuditEntryIsShownBeforeAndAfter(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("9", "tab", "enter")
		s.sees("Change 412", "10.0.0.4", "openai (rule:openai)", "more to the EU", "412, revision 41",
			"   name: openai", " - action.weight: 50", " + action.weight: 80", " + note: 研究")
		s.press("esc", "j", "enter")
		s.sees("Change 411", "what it was and became is not kept")
	})
}

func TestSettingsAreFoundByNameAndOrigin(t *testing.T) {
	play(t, 80, 24, nil, func(s *stage) {
		s.press("9", "tab", "tab", "/")
		s.write("origin:env -secret")
		s.press("enter")
		s.sees("1 of 4", "0.0.0.0:8080")
		s.seesNot("body-limit")
		s.press("enter")
		s.sees("LLMGW_LISTEN", "env")
		s.press("esc", "esc")
		s.sees("body-limit")
	})
}

func TestTheKeyMapIsShownWithTheKeysInForce(t *testing.T) {
	play(t, 120, 32, func(o *Options, _ *fake) { o.Keys = map[string][]string{"refresh": {"f5"}} }, func(s *stage) {
		s.press("9", "shift+tab", "/")
		s.write("action:refresh")
		s.press("enter")
		s.sees("f5", "ask the gateway again now")
		s.seesNot("open the row") // there is nothing to open
	})
}

func TestTheStateOfTheGatewayIsTold(t *testing.T) {
	since, copyOf := before(10*time.Minute), before(12*time.Minute)
	for name, c := range map[string]struct {
		change func(*api.Status)
		want   []string
	}{
		"it drains":           {func(g *api.Status) { g.Draining = true }, []string{"◷ draining"}},
		"it is not ready":     {func(g *api.Status) { g.Ready, g.NotReady = false, "no snapshot" }, []string{"✕ not ready: no snapshot"}},
		"it does not say why": {func(g *api.Status) { g.Ready = false }, []string{"✕ not ready: it does not say why"}},
		"it is degraded":      {func(g *api.Status) { g.Problem = "the store is away" }, []string{"▲ the store is away"}},
		"the store is away": {func(g *api.Status) {
			g.Store = api.StoreStatus{Kind: "postgres", Since: &since, Reason: "refused", CopyOf: &copyOf}
		}, []string{"✕ postgres is away since 20:54:13, 10 min (refused); served is the", "copy of 12 min ago"}},
		"the store has failed": {func(g *api.Status) { g.Store = api.StoreStatus{Kind: "sqlite", Error: "disk full"} }, []string{"✕ sqlite is away (disk full)"}},
		"nobody changed rules": {func(g *api.Status) { g.Rules.ChangedBy = "" }, []string{"by nobody"}},
	} {
		t.Run(name, func(t *testing.T) {
			status := sampleStatus()
			c.change(&status)
			play(t, 160, 40, func(_ *Options, f *fake) { f.answer("GET /status", status) }, func(s *stage) {
				s.press("9")
				s.sees(c.want...)
				fits(t, s.frame(), 160, 40)
			})
		})
	}
}

func TestAllThatIsKnownOfTheGatewayIsShownWhereThereIsRoom(t *testing.T) {
	play(t, 120, 40, nil, func(s *stage) {
		s.press("9")
		s.sees("admin  https://llm.example.com:8889", "data   /var/lib/llmgw")
		s.seesNot("more ─")
	})
}

func TestDoctorLooksAndReports(t *testing.T) {
	play(t, 100, 30, func(o *Options, _ *fake) {
		o.Doctor = func(ctx context.Context) (string, error) {
			select {
			case <-time.After(3 * time.Second):
				return "ok  store\nwarning  \x1b[2Jclock is off\n", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
	}, func(s *stage) {
		s.press("9")
		s.sees("d doctor")
		s.press("d")
		s.sees("doctor looks…")
		s.press("d")
		s.sees("doctor is still looking")
		s.wait(4 * time.Second)
		s.sees("ok  store", "warning  ·[2Jclock is off")
		s.logs("llmgw doctor --context prod")
		s.press("esc", "d")
		s.sees("doctor looks…")
	})
}

func TestAReportOfProblemsIsShownAndSoIsADoctorWhoFails(t *testing.T) {
	for name, c := range map[string]struct {
		report string
		err    error
		want   string
	}{
		"with problems": {"problem  no upstream\n", errors.New("1 problem"), "problem  no upstream"},
		"a failure":     {"", errors.New("reading the configuration: no"), "✕ reading the configuration: no"},
		"without words": {"", nil, "✕ doctor says nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 100, 30, func(o *Options, f *fake) {
				o.Doctor = func(context.Context) (string, error) { return c.report, c.err }
				f.answer("GET /me", api.Me{User: "vic", Role: "viewer"}) // whoever may look may do this
			}, func(s *stage) {
				s.press("9")
				s.fake.goAway() // and it is needed most when the gateway is away
				s.wait(2 * time.Second)
				s.press("d")
				s.sees("Doctor", c.want)
			})
		})
	}
}

func TestWithoutADoctorNoneIsOffered(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("9")
		s.seesNot("doctor")
		s.press("d")
		s.seesNot("Doctor")
	})
}

func TestTheConsoleTellsWhatItAsks(t *testing.T) {
	var n atomic.Int64
	play(t, 120, 32, func(o *Options, f *fake) {
		o.Gateway.Requests = n.Load
		for route := range sample() {
			do := f.routes[route]
			f.on(route, func(r *http.Request, body []byte) (int, any) { n.Add(1); return do(r, body) })
		}
	}, func(s *stage) {
		s.press("9")
		s.wait(2 * time.Minute)
		var line string
		for text := range strings.SplitSeq(s.text(), "\n") {
			if _, rest, found := strings.Cut(text, "│ calls "); found {
				line = rest
			}
		}
		if !strings.Contains(line, "0.3 a second over 1 min") { // the status each 10 s, nodes each 5 s
			t.Errorf("calls: %q", line)
		}
		reads := s.fake.reads
		if reads["/settings"] != 1 || reads["/audit"] != 1 {
			t.Errorf("what does not change was read again: %v", reads)
		}
		s.fake.send(api.Event{ID: "9", Change: &api.Changed{Seq: 500, Subjects: []string{"key:key_01A"}}})
		s.wait(time.Second)
		if reads["/audit"] != 2 {
			t.Errorf("the audit was read %d times, and a key had changed", reads["/audit"])
		}
	})
}

func TestSystemWithoutAnythingAndWithTrouble(t *testing.T) {
	empty := func(_ *Options, f *fake) {
		f.answer("GET /nodes", listOf[api.Node]())
		f.answer("GET /audit", listOf[api.AuditEntry]())
		f.answer("GET /settings", listOf[api.Setting]())
	}
	refused := func(_ *Options, f *fake) {
		for _, route := range []string{"/nodes", "/audit", "/settings", "/status"} {
			f.refuse("GET "+route, api.Error{Status: 500, Code: api.CodeInternal, Detail: "no " + route, Hint: "ask somebody"})
		}
	}
	for _, size := range [][2]int{{60, 16}, {120, 32}} {
		play(t, size[0], size[1], empty, func(s *stage) {
			s.press("9")
			s.sees("No gateway runs on this store")
			s.press("enter", "y", "tab")
			s.sees("Nothing was changed yet")
			s.press("enter", "tab")
			s.sees("The gateway tells of no settings")
			fits(t, s.frame(), size[0], size[1])
		})
		play(t, size[0], size[1], refused, func(s *stage) {
			s.press("9")
			s.sees("no /nodes", "no /status", "r tries again")
			fits(t, s.frame(), size[0], size[1])
		})
		play(t, size[0], size[1], nil, func(s *stage) {
			s.press("9")
			s.fake.goAway()
			s.wait(5 * time.Second)
			s.sees("not reachable", "in force")
			fits(t, s.frame(), size[0], size[1])
		})
	}
	play(t, 120, 32, nil, func(s *stage) {
		s.press("9")
		refused(nil, s.fake)
		asked := s.fake.reads["/nodes"]
		s.wait(11 * time.Second)
		if n := s.fake.reads["/nodes"] - asked; n != 2 { // each 5 s, as before
			t.Errorf("what cannot be had was asked for %d times", n)
		}
		s.sees("not loaded again: no /nodes", "not loaded again: no /status", "in force")
	})
}

func TestWhatSystemShowsObeysNothing(t *testing.T) {
	const evil = "\x1b[2J\u202e\x07長"
	play(t, 120, 32, func(_ *Options, f *fake) {
		g := sampleStatus()
		g.Version, g.Node, g.Bus, g.Proxy, g.Store.Kind, g.Rules.ChangedBy = evil, evil, evil, evil, evil, evil
		f.answer("GET /status", g)
		n := sampleNodes()[2]
		n.Name, n.Version, n.Problem, n.Bus, n.ID = evil, evil, evil, evil, evil
		f.answer("GET /nodes", listOf(n))
		f.answer("GET /settings", listOf(api.Setting{Name: evil, Value: evil, Origin: evil, Source: evil}))
		f.answer("GET /audit", listOf(api.AuditEntry{Name: evil, Actor: evil, Action: evil, From: evil, Subject: evil, Message: evil,
			Before: map[string]any{evil: map[string]any{evil: evil}}, After: map[string]any{evil: evil}}))
	}, func(s *stage) {
		s.press("9")
		for range 4 {
			s.press("enter")
			fits(t, s.frame(), 120, 32)
			if frame := s.frame(); strings.Contains(frame, "\x1b[2J") || strings.ContainsAny(frame, "\u202e\x07") {
				t.Errorf("the terminal would obey: %q", frame)
			}
			s.press("esc", "tab")
		}
	})
}

func TestKeysUsersAndSystemAreDrawnWithASCIIAlone(t *testing.T) {
	users, keys := sampleUsers(), sampleKeys()
	users[2].Tags = nil
	play(t, 120, 32, func(o *Options, f *fake) {
		o.ASCII, o.NoColour = true, true
		f.answer("GET /users", listOf(users...))
		f.answer("GET /keys", listOf(keys...))
		f.answer("GET /audit", listOf[api.AuditEntry]())
		f.answer("POST /keys", api.CreatedKey{Key: api.Key{Name: "x"}, Secret: "sk-lgw-x"})
	}, func(s *stage) {
		for _, keys := range [][]string{{"5"}, {"enter"}, {"e"}, {"esc", "R"}, {"esc", "ctrl+d"}, {"esc", "n", "x", "ctrl+s"}, {"esc", "6"}, {"enter"}, {"P"}, {"esc", " "}, {"esc", "9"}, {"enter"}, {"esc", "tab"}, {"tab"}, {"tab"}} {
			s.press(keys...)
			fits(t, s.frame(), 120, 32)
			for _, r := range s.frame() {
				if r > 126 {
					t.Fatalf("after %v %q is drawn:\n%s", keys, r, s.text())
				}
			}
		}
	})
}
