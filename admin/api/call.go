package api

import (
	"bytes"
	"context"
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
)

// maxAnswer bounds what is read of an answer: the largest are exports.
const maxAnswer = 64 << 20

// call sends one request and decodes its answer. 204 leaves T zero.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var answer T
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	request, err := c.request(ctx, method, path, body)
	if err != nil {
		return answer, c.unusable(err)
	}
	if err := c.authorize(ctx, request); err != nil {
		return answer, err
	}
	begun := time.Now()
	status, text, err := c.send(request)
	c.trace(method, request.URL.RequestURI(), status, time.Since(begun))
	switch {
	case err != nil:
		return answer, c.unreachable(err)
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

// authorize puts in who makes the call.
func (c *Client) authorize(ctx context.Context, request *http.Request) error {
	token, err := c.bearer(ctx)
	var refusal *Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case err != nil:
		return &Error{Title: "No login", Code: CodeDenied, Detail: err.Error(), Hint: "log in: llmgw login", Cause: err}
	case !token.IsZero():
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	return nil
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
	default:
		failure.Detail = fmt.Sprintf("no gateway at %s (%s)", c.where, reason(err))
	}
	return failure
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
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
