package rules_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

func parseURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestJoinURL(t *testing.T) {
	tests := []struct{ name, base, path, query, want string }{
		{"a version in both is written once", "https://api.openai.com/v1", "/v1/chat/completions", "", "https://api.openai.com/v1/chat/completions"},
		{"a version after a prefix is written once", "https://api.groq.com/openai/v1", "/v1/chat/completions", "", "https://api.groq.com/openai/v1/chat/completions"},
		{"a host alone gets the path", "https://api.anthropic.com", "/v1/messages", "", "https://api.anthropic.com/v1/messages"},
		{"a host with a slash gets the path", "https://api.anthropic.com/", "/v1/messages", "", "https://api.anthropic.com/v1/messages"},
		{"several segments are written once", "https://h/x/openai/v1", "/openai/v1/models", "", "https://h/x/openai/v1/models"},
		{"the longest run counts", "https://h/a/a", "/a/a/b", "", "https://h/a/a/b"},
		{"a run must end the base", "https://h/v1/openai", "/v1/models", "", "https://h/v1/openai/v1/models"},
		{"a run must begin the path", "https://h/v1", "/openai/v1/models", "", "https://h/v1/openai/v1/models"},
		{"part of a segment is no run", "https://h/api-v1", "/v1/models", "", "https://h/api-v1/v1/models"},
		{"the beginning of a segment is no run", "https://h/v1", "/v1beta/models", "", "https://h/v1/v1beta/models"},
		{"a trailing slash of the base is ignored", "https://h/v1/", "/v1/models", "", "https://h/v1/models"},
		{"a trailing slash of the path stays", "https://h/v1", "/v1/", "", "https://h/v1/"},
		{"a path that is the whole base", "https://h/v1", "/v1", "", "https://h/v1"},
		{"the root goes behind the base", "https://h/v1", "/", "", "https://h/v1/"},
		{"a port and plain http stay", "http://127.0.0.1:8080/v1", "/v1/models", "", "http://127.0.0.1:8080/v1/models"},
		{"the query goes as it came", "https://h", "/v1/messages", "beta=true&x=%zz;y=a+b", "https://h/v1/messages?beta=true&x=%zz;y=a+b"},
		{"escapes in the path stay", "https://h", "/model/a%3A0%2Fb/invoke", "", "https://h/model/a%3A0%2Fb/invoke"},
		{"characters that Go would escape stay", "https://h/v1", "/v1/a!'()*;,[1m]", "", "https://h/v1/a!'()*;,[1m]"},
		{"escapes in the base stay", "https://h/a%2Fb/v1", "/v1/models", "", "https://h/a%2Fb/v1/models"},
		{"a password, query and fragment of the base are left behind", "https://u:p@h/v1?a=b#c", "/v1/models", "", "https://h/v1/models"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			base := parseURL(t, test.base)
			before := *base
			got := rules.JoinURL(base, test.path, test.query)
			if got.String() != test.want {
				t.Errorf("JoinURL(%s, %s) = %s, want %s", test.base, test.path, got, test.want)
			}
			if *base != before {
				t.Errorf("the base became %s", base)
			}
			_, afterHost, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(test.want, "https://"), "http://"), "/")
			if got.RequestURI() != "/"+afterHost {
				t.Errorf("the request line has %s, want /%s", got.RequestURI(), afterHost)
			}
		})
	}
}

func TestJoinURLGoesOverTheWireAsItStands(t *testing.T) {
	const path = "/model/arn%3Aaws%2Fx!'()*,;=@/converse"
	seen := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r.RequestURI }))
	t.Cleanup(server.Close)
	request := &http.Request{Method: http.MethodGet, URL: rules.JoinURL(parseURL(t, server.URL), path, "a=1;b=%7e"), Header: http.Header{}}
	answer, err := http.DefaultTransport.RoundTrip(request.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got, want := <-seen, path+"?a=1;b=%7e"; got != want {
		t.Errorf("the upstream saw %s, want %s", got, want)
	}
}

