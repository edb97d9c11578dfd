package rules_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

func TestCanonicalPathKeepsOrRespells(t *testing.T) {
	tests := []struct{ name, path, want string }{
		{"a plain path stays", "/v1/chat/completions", "/v1/chat/completions"},
		{"the root stays", "/", "/"},
		{"a trailing slash stays", "/v1/models/", "/v1/models/"},
		{"an escaped letter is decoded", "/v1/%66iles", "/v1/files"},
		{"every unreserved character is decoded", "/%41%7a%30%2D%2e%5F%7Ex", "/Az0-._~x"},
		{"an escaped digit of upper case stays", "/model/a%3A0/invoke", "/model/a%3A0/invoke"},
		{"an escaped digit of lower case is raised", "/model/a%3a0/invoke", "/model/a%3A0/invoke"},
		{"an escape of a reserved character is not decoded", "/a%26b%3Db%40", "/a%26b%3Db%40"},
		{"an escaped percent sign is decoded once at most", "/a%2566", "/a%2566"},
		{"escaped UTF-8 stays", "/v1/files/%C3%A9", "/v1/files/%C3%A9"},
		{"escaped UTF-8 of lower case is raised", "/v1/files/%c3%a9", "/v1/files/%C3%A9"},
		{"an escaped space stays", "/a%20b", "/a%20b"},
		{"a semicolon passes", "/a;b=c/d", "/a;b=c/d"},
		{"what RFC 3986 allows in a segment passes", "/a!$&'()*+,;=:@b", "/a!$&'()*+,;=:@b"},
		{"brackets pass", "/v1beta/models/x[1m]:generateContent", "/v1beta/models/x[1m]:generateContent"},
		{"an escaped slash passes in Bedrock's model", "/model/arn%3Aaws%3Ax%2Fy/converse", "/model/arn%3Aaws%3Ax%2Fy/converse"},
		{"an escaped slash passes in a listed model", "/v1/models/openai%2fgpt-5", "/v1/models/openai%2Fgpt-5"},
		{"the word model may itself be escaped", "/%6dodel/a%2Fb/invoke", "/model/a%2Fb/invoke"},
		{"dots within a segment pass", "/v1/files/a..b/...", "/v1/files/a..b/..."},
		{"a hidden file is no dot segment", "/.well-known/x", "/.well-known/x"},
		{"sixteen kibibytes pass", "/" + strings.Repeat("a", 16<<10-1), "/" + strings.Repeat("a", 16<<10-1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rules.CanonicalPath(test.path)
			if err != nil || got != test.want {
				t.Fatalf("CanonicalPath(%q) = %q, %v; want %q", test.path, got, err, test.want)
			}
		})
	}
}

func TestCanonicalPathRefuses(t *testing.T) {
	tests := []struct{ name, path, reason string }{
		{"nothing", "", "begin with a slash"},
		{"a path without a slash", "v1/models", "begin with a slash"},
		{"the asterisk of OPTIONS", "*", "begin with a slash"},
		{"an absolute URL", "http://example.com/", "begin with a slash"},
		{"two slashes at the start", "//v1/models", "empty segment"},
		{"two slashes within", "/v1//models", "empty segment"},
		{"two slashes at the end", "/v1/models//", "empty segment"},
		{"a dot segment", "/v1/./models", "dot segment"},
		{"a double dot segment", "/v1/../models", "dot segment"},
		{"a dot at the end", "/v1/.", "dot segment"},
		{"two dots at the end", "/v1/..", "dot segment"},
		{"escaped dots", "/v1/%2e%2E/models", "dot segment"},
		{"half escaped dots", "/v1/.%2e/models", "dot segment"},
		{"dots before a path parameter", "/v1/..;a=b/models", "dot segment"},
		{"dots before an escaped path parameter", "/v1/..%3b/models", "dot segment"},
		{"dots between escaped slashes in a model", "/model/a%2F..%2Fb/invoke", "dot segment"},
		{"dots after an escaped slash in a model", "/model/a%2F%2e%2e/invoke", "dot segment"},
		{"a model that begins with an escaped slash", "/model/%2Fa/invoke", "empty segment"},
		{"a model that ends with an escaped slash", "/model/a%2F/invoke", "empty segment"},
		{"two escaped slashes in a model", "/model/a%2f%2fb/invoke", "empty segment"},
		{"a backslash", `/v1\models`, "backslash"},
		{"an escaped backslash", "/v1%5Cmodels", "backslash"},
		{"an escaped backslash of lower case", "/v1%5cmodels", "backslash"},
		{"an escaped NUL", "/v1/models%00", "NUL"},
		{"a raw NUL", "/v1/\x00", "control"},
		{"a space", "/v1/a b", "space"},
		{"a line feed", "/v1/a\nb", "control"},
		{"a delete", "/v1/a\x7fb", "control"},
		{"raw UTF-8", "/v1/é", "not ASCII"},
		{"a gateway key", "/v1/sk-lgw-abc/x", "key of this gateway"},
		{"a gateway key within a segment", "/v1/models/ask-lgw-abc", "key of this gateway"},
		{"an escaped gateway key", "/v1/%73k%2dlgw%2Dabc/x", "key of this gateway"},
		{"a fragment", "/v1/a#b", "must be percent-escaped"},
		{"a query", "/v1/a?b", "must be percent-escaped"},
		{"a pipe", "/v1/a|b", "must be percent-escaped"},
		{"an escape of no digits", "/v1/%zz", "invalid percent-escape"},
		{"an escape of one digit", "/v1/%6", "invalid percent-escape"},
		{"a bare percent sign", "/v1/100%", "invalid percent-escape"},
		{"an escaped slash anywhere else", "/v1%2Fmodels", "escaped slash"},
		{"an escaped slash of lower case", "/v1/files/a%2fb", "escaped slash"},
		{"an escaped slash two segments after model", "/model/a/b%2Fc", "escaped slash"},
		{"an escaped slash before the model's segment", "/a%2Fmodel/b", "escaped slash"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rules.CanonicalPath(test.path)
			var refused *rules.PathError
			if !errors.As(err, &refused) || got != "" {
				t.Fatalf("CanonicalPath(%q) = %q, %v; want a *PathError", test.path, got, err)
			}
			if !strings.Contains(refused.Reason, test.reason) || refused.TooLong || err.Error() != refused.Reason {
				t.Errorf("reason %q (too long: %t) should say %q", refused.Reason, refused.TooLong, test.reason)
			}
		})
	}
}

