package proxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPage is the most models of one page, and how many there are where a caller
// says nothing: Anthropic's and Google's own bound.
const maxPage = 1000

// page is which part of a list a caller asks for, by the ids around it. Lists
// are in the order of ids, so that a page can be asked for after a model that is
// gone. OpenAI's clients know no pages, and get all.
type page struct {
	as            dialect
	limit         int
	after, before string
}

// readPage reads limit, after_id and before_id as Anthropic has them
// (https://docs.anthropic.com/en/api/models-list), pageSize and pageToken as
// Google has.
func readPage(as dialect, rawQuery string) (p page, f *failure) {
	p = page{as: as, limit: maxPage}
	eachParameter(rawQuery, func(name, value string) {
		switch {
		case as == anthropicDialect && name == "limit", as == geminiDialect && name == "pageSize":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n == 0 && as == anthropicDialect {
				f = badPage(name)
			}
			if n > 0 { // 0 is Google's default
				p.limit = min(n, maxPage)
			}
		case as == anthropicDialect && name == "after_id", as == geminiDialect && name == "pageToken":
			p.after = value
		case as == anthropicDialect && name == "before_id":
			p.before = value
		}
	})
	return p, f
}

// of gives the page of a sorted list, in the shape of the dialect.
func (p page) of(models []*model) any {
	if p.as == openAIDialect {
		return openAIList{"list", entries(models)}
	}
	part, more := p.cut(models)
	if p.as == geminiDialect {
		list := geminiList{Models: make([]geminiEntry, 0, len(part))}
		for i := range part {
			list.Models = append(list.Models, geminiEntryOf(part[i]))
		}
		if more {
			list.NextPageToken = part[len(part)-1].id
		}
		return list
	}
	list := anthropicList{Data: entries(part), HasMore: more}
	if len(part) > 0 {
		list.FirstID, list.LastID = &part[0].id, &part[len(part)-1].id
	}
	return list
}

// cut gives the part of a list that is asked for, and whether there is more of
// it further in the direction in which the caller goes.
func (p page) cut(models []*model) (part []*model, more bool) {
	find := func(id string) (int, bool) {
		return slices.BinarySearchFunc(models, id, func(m *model, id string) int { return strings.Compare(m.id, id) })
	}
	from, to := 0, len(models)
	if p.before != "" {
		to, _ = find(p.before)
	}
	if p.after != "" {
		at, found := find(p.after)
		if found {
			at++
		}
		from = min(at, to)
	}
	if more = to-from > p.limit; more {
		if p.before != "" && p.after == "" {
			from = to - p.limit
		} else {
			to = from + p.limit
		}
	}
	return models[from:to], more
}

type (
	openAIList struct {
		Object string       `json:"object"`
		Data   []modelEntry `json:"data"`
	}
	anthropicList struct {
		Data    []modelEntry `json:"data"`
		HasMore bool         `json:"has_more"`
		FirstID *string      `json:"first_id"`
		LastID  *string      `json:"last_id"`
	}
	geminiList struct {
		Models        []geminiEntry `json:"models"`
		NextPageToken string        `json:"nextPageToken,omitempty"`
	}
)

// modelEntry is a model as OpenAI's clients read it and as Anthropic's do; the
// same entry serves both.
type modelEntry struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	Created     int64  `json:"created"`
	OwnedBy     string `json:"owned_by"`
	Type        string `json:"type"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

// geminiEntry is a model as Google's clients read it
// (https://ai.google.dev/api/models#Model).
type geminiEntry struct {
	Name             string   `json:"name"`
	Version          string   `json:"version,omitempty"`
	DisplayName      string   `json:"displayName"`
	Description      string   `json:"description,omitempty"`
	InputTokenLimit  int64    `json:"inputTokenLimit,omitempty"`
	OutputTokenLimit int64    `json:"outputTokenLimit,omitempty"`
	Methods          []string `json:"supportedGenerationMethods"`
}

// entry is one model in the shape of the dialect.
func (d dialect) entry(m *model) any {
	if d == geminiDialect {
		return geminiEntryOf(m)
	}
	return entryOf(m)
}

func entries(models []*model) []modelEntry {
	all := make([]modelEntry, 0, len(models))
	for i := range models {
		all = append(all, entryOf(models[i]))
	}
	return all
}

// entryOf fills in what nobody said: clients want every field.
func entryOf(m *model) modelEntry {
	created := m.created
	if created.IsZero() {
		created = time.Unix(0, 0)
	}
	return modelEntry{
		ID: m.id, Object: "model", Created: created.Unix(), OwnedBy: cmp.Or(m.ownedBy, "llmgw"),
		Type: "model", DisplayName: cmp.Or(m.displayName, m.id), CreatedAt: created.UTC().Format(time.RFC3339),
	}
}

func geminiEntryOf(m *model) geminiEntry {
	e := geminiEntry{
		Name: "models/" + m.id, Version: m.version, DisplayName: cmp.Or(m.displayName, m.id), Description: m.description,
		InputTokenLimit: m.inputLimit, OutputTokenLimit: m.outputLimit, Methods: m.methods,
	}
	if e.Methods == nil {
		e.Methods = []string{"generateContent", "countTokens"}
	}
	return e
}
