package proxy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// dialect is whose API a question about models is asked in. It says in which
// shape it is answered, and which requests of its clients a model must be good
// for to be listed.
type dialect uint8

const (
	openAIDialect dialect = iota // what everybody reads; any request will do
	anthropicDialect
	geminiDialect
)

func dialectOf(asked rules.ModelsQuestion, h http.Header) dialect {
	switch {
	case asked.Gemini:
		return geminiDialect
	case h.Get("Anthropic-Version") != "":
		return anthropicDialect
	}
	return openAIDialect
}

// wire is the format in whose shape errors are told.
func (d dialect) wire() accounts.Wire {
	switch d {
	case anthropicDialect:
		return accounts.WireAnthropicMessages
	case geminiDialect:
		return accounts.WireGoogleGenerate
	}
	return accounts.WireOpenAIChat
}

// errorWire is the format in whose shape the caller reads errors.
func (x *exchange) errorWire() accounts.Wire {
	if asked, ok := x.request.ModelsQuestion(); ok {
		return dialectOf(asked, x.r.Header).wire()
	}
	return x.request.Wire
}

// answerModels answers which models the caller may use, or what is known of one
// of them.
func (x *exchange) answerModels(asked rules.ModelsQuestion) *failure {
	as := dialectOf(asked, x.r.Header)
	page, f := readPage(as, x.r.URL.RawQuery)
	if f != nil {
		return f
	}
	models, f := x.offered(as)
	if f != nil {
		return f
	}
	if !asked.One {
		x.answerJSON(page.of(models))
		return nil
	}
	at, found := slices.BinarySearchFunc(models, asked.Model, func(m *model, id string) int { return strings.Compare(m.id, id) })
	if !found {
		return modelNotFound(asked.Model)
	}
	x.answerJSON(as.entry(models[at]))
	return nil
}

// answerJSON answers with a body of the gateway's own.
func (x *exchange) answerJSON(content any) {
	body := mustJSON(content)
	h := x.w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
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
