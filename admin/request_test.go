package admin_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// request sends a request as it stands, "Host" among its headers too, and gives
// the answer's status and text.
func request(t testing.TB, method, url, body string, header http.Header) (int, string) {
	t.Helper()
	response, text := exchange(t, method, url, body, header)
	return response.StatusCode, text
}

func exchange(t testing.TB, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return response, string(text)
}

// serveOnce asks the handler who makes the call, without a socket.
func serveOnce(t testing.TB, g *gateway, token string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/api/v1/me", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	g.server.Public().ServeHTTP(w, r)
	return w.Code
}
