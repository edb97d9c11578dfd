package proxy

import (
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// The names that spans use: OpenTelemetry's for HTTP
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/) and for
// generative AI (https://github.com/open-telemetry/semantic-conventions-genai),
// which its Go package does not have, and the gateway's own.
const (
	attrErrorType     = attribute.Key("error.type")
	attrHTTPMethod    = attribute.Key("http.request.method")
	attrHTTPResend    = attribute.Key("http.request.resend_count")
	attrHTTPStatus    = attribute.Key("http.response.status_code")
	attrServerAddress = attribute.Key("server.address")
	attrServerPort    = attribute.Key("server.port")
	attrURLPath       = attribute.Key("url.path")
	attrURLScheme     = attribute.Key("url.scheme")

	attrOperation       = attribute.Key("gen_ai.operation.name")
	attrProvider        = attribute.Key("gen_ai.provider.name")
	attrRequestModel    = attribute.Key("gen_ai.request.model")
	attrRequestStream   = attribute.Key("gen_ai.request.stream")
	attrInputTokens     = attribute.Key("gen_ai.usage.input_tokens")
	attrOutputTokens    = attribute.Key("gen_ai.usage.output_tokens")
	attrCacheReads      = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	attrCacheWrites     = attribute.Key("gen_ai.usage.cache_creation.input_tokens")
	attrReasoningTokens = attribute.Key("gen_ai.usage.reasoning.output_tokens")

	attrRule          = attribute.Key("llmgw.rule")
	attrUpstream      = attribute.Key("llmgw.upstream")
	attrKey           = attribute.Key("llmgw.key")
	attrRevision      = attribute.Key("llmgw.revision")
	attrRequestID     = attribute.Key("llmgw.request_id")
	attrEndReason     = attribute.Key("llmgw.end_reason")
	attrRequestBytes  = attribute.Key("llmgw.request_bytes")
	attrResponseBytes = attribute.Key("llmgw.response_bytes")
)

// eventFirstToken is when the first output of the model went to the client.
const eventFirstToken = "first_token"

// httpMethodOther is what the conventions call a method that is none of theirs.
const httpMethodOther = "_OTHER"

// operationOf is what a wire format asks a model to do, "" where the
// conventions have no name for it.
func operationOf(w accounts.Wire) string {
	switch w {
	case accounts.WireOpenAIChat, accounts.WireOpenAIResponses, accounts.WireAnthropicMessages, accounts.WireBedrock:
		return "chat"
	case accounts.WireOpenAIEmbeddings:
		return "embeddings"
	case accounts.WireGoogleGenerate:
		return "generate_content"
	}
	return ""
}

// providerOfUpstream is the conventions' name of a provider, and ours where
// they have none.
func providerOfUpstream(u *accounts.Upstream) string {
	switch u.Provider {
	case accounts.ProviderGemini:
		return "gcp.gemini"
	case accounts.ProviderAzure:
		return "azure.ai.openai"
	case accounts.ProviderBedrock:
		return "aws.bedrock"
	}
	return string(u.Provider)
}

// exchangeAttributes are what the exchange's span says at its end.
func (x *exchange) exchangeAttributes() []attribute.KeyValue {
	r := &x.record
	all := append(make([]attribute.KeyValue, 0, 20),
		attrRequestID.String(x.id),
		attrHTTPMethod.String(spanMethod(x.request.Method)),
		attrURLPath.String(loggable(x.request.Path)),
		attrURLScheme.String(schemeOf(x.r)),
		attrServerAddress.String(loggable(x.request.Host)),
		attrEndReason.String(string(r.reason)),
		attrRevision.Int64(x.revision()),
		attrRequestBytes.Int64(r.requestBytes),
		attrResponseBytes.Int64(r.responseBytes),
	)
	if x.headSent {
		all = append(all, attrHTTPStatus.Int(r.status))
	}
	all = append(all, x.routeAttributes()...)
	if x.request.HasModel {
		all = append(all, attrRequestModel.String(loggable(x.request.Model)))
	}
	if problem := x.errorType(); problem != "" {
		all = append(all, attrErrorType.String(problem))
	}
	return all
}

// routeAttributes say who asked, and what was decided, as far as it was.
func (x *exchange) routeAttributes() []attribute.KeyValue {
	var all []attribute.KeyValue
	for _, one := range [...]attribute.KeyValue{
		attrKey.String(x.keyName()), attrRule.String(x.ruleName()), attrUpstream.String(x.upstreamName()),
		attrOperation.String(operationOf(x.request.Wire)),
	} {
		if one.Value.AsString() != "" {
			all = append(all, one)
		}
	}
	return all
}

// attemptAttributes are what is known of an attempt when it begins.
func (x *exchange) attemptAttributes(to *rules.Candidate, number int) []attribute.KeyValue {
	all := append(make([]attribute.KeyValue, 0, 16),
		attrRequestID.String(x.id),
		attrHTTPMethod.String(spanMethod(x.request.Method)),
		attrServerAddress.String(to.Base.Hostname()),
		attrURLScheme.String(to.Base.Scheme),
		attrRequestStream.Bool(x.request.Stream),
	)
	if port, err := strconv.Atoi(to.Base.Port()); err == nil {
		all = append(all, attrServerPort.Int(port))
	}
	if x.target.upstream != nil {
		all = append(all, attrProvider.String(providerOfUpstream(x.target.upstream)))
	}
	if number > 1 {
		all = append(all, attrHTTPResend.Int(number-1))
	}
	return append(all, x.routeAttributes()...)
}

// usageAttributes are the tokens as the provider counted them. They stand on the
// attempt alone, so that nobody who adds up spans counts them twice.
func usageAttributes(u accounts.Usage) []attribute.KeyValue {
	var all []attribute.KeyValue
	for _, one := range [...]struct {
		key   attribute.Key
		count accounts.Count
	}{
		{attrInputTokens, u.InputTokens}, {attrOutputTokens, u.OutputTokens}, {attrCacheReads, u.CachedInputTokens},
		{attrCacheWrites, u.CacheWriteTokens}, {attrReasoningTokens, u.ReasoningTokens},
	} {
		if one.count.Known {
			all = append(all, one.key.Int64(one.count.N))
		}
	}
	return all
}

// errorType says what went wrong, and "" where nothing did: the code of the
// gateway's own error, how a stream broke, or the status. A client that leaves
// makes no error, and neither does one that is refused.
func (x *exchange) errorType() string {
	r := &x.record
	switch {
	case r.reason == endClientGone, r.code == codeRule:
		return ""
	case r.code != "" && (r.status >= 500 || r.reason != endRejected):
		return r.code
	case r.reason != endComplete && r.reason != endRejected:
		return string(r.reason)
	case r.status >= 500:
		return strconv.Itoa(r.status)
	}
	return ""
}

func spanMethod(method string) string {
	if label := methodLabel(method); label != "other" {
		return label
	}
	return httpMethodOther
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}
