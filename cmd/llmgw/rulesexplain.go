package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// explainFlags are a request as it is described on the command line.
type explainFlags struct {
	files                     []string
	method, path, host, model string
	headers, tags             []string
	key, user, source         string
	stream                    bool

	all    bool
	expect string
}

func newRulesExplain(a *app) *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain",
		Short: "which rule takes a request, why the others do not, and what would be sent",
		Long: "Tells what would become of a request, by the code that decides. Nothing is sent.\n\n" +
			"The request is described by flags, or comes from a file: an HTTP/1.1 message, or a\n" +
			"curl command as a shell or a browser has it. Flags win over the file. Rules files\n" +
			"are explained as if they were applied. What stands in a file is known by its name\n" +
			"(*.yaml and *.yml are rules) or else by its first line.\n\n" +
			"  llmgw rules explain --path /v1/chat/completions --model gpt-5-mini -H 'x-tier: paid'\n" +
			"  llmgw rules explain -f request.http -f rules.yaml\n" +
			"  pbpaste | llmgw rules explain -f - --key ci-bot --expect openai\n\n" +
			"Exit code: 0, or 1 where --expect names another rule than the one that decides.",
		Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			request, err := a.explainRequest(&f)
			if err != nil {
				return err
			}
			return a.explainRules(ctx, t, &f, request)
		}),
	}
	flags := c.Flags()
	flags.StringVar(&f.path, "path", "", "the request's path, with its query (`PATH`)")
	flags.StringVar(&f.method, "method", "", "its method (`METHOD`; default: POST)")
	flags.StringVar(&f.model, "model", "", "the model that it asks for (`MODEL`)")
	flags.BoolVar(&f.stream, "stream", false, "it asks for a stream")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "a header, repeatable (`'NAME: VALUE'`)")
	flags.StringVar(&f.host, "host", "", "the host that it names (`HOST`)")
	flags.StringVar(&f.key, "key", "", "whose it is: a key, its tags come with it (`NAME`)")
	flags.StringVar(&f.user, "user", "", "whose it is: a user (`NAME`)")
	flags.StringArrayVar(&f.tags, "tag", nil, "a tag beside those of the key, repeatable (`NAME=VALUE`)")
	flags.StringVar(&f.source, "source", "", "the address that it comes from (`IP`)")
	flags.StringArrayVarP(&f.files, "file", "f", nil, "the request (HTTP message, curl command) or rules not yet applied, - for stdin; repeatable (`FILE`)")
	flags.BoolVar(&f.all, "all", false, "every rule behind the one that decides too")
	flags.StringVar(&f.expect, "expect", "", "exit with 1 unless this rule decides (`RULE`)")
	return c
}

// explainRequest puts the description together: files first, flags over them.
func (a *app) explainRequest(f *explainFlags) (api.ExplainRequest, error) {
	q, err := a.requestFromFiles(f.files)
	if err != nil {
		return q, err
	}
	changed := a.command.Flags().Changed
	for _, flag := range []struct {
		name string
		to   *string
		from string
	}{
		{"path", &q.Path, f.path}, {"method", &q.Method, strings.ToUpper(f.method)}, {"host", &q.Host, f.host},
		{"key", &q.Key, f.key}, {"user", &q.User, f.user}, {"source", &q.Source, f.source},
	} {
		if changed(flag.name) {
			*flag.to = flag.from
		}
	}
	if changed("model") {
		q.Model = &f.model
	}
	if changed("stream") {
		q.Stream = &f.stream
	}
	if q.Path == "" {
		return q, usage("missing flag --path, or a request behind -f").withHint("llmgw rules explain --path /v1/chat/completions --model gpt-5-mini")
	}
	if err := f.addHeaders(&q); err != nil {
		return q, err
	}
	if len(f.tags) > 0 {
		q.Tags, err = tagMap(f.tags)
	}
	return q, err
}

// addHeaders puts the headers of the flags in the place of those of the file.
func (f *explainFlags) addHeaders(q *api.ExplainRequest) error {
	var given api.ExplainRequest
	for _, h := range f.headers {
		name, value, err := headerFlag(h)
		if err != nil {
			return err
		}
		addHeader(&given, name, value)
	}
	if given.Host != "" {
		q.Host = given.Host
	}
	for name, values := range given.Headers {
		if q.Headers == nil {
			q.Headers = map[string][]string{}
		}
		q.Headers[http.CanonicalHeaderKey(name)] = values
	}
	return nil
}

