package main

import (
	"path/filepath"
	"strings"
)

// variable is one variable of a program's environment.
type variable struct{ name, value string }

// program is one that is known by name, and what it needs beside the variables
// that every program gets. In its texts {base} stands for the proxy's address,
// {key} for the key and {model} for the model.
type program struct {
	name string
	path string     // where it asks for its model; empty where it takes more than a model's name
	args []string   // before its own
	set  []variable // beside those of every program, or in their place

	modelArgs []string // with --model
	modelSet  []variable
}

// everyProgram are the variables that the SDKs read, and so most programs.
//
// The key of Anthropic's is empty on purpose: where it is set, the SDKs and
// Claude Code send it, or ask about it, beside the token.
func everyProgram() program {
	return program{
		set: []variable{
			{"OPENAI_BASE_URL", "{base}/v1"},
			{"OPENAI_API_BASE", "{base}/v1"}, // LiteLLM, LangChain, old SDKs
			{"OPENAI_API_KEY", "{key}"},
			{"ANTHROPIC_BASE_URL", "{base}"},
			{"ANTHROPIC_AUTH_TOKEN", "{key}"},
			{"ANTHROPIC_API_KEY", ""},
			{"GOOGLE_GEMINI_BASE_URL", "{base}"},
			{"GEMINI_API_KEY", "{key}"},
			{"GOOGLE_API_KEY", "{key}"}, // the SDKs take it before GEMINI_API_KEY
		},
		modelSet: []variable{
			{"OPENAI_MODEL", "{model}"},
			{"ANTHROPIC_MODEL", "{model}"},
			{"GEMINI_MODEL", "{model}"},
		},
	}
}

// knownPrograms are those that need more.
func knownPrograms() []program {
	return []program{
		{
			// https://code.claude.com/docs/en/env-vars; the small model is called by
			// its old name too.
			name: "claude", path: "/v1/messages",
			modelSet: []variable{
				{"ANTHROPIC_MODEL", "{model}"},
				{"ANTHROPIC_DEFAULT_HAIKU_MODEL", "{model}"},
				{"ANTHROPIC_SMALL_FAST_MODEL", "{model}"},
			},
		},
		{
			// It takes no address from the environment, and no other wire format. The
			// key stays out of its arguments, which every user of the machine can read.
			name: "codex", path: "/v1/responses",
			args: []string{
				"-c", `model_provider="llmgw"`,
				"-c", `model_providers.llmgw.name="llmgw"`,
				"-c", `model_providers.llmgw.base_url="{base}/v1"`,
				"-c", `model_providers.llmgw.env_key="OPENAI_API_KEY"`,
				"-c", `model_providers.llmgw.wire_api="responses"`,
			},
			modelArgs: []string{"-m", "{model}"},
		},
		{
			name: "gemini", path: "/v1beta/models/{model}:generateContent",
			modelSet: []variable{{"GEMINI_MODEL", "{model}"}},
		},
		{
			// Its providers have addresses of their own, with the version in them; what
			// stands in this variable goes before every configuration file of its own.
			name: "opencode",
			set: []variable{
				{"ANTHROPIC_API_KEY", "{key}"},
				{"GOOGLE_GENERATIVE_AI_API_KEY", "{key}"},
				{"OPENCODE_CONFIG_CONTENT", `{"provider":{` +
					`"anthropic":{"options":{"baseURL":"{base}/v1"}},` +
					`"openai":{"options":{"baseURL":"{base}/v1"}},` +
					`"google":{"options":{"baseURL":"{base}/v1beta"}}}}`},
			},
			modelArgs: []string{"--model", "{model}"},
		},
		{
			// LiteLLM below it knows Anthropic's key by one name only.
			name: "aider",
			set: []variable{
				{"ANTHROPIC_API_KEY", "{key}"},
				{"ANTHROPIC_API_BASE", "{base}"},
			},
			modelSet: []variable{{"AIDER_MODEL", "{model}"}},
		},
		{
			name: "llm", path: "/v1/chat/completions",
			set:      []variable{{"ANTHROPIC_API_KEY", "{key}"}},
			modelSet: []variable{{"LLM_MODEL", "{model}"}},
		},
	}
}

// programOf gives what the program of a command line needs.
func programOf(command string) program {
	name := strings.TrimSuffix(filepath.Base(command), ".exe")
	for _, p := range knownPrograms() {
		if p.name == name {
			return p
		}
	}
	return program{name: name}
}
