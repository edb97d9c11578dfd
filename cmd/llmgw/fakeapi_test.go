package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

// fakeAPI answers calls of the admin API with what was said beforehand, and
// keeps what was asked.
type fakeAPI struct {
	URL     string
	answers map[string]string // "GET /users/dana" → JSON; what is not here is a 404

	mu    sync.Mutex
	asked []string // "PATCH /users/dana {"role":"viewer"}"
}

func newFakeAPI(t *testing.T, answers map[string]string) *fakeAPI {
	t.Helper()
	f := &fakeAPI{answers: answers}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.URL = s.URL
	return f
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + strings.TrimSuffix(strings.TrimPrefix(r.URL.RequestURI(), "/api/v1"), "?limit=1000") // all of a list
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f.mu.Lock()
	f.asked = append(f.asked, strings.TrimSpace(call+" "+string(body)))
	f.mu.Unlock()
	answer, ok := f.answers[call]
	switch {
	case !ok:
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(api.Error{Code: api.CodeNotFound, Detail: "nothing at " + call}) // a client that left sees none
	case answer == "":
		w.WriteHeader(http.StatusNoContent)
	default:
		_, _ = io.WriteString(w, answer) // the same
	}
}

// changes are the calls that were no mere questions.
func (f *fakeAPI) changes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.asked), func(call string) bool { return strings.HasPrefix(call, "GET ") })
}

// questions are the others.
func (f *fakeAPI) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.asked), func(call string) bool { return !strings.HasPrefix(call, "GET ") })
}
