package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// The bounds of a test: below the ten seconds that a command waits, so that
// the operator sees what the upstream did and not that the gateway is slow.
const (
	testLimit     = 8 * time.Second
	maxModelsText = 8 << 20
)

// testClient gives the client of tests: that of the options, or one that goes
// straight to the upstream.
func testClient(given *http.Client, reach rules.Reach) *http.Client {
	dialer := &net.Dialer{Timeout: testLimit, Control: within(reach)}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	if given != nil {
		*client = *given
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// within refuses to connect to where nothing may be sent, whatever name led
// there.
func within(reach rules.Reach) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return reach.Address(to.Addr())
	}
}

// testUpstream asks an upstream for its models, or one of these for a word. What goes wrong on the way is
// the answer, not a failure of the call.
func (s *Server) testUpstream(ctx context.Context, in *namedMaybe[api.TestUpstream]) (api.UpstreamTest, error) {
	upstream, err := s.upstream(ctx, in.Name)
	if err != nil {
		return api.UpstreamTest{}, err
	}
	begun := time.Now()
	var test api.UpstreamTest
	if in.Body != nil && in.Body.Chat != "" {
		test = s.chatUpstream(ctx, &upstream, in.Body.Chat)
	} else {
		test = s.tryUpstream(ctx, &upstream)
	}
	test.DurationMS = time.Since(begun).Milliseconds()
	return test, nil
}

func (s *Server) tryUpstream(ctx context.Context, u *accounts.Upstream) api.UpstreamTest {
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	base, err := url.Parse(u.URL)
	if err != nil {
		return api.UpstreamTest{Error: fmt.Sprintf("upstream %q has an address that is no URL", u.Name)}
	}
	list, lists := u.Provider.ModelList()
	target := rules.JoinURL(base, list.Path, list.Query)
	test := api.UpstreamTest{Method: http.MethodGet, URL: target.String()}

	secret, problem := s.testSecret(ctx, u)
	if problem != "" {
		test.Error = problem
		return test
	}
	if !lists {
		test.Error = string(u.Provider) + " lists its models elsewhere, which this test does not ask; send a request: llmgw chat --model MODEL hello"
		return test
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		test.Error = fmt.Sprintf("upstream %q has an address that no request can be sent to", u.Name)
		return test
	}
	for name, value := range list.Header {
		request.Header.Set(name, value)
	}
	request.URL.RawQuery = u.Authorize(request.Header, request.URL.RawQuery, secret)
	s.send(request, u, &test)
	return test
}

// testSecret reads the first credential that can be read, or says why a test
// makes no sense.
func (s *Server) testSecret(ctx context.Context, u *accounts.Upstream) (accounts.Secret, string) {
	if u.Auth == accounts.AuthNone {
		return accounts.Secret{}, ""
	}
	problem := fmt.Sprintf("upstream %q has no credential; set one: llmgw upstreams credential set %s", u.Name, u.Name)
	for i := range u.Credentials {
		if !u.Credentials[i].Enabled {
			continue
		}
		secret, err := s.vault.Read(ctx, u, &u.Credentials[i])
		switch {
		case err != nil:
			problem = err.Error()
		case u.Placement(secret).Signed:
			return secret, "requests to bedrock are signed one by one, which this test does not do; send one: llmgw chat --model MODEL hello"
		default:
			return secret, ""
		}
	}
	return accounts.Secret{}, problem
}

func (s *Server) send(request *http.Request, u *accounts.Upstream, test *api.UpstreamTest) {
	begun := time.Now()
	response, err := s.client.Do(request)
	if err != nil {
		test.Error = unreachable(u, err, time.Since(begun))
		return
	}
	defer func() { _ = response.Body.Close() }()
	test.Status = response.StatusCode
	if test.Error = refused(u, response.StatusCode); test.Error != "" {
		return
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxModelsText))
	if err != nil {
		test.Error = unreachable(u, err, time.Since(begun))
		return
	}
	test.OK, test.Models = true, countModels(text)
}

// refused says what a status means for whoever set the upstream up; "" for a
// status that is well. A generic upstream need not list models: it is well as
// long as it is there and takes the credential.
func refused(u *accounts.Upstream, status int) string {
	switch {
	case status < 300:
		return ""
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Sprintf("upstream %q refused the credential (%d); set another: llmgw upstreams credential set %s", u.Name, status, u.Name)
	case u.Provider == accounts.ProviderGeneric && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed):
		return ""
	case status < 400:
		return fmt.Sprintf("upstream %q answered %d, a redirect, which is never followed; check its URL", u.Name, status)
	case status == http.StatusNotFound:
		return fmt.Sprintf("upstream %q has nothing at this path (404); check its URL", u.Name)
	}
	return fmt.Sprintf("upstream %q answered %d", u.Name, status)
}

// unreachable says why there was no answer. The error of the client is not
// shown as it is: it holds the URL, and with it a credential in the query.
func unreachable(u *accounts.Upstream, err error, took time.Duration) string {
	why := rules.WhyUnreachable(err, time.Now())
	switch {
	case why == "" && rules.TookTooLong(err):
		return fmt.Sprintf("upstream %q did not answer within %s", u.Name, took.Round(10*time.Millisecond))
	case errors.Is(err, http.ErrSchemeMismatch): // http.Client's word for plain HTTP where TLS was expected
		why = "TLS: it does not speak TLS"
	}
	return fmt.Sprintf("cannot reach upstream %q: %s", u.Name, cmp.Or(why, "it did not answer with HTTP"))
}

// countModels counts what a list of models has: "data" with OpenAI and
// Anthropic, "models" with Gemini. 0 for any other text.
func countModels(text []byte) int {
	var list struct {
		Data   []json.RawMessage `json:"data"`
		Models []json.RawMessage `json:"models"`
	}
	if err := json.Unmarshal(bytes.TrimSpace(text), &list); err != nil {
		return 0
	}
	return max(len(list.Data), len(list.Models))
}