// requestFromFiles reads every file, and tells requests from rules.
func (a *app) requestFromFiles(paths []string) (api.ExplainRequest, error) {
	var q api.ExplainRequest
	if len(paths) == 0 {
		return q, nil
	}
	sources, err := a.readRules(paths)
	if err != nil {
		return q, err
	}
	var notLive []api.Source
	request := ""
	for _, s := range sources {
		kind := kindOf(s)
		switch {
		case kind == rulesFile:
			notLive = append(notLive, s)
			continue
		case kind == unknownFile:
			return q, invalid("%s is no request and no rules file", s.Name).
				withHint("a request begins with \"POST /v1/…\" or with \"curl \"; rules end in .yaml or begin with \"version: 1\"")
		case request != "":
			return q, usage("%s and %s are both requests; give one", request, s.Name)
		}
		request = s.Name
		if q, err = readRequest(kind, s); err != nil {
			return q, invalid("%s: %v", s.Name, err)
		}
	}
	if d := decodeRules(notLive); len(d.errors) > 0 {
		return q, invalidFiles(d.errors)
	}
	q.Files = notLive
	return q, nil
}

func readRequest(kind fileKind, source api.Source) (api.ExplainRequest, error) {
	if kind == curlFile {
		return requestFromCurl(source.Content)
	}
	return requestFromMessage(source)
}

// explainRules asks, prints the answer, and compares it with what was expected.
func (a *app) explainRules(ctx context.Context, t talk, f *explainFlags, request api.ExplainRequest) error {
	answer, err := t.Explain(ctx, request)
	if err != nil {
		return a.withExcerpts(err, request.Files)
	}
	if t.output.isTable() {
		view := explanation{Explanation: answer, files: request.Files, all: f.all}
		if view.match, err = matchesOf(ctx, t, &answer, request.Files); err == nil {
			err = view.write(t.output)
		}
	} else {
		err = t.output.value(ctx, answer)
	}
	if err != nil {
		return err
	}
	if request.Key == "" && carriesKey(&request) {
		a.note("note: the key in the request was not looked up; say whose it is: --key NAME")
	}
	if f.expect != "" && f.expect != answer.Rule {
		winner := "no rule takes the request"
		if answer.Rule != "" {
			winner = fmt.Sprintf("rule %q takes the request", answer.Rule)
		}
		return failed(nil, "%s, expected %q", winner, f.expect)
	}
	return nil
}

// matchesOf gives the matchers of the rules that take the request, by name: as
// the files have them, or else as they run.
func matchesOf(ctx context.Context, t talk, answer *api.Explanation, files []api.Source) (map[string]map[string]any, error) {
	matches := map[string]map[string]any{}
	notLive := decodeRules(files).files
	for _, r := range answer.Rules {
		if r.Verdict != "yes" && r.Verdict != "continue" {
			continue
		}
		match, found, err := writtenMatch(notLive, r.Name)
		if err == nil && !found {
			var live api.Rule
			live, err = t.Rule(ctx, r.Name)
			match = live.Match
		}
		if err != nil {
			return nil, err
		}
		matches[r.Name] = match
	}
	return matches, nil
}

// writtenMatch gives the matchers of a rule of files in its own words.
func writtenMatch(files []rules.File, name string) (match map[string]any, found bool, err error) {
	for i := range files {
		at := slices.IndexFunc(files[i].Rules, func(r rules.Rule) bool { return r.Name == name })
		if at < 0 {
			continue
		}
		var words struct{ Match map[string]any }
		text, err := json.Marshal(files[i].Rules[at])
		if err == nil {
			err = json.Unmarshal(text, &words)
		}
		if err != nil {
			return nil, true, fmt.Errorf("showing rule %q: %w", name, err)
		}
		return words.Match, true, nil
	}
	return nil, false, nil
}

// carriesKey says whether a header looks like a key of this gateway.
func carriesKey(q *api.ExplainRequest) bool {
	for _, values := range q.Headers {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, accounts.KeyPrefix) }) {
			return true
		}
	}
	return false
}
