package admin

import (
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The bounds of a scrape.
const (
	scrapeLimit = 10 * time.Second
	maxScrapes  = 8
)

// Public is the handler of the admin listener: the API behind logins, and what
// Health answers.
func (s *Server) Public() http.Handler {
	mux := http.NewServeMux()
	s.handleHealth(mux)
	mux.Handle("/", s.public)
	return mux
}

// Health is the handler of a listener that has no API: what needs no login.
//
//	/healthz       200 while the process answers
//	/readyz        200, or 503 with the reason
//	/metrics       Prometheus
//	/openapi.json  the description of the API, which answers elsewhere
func (s *Server) Health() http.Handler {
	mux := http.NewServeMux()
	s.handleHealth(mux)
	mux.HandleFunc("/", serveNothing)
	return mux
}

func (s *Server) handleHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", serveHealth)
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.HandleFunc("GET /openapi.json", s.serveOpenAPI)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.gatherer, promhttp.HandlerOpts{
		Timeout: scrapeLimit, MaxRequestsInFlight: maxScrapes,
	}))
}

func serveHealth(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") }

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := s.ready(); err != nil {
		say(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	say(w, http.StatusOK, "ok")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that left is not told
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(s.openapi) // a client that left is not told
}
