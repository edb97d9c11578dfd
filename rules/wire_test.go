package rules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

var onlyExported = cmpopts.IgnoreUnexported(rules.PathRead{})

func TestReadPathKnowsFormatsWhoseModelIsInTheBody(t *testing.T) {
	tests := []struct {
		name, path string
		want       accounts.Wire
	}{
		{"chat", "/v1/chat/completions", accounts.WireOpenAIChat},
		{"chat without a version", "/chat/completions", accounts.WireOpenAIChat},
		{"chat behind Groq's prefix", "/openai/v1/chat/completions", accounts.WireOpenAIChat},
		{"chat behind OpenRouter's prefix", "/api/v1/chat/completions", accounts.WireOpenAIChat},
		{"chat behind Novita's prefix", "/novita/v3/openai/chat/completions", accounts.WireOpenAIChat},
		{"chat on Vertex", "/v1/projects/p/locations/l/endpoints/openapi/chat/completions", accounts.WireOpenAIChat},
		{"chat with a trailing slash", "/v1/chat/completions/", accounts.WireOpenAIChat},
		{"responses", "/v1/responses", accounts.WireOpenAIResponses},
		{"responses without a version", "/responses", accounts.WireOpenAIResponses},
		{"compaction of responses", "/v1/responses/compact", accounts.WireOpenAIResponses},
		{"counting of responses", "/v1/responses/input_tokens", accounts.WireOpenAIResponses},
		{"embeddings", "/v1/embeddings", accounts.WireOpenAIEmbeddings},
		{"image generation", "/v1/images/generations", accounts.WireOpenAIImages},
		{"image edits", "/v1/images/edits", accounts.WireOpenAIImages},
		{"image variations", "/v1/images/variations", accounts.WireOpenAIImages},
		{"speech", "/v1/audio/speech", accounts.WireOpenAIAudio},
		{"transcriptions", "/v1/audio/transcriptions", accounts.WireOpenAIAudio},
		{"translations", "/v1/audio/translations", accounts.WireOpenAIAudio},
		{"files", "/v1/files", accounts.WireOpenAIFiles},
		{"one file", "/v1/files/file-abc", accounts.WireOpenAIFiles},
		{"the content of a file", "/openai/v1/files/file-abc/content", accounts.WireOpenAIFiles},
		{"batches", "/v1/batches", accounts.WireOpenAIBatches},
		{"cancelling a batch", "/v1/batches/batch_1/cancel", accounts.WireOpenAIBatches},
		{"messages", "/v1/messages", accounts.WireAnthropicMessages},
		{"messages behind a prefix", "/anthropic/v1/messages", accounts.WireAnthropicMessages},
		{"counting of messages", "/v1/messages/count_tokens", accounts.WireAnthropicCountTokens},
		{"counting of messages on Vertex", "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict", accounts.WireAnthropicCountTokens},

		{"the root", "/", accounts.WireNone},
		{"nothing", "", accounts.WireNone},
		{"the list of models", "/v1/models", accounts.WireNone},
		{"messages of an OpenAI thread", "/v1/threads/thread_1/messages", accounts.WireNone},
		{"messages without a version", "/messages", accounts.WireNone},
		{"batches of messages", "/v1/messages/batches", accounts.WireNone},
		{"a stored response", "/v1/responses/resp_1", accounts.WireNone},
		{"a word that only ends alike", "/v1/mychat/completions", accounts.WireNone},
		{"the end of a word", "/v1/xresponses", accounts.WireNone},
		{"a word that only begins alike", "/v1/filesystem", accounts.WireNone},
		{"files of a vector store", "/v1/vector_stores/vs_1/files", accounts.WireNone},
		{"files of Gemini", "/v1beta/files/abc", accounts.WireNone},
		{"files after a word that begins alike", "/v1/filesystem/v1/files", accounts.WireOpenAIFiles},
		{"another case", "/v1/Chat/Completions", accounts.WireNone},
		{"anything behind", "/v1/chat/completions/x", accounts.WireNone},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(rules.PathRead{Wire: test.want}, rules.ReadPath(test.path), onlyExported); diff != "" {
				t.Errorf("ReadPath(%q) (-want +got):\n%s", test.path, diff)
			}
		})
	}
}

