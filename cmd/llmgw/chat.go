package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// longestEvent bounds one line of a stream.
const longestEvent = 16 << 20

// chatFlags are what was said about one prompt.
type chatFlags struct {
	model, key, wire, system, file string
	raw                            bool
}

func newChat(a *app) *cobra.Command {
	var f chatFlags
	c := &cobra.Command{
		Use:   "chat [PROMPT…]",
		Short: "send one prompt through the gateway and stream the answer",
		Long:  "Sends one prompt through the gateway and streams the answer: text on stdout, one\nline of figures on stderr. Without --key it uses a one-use key from the admin\nsocket.",
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			return a.chat(ctx, t, f, args)
		}),
	}
	c.Flags().StringVar(&f.model, "model", "mock", "the model to ask for (`NAME`)")
	c.Flags().StringVar(&f.key, "key", "", "the gateway key to use (`KEY`)")
	c.Flags().StringVar(&f.wire, "wire", "openai", "the wire format: openai, anthropic, responses or gemini (`FORMAT`)")
	c.Flags().StringVar(&f.system, "system", "", "a system prompt (`TEXT`)")
	c.Flags().StringVarP(&f.file, "file", "f", "", "read the prompt from a file, or - for stdin (`FILE`)")
	c.Flags().BoolVar(&f.raw, "raw", false, "print the bytes as they come")
	return c
}

func (a *app) chat(ctx context.Context, t talk, f chatFlags, args []string) error {
	wire, ok := chatWires()[f.wire]
	if !ok {
		return usage("--wire: %v", oneOf("openai", "anthropic", "responses", "gemini")(f.wire))
	}
	prompt, err := a.prompt(f, args)
	if err != nil {
		return err
	}
	at, key, err := a.proxyFor(ctx, t, f.key)
	if err != nil {
		return err
	}
	request, err := chatRequest(ctx, at, wire, prompt, key)
	if err != nil {
		return err
	}
	client, err := proxyClient(t.settings)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	c := &conversation{app: a, wire: wire, raw: f.raw, model: f.model, begun: time.Now()}
	response, err := client.Do(request)
	if err != nil {
		return unanswered(at, err)
	}
	defer func() { _ = response.Body.Close() }()
	return c.read(response)
}

// unanswered says why nothing came from the proxy's address.
func unanswered(at string, err error) *failure {
	f := &failure{exit: exitUnreachable, code: "unreachable", cause: err}
	if untrusted(err) {
		f.message = fmt.Sprintf("%s: %s", at, reason(err))
		return f.withHint("%s", nameTheCertificate)
	}
	f.message = fmt.Sprintf("no gateway at %s (%s). Start one: llmgw serve", at, reason(err))
	return f
}

// prompt puts the prompt together from the arguments and the file.
func (a *app) prompt(f chatFlags, args []string) (chatPrompt, error) {
	p := chatPrompt{model: f.model, system: f.system, text: strings.Join(args, " ")}
	var (
		text []byte
		err  error
	)
	switch f.file {
	case "":
	case "-":
		text, err = io.ReadAll(a.in)
	default:
		text, err = os.ReadFile(f.file)
	}
	if err != nil {
		return p, invalid("reading the prompt: %v", err)
	}
	p.text = strings.TrimSpace(p.text + "\n" + string(text))
	if p.text == "" {
		return p, usage("nothing to say").withHint("llmgw chat hello, or: llmgw chat -f -")
	}
	return p, nil
}

// proxyFor finds the proxy's address and a key. With a key of its own, chat
// works where there is no admin socket.
func (a *app) proxyFor(ctx context.Context, t talk, key string) (at, secret string, err error) {
	at = localURL(t.settings)
	status, unknown := t.Status(ctx)
	if unknown == nil {
		at = status.Proxy
	}
	if key != "" {
		return at, key, nil
	}
	if unknown != nil {
		return "", "", unknown
	}
	made, err := t.ChatKey(ctx)
	return at, made.Secret, err
}

