package rules

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/llmgw/llmgw/accounts"
)

// Refusal is what a caller is told whose request the gateway does not send. The
// proxy answers with it, explain shows it. Sending the request again does not
// help. The message is one sentence for the developer at the client; it holds no
// secret, no internal address and nobody else's name.
type Refusal struct {
	Status  int    // of the answer
	Code    string // x-llmgw-error, and error in the log line
	Message string
}

// The codes of refusals.
const (
	CodeBadPath         = "bad_path"
	CodeBadMethod       = "method_not_allowed"
	CodeRevokedKey      = "revoked_api_key"
	CodeExpiredKey      = "expired_api_key"
	CodeDisabledKey     = "disabled_api_key"
	CodeModelNotAllowed = "model_not_allowed"
	CodeMalformedBody   = "malformed_request_body"
	CodeDuplicateKey    = "duplicate_json_key"
	CodeNoRule          = "no_rule"
	CodeWrongBaseURL    = "wrong_base_url"
	CodeNoDestination   = "no_destination"
	CodeUpstreamOff     = "upstream_disabled"
	CodeDraining        = "upstream_draining"
	CodeNoCredential    = "upstream_without_credential"
	CodeWrongWire       = "wrong_wire_format"
	CodeBadRewrite      = "bad_path_rewrite"
	CodeModelUnreadable = "model_unreadable"
	CodeNoWebsocket     = "websocket_not_allowed"
	CodeTwoModels       = "duplicate_parameter"
)

func refuse(code, message string, args ...any) Refusal {
	return Refusal{Status: 400, Code: code, Message: fmt.Sprintf(message, args...)}
}

// Refusal tells the caller what became of a request, and what an operator would
// have to change. ok is false where the request is not refused: for Forward and
// Answer.
func (s *Set) Refusal(q *Request, d *Decision) (refusal Refusal, ok bool) {
	switch d.Outcome {
	case ModelNotAllowed:
		return q.modelNotAllowed(), true
	case NoRule:
		return s.noRule(q), true
	case NoDestination:
		return refuse(CodeNoDestination, "rule %q names no upstream, and your key is bound to none", d.Rule.Name), true
	case UpstreamOff:
		return upstreamOff(d.RuleName(), d.Candidates[0].Upstream), true
	case WrongWire:
		return wrongWire(d.Candidates[0].Name(), q), true
	case NoWebsocket:
		return noWebsocket(d.Candidates[0]), true
	case WrongBaseURL:
		return versionTwice(q.Path), true
	case ModelUnreadable:
		return refuse(CodeModelUnreadable, "rule %q changes the model, and this request does not show one", d.Rule.Name), true
	}
	return Refusal{}, false
}

// upstreamOff is for the one upstream that an operator should look at.
func upstreamOff(rule string, u *accounts.Upstream) Refusal {
	if u.Enabled {
		return refuse(CodeDraining, "%s upstream %q, which is draining. Admin: llmgw upstreams drain %s --undo", sends(rule), u.Name, u.Name)
	}
	return refuse(CodeUpstreamOff, "%s upstream %q, which is disabled. Admin: llmgw upstreams enable %s", sends(rule), u.Name, u.Name)
}

// RuleName is the name of the deciding rule, "" where there is none.
func (d *Decision) RuleName() string {
	if d.Rule == nil {
		return ""
	}
	return d.Rule.Name
}

// sends begins a sentence about where a request would go.
func sends(rule string) string {
	if rule == "" {
		return "your key is bound to"
	}
	return fmt.Sprintf("rule %q sends to", rule)
}

// noRule tells the commonest mistakes of a base URL apart from a model that
// nobody takes. Of that it names the nearest pattern, so that a typo is seen at
// once.
func (s *Set) noRule(q *Request) Refusal {
	if refusal, ok := wrongBaseURL(q.Path); ok {
		return refusal
	}
	message := fmt.Sprintf("no rule takes %s without a model", cut(q.Path))
	if q.Model != "" {
		message = fmt.Sprintf("no rule takes model %q on %s", cut(q.Model), q.Path)
	}
	if pattern, rule, ok := s.Nearest(q); ok {
		message += fmt.Sprintf("; nearest is %q (rule %s)", pattern, rule)
	}
	return refuse(CodeNoRule, "%s. Models you can use: GET %s", message, ModelsPath)
}

