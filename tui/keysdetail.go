package tui

import (
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// drawKey shows everything that is known of one key.
func (s *keysScreen) drawKey(k *api.Key, w, h int) string {
	inW, _ := inside(w, h)
	lines := [][2]string{
		{"state", s.stateStyle(k).Render(s.state(k))},
		{"owner", or(clean(k.User), unknown)},
		{"models", or(clean(strings.Join(k.Models, ", ")), "all")},
		{"limits", or(clean(strings.Join(k.Limits, ", ")), "none")},
		{"tags", clean(pairsOf(k.Tags))},
		{"made", ago(s.now(), k.CreatedAt)},
		{"ends", momentOf(k.ExpiresAt)},
		{"revoked", momentOf(k.RevokedAt)},
		{"last used", s.since(k.LastUsedAt)},
		{"requests", s.requests("key", k.Name)},
	}
	for _, one := range k.Secrets {
		lines = append(lines, [2]string{"secret", lastFour(s.look, one.Last4) + " made " + ago(s.now(), one.CreatedAt) + endOf(s.now(), one.ExpiresAt)})
	}
	if len(k.Secrets) == 0 {
		lines = append(lines, [2]string{"secret", lastFour(s.look, k.Last4)})
	}
	lines = append(lines, [2]string{"id", clean(k.ID)})
	content := s.facts(inW, lines...)
	return box{title: clean(k.Name)}.toldOf(content, h).draw(s.look, content, w, h)
}

// momentOf is a time as it can be typed again; empty: there is none.
func momentOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func endOf(now time.Time, end *time.Time) string {
	switch {
	case end == nil:
		return ""
	case !end.After(now):
		return ", ended " + ago(now, *end)
	}
	return ", ends in " + span(end.Sub(now))
}
