package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// maxAnswer bounds what is read of an answer: the largest are exports.
const maxAnswer = 64 << 20

// call sends one request and decodes its answer. 204 leaves T zero.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var answer T
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	token, refusal := c.token(ctx, c.bearer)
	if refusal != nil {
		return answer, refusal
	}
	status, text, err := c.sendAs(ctx, token, method, path, body)
	if status == http.StatusUnauthorized && c.renew != nil && !token.IsZero() {
		next, refusal := c.token(ctx, func(ctx context.Context) (accounts.Secret, error) { return c.renew(ctx, token) })
		switch {
		case refusal != nil:
			return answer, refusal
		case !next.IsZero():
			status, text, err = c.sendAs(ctx, next, method, path, body)
		}
	}
	switch {
	case err != nil:
		return answer, err
	case status >= 300:
		return answer, c.refusal(status, text)
	case status == http.StatusNoContent:
		return answer, nil
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, c.foreign(status)
	}
	return answer, nil
}

// longestPage is how much of a list one call asks for: as much as the gateway
// gives.
const longestPage = "1000"

// all gives every page of a list.
func all[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	asked := url.Values{"limit": {longestPage}}
	maps.Copy(asked, query)
	var items []T
	for {
		list, err := call[List[T]](ctx, c, http.MethodGet, path+"?"+asked.Encode(), nil)
		if err != nil {
			return nil, err
		}
		items = append(items, list.Items...)
		if list.Next == "" {
			return items, nil
		}
		asked.Set("cursor", list.Next)
	}
}

func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if c.ifMatch != "" {
		request.Header.Set("If-Match", `"`+c.ifMatch+`"`)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// token asks who makes the call.
func (c *Client) token(ctx context.Context, ask func(context.Context) (accounts.Secret, error)) (accounts.Secret, *Error) {
	token, err := ask(ctx)
	var refusal *Error
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &refusal):
		return accounts.Secret{}, refusal
	}
	return accounts.Secret{}, &Error{Title: "No login", Code: CodeDenied, Detail: err.Error(), Hint: "log in: llmgw login", Cause: err}
}

// sendAs sends a request in the name of a token.
func (c *Client) sendAs(ctx context.Context, token accounts.Secret, method, path string, body any) (int, []byte, error) {
	request, err := c.request(ctx, method, path, body)
	if err != nil {
		return 0, nil, c.unusable(err)
	}
	if !token.IsZero() {
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	begun := time.Now()
	status, text, err := c.send(request)
	c.trace(method, request.URL.RequestURI(), status, time.Since(begun))
	if err != nil {
		return 0, nil, c.unreachable(err)
	}
	return status, text, nil
}

// send gives the status of an answer and its whole text.
func (c *Client) send(request *http.Request) (int, []byte, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = fmt.Errorf("the answer is over %d MiB", maxAnswer>>20)
	}
	return response.StatusCode, text, err
}

// refusal decodes problem+json. What has no code of ours was not answered by
// a gateway.
func (c *Client) refusal(status int, text []byte) *Error {
	var refusal Error
	if err := json.Unmarshal(text, &refusal); err != nil || refusal.Code == "" {
		return c.foreign(status)
	}
	refusal.Status = status
	return &refusal
}

func (c *Client) foreign(status int) *Error {
	return &Error{
		Title: http.StatusText(status), Status: status, Code: CodeInternal,
		Detail: fmt.Sprintf("%s answered %d, and not as the admin API of llmgw does", c.where, status),
		Hint:   "check the address: llmgw status --server URL",
	}
}

func (c *Client) unusable(err error) *Error {
	return &Error{
		Title: "Unusable address", Code: CodeUsage, Cause: err,
		Detail: fmt.Sprintf("%q is not the address of a gateway", c.where),
		Hint:   "give one: --server http://127.0.0.1:4101",
	}
}

func (c *Client) unreachable(err error) *Error {
	failure := &Error{Title: "Unreachable", Code: CodeUnreachable, Cause: err, Hint: "start one: llmgw serve"}
	switch {
	case errors.Is(err, context.Canceled):
		failure.Detail, failure.Hint = "the call was cancelled", ""
	case isTimeout(err):
		failure.Detail = fmt.Sprintf("no answer from %s within %s", c.where, c.timeout)
		failure.Hint = "wait longer: --timeout 60s"
	case errors.Is(err, http.ErrSchemeMismatch):
		failure.Detail = fmt.Sprintf("%s answers in plain http: TLS does not begin there", c.where)
		failure.Hint = "say http:// for an address of this machine; for another one the gateway wants --tls-cert and --tls-key"
	case distrust(err) != "":
		failure.Detail = fmt.Sprintf("the certificate of %s is not trusted: %s", c.where, distrust(err))
		failure.Hint = "if it is your own, say whose it is: llmgw login " + c.where + " --ca-file FILE"
	default:
		failure.Detail = fmt.Sprintf("no gateway at %s (%s)", c.where, reason(err))
	}
	return failure
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// distrust says what is wrong with the certificate that a server showed, or ""
// where an error is of another kind.
func distrust(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		whole     x509.CertificateInvalidError
		shown     *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &authority):
		return "nobody known here has signed it"
	case errors.As(err, &name):
		return "it is for another name"
	case errors.As(err, &whole) && whole.Reason == x509.Expired:
		return "it has expired, or is not valid yet"
	case errors.As(err, &shown):
		return shown.Err.Error()
	}
	return ""
}

// reason is the innermost fact of a network error, without the addresses and
// operations that the layers above put around it.
func reason(err error) string {
	var number syscall.Errno
	var name *net.DNSError
	switch {
	case errors.As(err, &number):
		return number.Error()
	case errors.As(err, &name):
		return fmt.Sprintf("name %q does not resolve", name.Name)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed without an answer"
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return err.Error()
}

// segment writes a name as one segment of a path, "." and ".." too, which a
// server would otherwise take for directions.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

func trimSlash(base string) string { return strings.TrimRight(base, "/") }
