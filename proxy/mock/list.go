package mock

import (
	"time"
)

// models lists the models, or shows the one that the path names, in the shapes
// of whoever is asked.
func (e *exchange) models([]byte) *refusal {
	show, list := openAIModel, openAIModels
	switch e.place.speaks.(type) {
	case messages:
		show, list = anthropicModel, anthropicModels
	case gemini:
		show, list = geminiModel, geminiModels
	}
	var shown []any
	for _, m := range Models() {
		if m.Name == e.place.model {
			e.sendNow("application/json", encode(show(m)))
			return nil
		}
		shown = append(shown, show(m))
	}
	if e.place.model != "" {
		return refuse(404, "model: %s", brief(e.place.model, 80))
	}
	e.sendNow("application/json", encode(list(shown)))
	return nil
}

// modelsSince is when all of the models came to be, as far as lists are
// concerned.
const modelsSince = 1735689600 // 2025-01-01T00:00:00Z

func openAIModel(m Model) any {
	return struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
	}{m.Name, "model", modelsSince, "llmgw"}
}

func openAIModels(shown []any) any {
	return struct {
		Object string `json:"object"`
		Data   []any  `json:"data"`
	}{"list", shown}
}

func anthropicModel(m Model) any {
	return struct {
		Type        string `json:"type"`
		ID          string `json:"id"`
		DisplayName string `json:"display_name"`
		CreatedAt   string `json:"created_at"`
	}{"model", m.Name, m.Name, time.Unix(modelsSince, 0).UTC().Format(time.RFC3339)}
}

func anthropicModels(shown []any) any {
	all := Models()
	return struct {
		Data    []any  `json:"data"`
		HasMore bool   `json:"has_more"`
		FirstID string `json:"first_id"`
		LastID  string `json:"last_id"`
	}{shown, false, all[0].Name, all[len(all)-1].Name}
}

func geminiModel(m Model) any {
	return struct {
		Name        string   `json:"name"`
		Version     string   `json:"version"`
		DisplayName string   `json:"displayName"`
		Description string   `json:"description"`
		InputLimit  int      `json:"inputTokenLimit"`
		OutputLimit int      `json:"outputTokenLimit"`
		Methods     []string `json:"supportedGenerationMethods"`
	}{"models/" + m.Name, "1", m.Name, m.About, 1 << 20, 1 << 16, []string{"generateContent", "countTokens"}}
}

func geminiModels(shown []any) any { return map[string]any{"models": shown} }
