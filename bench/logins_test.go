package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestWhatBecameOfALogin(t *testing.T) {
	answers := []int{http.StatusOK, http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusInternalServerError}
	var asked atomic.Int64
	var peers sync.Map
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var login struct{ User, Password string }
		if err := json.NewDecoder(r.Body).Decode(&login); err != nil || login.User == "" || login.Password != loginPassword {
			t.Errorf("it asks for %+v, %v", login, err)
		}
		if _, again := peers.LoadOrStore(r.Header.Get("X-Forwarded-For"), true); again {
			t.Error("two people have one address")
		}
		w.WriteHeader(answers[asked.Add(1)-1])
	}))
	defer gateway.Close()
	c := &crowdOfPeople{url: gateway.URL + "/api/v1/login", client: gateway.Client(), during: time.Second}
	for i := range answers {
		c.attempt(t.Context(), 254+i)
	}
	if c.in.Load() != 1 || c.waiting.Load() != 2 || c.broken.Load() != 2 {
		t.Errorf("%d in, %d waiting, %d broken", c.in.Load(), c.waiting.Load(), c.broken.Load())
	}
	var out bytes.Buffer
	if err := c.print(&out); err == nil || !strings.Contains(out.String(), "1.0 a second got in, 2 a second were told") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestNobodyLogsInWhereNobodyShould(t *testing.T) {
	c := &crowdOfPeople{url: "http://127.0.0.1:1", client: &http.Client{}}
	c.logIn(t.Context(), 0)()
	if c.broken.Load() != 0 || c.during != 0 {
		t.Errorf("%d attempts within %s", c.broken.Load(), c.during)
	}
}
