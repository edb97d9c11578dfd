package proxy

import (
	"net/http"
	"slices"
	"strconv"
	"time"
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

// answerModels lists the models that can be asked for by name, in OpenAI's
// shape, or in Anthropic's when the request says anthropic-version.
func (x *exchange) answerModels() {
	entries := make([]modelEntry, 0, len(x.snap.models))
	for name := range x.snap.models {
		entries = append(entries, modelEntry{ID: name, Object: "model", OwnedBy: "llmgw", Type: "model",
			DisplayName: name, CreatedAt: "1970-01-01T00:00:00Z"})
	}
	slices.SortFunc(entries, func(a, b modelEntry) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	body := mustJSON(struct {
		Object string       `json:"object"`
		Data   []modelEntry `json:"data"`
	}{"list", entries})
	if x.r.Header.Get("Anthropic-Version") != "" {
		body = anthropicModels(entries)
	}
	h := x.w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.moveWriteDeadline(time.Now())
	x.w.WriteHeader(http.StatusOK)
	x.headSent, x.record.status = true, http.StatusOK
	if x.r.Method != http.MethodHead {
		n, err := x.w.Write(body)
		x.record.responseBytes = int64(n)
		if err != nil {
			x.record.end(x.clientLost(err), "")
			return
		}
	}
	x.record.end(endComplete, "")
}

// anthropicModels is https://docs.anthropic.com/en/api/models-list, in one page.
func anthropicModels(entries []modelEntry) []byte {
	first, last := "", ""
	if len(entries) > 0 {
		first, last = entries[0].ID, entries[len(entries)-1].ID
	}
	return mustJSON(struct {
		Data    []modelEntry `json:"data"`
		HasMore bool         `json:"has_more"`
		FirstID string       `json:"first_id"`
		LastID  string       `json:"last_id"`
	}{entries, false, first, last})
}
