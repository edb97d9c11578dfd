package admin

import (
	"fmt"
	"strings"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// FileCheck says what is wrong with files, as far as it can be told without a
// gateway. The server looks with it, too, with what it knows of itself.
type FileCheck struct {
	Reach      rules.Reach
	References accounts.References // the schemes that there are; nothing is read
}

// Read decodes files of every kind and gives all problems of all of them, no
// warnings. What is read is to be used only where there is none.
func (c FileCheck) Read(sources []api.Source) (rules.Objects, rules.Problems) {
	var all rules.Objects
	var problems rules.Problems
	for _, source := range sources {
		objects, found := rules.DecodeObjects(source.Name, []byte(source.Content))
		problems = append(problems, found.Errors()...)
		all.Append(objects)
	}
	if len(problems) == 0 { // it would find what is wrong within one file once more
		problems = append(problems, rules.Check(all.Sets).Errors()...)
	}
	problems = append(problems, all.Doubled()...)
	for i := range all.Upstreams {
		problems = append(problems, c.upstream(&all.Upstreams[i])...)
	}
	for i := range all.Users {
		u := &all.Users[i]
		problems = append(problems, located(u, unnamed(checkUser(&u.User)))...)
	}
	for i := range all.Keys {
		problems = append(problems, checkKey(&all.Keys[i])...)
	}
	for i := range all.Bindings {
		b := &all.Bindings[i]
		problems = append(problems, located(b, checkBinding(asked(b)))...)
	}
	problems.Sort()
	return all, onePerPlace(problems)
}

// placed is an object that knows where it was read.
type placed interface {
	Problem(field, message, hint string) rules.Problem
}

func located(object placed, problems []api.Problem) rules.Problems {
	var all rules.Problems
	for _, p := range problems {
		found := object.Problem(p.Field, p.Message, p.Hint)
		if p.Field != "" {
			found.Message = p.Field + ": " + p.Message
		}
		all = append(all, found)
	}
	return all
}

// unnamed leaves names out, which the decoder has looked at.
func unnamed(problems []api.Problem) []api.Problem {
	var others []api.Problem
	for _, p := range problems {
		if p.Field != "name" {
			others = append(others, p)
		}
	}
	return others
}

// onePerPlace keeps the first of several problems with one value: one that could
// not be read is not found wrong a second time.
func onePerPlace(problems rules.Problems) rules.Problems {
	seen := map[rules.Problem]bool{}
	var kept rules.Problems
	for _, p := range problems {
		place := rules.Problem{File: p.File, Line: p.Line, Column: p.Column, Field: p.Field}
		if !seen[place] {
			seen[place] = true
			kept = append(kept, p)
		}
	}
	return kept
}

// upstream fills in the URL of a provider that has one.
func (c FileCheck) upstream(u *rules.WrittenUpstream) rules.Problems {
	if u.URL == "" {
		u.URL = providerURL(u.Provider)
	}
	found := checkURL(u.URL, c.Reach)
	if u.URL == "" {
		found[0].Hint = "write url: https://HOST"
	}
	found = append(found, unnamed(checkUpstream(&u.Upstream))...)
	names := map[string]bool{}
	for i := range u.Credentials {
		credential, at := &u.Credentials[i], fmt.Sprintf("credentials[%d]", i)
		if names[credential.Name] && credential.Name != "" {
			found = append(found, api.Problem{Field: at + ".name", Message: "is given twice"})
		}
		names[credential.Name] = true
		if credential.Reference == "" {
			continue
		}
		if err := c.References.Valid(credential.Reference); err != nil {
			found = append(found, api.Problem{Field: at + ".reference",
				Message: "must be one of " + strings.Join(c.References.Schemes(), ", ") + ", followed by a colon and a name"})
		}
	}
	return located(u, found)
}

func checkKey(k *rules.WrittenKey) rules.Problems {
	found := append(checkTags(k.Tags), checkModels(k.Models)...)
	if len(k.Limits) > maxLimits {
		found = append(found, api.Problem{Field: "limits", Message: fmt.Sprintf("are more than %d", maxLimits)})
	}
	return located(k, found)
}

// asked is a binding as the API is asked for one.
func asked(b *rules.WrittenBinding) *api.NewBinding {
	return &api.NewBinding{
		Key: b.Key, User: b.User, Tag: b.Tag, Upstream: b.Upstream, Credential: b.Credential,
		Order: &b.Order, Weight: b.Weight, Models: b.Models,
	}
}