func TestReadPathReadsModelAndStream(t *testing.T) {
	const vertex = "/v1beta1/projects/p/locations/global/publishers/"
	tests := []struct {
		name, path string
		wire       accounts.Wire
		model      string
		stream     bool
	}{
		{"Gemini", "/v1beta/models/gemini-2.5-flash:generateContent", accounts.WireGoogleGenerate, "gemini-2.5-flash", false},
		{"Gemini as a stream", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", accounts.WireGoogleGenerate, "gemini-2.5-flash", true},
		{"Gemini without a version", "/models/gemini-2.5-flash:generateContent", accounts.WireGoogleGenerate, "gemini-2.5-flash", false},
		{"Gemini with an escaped colon", "/v1beta/models/gemini-2.5-flash%3AstreamGenerateContent", accounts.WireGoogleGenerate, "gemini-2.5-flash", true},
		{"counting tokens with Gemini", "/v1beta/models/gemini-2.5-flash:countTokens", accounts.WireGoogleGenerate, "gemini-2.5-flash", false},
		{"embedding with Gemini", "/v1beta/models/gemini-embedding-001:batchEmbedContents", accounts.WireGoogleGenerate, "gemini-embedding-001", false},
		{"a model with a colon", "/v1beta/models/a:b:generateContent", accounts.WireGoogleGenerate, "a:b", false},
		{"a model with an escaped colon", "/v1beta/models/a%3Ab:generateContent", accounts.WireGoogleGenerate, "a:b", false},
		{"a model with an escaped slash", "/v1beta/models/google%2Fgemini:generateContent", accounts.WireGoogleGenerate, "google/gemini", false},
		{"Gemini on Vertex", vertex + "google/models/gemini-3-flash-preview:streamGenerateContent", accounts.WireGoogleGenerate, "gemini-3-flash-preview", true},
		{"Imagen on Vertex", vertex + "google/models/imagen-4:predict", accounts.WireGoogleGenerate, "imagen-4", false},
		{"Claude on Vertex", vertex + "anthropic/models/claude-sonnet-4@20250514:rawPredict", accounts.WireAnthropicMessages, "claude-sonnet-4@20250514", false},
		{"Claude on Vertex as a stream", vertex + "anthropic/models/claude-sonnet-4@20250514:streamRawPredict", accounts.WireAnthropicMessages, "claude-sonnet-4@20250514", true},
		{"Mistral on Vertex, whose format is none of ours", vertex + "mistralai/models/mistral-large:streamRawPredict", accounts.WireNone, "mistral-large", true},
		{"Bedrock's converse", "/model/us.anthropic.claude-v1%3A0/converse", accounts.WireBedrock, "us.anthropic.claude-v1:0", false},
		{"Bedrock's converse as a stream", "/model/amazon.nova/converse-stream", accounts.WireBedrock, "amazon.nova", true},
		{"Bedrock's invoke", "/model/amazon.nova/invoke", accounts.WireBedrock, "amazon.nova", false},
		{"Bedrock's invoke as a stream", "/bedrock/model/amazon.nova/invoke-with-response-stream", accounts.WireBedrock, "amazon.nova", true},
		{"counting tokens with Bedrock", "/model/amazon.nova/count-tokens", accounts.WireBedrock, "amazon.nova", false},
		{"an ARN with Bedrock", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x/invoke", accounts.WireBedrock, "arn:aws:bedrock:us-east-1:1:inference-profile/us.x", false},
		{"Azure's chat", "/openai/deployments/gpt-5/chat/completions", accounts.WireOpenAIChat, "gpt-5", false},
		{"Azure's chat behind a prefix", "/azure/openai/deployments/my%20gpt/chat/completions", accounts.WireOpenAIChat, "my gpt", false},
		{"Azure's embeddings", "/openai/deployments/embed-3/embeddings", accounts.WireOpenAIEmbeddings, "embed-3", false},
		{"Azure's transcriptions", "/openai/deployments/whisper/audio/transcriptions", accounts.WireOpenAIAudio, "whisper", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := rules.PathRead{Wire: test.wire, Model: test.model, HasModel: true, Stream: test.stream}
			got := rules.ReadPath(test.path)
			if diff := cmp.Diff(want, got, onlyExported); diff != "" {
				t.Fatalf("ReadPath(%q) (-want +got):\n%s", test.path, diff)
			}
			renamed := got.WithModel(test.path, "new/model:1 ü@2")
			// A deployment cannot have a slash in its name; the other models can.
			canonical, err := rules.CanonicalPath(renamed)
			if deployment := strings.Contains(test.path, "/deployments/"); deployment != (err != nil) || !deployment && canonical != renamed {
				t.Errorf("WithModel gives %q, whose canonical form is %q, %v", renamed, canonical, err)
			}
			want.Model = "new/model:1 ü@2"
			if diff := cmp.Diff(want, rules.ReadPath(renamed), onlyExported); diff != "" {
				t.Errorf("ReadPath(%q), after WithModel (-want +got):\n%s", renamed, diff)
			}
		})
	}
}

func TestReadPathTakesNoModelWhereNoneIs(t *testing.T) {
	for name, path := range map[string]string{
		"a model with a tag and no verb":      "/v1/models/llama3:latest",
		"a fine-tuned model without a verb":   "/v1/models/ft:gpt-4o:acme::7p4lURel",
		"a verb without a model":              "/v1beta/models/:generateContent",
		"a verb without anything before":      "/:generateContent",
		"a verb under something else":         "/v1beta/things/x:generateContent",
		"an unknown verb":                     "/v1beta/models/x:unheardOf",
		"a model in two segments":             "/v1beta/models/a/b:generateContent",
		"Gemini's verb for another publisher": "/v1/projects/p/locations/l/publishers/meta/models/x:generateContent",
		"Bedrock without a model":             "/model/converse",
		"Bedrock under something else":        "/models/x/converse",
		"Bedrock with another operation":      "/model/x/describe",
		"a deployment's own path":             "/openai/deployments/gpt-5",
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(rules.PathRead{}, rules.ReadPath(path), onlyExported); diff != "" {
				t.Errorf("ReadPath(%q) (-want +got):\n%s", path, diff)
			}
		})
	}
}

