package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

type auditList struct {
	Actor   string    `query:"actor" maxLength:"256" doc:"Who did it"`
	Action  string    `query:"action" maxLength:"256" doc:"What was done, noun.verb; may end in *"`
	Subject string    `query:"subject" maxLength:"256" doc:"To what, by kind and ID"`
	Name    string    `query:"name" maxLength:"256" doc:"To what, by its name at the time"`
	Since   time.Time `query:"since" doc:"From this moment on"`
	Until   time.Time `query:"until" doc:"Before this moment"`
	Limit   int       `query:"limit" minimum:"0" maximum:"1000" doc:"How many at most, and what is left of the last change; 0: 100"`
	Cursor  string    `query:"cursor" maxLength:"512" doc:"Next of the page before"`
}

// listAudit tells what was done, the newest first.
func (s *Server) listAudit(ctx context.Context, in *auditList) (api.List[api.AuditEntry], error) {
	none := api.List[api.AuditEntry]{}
	query := AuditQuery{
		Actor: in.Actor, Action: in.Action, Subject: in.Subject, Name: in.Name,
		Since: in.Since, Until: in.Until, Limit: cmp.Or(in.Limit, defaultPage),
	}
	if in.Cursor != "" {
		before, err := strconv.ParseInt(in.Cursor, 10, 64)
		if err != nil || before < 1 {
			return none, wrongField("cursor", "is not one that a list gave as next")
		}
		query.Before = before
	}
	entries, err := s.store.Audit(ctx, query)
	if err != nil {
		return none, err
	}
	list := api.List[api.AuditEntry]{Items: make([]api.AuditEntry, 0, len(entries))}
	for i := range entries {
		entry, err := viewAudit(&entries[i])
		if err != nil {
			return none, err
		}
		list.Items = append(list.Items, entry)
	}
	if len(entries) >= query.Limit {
		list.Next = strconv.FormatInt(entries[len(entries)-1].Seq, 10)
	}
	return list, nil
}

func viewAudit(a *accounts.Audit) (api.AuditEntry, error) {
	entry := api.AuditEntry{
		Seq: a.Seq, Revision: a.Revision, Time: a.At, Actor: a.Actor, From: a.From, Action: a.Kind,
		Subject: a.Subject, Name: a.Name, Message: a.Why,
	}
	for _, side := range []struct {
		text []byte
		into *map[string]any
	}{{a.Before, &entry.Before}, {a.After, &entry.After}} {
		if side.text == nil {
			continue
		}
		if err := json.Unmarshal(side.text, side.into); err != nil {
			return entry, fmt.Errorf("reading the audit of change %d: %w", a.Seq, err)
		}
	}
	return entry, nil
}
