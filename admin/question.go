package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// explainedID stands for the id of a request that is never sent.
const explainedID = "req_explained"

// question is a request that is not sent, as the rules see it.
type question struct {
	rules.Request
	read    rules.PathRead
	refused *rules.Refusal // before any rule is asked
}

// question makes a request of what was asked. What is random in the proxy (the
// choice under affinity: none) is always the same here; the shares tell.
func (s *Server) question(ctx context.Context, in *api.ExplainRequest) (*question, error) {
	path, query, _ := strings.Cut(in.Path, "?")
	if !strings.HasPrefix(path, "/") {
		return nil, wrongField("path", "must begin with /")
	}
	q := &question{Request: rules.Request{
		ID: explainedID, Method: strings.ToUpper(in.Method), Host: in.Host, Path: path, RawQuery: query, User: in.User,
	}}
	if q.Method == "" {
		q.Method = http.MethodPost
	}
	q.readHeaders(in.Headers)
	if err := q.readSource(in.Source); err != nil {
		return nil, err
	}
	q.readPath()
	if err := s.identify(ctx, q, in); err != nil {
		return nil, err
	}
	return q, q.readBody(in)
}

func (q *question) refuse(r rules.Refusal) {
	if q.refused == nil {
		q.refused = &r
	}
}

// readHeaders takes headers as a server does: names in their canonical form, the
// host not among them.
func (q *question) readHeaders(headers map[string][]string) {
	h := make(http.Header, len(headers))
	for name, values := range headers {
		for _, value := range values {
			h.Add(name, value)
		}
	}
	if q.Host == "" {
		q.Host = h.Get("Host")
	}
	h.Del("Host")
	q.Header = h
}

func (q *question) readSource(text string) error {
	if text == "" {
		return nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return wrongField("source", "is not an address such as 10.1.2.3")
	}
	q.Source = address.Unmap().WithZone("")
	return nil
}

func (q *question) readPath() {
	if !rules.KnownMethod(q.Method) {
		q.refuse(rules.RefuseMethod(q.Method))
		return
	}
	path, err := rules.CanonicalPath(q.Path)
	if err != nil {
		q.refuse(rules.RefusePath(err.Error()))
		return
	}
	q.Path, q.read = path, rules.ReadTarget(path, q.RawQuery)
	q.Websocket = rules.AsksForWebsocket(q.Method, q.Header)
	q.Wire, q.Model, q.HasModel, q.Stream = q.read.Wire, q.read.Model, q.read.HasModel, q.read.Stream
}

// identify puts in who is asked about: of a key its owner and its allow-list,
// too. Tags that are asked for go before the key's own. A user who is asked for
// and does not own the key is a name, and nobody whose bindings count.
func (s *Server) identify(ctx context.Context, q *question, in *api.ExplainRequest) error {
	q.Tags = maps.Clone(in.Tags)
	if in.Key == "" {
		return nil
	}
	key, err := s.store.Key(ctx, in.Key)
	if err != nil {
		return found(err, "key", in.Key)
	}
	who, err := s.identityOf(ctx, &key)
	if err != nil {
		return err
	}
	q.KeyID, q.Key, q.Tags, q.Allowed = who.KeyID, who.KeyName, maps.Clone(who.Tags), who.Models
	if q.Tags == nil {
		q.Tags = map[string]string{}
	}
	maps.Copy(q.Tags, in.Tags)
	if in.User == "" || in.User == who.UserName {
		q.UserID, q.User, q.UserTags = who.UserID, who.UserName, who.UserTags
	}
	switch state := who.State(s.now()); state {
	case accounts.KeyRevoked:
		q.refuse(rules.RefuseRevoked(key.Name))
	case accounts.KeyExpired:
		q.refuse(rules.RefuseExpired(key.Name, key.ExpiresAt))
	case accounts.KeyDisabled, accounts.OwnerDisabled:
		q.refuse(rules.RefuseDisabled(key.Name, state))
	}
	return nil
}

// identityOf gives who calls with a key: the key as it is stored, and its owner
// as its newest secret leads there. A key without a secret can be asked about all
// the same, without its owner; so can one whose secret has had its time.
func (s *Server) identityOf(ctx context.Context, key *accounts.Key) (accounts.Identity, error) {
	who := accounts.Identity{
		KeyID: key.ID, KeyName: key.Name, Tags: key.Tags, Models: key.Models,
		Disabled: key.Disabled, ExpiresAt: key.ExpiresAt, RevokedAt: key.RevokedAt,
	}
	if len(key.Secrets) == 0 {
		return who, nil
	}
	found, err := s.store.Identify(ctx, key.Secrets[len(key.Secrets)-1].Hash)
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return who, nil
	case err != nil:
		return who, err
	}
	who.UserID, who.UserName, who.UserTags, who.UserDisabled = found.UserID, found.UserName, found.UserTags, found.UserDisabled
	return who, nil
}

// readBody looks into the body as the proxy does. A model or stream that is
// asked for stands in the place of what the body says; where there is no body
// for it to stand in, nobody knows its size.
func (q *question) readBody(in *api.ExplainRequest) error {
	if q.refused != nil {
		return nil
	}
	found, err := q.read.ReadBody(q.Header["Content-Type"], in.Body)
	if err != nil {
		q.refuse(rules.RefuseBody(err))
		return nil
	}
	q.BodyBytes = q.read.SizeOf(q.Header["Content-Type"], q.Header["Transfer-Encoding"] != nil, int64(len(in.Body)))
	if in.Model != nil {
		found.Model, found.HasModel = *in.Model, true
		if len(in.Body) == 0 && !q.read.HasModel {
			q.BodyBytes = -1
		}
	}
	if in.Stream != nil {
		found.Stream = *in.Stream
	}
	switch {
	case !q.read.HasModel:
		q.Model, q.HasModel = found.Model, found.HasModel
	case in.Model != nil && *in.Model != q.read.Model:
		return wrongField("model", "the path names another model already")
	}
	q.Stream = q.Stream || found.Stream
	return nil
}
