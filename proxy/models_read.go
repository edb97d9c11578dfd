package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/llmgw/llmgw/accounts"
)

// model is what is known of a model that can be asked for by name.
type model struct {
	id          string
	created     time.Time // zero: nobody said
	ownedBy     string
	displayName string

	// What Google's lists have besides.
	version, description    string
	inputLimit, outputLimit int64
	methods                 []string
}

// bare says whether nothing but the name is known.
func (m *model) bare() bool { return m.created.IsZero() && m.ownedBy == "" && m.displayName == "" }

// Limits of what is taken from an upstream's list.
const (
	maxListedModels  = 5000
	maxListedName    = 256
	maxListedText    = 1000
	maxListedMethods = 20
)

// listReader reads the pages of a list.
type listReader struct {
	room   int    // bytes that are left
	secret string // of the upstream; no text that holds it is taken
	models []model
	seen   map[string]bool
}

// listPage is a page as any provider has it: "data" with OpenAI and Anthropic,
// "models" with Google.
type listPage struct {
	Data          []listedModel `json:"data"`
	Models        []listedModel `json:"models"`
	HasMore       bool          `json:"has_more"`
	LastID        string        `json:"last_id"`
	NextPageToken string        `json:"nextPageToken"`
}

type listedModel struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"` // Google's: models/gemini-2.5-pro
	Created      json.RawMessage `json:"created"`
	CreatedAt    json.RawMessage `json:"created_at"`
	OwnedBy      string          `json:"owned_by"`
	DisplayName  string          `json:"display_name"`
	DisplayName2 string          `json:"displayName"`
	Version      string          `json:"version"`
	Description  string          `json:"description"`
	InputLimit   int64           `json:"inputTokenLimit"`
	OutputLimit  int64           `json:"outputTokenLimit"`
	Methods      []string        `json:"supportedGenerationMethods"`
}

// read takes up a page, and gives the parameter that asks for the next one; ""
// where there is none. A field of an unexpected type is overlooked; the others
// of its model are not.
func (r *listReader) read(text []byte) (next string, err error) {
	r.room -= len(text)
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return "", nil
	}
	var p listPage
	if text[0] == '[' { // some servers leave the object around it out
		err = json.Unmarshal(text, &p.Data)
	} else {
		err = json.Unmarshal(text, &p)
	}
	if odd := (*json.UnmarshalTypeError)(nil); err != nil && !errors.As(err, &odd) {
		return "", errUnreadableList
	}
	before := len(r.models)
	for _, list := range [][]listedModel{p.Data, p.Models} {
		for i := range list {
			r.take(&list[i])
		}
	}
	switch {
	case len(r.models) >= maxListedModels, len(r.models) == before: // enough, or more of the same
		return "", nil
	case p.NextPageToken != "":
		return "pageToken=" + url.QueryEscape(p.NextPageToken), nil
	case p.HasMore && p.LastID != "":
		return "after_id=" + url.QueryEscape(p.LastID), nil
	}
	return "", nil
}

// take takes up one model, unless its name could be none.
func (r *listReader) take(l *listedModel) {
	id := l.ID
	if id == "" {
		id = strings.TrimPrefix(l.Name, "models/")
	}
	if id == "" || len(id) > maxListedName || r.text(id) != id || r.seen[id] || len(r.models) >= maxListedModels {
		return
	}
	r.seen[id] = true
	m := model{
		id: id, ownedBy: r.text(l.OwnedBy), displayName: r.text(l.DisplayName), created: createdAt(l),
		version: r.text(l.Version), description: r.text(l.Description),
		inputLimit: max(0, l.InputLimit), outputLimit: max(0, l.OutputLimit),
	}
	if m.displayName == "" {
		m.displayName = r.text(l.DisplayName2)
	}
	for _, method := range l.Methods[:min(len(l.Methods), maxListedMethods)] {
		if method = r.text(method); method != "" {
			m.methods = append(m.methods, method)
		}
	}
	r.models = append(r.models, m)
}

// text gives a text that may be shown to callers, or "".
func (r *listReader) text(s string) string {
	switch {
	case len(s) > maxListedText, !utf8.ValidString(s), strings.ContainsFunc(s, unicode.IsControl):
		return ""
	case strings.Contains(s, accounts.KeyPrefix), r.secret != "" && strings.Contains(s, r.secret):
		return ""
	}
	return s
}

// lastSecond is the last one of the year 9999, after which there is no date in
// RFC 3339.
const lastSecond = 253402300799

// createdAt reads seconds since 1970, or a date in RFC 3339.
func createdAt(l *listedModel) time.Time {
	var seconds float64
	if json.Unmarshal(l.Created, &seconds) == nil && seconds >= 1 && seconds <= lastSecond {
		return time.Unix(int64(seconds), 0)
	}
	var date string
	if json.Unmarshal(l.CreatedAt, &date) != nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, date)
	if err != nil || at.Unix() < 1 || at.Unix() > lastSecond {
		return time.Time{}
	}
	return at
}
