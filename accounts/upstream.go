package accounts

import (
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Upstream is a provider endpoint that the gateway sends requests to.
type Upstream struct {
	ID          string
	Name        string
	Provider    Provider
	URL         string // http or https, with a path where the provider has one; no credential, query or fragment
	Auth        Auth
	Credentials []Credential
	Wires       []string // names of wire formats; empty: those of the provider
	Models      []string
	Timeouts    Timeouts
	MaxIdle     int           // idle connections kept; 0: the default
	IdleTimeout time.Duration // an idle connection is closed after this; 0: the default (4 s)
	Websocket   bool          // a change to the WebSocket protocol may be asked for here
	Enabled     bool
	Draining    bool // takes no new requests, and keeps those that it has; see TakesRequests
	CreatedAt   time.Time
	Seq         int64 // of the change that made the upstream what it is. Read only
}

// Provider says which provider's conventions an upstream follows.
type Provider string

// The providers. ProviderOpenAI is everything that speaks its wire format.
const (
	ProviderOpenAI    Provider = "openai"
	ProviderAnthropic Provider = "anthropic"
	ProviderGemini    Provider = "gemini"
	ProviderAzure     Provider = "azure"
	ProviderBedrock   Provider = "bedrock"
	ProviderGeneric   Provider = "generic"
)

// Providers lists the providers in the order in which help shows them.
func Providers() []Provider {
	return []Provider{ProviderOpenAI, ProviderAnthropic, ProviderGemini, ProviderAzure, ProviderBedrock, ProviderGeneric}
}

// TakesRequests says whether new requests may be sent to the upstream.
func (u *Upstream) TakesRequests() bool { return u.Enabled && !u.Draining }

// Speaks says whether the upstream answers requests of a wire format. A path
// that no format claims is everybody's.
func (u *Upstream) Speaks(w Wire) bool {
	if w == WireNone {
		return true
	}
	if len(u.Wires) > 0 {
		for _, name := range u.Wires {
			if name == w.String() {
				return true
			}
		}
		return false
	}
	switch u.Provider {
	case ProviderOpenAI, ProviderAzure:
		return w.IsOpenAI()
	case ProviderAnthropic:
		return w.IsAnthropic() || w == WireOpenAIFiles // its files are under the same path
	case ProviderGemini:
		return w.IsGoogle()
	case ProviderBedrock:
		return w.IsBedrock()
	}
	return true
}

// Auth says where an upstream's credential goes. The empty value means where
// the provider expects it.
type Auth string

// AuthBearer and AuthNone are two of the four forms of Auth; the others are
// header:NAME and query:NAME.
const (
	AuthBearer Auth = "bearer"
	AuthNone   Auth = "none"
)

// Header gives the NAME of header:NAME.
func (a Auth) Header() (name string, ok bool) { return strings.CutPrefix(string(a), "header:") }

// Query gives the NAME of query:NAME.
func (a Auth) Query() (name string, ok bool) { return strings.CutPrefix(string(a), "query:") }

// NoTimeout bounds nothing, whatever a wider scope says. It is how a written 0
// is kept apart from a timeout that is not given.
const NoTimeout time.Duration = -1

// Timeouts bound each phase of an attempt. Zero means: as the next wider scope
// says (rule, upstream, gateway). Negative (NoTimeout) means: without bound.
type Timeouts struct {
	Connect        time.Duration
	ResponseHeader time.Duration
	FirstToken     time.Duration
	Idle           time.Duration
	Total          time.Duration
}

// Or fills what t leaves open from wider.
func (t Timeouts) Or(wider Timeouts) Timeouts {
	or := func(a, b time.Duration) time.Duration {
		if a != 0 {
			return a
		}
		return b
	}
	return Timeouts{
		Connect:        or(t.Connect, wider.Connect),
		ResponseHeader: or(t.ResponseHeader, wider.ResponseHeader),
		FirstToken:     or(t.FirstToken, wider.FirstToken),
		Idle:           or(t.Idle, wider.Idle),
		Total:          or(t.Total, wider.Total),
	}
}

// Host gives the host and port of the upstream's URL, to which its credentials
// are bound. The port is always there, so that https://a and https://a:443 are
// one host.
func (u *Upstream) Host() string {
	parsed, err := url.Parse(u.URL)
	if err != nil {
		return ""
	}
	port := parsed.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[parsed.Scheme]
	}
	return strings.ToLower(parsed.Hostname()) + ":" + port
}

