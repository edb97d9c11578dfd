package tui

import (
	"context"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// newUpstreamForm asks for what a new upstream needs.
func (s *upstreamsScreen) newUpstreamForm() *form {
	var providers []string
	for _, p := range accounts.Providers() {
		providers = append(providers, string(p))
	}
	f := &form{look: s.look, title: "New upstream", fields: append([]*field{
		writtenField("name", "Name", "", "openai-eu"),
		choiceField("provider", "Provider", providers, providers[0], ""),
		writtenField("url", "URL", "", "the provider's own, where it has one"),
		writtenField("auth", "Auth", "", "the provider's; or bearer, header:NAME, query:NAME, none"),
		writtenField("models", "Models", "", "not listed: any; or gpt-5, gpt-5-mini"),
	}, s.secretFields()...)}
	f.submit = func(f *form) tea.Cmd { return s.createUpstream(f) }
	return f
}

func (s *upstreamsScreen) createUpstream(f *form) tea.Cmd {
	credential, flags, problem := credentialOf(f)
	if problem != "" {
		f.problem = problem
		return nil
	}
	wanted := api.NewUpstream{
		Name: f.value("name"), Provider: f.value("provider"), URL: f.value("url"), Auth: f.value("auth"), Models: f.words("models"),
	}
	if len(flags) > 0 {
		wanted.Credential = &credential
	}
	twin := []string{"upstreams", "create", wanted.Name, "--provider", wanted.Provider}
	for _, flag := range [][2]string{{"--url", wanted.URL}, {"--auth", wanted.Auth}, {"--models", strings.Join(wanted.Models, ",")}} {
		if flag[1] != "" {
			twin = append(twin, flag[0], flag[1])
		}
	}
	twin = append(append(twin, flags...), "--no-test")
	return s.submits(f, change{
		twin: twin, books: []book{bookUpstreams},
		call: func(ctx context.Context, c *api.Client) (string, error) {
			u, err := c.CreateUpstream(ctx, wanted)
			return "upstream " + u.Name + " made; T tests it", err
		},
	})
}