func chatRequest(ctx context.Context, at string, wire chatWire, p chatPrompt, key string) (*http.Request, error) {
	body, err := json.Marshal(wire.body(p))
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at+wire.path(p.model), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "llmgw/"+version)
	wire.keyed(request.Header, key)
	return request, nil
}

// conversation is one answer on its way to stdout.
type conversation struct {
	app    *app
	wire   chatWire
	raw    bool
	model  string
	begun  time.Time
	first  time.Duration // until the first text; 0: none came
	tokens int64
	id     string
	open   bool // the last line of text has no end yet
	ended  bool
}

func (c *conversation) read(response *http.Response) error {
	c.id = response.Header.Get("X-Llmgw-Request-Id")
	if response.StatusCode != http.StatusOK {
		return c.refused(response)
	}
	var err error
	if c.raw {
		err = c.copy(response.Body)
	} else {
		err = c.stream(response.Body)
	}
	if c.open {
		fmt.Fprintln(c.app.out)
	}
	if err != nil {
		return err
	}
	c.app.note("%s", c.app.errStyle().dim(c.app.errStyle().plain(c.figures())))
	return nil
}

// refused passes on what the provider, or the gateway, said.
func (c *conversation) refused(response *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	var parsed struct {
		Error *providerError `json:"error"`
	}
	text := fmt.Sprintf("the gateway answered %d", response.StatusCode)
	if json.Unmarshal(body, &parsed) == nil && parsed.Error != nil {
		text = oneLine(said(parsed.Error))
	}
	f := failed(nil, "%s", text)
	f.requestID = c.id
	if code := response.Header.Get("X-Llmgw-Error"); code != "" {
		f.code = code
	}
	return f
}

func (c *conversation) copy(body io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			c.mark()
			if _, err := c.app.out.Write(buffer[:n]); err != nil {
				return fmt.Errorf("writing the answer: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.broken(err)
		}
	}
}

// stream prints text as it comes, one event after the other.
func (c *conversation) stream(body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), longestEvent)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		event, err := c.wire.decoded(bytes.TrimPrefix(data, []byte(" ")))
		if err != nil {
			return c.broken(err)
		}
		if err := c.take(event); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return c.broken(err)
	}
	if !c.ended {
		return c.broken(errors.New("the stream has no end"))
	}
	return nil
}

func (c *conversation) take(e chatEvent) error {
	if e.failed != "" {
		f := failed(nil, "%s", oneLine(e.failed))
		f.requestID = c.id
		return f
	}
	c.ended = c.ended || e.ended
	c.tokens = max(c.tokens, e.tokens)
	if e.text == "" {
		return nil
	}
	c.mark()
	c.open = !strings.HasSuffix(e.text, "\n")
	if _, err := io.WriteString(c.app.out, c.app.printable(e.text)); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

func (c *conversation) mark() {
	if c.first == 0 {
		c.first = time.Since(c.begun)
	}
}

func (c *conversation) broken(err error) error {
	f := failed(err, "the answer broke off: %s", reason(err))
	f.requestID = c.id
	return f
}

// figures tells what is known of the exchange, and nothing else.
func (c *conversation) figures() string {
	parts := []string{"-- model " + c.model}
	if c.first > 0 {
		parts = append(parts, "ttft "+milliseconds(c.first))
	}
	parts = append(parts, "total "+milliseconds(time.Since(c.begun)))
	if c.tokens > 0 {
		parts = append(parts, plural(int(c.tokens), "token"))
	}
	if c.id != "" {
		parts = append(parts, c.id)
	}
	return strings.Join(parts, " · ")
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// printable keeps a model from steering the terminal. What goes into a pipe is
// left as it is.
func (a *app) printable(text string) string {
	if !a.outIsTerm {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r >= 0xa0) {
			return r
		}
		return -1
	}, text)
}