func TestReadPathKnowsTheFormatOfAModelItCannotRead(t *testing.T) {
	const path = "/model/%FF/converse"
	got := rules.ReadPath(path)
	if diff := cmp.Diff(rules.PathRead{Wire: accounts.WireBedrock}, got, onlyExported); diff != "" {
		t.Errorf("ReadPath(%q) (-want +got):\n%s", path, diff)
	}
	if renamed := got.WithModel(path, "x"); renamed != path {
		t.Errorf("WithModel made %q", renamed)
	}
}

func TestWithModelChangesOnlyTheModelInThePath(t *testing.T) {
	tests := []struct{ name, path, model, want string }{
		{"Bedrock escapes slash and colon", "/x/model/a%3A0/converse", "arn:aws/b", "/x/model/arn%3Aaws%2Fb/converse"},
		{"Gemini keeps its verb", "/v1beta/models/a:streamGenerateContent", "gemini-3", "/v1beta/models/gemini-3:streamGenerateContent"},
		{"Gemini keeps an escaped verb", "/v1beta/models/a%3AgenerateContent", "b", "/v1beta/models/b%3AgenerateContent"},
		{"a version of Claude on Vertex keeps its @", "/v1/projects/p/locations/l/publishers/anthropic/models/a:rawPredict", "claude@1", "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict"},
		{"Azure's deployment", "/openai/deployments/a/chat/completions", "gpt-5", "/openai/deployments/gpt-5/chat/completions"},
		{"a trailing slash stays", "/model/a/converse/", "b", "/model/b/converse/"},
		{"a percent sign is escaped", "/model/a/converse", "50%2F", "/model/50%252F/converse"},
		{"the body's model leaves the path alone", "/v1/chat/completions", "b", "/v1/chat/completions"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := rules.ReadPath(test.path).WithModel(test.path, test.model); got != test.want {
				t.Errorf("WithModel(%q, %q) = %q, want %q", test.path, test.model, got, test.want)
			}
		})
	}
}

