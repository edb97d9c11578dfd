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
	"strconv"
	"strings"
	"sync"
	"time"
)

// callBound is how long one call of the admin API may take.
const callBound = 20 * time.Second

// call calls the admin API of a node by its socket, as those of its machine may.
func (r *replica) call(ctx context.Context, method, path string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("writing a call: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://llmgw/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("calling %s: %w", r.name, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.admin.Do(request)
	if err != nil {
		return fmt.Errorf("calling %s: %w", r.name, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return fmt.Errorf("calling %s: %w", r.name, err)
	case response.StatusCode/100 != 2:
		return fmt.Errorf("calling %s: %s %s: status %d: %s", r.name, method, path, response.StatusCode, answer)
	case into == nil:
		return nil
	}
	return json.Unmarshal(answer, into)
}

// status is what a node says of itself.
type status struct{ Problem string }

func (r *replica) status(ctx context.Context) (s status, err error) {
	return s, r.call(ctx, http.MethodGet, "/status", nil, &s)
}

// nodeStatus is a node as another one sees it.
type nodeStatus struct {
	Revision int64
	Applied  int64
	Behind   int64
	SameLog  bool `json:"same_log"`
	Silent   bool
}

func (r *replica) sees(ctx context.Context) ([]nodeStatus, error) {
	var list struct{ Items []nodeStatus }
	err := r.call(ctx, http.MethodGet, "/nodes", nil, &list)
	return list.Items, err
}

// madeKey is a key that was made, and its secret.
type madeKey struct {
	Name   string
	Secret string
}

func (r *replica) createKey(ctx context.Context, name string) (k madeKey, err error) {
	return k, r.call(ctx, http.MethodPost, "/keys", map[string]string{"name": name}, &k)
}

func (r *replica) revokeKey(ctx context.Context, name string) error {
	return r.call(ctx, http.MethodPost, "/keys/"+name+"/revoke", struct{}{}, nil)
}

// applyRules makes the sets of a file what it says, and gives the revision.
func (r *replica) applyRules(ctx context.Context, text string) (int64, error) {
	var plan struct{ Revision int64 }
	err := r.call(ctx, http.MethodPost, "/apply", map[string]any{"files": []map[string]string{{"name": "chaos.yaml", "content": text}}}, &plan)
	return plan.Revision, err
}

// makers is how many keys are made at a time.
const makers = 4

// keyName is a name that no key has yet.
func (f *fleet) keyName() string {
	f.made++
	return fmt.Sprint("chaos-", f.made)
}

// newKeys makes keys that nobody has used.
func (f *fleet) newKeys(ctx context.Context, n int) ([]madeKey, error) {
	keys, errs := make([]madeKey, n), make([]error, makers)
	names := make([]string, n)
	for i := range names {
		names[i] = f.keyName()
	}
	var making sync.WaitGroup
	for m := range makers {
		making.Go(func() {
			for i := m; i < n && errs[m] == nil; i += makers {
				keys[i], errs[m] = f.nodes[0].createKey(ctx, names[i])
			}
		})
	}
	making.Wait()
	return keys, errors.Join(errs...)
}

// samples are metrics by name and labels, as they are exposed.
type samples map[string]float64

func (r *replica) metrics(ctx context.Context) (samples, error) {
	ctx, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.metricsAt+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("reading metrics of %s: %w", r.name, err)
	}
	response, err := r.plain.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading metrics of %s: %w", r.name, err)
	}
	defer func() { _ = response.Body.Close() }()
	m, err := readSamples(response.Body)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("reading metrics of %s: status %d", r.name, response.StatusCode))
	}
	return m, err
}

func readSamples(from io.Reader) (samples, error) {
	m := samples{}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "} ")
		if ok {
			name += "}"
		} else {
			name, value, ok = strings.Cut(lines.Text(), " ")
		}
		if strings.HasPrefix(name, "#") || !ok {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("reading metrics: %q", lines.Text())
		}
		m[name] = n
	}
	return m, lines.Err()
}

// sum adds up the samples of a name that have all of these labels, each written
// name="value".
func (m samples) sum(name string, labels ...string) (n float64) {
	for series, value := range m {
		bare, rest, _ := strings.Cut(series, "{")
		if bare != name {
			continue
		}
		has := true
		for _, label := range labels {
			has = has && strings.Contains(rest, label)
		}
		if has {
			n += value
		}
	}
	return n
}

// lookUps is how nodes have answered whose key a caller has.
type lookUps struct{ memory, shelf, store, unavailable int }

const lookUpMetric = "llmgw_key_cache_total"

func (f *fleet) lookUps(ctx context.Context, of ...*replica) (l lookUps, err error) {
	for _, r := range of {
		m, err := r.metrics(ctx)
		if err != nil {
			return l, err
		}
		count := func(outcome string) int { return int(m.sum(lookUpMetric, `outcome="`+outcome+`"`)) }
		l.memory += count("hit") + count("unknown_hit")
		l.shelf += count("shelf")
		l.store += count("miss") + count("unknown_miss")
		l.unavailable += count("unavailable")
	}
	return l, nil
}

func (l lookUps) since(earlier lookUps) lookUps {
	return lookUps{l.memory - earlier.memory, l.shelf - earlier.shelf, l.store - earlier.store, l.unavailable - earlier.unavailable}
}

// keyQuery is in the statement that finds whose key it is, and in no other.
const keyQuery = "LEFT JOIN key_secrets"

// keyQueries is how often PostgreSQL was asked for a key, as it has counted itself.
func (f *fleet) keyQueries(ctx context.Context) (int, error) {
	if !f.counts {
		return 0, nil
	}
	n, err := f.postgres.Statements(ctx, keyQuery)
	return int(n), err
}
