package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// The codes of the gateway's own errors: x-llmgw-error, the log line's error,
// and the label of llmgw_errors_total.
const (
	codeBadPath             = "bad_path"
	codeBadMethod           = "method_not_allowed"
	codeTargetTooLong       = "uri_too_long"
	codeTooManyHeaders      = "too_many_headers"
	codeNoKey               = "missing_api_key"
	codeTwoKeys             = "two_api_keys"
	codeProviderKey         = "provider_api_key"
	codeMalformedKey        = "malformed_api_key"
	codeInvalidKey          = "invalid_api_key"
	codeRevokedKey          = "revoked_api_key"
	codeExpiredKey          = "expired_api_key"
	codeBodyTooLarge        = "request_too_large"
	codeBodyStalled         = "request_timeout"
	codeMalformedBody       = "malformed_request_body"
	codeDuplicateKey        = "duplicate_json_key"
	codeOverBudget          = "gateway_overloaded"
	codeNoRule              = "no_rule"
	codeWrongBaseURL        = "wrong_base_url"
	codeNoDestination       = "no_destination"
	codeUpstreamOff         = "upstream_disabled"
	codeNoCredential        = "upstream_without_credential"
	codeWrongWire           = "wrong_wire_format"
	codeBadRewrite          = "bad_path_rewrite"
	codeModelUnreadable     = "model_unreadable"
	codeRule                = "rule_response"
	codeCredentialRefused   = "upstream_refused_credential"
	codeUpstreamUnreachable = "upstream_unreachable"
	codeUpstreamReset       = "upstream_reset"
	codeUpstreamTimeout     = "upstream_timeout"
	codeStreamCut           = "upstream_stream_cut"
	codeStoreUnavailable    = "store_unavailable"
	codeNotReady            = "not_ready"
	codeDraining            = "draining"
	codeClientGone          = "client_gone"
	codeInternal            = "internal_error"
)

func badPath(reason string) *failure {
	return &failure{status: http.StatusBadRequest, code: codeBadPath, noRetry: true,
		message: "the request path is refused: " + reason}
}

func badMethod(method string) *failure {
	if len(method) > 32 {
		method = method[:32] + "…"
	}
	return &failure{status: http.StatusMethodNotAllowed, code: codeBadMethod, noRetry: true,
		message: fmt.Sprintf("method %q is not served here", method)}
}

func targetTooLong() *failure {
	return &failure{status: http.StatusRequestURITooLong, code: codeTargetTooLong, noRetry: true,
		message: fmt.Sprintf("the request target is over %d KiB", maxTargetBytes>>10)}
}

func tooManyHeaders() *failure {
	return &failure{status: http.StatusRequestHeaderFieldsTooLarge, code: codeTooManyHeaders, noRetry: true,
		message: fmt.Sprintf("the request has more than %d header fields", maxHeaderFields)}
}

func unauthorized(code, message string) *failure {
	return &failure{status: http.StatusUnauthorized, code: code, message: message, noRetry: true}
}

func noKey() *failure {
	return unauthorized(codeNoKey, `no API key in the request; send "Authorization: Bearer sk-lgw-…" or "x-api-key". Create one with: llmgw keys create`)
}

func twoKeys() *failure {
	return &failure{status: http.StatusBadRequest, code: codeTwoKeys, noRetry: true,
		message: "the request carries two different API keys; send one (Authorization, x-api-key, x-goog-api-key, api-key or ?key=)"}
}

func providerKey(provider, prefix string) *failure {
	message := fmt.Sprintf("this looks like %s key (%q); the gateway wants its own key (%q).", provider, prefix+"…", accounts.KeyPrefix+"…")
	if prefix == "sk-ant-" {
		message += " In Claude Code set ANTHROPIC_AUTH_TOKEN and leave ANTHROPIC_API_KEY empty"
	} else {
		message += " Create one with: llmgw keys create"
	}
	return unauthorized(codeProviderKey, message)
}

func malformedKey() *failure {
	return unauthorized(codeMalformedKey, accounts.ErrMalformedKey.Error())
}

func invalidKey() *failure { return unauthorized(codeInvalidKey, "API key is not valid") }

func revokedKey(name string) *failure {
	return unauthorized(codeRevokedKey, fmt.Sprintf("API key %q was revoked", name))
}

func expiredKey(name string, at time.Time) *failure {
	return unauthorized(codeExpiredKey, fmt.Sprintf("API key %q expired on %s", name, at.UTC().Format(time.DateOnly)))
}

func storeUnavailable() *failure {
	return &failure{status: http.StatusServiceUnavailable, code: codeStoreUnavailable, retryAfter: time.Second,
		message: "the gateway cannot look up API keys right now; try again"}
}

func noConfiguration() *failure {
	return &failure{status: http.StatusServiceUnavailable, code: codeNotReady, retryAfter: time.Second,
		message: "the gateway has no configuration yet; try again"}
}

func bodyTooLarge(limit int64) *failure {
	return &failure{status: http.StatusRequestEntityTooLarge, code: codeBodyTooLarge, noRetry: true,
		message: fmt.Sprintf("request body is over %s (--max-body)", sizeText(limit))}
}

