package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/llmgw/llmgw/admin/api"
)

func newRulesCreate(a *app) *cobra.Command {
	var (
		file    string
		written writtenRule
		request api.RuleText
	)
	c := &cobra.Command{
		Use:   "create NAME | -f FILE",
		Short: "make one rule, from flags or from a file",
		Long: "Makes one rule, at the end of the set \"default\" or where --set, --before and --after\n" +
			"say. What flags cannot say is written in a file: one rule as `llmgw rules get` shows it.\n\n" +
			"  llmgw rules create free --model 'gpt-5*' -H 'x-tier: free' --upstream groq --before openai\n" +
			"  llmgw rules create -f rule.yaml",
		Args: takesOneAtMost,
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			source, err := a.newRule(args, file, &written)
			if err != nil {
				return err
			}
			request.YAML = source.Content
			return a.createRule(ctx, t, source, request)
		}),
	}
	c.Flags().StringVarP(&file, "file", "f", "", "the file of one rule, - for stdin (`FILE`)")
	written.addFlags(c.Flags())
	c.Flags().StringVar(&request.Set, "set", "", "the set that the rule goes into (`SET`; default: default)")
	c.Flags().StringVar(&request.Before, "before", "", "put it before this rule (`NAME`)")
	c.Flags().StringVar(&request.After, "after", "", "put it behind this rule (`NAME`)")
	c.Flags().BoolVar(&request.DryRun, "dry-run", false, "show what would be done, change nothing")
	addMessageFlag(c, &request.Message)
	return c
}

// newRule gives the text of the rule that was asked for.
func (a *app) newRule(args []string, file string, written *writtenRule) (api.Source, error) {
	line := a.command.UseLine()
	fromFlags := written.given(a.command.Flags())
	switch {
	case len(args) > 1:
		return api.Source{}, usage("too many arguments for %q", a.command.CommandPath()).withHint("%s", line)
	case file != "" && (len(args) > 0 || fromFlags != ""):
		return api.Source{}, usage("the rule comes from -f or from NAME and flags, not from both").withHint("%s", line)
	case file != "":
		return a.readOneRule(file)
	case len(args) == 0:
		return api.Source{}, usage("missing argument NAME, or -f FILE").withHint("%s", line)
	}
	text, err := written.text(args[0])
	if err != nil {
		return api.Source{}, err
	}
	source := api.Source{Content: text}
	return source, checkOneRule(source)
}

func (a *app) createRule(ctx context.Context, t talk, source api.Source, request api.RuleText) error {
	if request.Before != "" && request.After != "" {
		return usage("a rule goes --before one or --after one, not both")
	}
	plan, err := t.CreateRule(ctx, request)
	if err != nil {
		return inSource(err, source)
	}
	return a.showChanged(ctx, t, plan, "created", "")
}

// writtenRule is a rule that is written in flags.
type writtenRule struct {
	description                                      string
	disabled                                         bool
	paths, methods, hosts, models, keys, users, nets []string
	headers, tags                                    []string
	stream                                           string
	upstream, target, sendModel                      string
	status                                           int
	answer                                           string
}

func (w *writtenRule) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&w.description, "description", "", "what the rule is for (`TEXT`)")
	flags.BoolVar(&w.disabled, "disabled", false, "make it without putting it in force")
	flags.StringSliceVar(&w.paths, "path", nil, "match: path patterns (`/v1/**,…`)")
	flags.StringSliceVar(&w.methods, "method", nil, "match: methods (`GET,…`)")
	flags.StringSliceVar(&w.hosts, "host", nil, "match: hosts (`HOST,…`)")
	flags.StringArrayVarP(&w.headers, "header", "H", nil, "match: a header, repeatable (`'NAME: VALUE'`)")
	flags.StringSliceVar(&w.models, "model", nil, "match: models, ! excludes (`gpt-5*,…`)")
	flags.StringVar(&w.stream, "stream", "", "match: whether a stream is asked for (`true|false`)")
	flags.StringSliceVar(&w.keys, "key", nil, "match: keys (`NAME,…`)")
	flags.StringSliceVar(&w.users, "user", nil, "match: users (`NAME,…`)")
	flags.StringArrayVar(&w.tags, "tag", nil, "match: a tag of the key or its user, repeatable (`NAME=VALUE`)")
	flags.StringSliceVar(&w.nets, "source", nil, "match: networks of the caller (`CIDR,…`)")
	flags.StringVar(&w.upstream, "upstream", "", "action: the upstream to send to (`NAME`)")
	flags.StringVar(&w.target, "target", "", "action: a URL to send to, without a credential (`URL`)")
	flags.StringVar(&w.sendModel, "send-model", "", "action: the model name to send (`MODEL`)")
	flags.IntVar(&w.status, "respond", 0, "action: answer with this status (`STATUS`)")
	flags.StringVar(&w.answer, "respond-message", "", "action: and with this message (`TEXT`)")
}

// given names a flag of the rule's that was given, if any was.
func (w *writtenRule) given(flags *pflag.FlagSet) (name string) {
	own := pflag.NewFlagSet("rule", pflag.ContinueOnError)
	new(writtenRule).addFlags(own)
	flags.Visit(func(f *pflag.Flag) {
		if own.Lookup(f.Name) != nil {
			name = f.Name
		}
	})
	return name
}

