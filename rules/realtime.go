package rules

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/llmgw/llmgw/accounts"
)

// modelParameter is where OpenAI's Realtime API names the model: a WebSocket
// begins with a GET, which has no body.
const modelParameter = "model"

// ErrTwoModels is for a query that names the model twice. Two servers could read
// it in two ways.
var ErrTwoModels = errors.New("the query names model twice")

// ReadTarget is ReadPath for a path and the query behind it, in which one format
// has its model. It allocates only where the model's name has an escape.
func ReadTarget(canonical, rawQuery string) PathRead {
	p := ReadPath(canonical)
	if p.Wire == accounts.WireOpenAIRealtime {
		p.readQuery(rawQuery)
	}
	return p
}

// readQuery finds the model. One that is longer than a name may be, or no text,
// is not known.
func (p *PathRead) readQuery(rawQuery string) {
	found := false
	for at, more := 0, rawQuery != ""; more; {
		var parameter string
		parameter, _, more = strings.Cut(rawQuery[at:], "&")
		if name, value, ok := strings.Cut(parameter, "="); ok && unescape(name) == modelParameter {
			p.twice, found = found, true
			p.setQueryModel(value, at+len(name)+1)
			if p.twice {
				p.Model, p.HasModel, p.inQuery = "", false, false
				return
			}
		}
		at += len(parameter) + 1
	}
}

func (p *PathRead) setQueryModel(value string, start int) {
	model := unescape(value)
	if len(value) > maxModelBytes || !utf8.ValidString(model) {
		return
	}
	p.Model, p.HasModel, p.inQuery = model, true, true
	p.modelStart, p.modelEnd = start, start+len(value)
}

// withQueryModel puts another model into the query that p was read from; every
// other byte of it stays.
func (p PathRead) withQueryModel(rawQuery, model string) string {
	return rawQuery[:p.modelStart] + url.QueryEscape(model) + rawQuery[p.modelEnd:]
}

// AsksForWebsocket says whether a request asks for a change to the WebSocket
// protocol (RFC 6455, section 4.2.1): a GET whose Upgrade names websocket and
// whose Connection names Upgrade, in any case and among other things. header has
// canonical names. It costs a request that has no Upgrade one look.
func AsksForWebsocket(method string, header map[string][]string) bool {
	upgrade, ok := header["Upgrade"]
	return ok && method == "GET" &&
		listHas(upgrade, "websocket") && listHas(header["Connection"], "upgrade")
}

// listHas looks for a word in a comma-separated header (RFC 9110, section 5.6.1).
func listHas(lines []string, word string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), word) {
				return true
			}
		}
	}
	return false
}