// Validate checks everything about an upstream that can be told without asking
// anybody, and says all that is wrong, each as "field: what". No value is
// repeated: people paste credentials into the wrong field.
func (u *Upstream) Validate() []error {
	var problems []error
	say := func(field, format string, args ...any) {
		problems = append(problems, fmt.Errorf(field+": "+format, args...))
	}
	if !ValidName(u.Name) {
		say("name", "must match %s", NamePattern)
	}
	if !knownProvider(u.Provider) {
		say("provider", "is unknown; there are openai, anthropic, gemini, azure, bedrock, generic")
	}
	if err := validURL(u.URL); err != nil {
		say("url", "%v", err)
	}
	if err := u.validAuth(); err != nil {
		say("auth", "%v", err)
	}
	for _, name := range u.Wires {
		if _, ok := ParseWire(name); !ok {
			say("wires", "one is unknown; there are %s", strings.Join(WireNames(), ", "))
		}
	}
	return problems
}

func knownProvider(p Provider) bool {
	for _, known := range Providers() {
		if p == known {
			return true
		}
	}
	return false
}

// headersOfTheMessage never go out as they are put in: they say where a message
// ends, or are about one connection (RFC 9110, sections 7.2 and 7.6.1; RFC 9112,
// section 6).
var headersOfTheMessage = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Trailer", "Te", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Expect",
}

func (u *Upstream) validAuth() error {
	if u.Auth == "" || u.Auth == AuthBearer || u.Auth == AuthNone {
		return nil
	}
	if name, ok := u.Auth.Header(); ok && validToken(name) {
		if slices.Contains(headersOfTheMessage, textproto.CanonicalMIMEHeaderKey(name)) {
			return fmt.Errorf("names a header that belongs to the connection or the message, and cannot carry a credential")
		}
		return nil
	}
	if name, ok := u.Auth.Query(); ok && validToken(name) {
		return nil
	}
	return fmt.Errorf("is unknown; there are bearer, header:NAME, query:NAME, none")
}

// validURL accepts what a request can be sent to: an absolute http or https
// URL without a password, query or fragment. A host in other letters is not
// mapped to the ASCII that it stands for: what is checked must be what is
// dialled, and 169。254。169。254 is an address too. The value is not repeated in
// the error, since people paste credentials into URLs.
func validURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("must begin with http:// or https://")
	case u.Hostname() == "":
		return fmt.Errorf("has no host")
	case strings.ContainsFunc(u.Hostname(), func(r rune) bool { return r > unicode.MaxASCII }):
		return fmt.Errorf("has a host that is not ASCII; write it as DNS does (xn--…)")
	case u.Port() != "" && !validPort(u.Port()):
		return fmt.Errorf("has no port from 1 to 65535")
	case u.User != nil:
		return fmt.Errorf("must not hold a user or password; use a credential")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("must not have a query or fragment")
	}
	return nil
}

func validPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

// validToken tells a token of RFC 9110, section 5.6.2: a header's name.
func validToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return true
}

// NeedsCredential says whether requests to u go out with a credential. A
// generic upstream that names neither auth nor a credential wants none.
func (u *Upstream) NeedsCredential() bool {
	if u.Auth == "" && u.Provider == ProviderGeneric {
		return len(u.Credentials) > 0
	}
	return u.Auth != AuthNone
}
