package admin

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// providerURL is where a provider answers unless an upstream says otherwise.
// The others have no address that fits everybody.
func providerURL(provider accounts.Provider) string {
	switch provider {
	case accounts.ProviderOpenAI:
		return "https://api.openai.com/v1"
	case accounts.ProviderAnthropic:
		return "https://api.anthropic.com"
	case accounts.ProviderGemini:
		return "https://generativelanguage.googleapis.com"
	}
	return ""
}

// newUpstream makes an upstream of what was asked for, without ID, credential
// and birthday, and says all that is wrong with it.
func newUpstream(in *api.NewUpstream, reach rules.Reach) (accounts.Upstream, []api.Problem) {
	var problems []api.Problem
	u := accounts.Upstream{
		Name: in.Name, Provider: accounts.Provider(in.Provider), Auth: accounts.Auth(in.Auth),
		URL:   strings.TrimRight(strings.TrimSpace(in.URL), "/"),
		Wires: in.Wires, Models: in.Models, MaxIdle: in.MaxIdle, Websocket: in.Websocket, Enabled: true,
	}
	if u.URL == "" {
		u.URL = providerURL(u.Provider)
	}
	problems = append(problems, checkURL(u.URL, reach)...)
	var found []api.Problem
	u.Timeouts, found = readTimeouts(in.Timeouts)
	problems = append(problems, found...)
	u.IdleTimeout, found = readIdleTimeout(in.IdleTimeout)
	problems = append(problems, found...)
	return u, append(problems, checkUpstream(&u)...)
}

// readTimeouts reads all of the timeouts: those that are not given are the
// gateway's, and a written 0 is no bound, as in rules.
func readTimeouts(in *api.Timeouts) (accounts.Timeouts, []api.Problem) {
	if in == nil {
		return accounts.Timeouts{}, nil
	}
	var problems []api.Problem
	duration := func(field, text string) time.Duration {
		d, problem := readDuration(field, text)
		problems = append(problems, problem...)
		if text != "" && d == 0 && len(problem) == 0 {
			return accounts.NoTimeout
		}
		return d
	}
	return accounts.Timeouts{
		Connect:        duration("timeouts.connect", in.Connect),
		ResponseHeader: duration("timeouts.response_header", in.ResponseHeader),
		FirstToken:     duration("timeouts.first_token", in.FirstToken),
		Idle:           duration("timeouts.idle", in.Idle),
		Total:          duration("timeouts.total", in.Total),
	}, problems
}

// checkURL says that a URL is missing, or why the gateway would never call it.
func checkURL(url string, reach rules.Reach) []api.Problem {
	if url == "" {
		return []api.Problem{{Field: "url", Message: "is missing; this provider has no address of its own",
			Hint: "give one: --url https://HOST"}}
	}
	return checkReach(url, reach)
}

// checkReach says why the gateway would never call a URL, as far as its text
// tells.
func checkReach(url string, reach rules.Reach) []api.Problem {
	err := reach.URL(url)
	if err == nil {
		return nil
	}
	if forbidden := (*rules.ForbiddenError)(nil); errors.As(err, &forbidden) && forbidden.Private {
		return []api.Problem{{Field: "url", Message: "is not a public address, and this gateway calls no other",
			Hint: "the server says private_targets: deny"}}
	}
	return []api.Problem{{Field: "url", Message: "is a link-local address or a cloud's metadata service, which the gateway never calls"}}
}

// checkUpstream gives what accounts finds wrong, but for an address that is
// missing: newUpstream says that with more sense.
func checkUpstream(u *accounts.Upstream) []api.Problem {
	var problems []api.Problem
	if u.MaxIdle < 0 {
		problems = append(problems, api.Problem{Field: "max_idle", Message: "is negative"})
	}
	for i, model := range u.Models {
		if isKeyLike(model) {
			problems = append(problems, keyInField(fmt.Sprintf("models[%d]", i)))
		}
	}
	for _, err := range u.Validate() {
		field, message, _ := strings.Cut(err.Error(), ": ")
		if field != "url" || u.URL != "" {
			problems = append(problems, api.Problem{Field: field, Message: message})
		}
	}
	return problems
}

// readIdleTimeout reads for how long idle connections are kept. 0 could mean for
// ever as well as not at all.
func readIdleTimeout(text string) (time.Duration, []api.Problem) {
	d, problems := readDuration("idle_timeout", text)
	if text != "" && d == 0 && len(problems) == 0 {
		problems = []api.Problem{{Field: "idle_timeout", Message: "must be more than 0s; leave it out for the default"}}
	}
	return d, problems
}

// readDuration gives 0 for the empty text, and for a written 0, too.
func readDuration(field, text string) (time.Duration, []api.Problem) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	if err != nil {
		return 0, []api.Problem{{Field: field, Message: "is not a duration such as 30s or 2m"}}
	}
	return d, nil
}