func TestCanonicalPathTellsALongPathFromABadOne(t *testing.T) {
	_, err := rules.CanonicalPath("/" + strings.Repeat("a", 16<<10))
	var refused *rules.PathError
	if !errors.As(err, &refused) || !refused.TooLong {
		t.Fatalf("got %v, want a *PathError that says the path is too long", err)
	}
}

func TestCanonicalPathDecodesToTheSamePath(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "model", "models", "%66", "%2f", "%3A", "/", "/", ".", "%2e", "%25", "~", "%7e", ";", ":"})
	rapid.Check(t, func(t *rapid.T) {
		path := "/" + strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
		checkCanonical(t, path)
	})
}

func FuzzCanonicalPath(f *testing.F) {
	for _, seed := range []string{"/v1/%66iles", "/model/a%2Fb%3a/invoke", "/a/%2e%2E/b", "/%25%32%66", "/models/%2F", "//", "/%C3%A9;x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) { checkCanonical(t, path) })
}

// checkCanonical holds what is true of every path that is not refused.
func checkCanonical(t interface {
	Fatalf(format string, args ...any)
}, path string) {
	canonical, err := rules.CanonicalPath(path)
	if err != nil {
		return
	}
	if again, err := rules.CanonicalPath(canonical); err != nil || again != canonical {
		t.Fatalf("%q gives %q, which gives %q, %v", path, canonical, again, err)
	}
	before, err1 := url.PathUnescape(path)
	after, err2 := url.PathUnescape(canonical)
	if err1 != nil || err2 != nil || before != after {
		t.Fatalf("%q decodes to %q (%v), its canonical form %q to %q (%v)", path, before, err1, canonical, after, err2)
	}
	for segment := range strings.SplitSeq(after[1:], "/") {
		if segment == "." || segment == ".." {
			t.Fatalf("%q passed with a dot segment", path)
		}
	}
	if strings.Contains(after, "//") || strings.ContainsAny(after, "\\\x00") {
		t.Fatalf("%q passed and decodes to %q", path, after)
	}
	// What is sent is what was matched.
	sent := rules.JoinURL(&url.URL{Scheme: "https", Host: "upstream.example"}, canonical, "")
	if sent.EscapedPath() != canonical {
		t.Fatalf("%q is sent as %q", canonical, sent.EscapedPath())
	}
}

func TestCanonicalPathOfACanonicalPathAllocatesNothing(t *testing.T) {
	for _, path := range []string{"/v1/chat/completions", "/model/us.anthropic.claude-v1%3A0/converse"} {
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := rules.CanonicalPath(path); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s costs %v allocations, want 0", path, allocs)
		}
	}
}

func BenchmarkCanonicalPath(b *testing.B) {
	for _, path := range []string{"/v1/chat/completions", "/model/us.anthropic.claude-v1%3A0/converse", "/v1/%66iles"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rules.CanonicalPath(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
