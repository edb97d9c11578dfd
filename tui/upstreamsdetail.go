package tui

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// drawUpstream shows everything that is known of an upstream: how it does first.
func (s *upstreamsScreen) drawUpstream(u *api.Upstream, w, h int) string {
	inW, inH := inside(w, h)
	content := s.facts(inW, slices.Concat(s.standing(u), s.traffic(u), s.troubles(u), s.credentialFacts(u), s.uses(u), s.manner(u))...)
	b := box{title: clean(u.Name)}
	if over := strings.Count(content, "\n") + 1 - inH; over > 0 {
		b.count = plural(over, "line") + " more"
	}
	return b.draw(s.look, s.look.block(content, inW, inH), w, h)
}

// standing is how an upstream stands.
func (s *upstreamsScreen) standing(u *api.Upstream) [][2]string {
	return [][2]string{
		{"state", s.stateStyle(u).Render(s.state(u))},
		{"url", clean(u.URL)},
		{"in flight", count(int64(u.InFlight)) + s.onNode()},
	}
}

// onNode says whose figures those are that only one node tells of.
func (s *upstreamsScreen) onNode() string {
	if len(s.books.nodes.value) < 2 || s.link.hello.Node == "" {
		return ""
	}
	return " on node " + clean(s.link.hello.Node)
}

// traffic is what came of an upstream's requests within the window.
func (s *upstreamsScreen) traffic(u *api.Upstream) [][2]string {
	if !s.counted() {
		return [][2]string{{"requests", "not known yet"}}
	}
	c := s.counts(u)
	last := "last " + span(time.Duration(s.books.window.value.WindowS)*time.Second)
	pairs := [][2]string{{last, count(c.Requests) + " requests, " + s.perSecond(u) + "/s, errors " + s.errors(u)}}
	if one := s.share("upstream", u.Name); one != nil && len(one.Series) > 0 {
		series := make([]float64, len(one.Series))
		for i, n := range one.Series {
			series[i] = float64(n)
		}
		pairs = append(pairs, [2]string{"course", s.look.accent.Render(s.look.spark(series, len(series)))})
	}
	if c.Refused > 0 {
		pairs = append(pairs, [2]string{"refused", count(c.Refused) + " answers of 4xx"})
	}
	if c.FirstTokenP95 > 0 {
		pairs = append(pairs, [2]string{"first token", s.firstToken(u) + " (p50 / p95)"})
	}
	if c.InputTokens+c.OutputTokens > 0 {
		pairs = append(pairs, [2]string{"tokens", count(c.InputTokens) + " in, " + count(c.OutputTokens) + " out"})
	}
	return pairs
}

// shownTroubles is how many of an upstream's last problems are listed.
const shownTroubles = 3

func (s *upstreamsScreen) troubles(u *api.Upstream) [][2]string {
	var pairs [][2]string
	for _, t := range s.books.window.value.Recent {
		if t.Upstream != u.Name || len(pairs) == shownTroubles {
			continue
		}
		text := or(clean(t.Error), clean(t.Reason))
		if t.Status > 0 {
			text = strconv.Itoa(t.Status) + " " + text
		}
		if t.Count > 1 {
			text += " " + s.look.times + count(t.Count)
		}
		pairs = append(pairs, [2]string{"problem", s.look.bad.Render(s.look.ill) + " " + text + ", " + ago(s.now(), t.Time) + ", model " + or(clean(t.Model), unknown)})
	}
	return pairs
}

func (s *upstreamsScreen) credentialFacts(u *api.Upstream) [][2]string {
	if len(u.Credentials) == 0 {
		text := s.look.bad.Render(s.look.ill) + " none; " + s.look.key.Render("C") + " gives one"
		if u.Auth == "none" {
			text = "none needed"
		}
		return [][2]string{{"credential", text}}
	}
	pairs := make([][2]string, 0, len(u.Credentials))
	for i := range u.Credentials {
		pairs = append(pairs, [2]string{"credential", s.credentialText(&u.Credentials[i])})
	}
	return pairs
}

// credentialText tells all that is known of a credential, and that is not its
// secret.
func (s *upstreamsScreen) credentialText(c *api.Credential) string {
	sign := s.look.good.Render(s.look.on)
	switch {
	case !c.Enabled:
		sign = s.look.dim.Render(s.look.off)
	case !c.Usable || c.LastError != "":
		sign = s.look.bad.Render(s.look.ill)
	}
	text := sign + " " + clean(c.Name) + " " + or(clean(c.Reference), "sealed")
	if c.Last4 != "" {
		text += " " + lastFour(s.look, c.Last4)
	}
	if c.Weight > 1 {
		text += ", weight " + strconv.Itoa(c.Weight)
	}
	if !c.Enabled {
		text += ", disabled"
	}
	if c.Problem != "" {
		text += ", " + s.look.bad.Render(clean(c.Problem))
	} else if !c.Usable {
		text += ", " + s.look.bad.Render("it cannot be used")
	}
	if c.LastError != "" {
		text += ", last error " + s.look.bad.Render(clean(c.LastError))
	}
	return text
}

// manner is how an upstream is spoken to.
func (s *upstreamsScreen) manner(u *api.Upstream) [][2]string {
	pairs := [][2]string{
		{"provider", clean(u.Provider)},
		{"auth", or(clean(u.Auth), "the provider's")},
		{"wires", or(clean(strings.Join(u.Wires, ", ")), "the provider's")},
		{"models", or(clean(strings.Join(u.Models, ", ")), "not listed: any")},
		{"timeouts", clean(timeoutsText(u.Timeouts))},
		{"connections", connectionsText(u)},
	}
	if u.Websocket {
		pairs = append(pairs, [2]string{"websocket", "relayed"})
	}
	if !u.CreatedAt.IsZero() {
		pairs = append(pairs, [2]string{"made", ago(s.now(), u.CreatedAt)})
	}
	return append(pairs, [2]string{"id", clean(u.ID)})
}

// timeoutsText gives the deadlines that are not the gateway's own.
func timeoutsText(t *api.Timeouts) string {
	if t == nil {
		return "the gateway's"
	}
	var parts []string
	for _, one := range [][2]string{
		{"connect", t.Connect}, {"response header", t.ResponseHeader}, {"first token", t.FirstToken}, {"idle", t.Idle}, {"total", t.Total},
	} {
		switch one[1] {
		case "":
		case "0s":
			parts = append(parts, one[0]+" none")
		default:
			parts = append(parts, one[0]+" "+one[1])
		}
	}
	return or(strings.Join(parts, ", "), "the gateway's")
}

func connectionsText(u *api.Upstream) string {
	var parts []string
	if u.MaxIdle > 0 {
		parts = append(parts, "at most "+strconv.Itoa(u.MaxIdle)+" idle")
	}
	if u.IdleTimeout != "" {
		parts = append(parts, "kept for "+clean(u.IdleTimeout))
	}
	return strings.Join(parts, ", ")
}
