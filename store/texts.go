package store

import (
	"encoding/json"
	"fmt"

	"github.com/llmgw/llmgw/accounts"
)

// What is stored as JSON within a column, because no query asks for a part of
// it. Nothing comes back as nil, whether it was written as nil or empty.

func writeTags(tags map[string]string) (string, error) {
	if len(tags) == 0 {
		return "{}", nil
	}
	text, err := json.Marshal(tags)
	return string(text), err
}

// readTags gives nil for no tags.
func readTags(text string) (map[string]string, error) {
	var tags map[string]string
	if err := json.Unmarshal([]byte(text), &tags); err != nil {
		return nil, fmt.Errorf("reading tags: %w", err)
	}
	if len(tags) == 0 {
		return nil, nil
	}
	return tags, nil
}

func writeGlobs(globs []string) (string, error) {
	if len(globs) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal(globs)
	return string(text), err
}

func readGlobs(text string) ([]string, error) {
	var globs []string
	if err := json.Unmarshal([]byte(text), &globs); err != nil {
		return nil, fmt.Errorf("reading models: %w", err)
	}
	return someOrNil(globs), nil
}

// limitText is an accounts.Limit as it is stored.
type limitText struct {
	Amount int64                `json:"amount"`
	Unit   accounts.LimitUnit   `json:"unit"`
	Window accounts.LimitWindow `json:"window,omitempty"`
	Per    accounts.LimitScope  `json:"per,omitempty"`
}

func writeLimits(limits []accounts.Limit) (string, error) {
	texts := make([]limitText, 0, len(limits))
	for _, l := range limits {
		texts = append(texts, limitText(l))
	}
	text, err := json.Marshal(texts)
	return string(text), err
}

func readLimits(text string) ([]accounts.Limit, error) {
	var texts []limitText
	if err := json.Unmarshal([]byte(text), &texts); err != nil {
		return nil, fmt.Errorf("reading limits: %w", err)
	}
	var limits []accounts.Limit
	for _, t := range texts {
		limits = append(limits, accounts.Limit(t))
	}
	return limits, nil
}
