package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

type historyList struct {
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"100" doc:"How many of the newest revisions"`
}

// listHistory gives the newest revisions, the newest first.
func (s *Server) listHistory(ctx context.Context, in *historyList) (api.List[api.HistoryEntry], error) {
	revisions, err := s.store.History(ctx, in.Limit)
	if err != nil {
		return api.List[api.HistoryEntry]{}, err
	}
	list := api.List[api.HistoryEntry]{Items: make([]api.HistoryEntry, 0, len(revisions))}
	for i := range revisions {
		list.Items = append(list.Items, viewRevision(&revisions[i]))
	}
	return list, nil
}

type numbered struct {
	Revision int64 `path:"revision" minimum:"1" doc:"Number of the revision"`
}

func (s *Server) showRevision(ctx context.Context, in *numbered) (api.HistoryEntry, error) {
	revision, files, err := s.revision(ctx, in.Revision)
	if err != nil {
		return api.HistoryEntry{}, err
	}
	view := viewRevision(&revision)
	view.YAML = string(rules.Encode(files))
	return view, nil
}

// revision gives a revision and its rules, or says why it cannot.
func (s *Server) revision(ctx context.Context, number int64) (rules.Revision, []rules.File, error) {
	revision, err := s.store.Revision(ctx, number)
	if errors.Is(err, accounts.ErrNotFound) {
		return revision, nil, s.noRevision(ctx, number)
	}
	if err != nil {
		return revision, nil, err
	}
	files, err := s.store.RulesAt(ctx, number)
	if errors.Is(err, accounts.ErrNotFound) {
		return revision, nil, notThere(fmt.Sprintf("the rules of revision %d are not kept any more", number))
	}
	return revision, files, err
}

// noRevision tells a number that was never given from one that the history does
// not reach back to.
func (s *Server) noRevision(ctx context.Context, number int64) error {
	last, err := s.store.LastConfigChange(ctx)
	if err != nil && !errors.Is(err, accounts.ErrNotFound) {
		return err
	}
	if number < 1 || number > last.Revision {
		return notThere(fmt.Sprintf("no revision %d; the newest is %d", number, last.Revision))
	}
	return notThere(fmt.Sprintf("revision %d is from before this gateway kept a history of its rules", number))
}

func notThere(detail string) *failure {
	return fail(http.StatusNotFound, api.CodeNotFound, detail, "see which there are: llmgw rules history")
}

// rollback makes the rules of an earlier revision those of a new one. Upstreams
// and keys stay as they are.
func (s *Server) rollback(ctx context.Context, in *body[api.RollbackRequest]) (api.Plan, error) {
	number := in.Body.Revision
	_, files, err := s.revision(ctx, number)
	if err != nil {
		return api.Plan{}, err
	}
	message := in.Body.Message
	if message == "" {
		message = fmt.Sprintf("back to revision %d", number)
	}
	return s.changeRules(ctx, &ruleChange{
		kind: "rule.rollback", message: message, base: in.Body.IfRevision, dryRun: in.Body.DryRun,
		again: "llmgw rules history",
		edit: func(st State, _ []rules.File) ([]rules.File, error) {
			upstreams, err := st.Upstreams()
			if err != nil {
				return nil, err
			}
			return files, upstreamsGone(number, files, upstreams)
		},
	})
}

// upstreamsGone refuses the way back to rules that name upstreams which are not
// there any more.
func upstreamsGone(number int64, files []rules.File, upstreams []accounts.Upstream) error {
	there := make(map[string]bool, len(upstreams))
	for i := range upstreams {
		there[upstreams[i].Name] = true
	}
	var gone []string
	var problems []api.Problem
	for _, file := range files {
		for i := range file.Rules {
			for _, name := range file.Rules[i].Upstreams() {
				if there[name] {
					continue
				}
				gone = append(gone, name)
				problems = append(problems, api.Problem{
					Set: file.Set, Rule: file.Rules[i].Name, Message: fmt.Sprintf("sends to upstream %q, which is gone", name),
				})
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	slices.Sort(gone)
	gone = slices.Compact(gone)
	noun := "upstream"
	if len(gone) > 1 {
		noun = "upstreams"
	}
	f := fail(http.StatusConflict, api.CodeConflict,
		fmt.Sprintf("revision %d needs %s %s, which the gateway does not have any more", number, noun, quoted(gone)),
		"create what is missing first: llmgw upstreams create "+gone[0])
	f.Problems = problems
	return f
}

func quoted(names []string) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(parts, ", ")
}

func viewRevision(r *rules.Revision) api.HistoryEntry {
	return api.HistoryEntry{
		Revision: r.Number, Time: r.At, Actor: r.Actor, From: r.From, Kind: r.Kind, Message: r.Message,
		Changes: viewChanges(r.Changes),
	}
}
