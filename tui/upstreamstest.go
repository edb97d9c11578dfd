package tui

import (
	"context"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// testForm asks what an upstream is to be asked.
func (s *upstreamsScreen) testForm(u *api.Upstream) *form {
	f := &form{
		look: s.look, title: "Test " + clean(u.Name),
		intro: []string{
			"Without a model, the gateway asks it for its models. With one, it asks that model for a token, as a stream, and tells when what came; that costs a few tokens.",
		},
		fields: []*field{writtenField("chat", "Model", "", or(aModelOf(u), "none: only its models"))},
	}
	name := u.Name
	f.submit = func(f *form) tea.Cmd { return s.test(f, name) }
	return f
}

// aModelOf is a model to ask, where it is known that there is one.
func aModelOf(u *api.Upstream) string {
	for _, m := range u.Models {
		if !strings.ContainsAny(m, "*!") {
			return "none: only its models; or " + clean(m)
		}
	}
	return ""
}

func (s *upstreamsScreen) test(f *form, name string) tea.Cmd {
	model := f.value("chat")
	twin := []string{"upstreams", "test", name}
	if model != "" {
		twin = append(twin, "--chat", model)
	}
	var found api.UpstreamTest
	return s.submits(f, change{
		twin: twin, books: []book{bookUpstreams}, only: true,
		call: func(ctx context.Context, c *api.Client) (_ string, err error) {
			if model == "" {
				found, err = c.TestUpstream(ctx, name)
			} else {
				found, err = c.TestChat(ctx, name, model)
			}
			return "upstream " + name + " tested", err
		},
		then: func(string) tea.Cmd {
			s.open(s.testPage(name, &found))
			return nil
		},
	})
}

// testPage tells what a test found.
func (s *upstreamsScreen) testPage(name string, t *api.UpstreamTest) *page {
	verdict := s.look.good.Render(s.look.yes) + " it answers"
	if !t.OK {
		verdict = s.look.bad.Render(s.look.no) + " it does not answer as it should"
	}
	p := &page{look: s.look, title: "Test of " + clean(name), foot: "esc closes", lines: []string{verdict, ""}}
	pairs := [][2]string{{"asked", strings.TrimSpace(clean(t.Method) + " " + clean(t.URL))}}
	if t.Status > 0 {
		pairs = append(pairs, [2]string{"answer", strconv.Itoa(t.Status)})
	}
	if t.Models > 0 {
		pairs = append(pairs, [2]string{"models", count(int64(t.Models))})
	}
	if t.Error != "" {
		pairs = append(pairs, [2]string{"error", s.look.bad.Render(clean(t.Error))})
	}
	pairs = append(pairs, [2]string{"took", millis(float64(t.DurationMS))})
	p.lines = append(p.lines, strings.Split(s.facts(testWide, pairs...), "\n")...)
	if t.Chat != nil {
		p.lines = append(append(p.lines, ""), s.phases(t.Chat)...)
	}
	return p
}

// The room of a test's answer, and of the bars in it, in cells: it must go on the
// smallest screen.
const (
	testWide = 50
	testBar  = 24
)

// testPhase is a part of the way of an answer, in milliseconds since the start.
type testPhase struct {
	name     string
	from, to float64
}

// testPhasesOf puts the times of a test one behind the other. What did not take
// place, as a look-up of a name that is an address, is left out.
func testPhasesOf(c *api.ChatTest) []testPhase {
	var all []testPhase
	at := 0.0
	lasting := func(name string, ms float64) {
		if ms > 0 {
			all = append(all, testPhase{name, at, at + ms})
			at += ms
		}
	}
	until := func(name string, ms float64) {
		if ms > 0 {
			all = append(all, testPhase{name, min(at, ms), ms})
			at = ms
		}
	}
	lasting("dns", c.DNSMS)
	lasting("connect", c.ConnectMS)
	lasting("tls", c.TLSMS)
	until("first byte", c.FirstByteMS)
	until("first token", c.FirstTokenMS)
	until("total", c.TotalMS)
	return all
}

// phases draws them: how long the first three took, and how long after the start
// the others were.
func (s *upstreamsScreen) phases(c *api.ChatTest) []string {
	all := testPhasesOf(c)
	whole := c.TotalMS
	for _, one := range all {
		whole = max(whole, one.to)
	}
	lines := make([]string, 0, len(all)+1)
	for _, one := range all {
		ms := one.to
		if one.name == "dns" || one.name == "connect" || one.name == "tls" {
			ms = one.to - one.from
		}
		from := int(one.from / whole * testBar)
		bar := s.look.bar((one.to-one.from)/whole, testBar)
		if bar == "" {
			bar = string(s.look.wide[0])
		}
		lines = append(lines, " "+s.look.fit(one.name, 11)+" "+s.look.fitRight(millis(ms), 8)+"  "+spaces(min(from, testBar-1))+s.look.accent.Render(bar))
	}
	return append(lines, " "+plural(c.Chunks, "chunk"))
}