// sizeText writes a number of bytes as people configure it.
func sizeText(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

func bodiesOverBudget() *failure {
	return &failure{status: http.StatusServiceUnavailable, code: codeOverBudget, retryAfter: time.Second,
		message: "the gateway holds as many request bodies as it may; try again"}
}

func bodyStalled(after time.Duration) *failure {
	return &failure{status: http.StatusRequestTimeout, code: codeBodyStalled, end: endClientStalled,
		message: fmt.Sprintf("nothing of the request body arrived for %s", after)}
}

func malformedBody() *failure {
	return &failure{status: http.StatusBadRequest, code: codeMalformedBody, noRetry: true,
		message: "the request body cannot be read: its transfer coding is malformed"}
}

func twoContentTypes() *failure {
	return &failure{status: http.StatusBadRequest, code: codeMalformedBody, noRetry: true,
		message: "the request has more than one Content-Type; which one counts is not for the gateway to guess"}
}

func duplicateKey(key string) *failure {
	return &failure{status: http.StatusBadRequest, code: codeDuplicateKey, noRetry: true,
		message: fmt.Sprintf("the request body says %q twice; which one counts is not for the gateway to guess", key)}
}

func clientGone() *failure {
	return &failure{code: codeClientGone, end: endClientGone}
}

func internalFailure() *failure {
	return &failure{status: http.StatusInternalServerError, code: codeInternal,
		message: "the gateway made a mistake of its own; its log has the details under this request id"}
}

func permanent(code, message string) *failure {
	return &failure{status: http.StatusBadRequest, code: code, message: message, noRetry: true}
}

// noRule names the nearest rule, so that a typo is seen at once.
func noRule(model, path, pattern, rule string) *failure {
	message := fmt.Sprintf("no rule takes %s without a model", shorten(path))
	if model != "" {
		message = fmt.Sprintf("no rule takes model %q on %s", shorten(model), path)
	}
	if pattern != "" {
		message += fmt.Sprintf("; nearest is %q (rule %s)", pattern, rule)
	}
	return permanent(codeNoRule, message+". Models you can use: GET "+modelsPath)
}

// shorten keeps a name of the caller's own making to a length that fits an
// error message.
func shorten(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}

// wrongBaseURL recognises a base URL with one /v1 too many or too few, or nil.
func wrongBaseURL(path string) *failure {
	if strings.HasPrefix(path, "/v1/v1/") {
		return permanent(codeWrongBaseURL, fmt.Sprintf(`path %q: the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`, shorten(path)))
	}
	for _, bare := range [...]string{"/chat/completions", "/responses", "/messages", "/embeddings", "/models"} {
		if path == bare {
			return permanent(codeWrongBaseURL, fmt.Sprintf("path %q: add /v1 to the base URL", path))
		}
	}
	return nil
}

func noDestination(rule string) *failure {
	return permanent(codeNoDestination, fmt.Sprintf("rule %q names no upstream, and your key is bound to none", rule))
}

func upstreamOff(rule, upstream string) *failure {
	return permanent(codeUpstreamOff, fmt.Sprintf("rule %q sends to upstream %q, which is disabled. Admin: llmgw upstreams enable %s", rule, upstream, upstream))
}

func noCredential(rule, upstream string) *failure {
	return permanent(codeNoCredential, fmt.Sprintf("rule %q sends to upstream %q, which has no credential. Admin: llmgw upstreams credential set %s", rule, upstream, upstream))
}

func wrongWire(upstream string, w accounts.Wire, path string) *failure {
	message := fmt.Sprintf("upstream %q does not speak the %s API (%s)", upstream, wireTitle(w), path)
	if w == accounts.WireOpenAIResponses {
		message += ", which Codex needs"
	}
	return permanent(codeWrongWire, message+"; route this model to one that does")
}

// wireTitle is a wire format as its users call it.
func wireTitle(w accounts.Wire) string {
	switch w {
	case accounts.WireOpenAIChat:
		return "Chat Completions"
	case accounts.WireOpenAIResponses:
		return "Responses"
	case accounts.WireAnthropicMessages, accounts.WireAnthropicCountTokens:
		return "Anthropic Messages"
	case accounts.WireGoogleGenerate:
		return "Gemini"
	case accounts.WireBedrock:
		return "Bedrock"
	}
	return w.String()
}

func badRewrite(rule string, cause error) *failure {
	return permanent(codeBadRewrite, fmt.Sprintf("rule %q rewrites this path into one that cannot be sent", rule)).because(cause)
}

func modelUnreadable(rule string) *failure {
	return permanent(codeModelUnreadable, fmt.Sprintf("rule %q changes the model, and this request does not show one", rule))
}

func credentialRefused(upstream string) *failure {
	return &failure{status: http.StatusBadGateway, code: codeCredentialRefused, noRetry: true, end: endUpstreamError,
		message: fmt.Sprintf("the provider refused the gateway's own credential for %q (401). Your key is fine; an admin must rotate it", upstream)}
}

func unreachable(upstream, why string, cause error) *failure {
	return &failure{status: http.StatusBadGateway, code: codeUpstreamUnreachable, retryAfter: time.Second,
		end: endConnectError, cause: cause,
		message: fmt.Sprintf("cannot reach upstream %q: %s", upstream, why)}
}

func upstreamReset(upstream string, cause error) *failure {
	return &failure{status: http.StatusBadGateway, code: codeUpstreamReset, retryAfter: time.Second,
		end: endUpstreamError, cause: cause,
		message: fmt.Sprintf("upstream %q closed the connection before it answered", upstream)}
}

func upstreamSlow(upstream, timeout string, after time.Duration, end endReason) *failure {
	return &failure{status: http.StatusGatewayTimeout, code: codeUpstreamTimeout, end: end,
		message: fmt.Sprintf("upstream %q sent nothing for %s (timeouts.%s)", upstream, seconds(after), timeout)}
}

// seconds writes a duration as the error catalogue does: "300 s".
func seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return d.String()
}

func drained() *failure {
	return &failure{status: http.StatusServiceUnavailable, code: codeDraining, retryAfter: time.Second, end: endDrained,
		message: "the gateway is stopping; try again"}
}