// wrongBaseURL recognises a base URL with one /v1 too many or too few.
func wrongBaseURL(path string) (refusal Refusal, ok bool) {
	if doublesVersion(path) {
		return versionTwice(path), true
	}
	switch path {
	case "/chat/completions", "/responses", "/messages", "/embeddings", "/models":
		return refuse(CodeWrongBaseURL, "path %q: add /v1 to the base URL", path), true
	}
	return Refusal{}, false
}

// doublesVersion tells a base URL with one /v1 too many. No API has such a path,
// and most rules look at the model alone: sent on, it would come back as a 404,
// whose text Claude Code replaces by its own.
func doublesVersion(path string) bool { return strings.HasPrefix(path, "/v1/v1/") }

func versionTwice(path string) Refusal {
	return refuse(CodeWrongBaseURL, `path %q: the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`, cut(path))
}

func wrongWire(upstream string, q *Request) Refusal {
	message := fmt.Sprintf("upstream %q does not speak the %s API (%s)", upstream, q.Wire.Title(), q.Path)
	if q.Wire == accounts.WireOpenAIResponses {
		message += ", which Codex needs"
	}
	return refuse(CodeWrongWire, "%s; route this model to one that does", message)
}

// noWebsocket names the upstream as far as the caller may know it: the host of a
// target URL is nobody's business.
func noWebsocket(c *Candidate) Refusal {
	if c.Upstream == nil {
		return refuse(CodeNoWebsocket, "the rule's target does not take WebSockets; only an upstream made with --websocket does. Admin: llmgw upstreams create NAME --websocket")
	}
	return refuse(CodeNoWebsocket, "upstream %q does not take WebSockets. Admin: llmgw upstreams create NAME --websocket, and a rule that sends there", c.Name())
}

// cut keeps a text of the caller's own making to a length that fits a message.
func cut(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	end := most
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.ToValidUTF8(text[:end], "") + "…"
}

// RefusePath is for a request target that is no canonical path.
func RefusePath(reason string) Refusal {
	return refuse(CodeBadPath, "the request path is refused: %s", reason)
}

// RefuseMethod is for a method that nothing here serves.
func RefuseMethod(method string) Refusal {
	if len(method) > 32 {
		method = method[:32] + "…"
	}
	return Refusal{Status: 405, Code: CodeBadMethod, Message: fmt.Sprintf("method %q is not served here", method)}
}

// RefuseRevoked is for a key that is genuine and was revoked.
func RefuseRevoked(key string) Refusal {
	return Refusal{Status: 401, Code: CodeRevokedKey, Message: fmt.Sprintf("API key %q was revoked", key)}
}

// RefuseExpired is for a key that is genuine and has expired.
func RefuseExpired(key string, at time.Time) Refusal {
	return Refusal{Status: 401, Code: CodeExpiredKey, Message: fmt.Sprintf("API key %q expired on %s", key, at.UTC().Format(time.DateOnly))}
}

// RefuseDisabled is for a key that is genuine and is disabled, itself or with
// the user it is of.
func RefuseDisabled(key string, state accounts.KeyState) Refusal {
	message := fmt.Sprintf("API key %q is disabled", key)
	if state == accounts.OwnerDisabled {
		message = fmt.Sprintf("API key %q belongs to a user who is disabled", key)
	}
	return Refusal{Status: 401, Code: CodeDisabledKey, Message: message}
}

// RefuseBody is for what PathRead.ReadBody found.
func RefuseBody(err error) Refusal {
	var twice *DuplicateKeyError
	if errors.As(err, &twice) {
		return refuse(CodeDuplicateKey, "the request body says %q twice; which one counts is not for the gateway to guess", twice.Key)
	}
	if errors.Is(err, ErrTwoModels) {
		return refuse(CodeTwoModels, "the request's query says \"model\" twice; which one counts is not for the gateway to guess")
	}
	return refuse(CodeMalformedBody, "the request has more than one Content-Type; which one counts is not for the gateway to guess")
}

// RefuseRewrite is for a rule that makes a path which cannot be sent; see
// Decision.Destination.
func RefuseRewrite(rule string) Refusal {
	return refuse(CodeBadRewrite, "rule %q rewrites this path into one that cannot be sent", rule)
}

// RefuseCredential is for a rule all of whose upstreams want a credential that
// cannot be read; upstream is the first of them. rule is "" where bindings named
// them.
func RefuseCredential(rule, upstream string) Refusal {
	return refuse(CodeNoCredential, "%s upstream %q, which has no credential. Admin: llmgw upstreams credential set %s", sends(rule), upstream, upstream)
}
