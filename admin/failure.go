package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

const problemType = "application/problem+json"

// refusal is what is sent of a failure.
type refusal = api.Error

// failure is a refusal on its way out. Handlers return one, or an error of the
// store, which refuse maps.
type failure struct {
	refusal
	header http.Header // beside those of every answer; may be nil
}

// GetStatus, GetHeaders and ContentType are what huma asks of an error.
func (f *failure) GetStatus() int            { return f.Status }
func (f *failure) GetHeaders() http.Header   { return f.header }
func (f *failure) ContentType(string) string { return problemType }

// write answers where huma is not involved.
func (f *failure) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), f.header)
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(f) // a client that left is not told
}

func fail(status int, code, detail, hint string) *failure {
	return &failure{refusal: refusal{Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Hint: hint}}
}

// after is a refusal that time cures.
func after(wait time.Duration, f *failure) *failure {
	seconds := max(int64((wait+time.Second-1)/time.Second), 1)
	f.header = http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}}
	return f
}

func usage(status int, detail, hint string) *failure {
	return fail(status, api.CodeUsage, detail, hint)
}

func internal() *failure {
	return fail(http.StatusInternalServerError, api.CodeInternal,
		"the gateway could not do it", "see the log of llmgw serve for the reason")
}

// invalid lists everything that is wrong; the detail is the first of it.
func invalid(problems []api.Problem) *failure {
	detail := "the request is not valid"
	if len(problems) > 0 {
		detail = oneLine(problems[0])
	}
	if more := len(problems) - 1; more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	f := fail(http.StatusUnprocessableEntity, api.CodeInvalid, detail, "")
	if len(problems) > 0 {
		f.Hint = problems[0].Hint
	}
	f.Problems = problems
	return f
}

func oneLine(p api.Problem) string {
	text := p.Message
	if p.Field != "" {
		text = p.Field + ": " + text
	}
	if p.File != "" && p.Line > 0 {
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, text)
	}
	if p.File != "" {
		return p.File + ": " + text
	}
	return text
}

// noSuch is for an object that does not exist. A name that cannot be one is not
// repeated: it may be anything, a key pasted into the wrong place above all.
func noSuch(noun, name string) *failure {
	detail := fmt.Sprintf("no %s %q", noun, name)
	if !accounts.ValidName(name) {
		detail = "no such " + noun
	}
	return fail(http.StatusNotFound, api.CodeNotFound, detail, "list them: llmgw "+noun+"s list")
}

func nameTaken(noun, name string) *failure {
	return fail(http.StatusConflict, api.CodeConflict,
		fmt.Sprintf("%s %q already exists", noun, name), fmt.Sprintf("look at it: llmgw %ss get %s", noun, name))
}

// found maps ErrNotFound to a refusal that names the object.
func found(err error, noun, name string) error {
	if errors.Is(err, accounts.ErrNotFound) {
		return noSuch(noun, name)
	}
	return err
}

// refuse is the one mapping from errors to answers.
func (s *Server) refuse(err error) error {
	var f *failure
	var problems rules.Problems
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &problems):
		return invalid(viewProblems(problems))
	case errors.Is(err, accounts.ErrText):
		return usage(http.StatusBadRequest, "a text in the request holds a zero byte, or is not UTF-8", "leave it out")
	case errors.Is(err, accounts.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		if !errors.Is(err, context.Canceled) { // whoever asked has gone
			s.log.Warn().Err(err).Msg("admin call without the store")
		}
		return s.noStore()
	case errors.Is(err, accounts.ErrNotFound):
		return fail(http.StatusNotFound, api.CodeNotFound, "no such object", "look again: llmgw status")
	case errors.Is(err, accounts.ErrExists):
		return fail(http.StatusConflict, api.CodeConflict, "the name already exists", "choose another name")
	case errors.Is(err, accounts.ErrInUse):
		return fail(http.StatusConflict, api.CodeInUse, "something else names it", "look at what does: llmgw rules list")
	case errors.Is(err, accounts.ErrChanged):
		return fail(http.StatusConflict, api.CodeConflict, "it was changed since you read it", "read it again, then repeat the command")
	}
	s.log.Error().Err(err).Msg("admin call failed")
	return internal()
}

// noStore says since when the store has not answered, and what goes on without it.
func (s *Server) noStore() *failure {
	status := s.status(context.Background())
	since, traffic := "", "traffic continues with the rules in force"
	if at := status.Store.Since; at != nil {
		since = " since " + s.clockTime(*at)
		traffic = fmt.Sprintf("traffic continues with revision %d", status.Rules.Revision)
	}
	if s.ready() != nil {
		traffic = "no traffic is served until it is back"
	}
	return fail(http.StatusServiceUnavailable, api.CodeUnavailable,
		"store unreachable"+since+"; "+traffic+", changes are refused", "look at it: llmgw status")
}

// clockTime is a moment as one says it today.
func (s *Server) clockTime(at time.Time) string {
	if s.now().Sub(at) < 12*time.Hour {
		return at.Local().Format("15:04")
	}
	return at.Local().Format("2006-01-02 15:04")
}

// discreet rewrites the errors of huma. They repeat the value that was sent and
// name fields by whatever was sent as a name.
func discreet(_ huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	if model.Status >= http.StatusInternalServerError {
		f := internal()
		f.Status, f.Title = model.Status, http.StatusText(model.Status)
		return f, nil
	}
	problems := make([]api.Problem, 0, len(model.Errors))
	for _, detail := range model.Errors {
		problems = append(problems, api.Problem{Field: safeField(detail.Location), Message: safeMessage(detail.Message)})
	}
	f := invalid(problems)
	if len(problems) == 0 {
		f.Detail = "request body is required" // the only refusal of huma's without a location
	}
	f.Status, f.Title = model.Status, http.StatusText(model.Status)
	if model.Status != http.StatusUnprocessableEntity {
		f.Code = api.CodeUsage
	}
	return f, nil
}

var fieldName = regexp.MustCompile(`^[a-z_]{1,32}(\.[a-z_]{1,32}|\[\d{1,6}\])*$`)

// safeField gives the path of a field, if it looks like one of ours.
func safeField(location string) string {
	path := strings.TrimPrefix(strings.TrimPrefix(location, "body"), ".")
	if !fieldName.MatchString(path) {
		return ""
	}
	return path
}

// safeMessage lets only those texts of huma pass that are made of the schema.
func safeMessage(message string) string {
	switch {
	case message == "unexpected property":
		return "unknown field"
	case strings.HasPrefix(message, "expected "), strings.HasPrefix(message, "required "), message == "unknown query parameter":
		return message
	case strings.HasPrefix(message, "unknown content type"):
		return "content type must be application/json"
	}
	return "is not valid JSON"
}

// serveNothing answers what no operation does.
func serveNothing(w http.ResponseWriter, _ *http.Request) {
	fail(http.StatusNotFound, api.CodeNotFound, "nothing answers this method and path", "see: /openapi.json").write(w)
}
