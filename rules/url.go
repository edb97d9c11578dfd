package rules

import (
	"net/url"
	"strings"
)

// JoinURL puts a canonical path (see CanonicalPath) behind an upstream's URL.
// Whole segments that end the base and begin the path are written once, the
// longest such run: https://api.openai.com/v1 and /v1/chat/completions make
// https://api.openai.com/v1/chat/completions. A trailing slash of the base is
// ignored. EscapedPath and RequestURI of the answer give path and query byte
// for byte. Of the base only scheme, host and path are taken.
func JoinURL(base *url.URL, path, rawQuery string) *url.URL {
	joined := joinPath(strings.TrimRight(base.EscapedPath(), "/"), path)
	u := &url.URL{Scheme: base.Scheme, Host: base.Host, Path: joined, RawQuery: rawQuery}
	// EscapedPath believes RawPath as long as it decodes to Path; without it,
	// it would escape anew, and other bytes than the client did.
	if decoded, err := url.PathUnescape(joined); err == nil {
		u.Path, u.RawPath = decoded, joined
	}
	return u
}

func joinPath(base, path string) string {
	for i := range len(base) {
		if base[i] == '/' && beginsWith(path, base[i:]) {
			return base[:i] + path
		}
	}
	return base + path
}

// beginsWith says whether path begins with all the segments of prefix.
func beginsWith(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// StripQuery takes the parameters out of a query that drop says, by their
// decoded names. The others keep their bytes and their order. Only & separates
// parameters (https://url.spec.whatwg.org/#concept-urlencoded-parser).
// Nothing is allocated where nothing is dropped and no name has an escape.
func StripQuery(rawQuery string, drop func(name string) bool) string {
	var kept []byte // every parameter with a & behind it, once one was dropped
	dropped := false
	for at, more := 0, rawQuery != ""; more; {
		var parameter string
		parameter, _, more = strings.Cut(rawQuery[at:], "&")
		switch {
		case drop(parameterName(parameter)):
			if !dropped {
				kept, dropped = append(make([]byte, 0, len(rawQuery)), rawQuery[:at]...), true
			}
		case dropped:
			kept = append(append(kept, parameter...), '&')
		}
		at += len(parameter) + 1
	}
	if !dropped {
		return rawQuery
	}
	return strings.TrimSuffix(string(kept), "&")
}

// parameterName decodes the name of a parameter. Where an escape is invalid it
// stands for itself, as it does for the servers that do not refuse it.
func parameterName(parameter string) string {
	name, _, _ := strings.Cut(parameter, "=")
	if !strings.ContainsAny(name, "%+") {
		return name
	}
	decoded := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '+' {
			c = ' '
		} else if escaped, ok := unhex(name[i+1:]); c == '%' && ok {
			c = escaped
			i += 2
		}
		decoded = append(decoded, c)
	}
	return string(decoded)
}
