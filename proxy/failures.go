package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// The codes of the gateway's own errors: x-llmgw-error, the log line's error,
// and the label of llmgw_errors_total.
const (
	codeTargetTooLong       = "uri_too_long"
	codeTooManyHeaders      = "too_many_headers"
	codeExpectation         = "expectation_failed"
	codeNoKey               = "missing_api_key"
	codeTwoKeys             = "two_api_keys"
	codeProviderKey         = "provider_api_key"
	codeMalformedKey        = "malformed_api_key"
	codeInvalidKey          = "invalid_api_key"
	codeRevokedKey          = rules.CodeRevokedKey
	codeBodyTooLarge        = "request_too_large"
	codeBodyStalled         = "request_timeout"
	codeOverBudget          = "gateway_overloaded"
	codeModelUnreadable     = rules.CodeModelUnreadable
	codeRule                = "rule_response"
	codeCredentialRefused   = "upstream_refused_credential"
	codeUpstreamUnreachable = "upstream_unreachable"
	codeUpstreamReset       = "upstream_reset"
	codeUpstreamTimeout     = "upstream_timeout"
	codeUpstreamStatus      = "upstream_status" // in the log only: an answer that another attempt made up for
	codeStreamCut           = "upstream_stream_cut"
	codeStoreUnavailable    = "store_unavailable"
	codeNotReady            = "not_ready"
	codeStale               = "stale_configuration"
	codeDraining            = "draining"
	codeModelNotFound       = "model_not_found"
	codeBadPage             = "bad_page"
	codeNoModelList         = "model_list_unavailable" // in the log only
	codeCut                 = "cut_by_operator"
	codeClientGone          = "client_gone"
	codeInternal            = "internal_error"
)

func badPath(reason string) *failure { return permanent(rules.RefusePath(reason)) }

func badMethod(method string) *failure { return permanent(rules.RefuseMethod(method)) }

func targetTooLong() *failure {
	return &failure{status: http.StatusRequestURITooLong, code: codeTargetTooLong, noRetry: true,
		message: fmt.Sprintf("the request target is over %d KiB", maxTargetBytes>>10)}
}

func unknownExpectation() *failure {
	return &failure{status: http.StatusExpectationFailed, code: codeExpectation, noRetry: true,
		message: "the request expects something other than 100-continue (RFC 9110, section 10.1.1)"}
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

func revokedKey(name string) *failure { return permanent(rules.RefuseRevoked(name)) }

func expiredKey(name string, at time.Time) *failure { return permanent(rules.RefuseExpired(name, at)) }

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
		message: fmt.Sprintf("the request body came too slowly: there is a limit of %s", after)}
}

func malformedBody() *failure {
	return &failure{status: http.StatusBadRequest, code: rules.CodeMalformedBody, noRetry: true,
		message: "the request body cannot be read: its transfer coding is malformed"}
}

func clientGone() *failure {
	return &failure{code: codeClientGone, end: endClientGone}
}

func internalFailure() *failure {
	return &failure{status: http.StatusInternalServerError, code: codeInternal,
		message: "the gateway made a mistake of its own; its log has the details under this request id"}
}

// permanent is a refusal that explain knows too, as it is answered.
func permanent(r rules.Refusal) *failure {
	return &failure{status: r.Status, code: r.Code, message: r.Message, noRetry: true}
}

// hidden stands in a log line where a secret would.
const hidden = "‹secret›"

// loggable keeps a name of a caller's own making to a length that fits a log
// line, and hides it where somebody put a gateway key into it.
func loggable(s string) string {
	if holdsEscaped(s) {
		return hidden
	}
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}

func noCredential(rule, upstream string) *failure {
	return permanent(rules.RefuseCredential(rule, upstream))
}

// boundCredential is for a caller who is bound to one credential of an upstream,
// which has others.
func boundCredential(upstream string) *failure {
	return &failure{status: http.StatusBadRequest, code: rules.CodeNoCredential, noRetry: true,
		message: fmt.Sprintf("your key is bound to a credential of upstream %q that cannot be used. Admin: llmgw upstreams get %s", upstream, upstream)}
}

func badRewrite(rule string, cause error) *failure {
	return permanent(rules.RefuseRewrite(rule)).because(cause)
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

// modelNotFound is a 404, as providers answer: who asks about a model by name
// wants to know whether there is one.
func modelNotFound(name string) *failure {
	return &failure{status: http.StatusNotFound, code: codeModelNotFound, noRetry: true,
		message: fmt.Sprintf("there is no model %q that your key can use. Models you can use: GET %s", loggable(name), rules.ModelsPath)}
}

func tooManyLists() *failure {
	return &failure{status: http.StatusServiceUnavailable, code: codeOverBudget, retryAfter: time.Second,
		message: "the gateway is finding out for too many callers which models there are; try again"}
}

func badPage(parameter string) *failure {
	return &failure{status: http.StatusBadRequest, code: codeBadPage, noRetry: true,
		message: fmt.Sprintf("the query parameter %q is no number of models", parameter)}
}

// cutByOperator ends an exchange that somebody who runs the gateway has chosen.
func cutByOperator() *failure {
	return &failure{status: http.StatusBadRequest, code: codeCut, noRetry: true, end: endRevoked,
		message: "an operator of the gateway cut this request"}
}

func drained() *failure {
	return &failure{status: http.StatusServiceUnavailable, code: codeDraining, retryAfter: time.Second, end: endDrained,
		message: "the gateway is stopping; try again"}
}