// The rule as YAML has it, in the order in which people write it.
type (
	ruleYAML struct {
		Name        string     `json:"name"`
		Description string     `json:"description,omitempty"`
		Enabled     *bool      `json:"enabled,omitempty"`
		Match       matchYAML  `json:"match"`
		Action      actionYAML `json:"action"`
	}
	matchYAML struct {
		Path   []string          `json:"path,omitempty"`
		Method []string          `json:"method,omitempty"`
		Host   []string          `json:"host,omitempty"`
		Header map[string]string `json:"header,omitempty"`
		Model  []string          `json:"model,omitempty"`
		Stream *bool             `json:"stream,omitempty"`
		Key    []string          `json:"key,omitempty"`
		User   []string          `json:"user,omitempty"`
		Tag    map[string]string `json:"tag,omitempty"`
		Source []string          `json:"source,omitempty"`
	}
	actionYAML struct {
		Upstream string       `json:"upstream,omitempty"`
		Target   string       `json:"target,omitempty"`
		Model    string       `json:"model,omitempty"`
		Respond  *respondYAML `json:"respond,omitempty"`
	}
	respondYAML struct {
		Status  int    `json:"status,omitempty"`
		Message string `json:"message,omitempty"`
	}
)

// text writes the rule as YAML. What it says is checked as any other text is.
func (w *writtenRule) text(name string) (string, error) {
	r := ruleYAML{
		Name: name, Description: w.description,
		Match:  matchYAML{Path: w.paths, Method: w.methods, Host: w.hosts, Model: w.models, Key: w.keys, User: w.users, Source: w.nets},
		Action: actionYAML{Upstream: w.upstream, Target: w.target, Model: w.sendModel},
	}
	if w.disabled {
		r.Enabled = new(bool)
	}
	if w.stream != "" {
		if toggle(w.stream) != nil {
			return "", usage("--stream wants true or false")
		}
		stream := truth(w.stream)
		r.Match.Stream = &stream
	}
	if w.status != 0 || w.answer != "" {
		r.Action.Respond = &respondYAML{Status: w.status, Message: w.answer}
	}
	var err error
	if r.Match.Header, err = headerMap(w.headers); err != nil {
		return "", err
	}
	if r.Match.Tag, err = tagMap(w.tags); err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = writeYAML(&b, r)
	return b.String(), err
}

// headerMap reads -H "name: value" flags of which each name stands once.
func headerMap(headers []string) (map[string]string, error) {
	m := map[string]string{}
	for _, h := range headers {
		name, value, err := headerFlag(h)
		if err != nil {
			return nil, err
		}
		if _, twice := m[name]; twice {
			return nil, usage("-H: %s is given twice", name).withHint("several values are alternatives, and written in a file: header: {%s: {in: [a, b]}}", name)
		}
		m[name] = value
	}
	return m, nil
}

// headerFlag reads "name: value". The value is not repeated in a message: it
// may be a credential.
func headerFlag(text string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, ":")
	if name = strings.TrimSpace(name); !ok || name == "" {
		return "", "", usage("-H wants 'NAME: VALUE'")
	}
	return strings.ToLower(http.CanonicalHeaderKey(name)), strings.TrimSpace(value), nil
}

// showChanged prints what became of one rule.
func (a *app) showChanged(ctx context.Context, t talk, plan api.Plan, done, name string) error {
	if !t.output.isTable() {
		return t.output.value(ctx, plan)
	}
	if name == "" && len(plan.Changes) > 0 {
		name = plan.Changes[0].Rule
	}
	plan.Unchanged = 0 // nobody asked about the others
	a.writePlan(a.out, a.outStyle(), plan)
	switch {
	case len(plan.Changes) == 0:
		fmt.Fprintf(a.out, "nothing to do, revision %d\n", plan.Revision)
	case !plan.Applied:
		fmt.Fprintf(a.out, "nothing was stored (dry run), revision %d\n", plan.Revision)
	default:
		fmt.Fprintf(a.out, "%s rule %s, revision %d\n", done, name, plan.Revision)
	}
	return nil
}

func newRulesMove(a *app) *cobra.Command {
	var move api.MoveRule
	c := &cobra.Command{
		Use:   "move NAME --before OTHER | --after OTHER",
		Short: "give a rule another place within its set",
		Long:  "Gives a rule another place within its set: rules are tried in order, and the first\nthat takes a request decides. Between sets, their order decides.",
		Args:  takes("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			if (move.Before == "") == (move.After == "") {
				return usage("give --before or --after, one of the two").withHint("%s", a.command.UseLine())
			}
			plan, err := t.MoveRule(ctx, args[0], move)
			if err != nil {
				return err
			}
			return a.showChanged(ctx, t, plan, "moved", args[0])
		}),
	}
	c.Flags().StringVar(&move.Before, "before", "", "to the place before this rule (`OTHER`)")
	c.Flags().StringVar(&move.After, "after", "", "to the place behind this rule (`OTHER`)")
	addMessageFlag(c, &move.Message)
	return c
}
