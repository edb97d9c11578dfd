package main

import (
	"os"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// known is a provider that the first start finds by its variable.
type known struct {
	name      string
	variables []string // the first that is set
	provider  accounts.Provider
	url       string
	models    []string // what its rule takes
}

// knownProviders is in the order of their rules. The first that takes a model
// decides, so those with narrow names come before those with wide ones.
func knownProviders() []known {
	return []known{
		{
			name: "anthropic", variables: []string{"ANTHROPIC_API_KEY"}, provider: accounts.ProviderAnthropic,
			url: "https://api.anthropic.com", models: []string{"claude-*"},
		},
		{
			name: "gemini", variables: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"}, provider: accounts.ProviderGemini,
			url: "https://generativelanguage.googleapis.com", models: []string{"gemini-*", "gemma-*", "imagen-*", "veo-*"},
		},
		{
			name: "deepseek", variables: []string{"DEEPSEEK_API_KEY"}, provider: accounts.ProviderOpenAI,
			url: "https://api.deepseek.com/v1", models: []string{"deepseek-*", "!deepseek-r1-distill-*"},
		},
		{
			name: "xai", variables: []string{"XAI_API_KEY"}, provider: accounts.ProviderOpenAI,
			url: "https://api.x.ai/v1", models: []string{"grok-*"},
		},
		{
			name: "mistral", variables: []string{"MISTRAL_API_KEY"}, provider: accounts.ProviderOpenAI,
			url: "https://api.mistral.ai/v1",
			models: []string{
				"mistral-*", "open-mistral-*", "open-mixtral-*", "ministral-*", "magistral-*",
				"codestral-*", "devstral-*", "pixtral-*", "voxtral-*",
			},
		},
		{
			name: "groq", variables: []string{"GROQ_API_KEY"}, provider: accounts.ProviderOpenAI,
			url: "https://api.groq.com/openai/v1",
			models: []string{
				"llama-*", "llama3-*", "whisper-large-*", "distil-whisper-*", "deepseek-r1-distill-*", "groq/*",
				"openai/gpt-oss-*", "meta-llama/*", "qwen/*", "moonshotai/*",
			},
		},
		{
			name: "openai", variables: []string{"OPENAI_API_KEY"}, provider: accounts.ProviderOpenAI,
			url: "https://api.openai.com/v1",
			models: []string{
				"gpt-*", "o*", "chatgpt-*", "codex-*", "text-embedding-*", "dall-e-*", "tts-*", "whisper-*", "sora-*",
				"!*/*", "!open-*",
			},
		},
		{
			name: "openrouter", variables: []string{"OPENROUTER_API_KEY"}, provider: accounts.ProviderOpenAI,
			url: "https://openrouter.ai/api/v1", models: []string{"*/*"},
		},
	}
}

// variable is the one of the provider's that is set, or "".
func (k known) variable() string {
	for _, name := range k.variables {
		if strings.TrimSpace(os.Getenv(name)) != "" {
			return name
		}
	}
	return ""
}
