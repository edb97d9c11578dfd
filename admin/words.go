package admin

import (
	"fmt"
	"sort"
	"strings"
	"unicode"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// The bounds of what is written on a key, a user or a binding.
const (
	maxTags     = 32
	maxTagValue = 256
	maxModels   = 256
	maxPattern  = 256
	maxLimits   = 32
)

// None of these repeats what was sent: people paste keys into the wrong field.

func badName(field string) api.Problem {
	return api.Problem{Field: field, Message: "must match " + accounts.NamePattern}
}

func keyInField(field string) api.Problem {
	return api.Problem{Field: field, Message: "looks like a key, which has no place here"}
}

func checkTags(tags map[string]string) []api.Problem {
	var problems []api.Problem
	if len(tags) > maxTags {
		problems = append(problems, api.Problem{Field: "tags", Message: fmt.Sprintf("are more than %d", maxTags)})
	}
	for name, value := range tags {
		switch {
		case !accounts.ValidName(name):
			problems = append(problems, api.Problem{Field: "tags", Message: "the name of a tag must match " + accounts.NamePattern})
		case name == oneUseTag:
			problems = append(problems, api.Problem{Field: "tags." + name, Message: "is kept for the gateway's own keys"})
		case !validTagValue(value):
			problems = append(problems, api.Problem{Field: "tags." + name,
				Message: fmt.Sprintf("must be one line of at most %d bytes, and no key", maxTagValue)})
		}
	}
	sort.Slice(problems, func(i, j int) bool { return problems[i].Field < problems[j].Field })
	return problems
}

func validTagValue(value string) bool {
	return len(value) <= maxTagValue && !strings.ContainsFunc(value, unicode.IsControl) && !isKeyLike(value)
}

// isKeyLike tells what somebody pasted into the wrong field: shown again, or kept
// in the audit, it would be out.
func isKeyLike(text string) bool {
	return strings.HasPrefix(text, "sk-") || strings.HasPrefix(text, "AIza") || strings.HasPrefix(text, "gsk_") ||
		strings.HasPrefix(text, accounts.TokenPrefix) || strings.HasPrefix(text, accounts.RefreshPrefix)
}

func checkModels(patterns []string) []api.Problem {
	if len(patterns) > maxModels {
		return []api.Problem{{Field: "models", Message: fmt.Sprintf("are more than %d", maxModels)}}
	}
	var problems []api.Problem
	for i, pattern := range patterns {
		if isKeyLike(pattern) {
			problems = append(problems, keyInField(fmt.Sprintf("models[%d]", i)))
			continue
		}
		if len(pattern) > maxPattern || rules.CheckModels([]string{pattern}) != nil {
			problems = append(problems, api.Problem{Field: fmt.Sprintf("models[%d]", i),
				Message: "is not a pattern: * is any run of characters, ! in front excludes, and nothing else is special"})
		}
	}
	return problems
}

// readLimits reads limits as people write them.
func readLimits(texts []string) ([]accounts.Limit, []api.Problem) {
	if len(texts) > maxLimits {
		return nil, []api.Problem{{Field: "limits", Message: fmt.Sprintf("are more than %d", maxLimits)}}
	}
	var limits []accounts.Limit
	var problems []api.Problem
	for i, text := range texts {
		limit, err := accounts.ParseLimit(text)
		if err != nil {
			problems = append(problems, api.Problem{Field: fmt.Sprintf("limits[%d]", i),
				Message: "is not a limit such as 600 requests/min, 2M tokens/day, $50/month or 20 concurrent"})
		}
		limits = append(limits, limit)
	}
	return limits, problems
}
