package admin

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// The bounds of a chat test. It is over before the call is.
const (
	chatTestLimit = 25 * time.Second
	maxChatAnswer = 4 << 20
	maxChatEvent  = 1 << 20
	maxChatError  = 64 << 10
)

// chatUpstream asks a model of an upstream for one word, streamed, and tells when
// what came.
func (s *Server) chatUpstream(ctx context.Context, u *accounts.Upstream, model string) api.UpstreamTest {
	ctx, cancel := context.WithTimeout(ctx, chatTestLimit)
	defer cancel()
	test := api.UpstreamTest{Method: http.MethodPost, URL: u.URL, Chat: &api.ChatTest{}}
	secret, problem := s.testSecret(ctx, u)
	if problem != "" {
		test.Error = problem
		return test
	}
	question, ok := chatQuestionFor(u, model)
	if !ok {
		test.Error = fmt.Sprintf("upstream %q speaks no format that this test does (openai-chat, anthropic-messages, google-generate); send a request: llmgw chat --model MODEL hello", u.Name)
		return test
	}
	base, err := url.Parse(u.URL)
	if err != nil {
		test.Error = fmt.Sprintf("upstream %q has an address that is no URL", u.Name)
		return test
	}
	target := rules.JoinURL(base, question.path, question.query)
	test.URL = rules.JoinURL(base, question.shown, question.query).String()
	c := &chatTest{upstream: u, secret: secret, answer: &test, clock: beginPhases(ctx, u.Timeouts)}
	defer c.clock.end()
	request, err := http.NewRequestWithContext(c.clock.traced(), http.MethodPost, target.String(), bytes.NewReader(question.body))
	if err != nil {
		test.Error = fmt.Sprintf("upstream %q has an address that no request can be sent to", u.Name)
		return test
	}
	for name, value := range question.header {
		request.Header.Set(name, value)
	}
	request.URL.RawQuery = u.Authorize(request.Header, request.URL.RawQuery, secret)
	c.send(s.client, request)
	c.clock.tell(test.Chat)
	return test
}

// chatTest is one question on its way.
type chatTest struct {
	upstream *accounts.Upstream
	secret   accounts.Secret
	answer   *api.UpstreamTest
	clock    *phases
}

func (c *chatTest) send(client *http.Client, request *http.Request) {
	response, err := client.Do(request)
	if err != nil {
		c.answer.Error = c.broken(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	c.answer.Status = response.StatusCode
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	switch {
	case response.StatusCode >= 300:
		c.answer.Error = c.refused(response)
	case kind != eventsType:
		c.answer.Error = fmt.Sprintf("upstream %q answered %d, and not with a stream of events", c.upstream.Name, response.StatusCode)
	default:
		c.clock.enter(phaseFirstToken)
		c.answer.Error = c.read(response.Body)
		c.answer.OK = c.answer.Error == ""
	}
}

// read takes the events as they come, and says what is wrong with them.
func (c *chatTest) read(body io.Reader) string {
	lines := bufio.NewScanner(io.LimitReader(body, maxChatAnswer))
	lines.Buffer(make([]byte, 0, 4096), maxChatEvent)
	ended := false
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		e, err := readChatEvent(data)
		if err != nil {
			return fmt.Sprintf("upstream %q sent an event that is not JSON", c.upstream.Name)
		}
		if e.failed {
			return fmt.Sprintf("upstream %q broke the stream off with an error%s", c.upstream.Name, c.quoted(e.message))
		}
		c.answer.Chat.Chunks++
		c.clock.heard(e.text)
		ended = ended || e.ended
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Sprintf("upstream %q sent an event over %d MiB", c.upstream.Name, maxChatEvent>>20)
	case err != nil:
		return c.broken(err)
	case !ended:
		return fmt.Sprintf("upstream %q ended the stream without the end that its format has", c.upstream.Name)
	}
	return ""
}

// broken says why nothing came, or nothing more: a timeout of the upstream's own,
// the bound of the test, or what the network says.
func (c *chatTest) broken(err error) string {
	var late *lateError
	if errors.As(context.Cause(c.clock.ctx), &late) {
		return fmt.Sprintf("upstream %q sent nothing for %s (timeouts.%s)", c.upstream.Name, late.after, late.timeout)
	}
	return unreachable(c.upstream, err, time.Since(c.clock.begun))
}

// refused says what a status means for whoever set the upstream up, and what the
// provider says of it.
func (c *chatTest) refused(response *http.Response) string {
	var what string
	switch status := response.StatusCode; status {
	case http.StatusNotFound:
		what = fmt.Sprintf("upstream %q has no such model, or nothing at this path (404); check the model and its URL", c.upstream.Name)
	case http.StatusTooManyRequests:
		what = fmt.Sprintf("upstream %q wants fewer requests (429); try again later", c.upstream.Name)
	default:
		what = cmp.Or(refused(c.upstream, status), fmt.Sprintf("upstream %q answered %d", c.upstream.Name, status))
	}
	if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden {
		return what // the provider may quote the credential
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxChatError))
	if err != nil {
		return what
	}
	return what + c.quoted(providerMessage(text))
}

// longestQuote is how much of a provider's message is shown, in characters.
const longestQuote = 300

// quoted is what a provider says, as the end of a sentence; nothing where a piece of
// the credential stands in it.
func (c *chatTest) quoted(message string) string {
	message = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, message)), " ")
	if message == "" || holdsPieceOf(message, c.secret.Reveal()) {
		return ""
	}
	if cut := []rune(message); len(cut) > longestQuote {
		message = string(cut[:longestQuote]) + "…"
	}
	return ": " + message
}

// telling is how many characters of a credential in a row are a piece of it, and no
// coincidence.
const telling = 8

func holdsPieceOf(text, secret string) bool {
	if secret != "" && len(secret) <= telling {
		return strings.Contains(text, secret)
	}
	for i := 0; i+telling <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+telling]) {
			return true
		}
	}
	return false
}
