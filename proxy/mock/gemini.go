package mock

import (
	"encoding/json"
	"strings"
)

// gemini is Google's generateContent. Its requests come in camelCase, from some
// clients in snake_case.
type gemini struct{}

func (gemini) title() string     { return "Gemini" }
func (gemini) requestID() string { return "" }

type geminiContent struct {
	Role  string  `json:"role"`
	Parts content `json:"parts"`
}

type geminiRequest struct {
	Contents    []geminiContent `json:"contents"`
	System      geminiContent   `json:"systemInstruction"`
	SystemSnake geminiContent   `json:"system_instruction"`
	Config      struct {
		MaxOutputTokens int `json:"maxOutputTokens"`
	} `json:"generationConfig"`
	Tools []struct {
		Declarations []geminiFunction `json:"functionDeclarations"`
		Snake        []geminiFunction `json:"function_declarations"`
	} `json:"tools"`
	ToolConfig struct {
		FunctionCalling struct {
			Mode    string   `json:"mode"`
			Allowed []string `json:"allowedFunctionNames"`
		} `json:"functionCallingConfig"`
	} `json:"toolConfig"`
}

type geminiFunction struct {
	Name        string          `json:"name"`
	Parameters  json.RawMessage `json:"parameters"`
	Schema      json.RawMessage `json:"parametersJsonSchema"`
	SchemaSnake json.RawMessage `json:"parameters_json_schema"`
}

// schema is the one that was given, under whichever of its names.
func (f geminiFunction) schema() json.RawMessage {
	for _, s := range []json.RawMessage{f.Parameters, f.Schema} {
		if len(s) > 0 {
			return s
		}
	}
	return f.SchemaSnake
}

func (gemini) read(body []byte, p *prompt) *refusal {
	var r geminiRequest
	if refused := decode(body, &r); refused != nil {
		return refused
	}
	return r.tell(p)
}

func (r geminiRequest) tell(p *prompt) *refusal {
	if len(r.Contents) == 0 {
		return refuse(400, "* GenerateContentRequest.contents: contents is not specified")
	}
	p.limit = r.Config.MaxOutputTokens
	p.count(0, r.System.Parts.texts...)
	p.count(0, r.SystemSnake.Parts.texts...)
	for _, c := range r.Contents {
		p.hear(c.Role, c.Parts)
	}
	for _, t := range r.Tools {
		for _, f := range append(t.Declarations, t.Snake...) {
			p.offer(f.Name, f.schema())
		}
	}
	choice := r.ToolConfig.FunctionCalling
	p.wantsTool = strings.EqualFold(choice.Mode, "ANY")
	if p.wantsTool && len(choice.Allowed) > 0 {
		p.toolName = choice.Allowed[0]
	}
	return nil
}

// countContents answers how many tokens a prompt has: its contents, or those of
// a whole generateContentRequest.
func (e *exchange) countContents(body []byte) *refusal {
	var r struct {
		geminiRequest
		Whole *geminiRequest `json:"generateContentRequest"`
	}
	if refused := decode(body, &r); refused != nil {
		return refused
	}
	if r.Whole == nil {
		r.Whole = &r.geminiRequest
	}
	p := &prompt{model: e.place.model}
	if refused := r.Whole.tell(p); refused != nil {
		return refused
	}
	if refused := e.take(p.model); refused != nil {
		return refused
	}
	e.sendWhole(encode(map[string]int{"totalTokens": p.input}), 0)
	return nil
}

type geminiAnswer struct {
	Candidates    []geminiCandidate `json:"candidates"`
	UsageMetadata geminiUsage       `json:"usageMetadata"`
	ModelVersion  string            `json:"modelVersion"`
	ResponseID    string            `json:"responseId"`
}

type geminiCandidate struct {
	Content struct {
		Parts []any  `json:"parts"`
		Role  string `json:"role"`
	} `json:"content"`
	FinishReason string `json:"finishReason,omitempty"`
	Index        int    `json:"index"`
}

type geminiUsage struct {
	PromptTokens        int              `json:"promptTokenCount"`
	CandidatesTokens    int              `json:"candidatesTokenCount"`
	TotalTokens         int              `json:"totalTokenCount"`
	PromptTokensDetails []geminiModality `json:"promptTokensDetails"`
}

type geminiModality struct {
	Modality   string `json:"modality"`
	TokenCount int    `json:"tokenCount"`
}

type geminiText struct {
	Text string `json:"text"`
}

type geminiCall struct {
	FunctionCall struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Args json.RawMessage `json:"args"`
	} `json:"functionCall"`
}

// piece is the answer with one part, so many tokens into it.
func (gemini) piece(a *answer, part any, tokens int, finish string) geminiAnswer {
	g := geminiAnswer{ModelVersion: a.model, ResponseID: a.id(""), UsageMetadata: geminiUsage{
		PromptTokens: a.input, CandidatesTokens: tokens, TotalTokens: a.input + tokens,
		PromptTokensDetails: []geminiModality{{Modality: "TEXT", TokenCount: a.input}},
	}}
	c := geminiCandidate{FinishReason: finish}
	c.Content.Parts, c.Content.Role = []any{part}, "model"
	g.Candidates = []geminiCandidate{c}
	return g
}

func geminiCallOf(a *answer) geminiCall {
	var c geminiCall
	c.FunctionCall.ID, c.FunctionCall.Name = a.id("call_"), a.call.name
	c.FunctionCall.Args = json.RawMessage(a.text)
	return c
}

func (g gemini) whole(a *answer) any {
	var part any = geminiText{a.text}
	if a.call != nil {
		part = geminiCallOf(a)
	}
	return g.piece(a, part, a.output(), a.by("STOP", "MAX_TOKENS", "STOP"))
}

func (g gemini) script(a *answer, s *script) {
	if a.call != nil { // a call comes in one piece
		s.add(token, "", encode(g.piece(a, geminiCallOf(a), a.output(), "")))
	} else {
		for i, text := range a.tokens {
			s.add(token, "", encode(g.piece(a, geminiText{text}, i+1, "")))
		}
	}
	s.add(closing, "", encode(g.piece(a, geminiText{}, a.output(), a.by("STOP", "MAX_TOKENS", "STOP"))))
}

func (g gemini) broken(_ *answer, s *script) {
	s.add(closing, "", encode(g.failure(*faultRefusal(500), "")))
}

func (gemini) failure(f refusal, _ string) any {
	type inner struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Status  string `json:"status"`
	}
	status := "INVALID_ARGUMENT"
	switch f.status {
	case 401:
		status = "UNAUTHENTICATED"
	case 404:
		status = "NOT_FOUND"
	case 405:
		status = "UNIMPLEMENTED"
	case 429:
		status = "RESOURCE_EXHAUSTED"
	case 500:
		status = "INTERNAL"
	case statusOverloaded:
		status = "UNAVAILABLE"
	}
	return map[string]inner{"error": {f.status, f.message, status}}
}
