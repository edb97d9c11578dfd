package proxy

import (
	"strings"

	"golang.org/x/net/http2/hpack"
)

// h2Cases are the requests that a server of HTTP/2 must not turn into others
// when it sends them on in HTTP/1 (RFC 9113, sections 8.2 and 8.3).
func h2Cases() map[string]h2Case {
	const taken, refused = "< 200\n^ GET /v1/x 0\n", "< reset PROTOCOL_ERROR\n"
	cases := map[string]h2Case{
		"a plain request":               {outcome: taken},
		"a body":                        {change: posting(), data: "{}", outcome: "< 200\n^ POST /v1/x 2\n^ | Content-Type: application/json\n"},
		"a body with its length":        {change: posting(field("content-length", "2")), data: "{}", outcome: "< 200\n^ POST /v1/x 2\n^ | Content-Type: application/json\n"},
		"a length that is too long":     {change: posting(field("content-length", "3")), data: "{}", outcome: "< 400 malformed_request_body\n"},
		"a length that is too short":    {change: posting(field("content-length", "1")), data: "{}", outcome: refused},
		"a length and no body":          {change: posting(field("content-length", "2")), outcome: "< 200\n^ POST /v1/x 0\n^ | Content-Type: application/json\n"},
		"a length of zero and a body":   {change: posting(field("content-length", "0")), data: "{}", outcome: refused},
		"two lengths: the frames count": {change: posting(field("content-length", "2"), field("content-length", "3")), data: "{}", outcome: "< 200\n^ POST /v1/x 2\n^ | Content-Type: application/json\n"},
		"a length that is no number":    {change: posting(field("content-length", "+2")), data: "{}", outcome: refused},
		"an upper-case name":            {change: with(field("X-A", "b")), outcome: refused},
		"an upper-case framing header":  {change: with(field("Transfer-Encoding", "chunked")), outcome: refused},
		"a name with a colon":           {change: with(field("x-a: b\r\nx-c", "d")), outcome: refused},
		"a name with a blank":           {change: with(field("x a", "b")), outcome: refused},
		"an empty name":                 {change: with(field("", "b")), outcome: refused},
		"a line end in a value":         {change: with(field("x-a", "b\r\nTransfer-Encoding: chunked")), outcome: refused},
		"a bare LF in a value":          {change: with(field("x-a", "b\nX-B: c")), outcome: refused},
		"a NUL in a value":              {change: with(field("x-a", "b\x00c")), outcome: refused},
		"two keys":                      {change: with(field("authorization", "Bearer sk-lgw-other")), outcome: "< 400 two_api_keys\n"},
		"a key in a cookie":             {change: with(field("cookie", "a=${key}"), field("cookie", "b=c")), outcome: taken},
		"a key in some other header":    {change: with(field("x-debug", "${key}")), outcome: taken},
		"a key in the path":             {change: but(field(":path", "/v1/${key}")), outcome: "< 400 bad_path\n"},
		"a key in the authority":        {change: but(field(":authority", "${key}")), outcome: taken},
		"a key in a trailer":            {change: posting(), data: "{}", trailer: []hpack.HeaderField{field("x-api-key", "sk-lgw-other")}, outcome: "< 200\n^ POST /v1/x 2\n^ | Content-Type: application/json\n"},
		"a pseudo header in a trailer":  {change: posting(), data: "{}", trailer: []hpack.HeaderField{field(":path", "/smuggled")}, outcome: refused},
		"a host beside the authority":   {change: with(field("host", "other")), outcome: taken},
		"a method in lower case":        {change: but(field(":method", "get")), outcome: "< 405 method_not_allowed\n"},
		"a method with a line end":      {change: but(field(":method", "GET /smuggled HTTP/1.1\r\nX-A:")), outcome: refused},
		"CONNECT":                       {change: but(field(":method", "CONNECT")), outcome: refused},
		"101 fields":                    {change: with(repeated(field("x-a", "b"), 101)...), outcome: "< 431 too_many_headers\n"},
		"a body over the limit":         {change: posting(), data: strings.Repeat("x", rawBodyLimit+1), outcome: "< 413 request_too_large\n"},
		"a scheme of another kind":      {change: but(field(":scheme", "file")), outcome: refused},
	}
	for path, outcome := range map[string]string{
		"/v1/../x":                 "< 400 bad_path\n",
		"/v1/%2e%2e/x":             "< 400 bad_path\n",
		"//v1/x":                   "< 400 bad_path\n",
		"/v1/x?a=b#c":              "< 400 bad_path\n",
		"http://gw/v1/x":           "< 400 bad_path\n",
		"*":                        "< 400 bad_path\n",
		"":                         refused,
		"v1/x":                     refused,
		"/v1/a b":                  "< 400 bad_path\n",
		"/v1/x HTTP/1.1\r\nX-A: b": refused,
		"/v1/\x00":                 refused,
		"/v1/x?a=1;b=2&&":          "< 200\n^ GET /v1/x?a=1;b=2&& 0\n",
	} {
		cases["the path "+path] = h2Case{change: but(field(":path", path)), outcome: outcome}
	}
	for _, f := range []hpack.HeaderField{
		field("connection", "keep-alive"), field("connection", "x-a"), field("keep-alive", "timeout=5"), field("proxy-connection", "keep-alive"),
		field("transfer-encoding", "chunked"), field("upgrade", "h2c"), field("te", "gzip"),
	} {
		cases["the header "+f.Name+": "+f.Value] = h2Case{change: with(f), outcome: "< 400\n"} // the server's own
	}
	cases["the header te: trailers"] = h2Case{change: with(field("te", "trailers")), outcome: taken}
	for _, f := range []hpack.HeaderField{
		field(":path", "/smuggled"), field(":method", "DELETE"), field(":authority", "other"), field(":scheme", "https"),
		field(":status", "200"), field(":unknown", "a"), field(":protocol", "websocket"),
	} {
		cases["one more "+f.Name] = h2Case{change: with(f), outcome: refused}
	}
	for _, name := range []string{":method", ":scheme", ":path"} {
		cases["no "+name] = h2Case{change: lacking(name), outcome: refused}
	}
	cases["a pseudo header behind others"] = h2Case{outcome: refused, change: func(fields []hpack.HeaderField) []hpack.HeaderField {
		return append(lacking(":path")(fields), field(":path", "/v1/x"))
	}}
	return cases
}

func repeated(f hpack.HeaderField, n int) (all []hpack.HeaderField) {
	for range n {
		all = append(all, f)
	}
	return all
}
