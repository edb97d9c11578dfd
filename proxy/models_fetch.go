package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/rules"
)

// The bounds of asking one upstream.
const (
	listLimit    = 20 * time.Second // for all pages
	maxListBytes = 4 << 20          // of all pages
	maxListPages = 20
)

var (
	errListTooLong    = errors.New("its list of models is over 4 MiB")
	errUnreadableList = errors.New("its list of models cannot be read")
)

// listStatusError is a status instead of a list.
type listStatusError struct{ status int }

func (e *listStatusError) Error() string { return fmt.Sprintf("it answered %d", e.status) }

// whyNoList tells what went wrong without anything that the upstream sent.
func whyNoList(err error) string {
	var status *listStatusError
	if errors.As(err, &status) || errors.Is(err, errListTooLong) || errors.Is(err, errUnreadableList) {
		return err.Error()
	}
	var bound *endCause // of its watch; a dial that is ended so says only that it was
	if errors.As(err, &bound) || errors.Is(err, context.Canceled) || rules.TookTooLong(err) {
		return "it did not answer in time"
	}
	return whyUnreachable(err)
}

// fetchModels asks an upstream for its models as its provider lists them. One
// that knows no such request has none to tell.
func fetchModels(ctx context.Context, t *target) ([]model, error) {
	how, _ := t.upstream.Provider.ModelList()
	secret := t.credentialFor("", nil).reveal()
	base, err := url.Parse(t.upstream.URL)
	if err != nil {
		return nil, errUnreadableList
	}
	ctx, cancel := context.WithTimeout(ctx, listLimit)
	defer cancel()
	reader := listReader{room: maxListBytes, secret: secret.Reveal(), seen: map[string]bool{}}
	for query, pages := how.Query, 1; ; pages++ {
		header := http.Header{"Accept": {"application/json"}, "User-Agent": {"llmgw"}}
		for name, value := range how.Header {
			header[name] = []string{value}
		}
		to := rules.JoinURL(base, how.Path, t.upstream.Authorize(header, query, secret))
		text, err := fetchPage(ctx, t, &attempt{method: http.MethodGet, url: to, header: header, lent: new(atomic.Int32)}, reader.room)
		if err != nil {
			return nil, err
		}
		next, err := reader.read(text)
		if err != nil {
			return nil, err
		}
		if next == "" || how.Query == "" || pages == maxListPages {
			return reader.models, nil
		}
		query = how.Query + "&" + next
	}
}

// fetchPage gets one page, of at most so many bytes; nil where the upstream has
// no such list. Its phases have the bounds of any attempt.
func fetchPage(ctx context.Context, t *target, a *attempt, most int) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var w watch
	w.start(cancel, withHandshake(t.timeouts, a.url.Scheme), false)
	defer w.stop()
	answer, err := t.carrier.do(ctx, a, func() { w.enter(awaitHeader) })
	if err != nil {
		return nil, err
	}
	defer answer.close()
	w.enter(awaitMore)
	switch answer.status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return nil, nil
	default:
		return nil, &listStatusError{answer.status}
	}
	text, err := io.ReadAll(io.LimitReader(answer.body, int64(most)+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > most:
		return nil, errListTooLong
	}
	return text, nil
}
