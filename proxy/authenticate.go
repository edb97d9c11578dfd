package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// carriers are the headers in which clients carry a credential. A gateway key
// is looked for in the first four; all of them are taken off every request
// before the upstream's own credential goes in.
var carriers = [...]string{"Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key", "Proxy-Authorization", "Cookie"}

// keyParameter is the query parameter in which Google's clients carry a key.
const keyParameter = "key"

// isCarrier says whether a header, by its canonical name, carries a credential.
func isCarrier(name string) bool {
	for _, carrier := range carriers {
		if name == carrier {
			return true
		}
	}
	return false
}

// authenticate finds out who is calling.
func (x *exchange) authenticate() *failure {
	key, ok := findKey(x.r.Header, x.r.URL.RawQuery)
	x.secret = key
	switch {
	case !ok:
		return twoKeys()
	case key == "":
		return noKey()
	}
	if err := x.p.options.Issuer().Check(key); err != nil {
		return x.wrongKey(key)
	}
	hash, told := accounts.HashKey(key), x.p.lost.told.Load()
	who, err := x.p.options.Source.Identify(x.ctx, hash)
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return x.unknownKey()
	case err != nil && x.ctx.Err() != nil:
		return clientGone()
	case err != nil:
		return storeUnavailable().because(err)
	}
	x.calledBy(who)
	if f := x.endedKey(who); f != nil {
		return f
	}
	x.p.flights.known(x, hash)
	if x.p.lost.told.Load() != told {
		// Who looked for the exchanges of a changed key meanwhile may not have
		// found this one, and the key may be the one.
		return x.stillValid()
	}
	return nil
}

// calledBy notes who calls, as rules ask for it.
func (x *exchange) calledBy(who *accounts.Identity) {
	x.who = who
	q := &x.request
	q.Key, q.KeyID, q.Tags, q.Allowed = who.KeyName, who.KeyID, who.Tags, who.Models
	q.User, q.UserID, q.UserTags = who.UserName, who.UserID, who.UserTags
}

func (x *exchange) unknownKey() *failure {
	x.p.metrics.authFailure("unknown")
	return invalidKey()
}

// endedKey tells of a genuine key that is valid no more; nil where it is valid.
func (x *exchange) endedKey(who *accounts.Identity) *failure {
	f, reason := keyFailure(who)
	if f != nil {
		x.p.metrics.authFailure(reason)
	}
	return f
}

// keyFailure is endedKey, with the reason as the metric calls it.
func keyFailure(who *accounts.Identity) (f *failure, reason string) {
	switch state := who.State(time.Now()); state {
	case accounts.KeyRevoked:
		return revokedKey(who.KeyName), "revoked"
	case accounts.KeyExpired:
		return expiredKey(who.KeyName, who.ExpiresAt), "expired"
	case accounts.KeyDisabled, accounts.OwnerDisabled:
		return permanent(rules.RefuseDisabled(who.KeyName, state)), "disabled"
	}
	return nil, ""
}

// wrongKey tells a caller what is wrong with a text that is no key of ours.
func (x *exchange) wrongKey(key string) *failure {
	if name, prefix, ok := providerOf(key); ok {
		x.p.metrics.authFailure("provider_key")
		return providerKey(name, prefix)
	}
	if strings.HasPrefix(key, accounts.KeyPrefix) {
		x.p.metrics.authFailure("malformed")
		return malformedKey()
	}
	x.p.metrics.authFailure("unknown")
	return invalidKey()
}

// findKey gives the one key that a request carries, or "". It is not ok when
// two carriers hold different keys: which of them counts is not ours to guess.
func findKey(h http.Header, rawQuery string) (key string, ok bool) {
	same := true
	take := func(candidate string) {
		if candidate == "" {
			return
		}
		if key != "" && key != candidate {
			same = false
		}
		key = candidate
	}
	for _, value := range h["Authorization"] {
		take(bearer(value))
	}
	for _, name := range carriers[1:4] {
		for _, value := range h[name] {
			take(strings.TrimSpace(value))
		}
	}
	for _, list := range h["Sec-Websocket-Protocol"] {
		eachProtocol(list, func(protocol string) {
			if key, ok := strings.CutPrefix(protocol, keyProtocol); ok {
				take(key)
			}
		})
	}
	if rawQuery != "" {
		eachParameter(rawQuery, func(name, value string) {
			if name == keyParameter {
				take(value)
			}
		})
	}
	return key, same
}

// bearer gives the token of an Authorization header, whose scheme is compared
// without regard to case (RFC 9110, section 11.1). Any other scheme is no key.
func bearer(value string) string {
	scheme, token, ok := strings.Cut(value, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// eachParameter calls f for every parameter of a query, percent-decoded. A
// parameter that cannot be decoded is nobody's key.
func eachParameter(rawQuery string, f func(name, value string)) {
	for rawQuery != "" {
		var pair string
		pair, rawQuery, _ = strings.Cut(rawQuery, "&")
		name, value, _ := strings.Cut(pair, "=")
		decodedName, err := url.QueryUnescape(name)
		if err != nil {
			continue
		}
		if decoded, err := url.QueryUnescape(value); err == nil {
			f(decodedName, decoded)
		}
	}
}

// providerOf recognises the keys that people send by mistake, by the prefixes
// that the providers document.
func providerOf(key string) (provider, prefix string, ok bool) {
	for _, known := range [...]struct{ prefix, provider string }{
		{"sk-ant-", "an Anthropic"},
		{"sk-or-", "an OpenRouter"},
		{"sk-proj-", "an OpenAI"},
		{"AIza", "a Google"},
		{"gsk_", "a Groq"},
		{"xai-", "an xAI"},
	} {
		if strings.HasPrefix(key, known.prefix) {
			return known.provider, known.prefix, true
		}
	}
	if strings.HasPrefix(key, "sk-") && !strings.HasPrefix(key, accounts.KeyPrefix) {
		return "an OpenAI", "sk-", true
	}
	return "", "", false
}
