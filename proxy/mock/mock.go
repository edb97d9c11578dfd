package mock

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// What Options that say nothing stand for.
const (
	DefaultTTFT            = 20 * time.Millisecond
	DefaultTokensPerSecond = 50.0
	DefaultTokens          = 64
)

// Options say how the mock answers. The zero value is a well-behaved model of
// ordinary speed that speaks every wire format.
type Options struct {
	// TTFT is the time to the first token, and the whole time of an answer that
	// is not streamed. 0 is DefaultTTFT, negative is none.
	TTFT time.Duration
	// TokensPerSecond is the pace of a stream. 0 is DefaultTokensPerSecond,
	// negative is as fast as the connection takes it.
	TokensPerSecond float64
	// Tokens is the most that an answer may have. Below 1 is DefaultTokens.
	Tokens int
	// ErrorRate is the share of requests, 0 to 1, that get a 500.
	ErrorRate float64
	// CutAfter, above 0, cuts the connection of every answer once that many
	// tokens have been sent. One with fewer tokens ends well.
	CutAfter int
	// Wires are the wire formats spoken, of those that WireNames lists. Empty is
	// all of them.
	Wires []string
	// Now dates the answers (created, created_at). nil is time.Now. Pace and
	// deadlines do not follow it.
	Now func() time.Time
	// OnRequest, where set, sees each request and its body before it is
	// answered. It is called from many goroutines at once.
	OnRequest func(r *http.Request, body []byte)
	// OnGone, where set, is told when a client has left before it had all of its
	// answer. It is called from many goroutines at once.
	OnGone func(r *http.Request)
}

// WireNames lists what Options.Wires may hold.
func WireNames() []string {
	return []string{wireOpenAI, wireResponses, wireAnthropic, wireGemini}
}

// Validate says what in the options cannot be meant. New does not ask it:
// unknown wire names are formats that nobody calls for, a rate is as good as
// the nearest one that can be.
func (o Options) Validate() error {
	for _, name := range o.Wires {
		if !slices.Contains(WireNames(), name) {
			return fmt.Errorf("unknown wire format %q; there are %s", name, strings.Join(WireNames(), ", "))
		}
	}
	if !(o.ErrorRate >= 0 && o.ErrorRate <= 1) {
		return fmt.Errorf("error rate %v is not between 0 and 1", o.ErrorRate)
	}
	return nil
}

// New makes the mock.
func New(o Options) http.Handler {
	if o.TTFT == 0 {
		o.TTFT = DefaultTTFT
	}
	if o.TokensPerSecond == 0 {
		o.TokensPerSecond = DefaultTokensPerSecond
	}
	if o.Tokens < 1 {
		o.Tokens = DefaultTokens
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TTFT = max(o.TTFT, 0)
	return &handler{Options: o}
}

// NewServer makes a server of the mock. It bounds the head of a request and an
// idle connection; the handler itself bounds the body and every write, which a
// timeout of the whole answer would cut.
func NewServer(o Options) *http.Server {
	return &http.Server{
		Handler:           New(o),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
	}
}

type handler struct {
	Options // completed by New
	served  atomic.Uint64
}

func (h *handler) speaks(wire string) bool {
	return len(h.Wires) == 0 || slices.Contains(h.Wires, wire)
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := &exchange{
		handler: h,
		w:       w,
		r:       r,
		control: http.NewResponseController(w),
		place:   locate(r),
		number:  h.served.Add(1),
	}
	defer e.finish()
	body, refused := e.body()
	if e.left {
		return
	}
	if h.OnRequest != nil {
		h.OnRequest(r, body)
	}
	e.start = time.Now()
	if refused == nil {
		refused = e.answer(body)
	}
	if refused != nil {
		e.refuse(*refused)
	}
}
