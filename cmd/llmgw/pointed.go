package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// pointed is where programs are sent: the gateway, with a key and perhaps a
// model.
type pointed struct {
	base   string // of the proxy, without a path
	secret accounts.Secret
	model  string
}

// fill puts what is known in the place of {base}, {key} and {model}.
func (p pointed) fill(texts ...string) []string {
	known := strings.NewReplacer("{base}", p.base, "{key}", p.secret.Reveal(), "{model}", p.model)
	filled := make([]string, 0, len(texts))
	for _, text := range texts {
		filled = append(filled, known.Replace(text))
	}
	return filled
}

// args are the arguments that a program gets before its own.
func (p pointed) args(of program) []string {
	args := p.fill(of.args...)
	if p.model != "" {
		args = append(args, p.fill(of.modelArgs...)...)
	}
	return args
}

// set are the variables that a program gets, over an environment in which it may
// be told to use a proxy: the key goes to the gateway straight.
func (p pointed) set(of program, environment []string) []variable {
	every := everyProgram()
	all := merged(every.set, of.set)
	if p.model != "" {
		all = merged(merged(all, every.modelSet), of.modelSet)
	}
	for i, v := range all {
		all[i].value = p.fill(v.value)[0]
	}
	return append(all, p.pastProxies(environment)...)
}

// merged gives the variables of both, those of over in the place of the same
// below.
func merged(below, over []variable) []variable {
	all := slices.Clone(below)
	for _, v := range over {
		i := slices.IndexFunc(all, func(old variable) bool { return old.name == v.name })
		if i < 0 {
			all = append(all, v)
			continue
		}
		all[i] = v
	}
	return all
}

// pastProxies adds the gateway to what is reached without a proxy, where there
// is a proxy. Not every SDK leaves loopback addresses out by itself.
func (p pointed) pastProxies(environment []string) []variable {
	proxies := []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"}
	used := slices.ContainsFunc(proxies, func(name string) bool { return lookup(environment, name) != "" })
	base, err := url.Parse(p.base)
	if !used || err != nil {
		return nil
	}
	var all []variable
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		value := base.Hostname()
		if given := lookup(environment, name); given != "" {
			value = given + "," + value
		}
		all = append(all, variable{name, value})
	}
	return all
}

// lookup gives the value of a variable in an environment, or "".
func lookup(environment []string, name string) string {
	for _, line := range slices.Backward(environment) {
		if n, value, ok := strings.Cut(line, "="); ok && n == name {
			return value
		}
	}
	return ""
}

// withheld are the variables that no program gets: keys of providers, with which
// it could go past the gateway, what sends it past it in other ways, and what
// only the gateway itself may know.
func withheld() []string {
	names := []string{
		"CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_FOUNDRY", "CLAUDE_CODE_USE_VERTEX",
		"GOOGLE_GENAI_USE_GCA", "GOOGLE_GENAI_USE_VERTEXAI",

		"AWS_BEARER_TOKEN_BEDROCK", "AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "CEREBRAS_API_KEY", "CODEX_API_KEY",
		"COHERE_API_KEY", "CO_API_KEY", "DASHSCOPE_API_KEY", "FIREWORKS_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY",
		"MOONSHOT_API_KEY", "NVIDIA_API_KEY", "PERPLEXITY_API_KEY", "TOGETHER_API_KEY", "ZAI_API_KEY",

		"LLMGW_SECRET_KEY", "LLMGW_STORE", "LLMGW_TOKEN", "LLMGW_TOKEN_FILE",
	}
	for _, k := range knownProviders() {
		names = append(names, k.variables...)
	}
	return names
}

// environment is that of a program: the given one with what is set, without
// what is withheld. It names the variables whose values the program does not see.
func (p pointed) environment(given []string, set []variable) (made, hidden []string) {
	kept := withheld()
	replaced := func(name string) bool {
		return slices.ContainsFunc(set, func(v variable) bool { return v.name == name })
	}
	for _, line := range given {
		name, value, _ := strings.Cut(line, "=")
		if slices.Contains(kept, name) {
			if value != "" && !strings.HasPrefix(value, accounts.KeyPrefix) {
				hidden = append(hidden, name)
			}
			continue
		}
		if !replaced(name) {
			made = append(made, line)
		}
	}
	for _, v := range set {
		made = append(made, v.name+"="+v.value)
	}
	slices.Sort(hidden)
	return made, slices.Compact(hidden)
}
