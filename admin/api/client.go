package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// DefaultTimeout bounds one call, the reading of its answer included.
const DefaultTimeout = 10 * time.Second

// Options say which gateway a Client speaks to: the one behind Socket, or else
// the one at BaseURL.
type Options struct {
	Socket  string        // path of the admin socket
	BaseURL string        // http or https, without the /api/v1
	Timeout time.Duration // of one call; 0: DefaultTimeout

	// Bearer gives the token that a call is made with: the access token of a
	// login, or a personal access token. It is asked for every call, so that it
	// may refresh a login; an empty one is not sent. nil: none, as on the socket.
	Bearer func(ctx context.Context) (accounts.Secret, error)

	// Renew gives another token in place of one that was refused with 401, or an
	// empty one where there is none; the call is then made once more, since what
	// is refused has done nothing. nil: the refusal stands.
	Renew func(ctx context.Context, refused accounts.Secret) (accounts.Secret, error)

	// Transport carries the calls in place of a network; nil: none does.
	Transport http.RoundTripper

	// TLS says whom to trust at an https BaseURL; nil: whom the system trusts.
	TLS *tls.Config

	// Trace is told of every call when it has ended; status is 0 where there
	// was no answer. It may be nil, and sees neither bodies nor headers.
	Trace func(method, path string, status int, took time.Duration)
}

// Client speaks the admin API. Every error that it returns is an *Error. It may
// be used by several goroutines.
type Client struct {
	http    *http.Client
	base    string // what stands before the path
	where   string // the socket or base URL, for messages
	timeout time.Duration
	ifMatch string // what is sent as If-Match, without its quotes
	bearer  func(ctx context.Context) (accounts.Secret, error)
	renew   func(ctx context.Context, refused accounts.Secret) (accounts.Secret, error)
	trace   func(method, path string, status int, took time.Duration)
}

// NewClient makes a Client. It connects only when it is used.
func NewClient(o Options) *Client {
	c := &Client{base: trimSlash(o.BaseURL), where: o.BaseURL, timeout: o.Timeout, bearer: o.Bearer, renew: o.Renew, trace: o.Trace}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.bearer == nil {
		c.bearer = func(context.Context) (accounts.Secret, error) { return accounts.Secret{}, nil }
	}
	if c.trace == nil {
		c.trace = func(string, string, int, time.Duration) {}
	}
	transport := &http.Transport{MaxIdleConns: 2, IdleConnTimeout: time.Minute, TLSClientConfig: o.TLS}
	if o.Socket != "" {
		c.base, c.where = "http://llmgw", o.Socket
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", o.Socket)
		}
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if o.Transport != nil {
		c.http.Transport = o.Transport
	}
	return c
}

// Close ends the connections that are kept for the next call.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// If gives a client whose calls change an object only while its ETag is the one
// given: CodeConflict where somebody else changed it since. It shares the
// connections of c.
func (c *Client) If(etag string) *Client {
	careful := *c
	careful.ifMatch = etag
	return &careful
}

// Status gives the gateway at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/status", nil)
}

// Nodes lists the gateways that run on the store.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	list, err := call[List[Node]](ctx, c, http.MethodGet, "/nodes", nil)
	return list.Items, err
}

// Rules lists every rule in the total order.
func (c *Client) Rules(ctx context.Context) (RuleList, error) {
	return call[RuleList](ctx, c, http.MethodGet, "/rules", nil)
}

// Rule gives one rule.
func (c *Client) Rule(ctx context.Context, name string) (Rule, error) {
	return call[Rule](ctx, c, http.MethodGet, "/rules/"+segment(name), nil)
}

// EnableRule puts a rule in force again.
func (c *Client) EnableRule(ctx context.Context, name string) (Rule, error) {
	return call[Rule](ctx, c, http.MethodPost, "/rules/"+segment(name)+"/enable", nil)
}

// DisableRule keeps a rule and takes it out of force.
func (c *Client) DisableRule(ctx context.Context, name string) (Rule, error) {
	return call[Rule](ctx, c, http.MethodPost, "/rules/"+segment(name)+"/disable", nil)
}

// DeleteRule removes a rule.
func (c *Client) DeleteRule(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, "/rules/"+segment(name), nil)
	return err
}

// ApplyRules makes sets what the files say, all of it or nothing.
func (c *Client) ApplyRules(ctx context.Context, request ApplyRequest) (Plan, error) {
	return call[Plan](ctx, c, http.MethodPost, "/apply", request)
}

// CreateRule adds one rule: to the end of a set, or beside a rule of it;
// CodeConflict where there is a rule of that name.
func (c *Client) CreateRule(ctx context.Context, rule RuleText) (Plan, error) {
	return call[Plan](ctx, c, http.MethodPost, "/rules", rule)
}

// EditRule puts another text in the place of a rule, which may have another
// name.
func (c *Client) EditRule(ctx context.Context, name string, rule RuleText) (Plan, error) {
	return call[Plan](ctx, c, http.MethodPut, "/rules/"+segment(name), rule)
}

// MoveRule gives a rule another place within its set.
func (c *Client) MoveRule(ctx context.Context, name string, place MoveRule) (Plan, error) {
	return call[Plan](ctx, c, http.MethodPost, "/rules/"+segment(name)+"/move", place)
}

// Explain tells what would become of a request. Nothing is sent.
func (c *Client) Explain(ctx context.Context, request ExplainRequest) (Explanation, error) {
	return call[Explanation](ctx, c, http.MethodPost, "/explain", request)
}

// ExportRules writes sets as canonical YAML; all of them where none is named.
func (c *Client) ExportRules(ctx context.Context, sets []string) (Export, error) {
	path := "/export"
	if len(sets) > 0 {
		path += "?" + url.Values{"set": sets}.Encode()
	}
	return call[Export](ctx, c, http.MethodGet, path, nil)
}

// History lists the newest revisions of the rules, the newest first; 0 leaves
// it to the gateway how many.
func (c *Client) History(ctx context.Context, limit int) ([]HistoryEntry, error) {
	path := "/history"
	if limit != 0 {
		path += "?limit=" + strconv.Itoa(limit)
	}
	list, err := call[List[HistoryEntry]](ctx, c, http.MethodGet, path, nil)
	return list.Items, err
}

// Revision gives one revision with its rules; CodeNotFound where there is none,
// or where its rules are not kept.
func (c *Client) Revision(ctx context.Context, n int64) (HistoryEntry, error) {
	return call[HistoryEntry](ctx, c, http.MethodGet, "/history/"+strconv.FormatInt(n, 10), nil)
}

// Rollback makes the rules of an earlier revision those of a new one;
// CodeConflict where an upstream that they need is gone.
func (c *Client) Rollback(ctx context.Context, request RollbackRequest) (Plan, error) {
	return call[Plan](ctx, c, http.MethodPost, "/rollback", request)
}