func TestAModelThatWouldLeadElsewhereIsRefusedAfterwards(t *testing.T) {
	const path = "/model/a/converse"
	for _, model := range []string{"", ".", "..", "../../x", "a/../b", "/a", "a//b", `a\b`, "a\x00b"} {
		renamed := rules.ReadPath(path).WithModel(path, model)
		if canonical, err := rules.CanonicalPath(renamed); err == nil {
			t.Errorf("model %q gives %q, which passes as %q", model, renamed, canonical)
		}
	}
}

func TestReadsBody(t *testing.T) {
	inBody := map[accounts.Wire]bool{
		accounts.WireOpenAIChat: true, accounts.WireOpenAIResponses: true, accounts.WireOpenAIEmbeddings: true,
		accounts.WireOpenAIImages: true, accounts.WireOpenAIAudio: true, accounts.WireOpenAIBatches: true,
		accounts.WireAnthropicMessages: true, accounts.WireAnthropicCountTokens: true,
	}
	for _, name := range append(accounts.WireNames(), "") {
		wire, _ := accounts.ParseWire(name)
		if got := rules.ReadsBody(wire); got != inBody[wire] {
			t.Errorf("ReadsBody(%q) = %t", name, got)
		}
	}
}

func TestAnyModelGoesIntoAPathAndComesBack(t *testing.T) {
	path := rapid.SampledFrom([]string{"/model/a/converse", "/v1beta/models/a:generateContent", "/openai/deployments/a/chat/completions"})
	rapid.Check(t, func(t *rapid.T) {
		path, model := path.Draw(t, "path"), rapid.StringN(1, 40, 200).Draw(t, "model")
		renamed := rules.ReadPath(path).WithModel(path, model)
		if got := rules.ReadPath(renamed); got.Model != model || !got.HasModel {
			t.Fatalf("%q gives %q, which has the model %q", model, renamed, got.Model)
		}
	})
}

func FuzzReadPath(f *testing.F) {
	for _, seed := range []string{"/v1/chat/completions", "/model/a%3A0/converse", "/v1beta/models/a:b:generateContent", "/openai/deployments/x/embeddings", "/v1/files/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		path, err := rules.CanonicalPath(path)
		if err != nil {
			return
		}
		got := rules.ReadPath(path)
		if !got.HasModel {
			if got.Model != "" || got.WithModel(path, "x") != path {
				t.Fatalf("%q: %+v", path, got)
			}
			return
		}
		same := rules.ReadPath(got.WithModel(path, got.Model))
		if diff := cmp.Diff(got, same, onlyExported); diff != "" {
			t.Fatalf("%q, with its own model again (-before +after):\n%s", path, diff)
		}
	})
}

func TestReadPathAllocatesNothing(t *testing.T) {
	for _, path := range []string{"/v1/chat/completions", "/v1beta/models/gemini:streamGenerateContent", "/model/amazon.nova/converse", "/openai/deployments/x/chat/completions", "/v1/unknown"} {
		if allocs := testing.AllocsPerRun(100, func() { rules.ReadPath(path) }); allocs != 0 {
			t.Errorf("%s costs %v allocations, want 0", path, allocs)
		}
	}
}

func BenchmarkReadPath(b *testing.B) {
	for _, path := range []string{"/v1/chat/completions", "/v1beta/models/gemini:streamGenerateContent", "/model/us.anthropic.claude-v1%3A0/converse", "/v1/unknown"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.ReadPath(path)
			}
		})
	}
}