func TestJoinURLWritesEverySegmentOfThePath(t *testing.T) {
	segment := rapid.SampledFrom([]string{"v1", "openai", "v1beta", "a", "a%2Fb"})
	segments := rapid.SliceOfN(segment, 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		base, path := "/"+strings.Join(segments.Draw(t, "base"), "/"), "/"+strings.Join(segments.Draw(t, "path"), "/")
		u, err := url.Parse("https://h" + base)
		if err != nil {
			t.Fatal(err)
		}
		base = strings.TrimSuffix(base, "/")
		got := rules.JoinURL(u, path, "").EscapedPath()
		if !strings.HasPrefix(got, base) || !strings.HasSuffix(got, path) {
			t.Fatalf("%s behind %s is %s", path, base, got)
		}
		shared := len(base) + len(path) - len(got)
		if shared < 0 || base[len(base)-shared:] != path[:shared] {
			t.Fatalf("%s behind %s is %s, which loses something", path, base, got)
		}
		if shared < len(path) && path[shared] != '/' {
			t.Fatalf("%s behind %s is %s, which cuts a segment", path, base, got)
		}
	})
}

func TestStripQuery(t *testing.T) {
	tests := []struct{ name, query, want string }{
		{"nothing to strip", "beta=true&limit=1000", "beta=true&limit=1000"},
		{"an empty query", "", ""},
		{"the only parameter", "key=abc", ""},
		{"the first parameter", "key=abc&alt=sse", "alt=sse"},
		{"the last parameter", "alt=sse&key=abc", "alt=sse"},
		{"one in the middle", "a=1&key=abc&b=2", "a=1&b=2"},
		{"a repeated one", "key=1&a=1&key=2&key=3&b=2&key=4", "a=1&b=2"},
		{"one without a value", "key&a=1", "a=1"},
		{"one with an empty value", "key=&a=1", "a=1"},
		{"one with an escaped name", "%6bey=abc&a=1", "a=1"},
		{"one with a wholly escaped name", "a=1&%6B%65%79=abc", "a=1"},
		{"a longer name stays", "keys=abc&a.key=1", "keys=abc&a.key=1"},
		{"another case stays", "Key=abc", "Key=abc"},
		{"a name after a space stays", "+key=abc", "+key=abc"},
		{"an invalid escape is no name", "ke%7=abc&%zzkey=1", "ke%7=abc&%zzkey=1"},
		{"bytes of the others stay", "a=%7e+%zz&key=x&b=c;d=é&&e", "a=%7e+%zz&b=c;d=é&&e"},
		{"a semicolon does not separate", "a=1;key=abc", "a=1;key=abc"},
		{"empty parameters stay", "&&key=abc&&a=1&", "&&&a=1&"},
		{"an equals sign in the value stays", "a=b=key&key=a=b", "a=b=key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := rules.StripQuery(test.query, func(name string) bool { return name == "key" })
			if got != test.want {
				t.Errorf("StripQuery(%q) = %q, want %q", test.query, got, test.want)
			}
		})
	}
}

func FuzzStripQuery(f *testing.F) {
	f.Add("a=1&key=x&b=2")
	f.Add("&&%6bey=&+=&%")
	f.Fuzz(func(t *testing.T, query string) {
		isKey := func(name string) bool { return name == "key" }
		if same := rules.StripQuery(query, func(string) bool { return false }); same != query {
			t.Fatalf("%q became %q with nothing dropped", query, same)
		}
		if none := rules.StripQuery(query, func(string) bool { return true }); none != "" && strings.Trim(query, "&") != "" && strings.Trim(none, "&") != "" {
			t.Fatalf("%q left %q with all dropped", query, none)
		}
		got := rules.StripQuery(query, isKey)
		if again := rules.StripQuery(got, isKey); again != got {
			t.Fatalf("%q became %q, then %q", query, got, again)
		}
		// net/url refuses what has an invalid escape or a semicolon, and agrees on the rest.
		want, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		have, err := url.ParseQuery(got)
		if err != nil || have.Has("key") {
			t.Fatalf("%q became %q: %v, %v", query, got, have, err)
		}
		want.Del("key")
		if have.Encode() != want.Encode() {
			t.Fatalf("%q became %q: %v, want %v", query, got, have, want)
		}
	})
}

func TestStripQueryAllocatesNothingWhereNothingIsDropped(t *testing.T) {
	isKey := func(name string) bool { return name == "key" }
	if allocs := testing.AllocsPerRun(100, func() { rules.StripQuery("beta=true&limit=1000&a=%7e", isKey) }); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func BenchmarkJoinURL(b *testing.B) {
	base := parseURL(b, "https://api.groq.com/openai/v1")
	b.ReportAllocs()
	for b.Loop() {
		rules.JoinURL(base, "/v1/chat/completions", "beta=true")
	}
}
