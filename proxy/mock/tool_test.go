package mock_test

import (
	"slices"
	"strings"
	"testing"
)

const weatherSchema = `{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},
	"unit":{"type":"string","enum":["celsius","kelvin"]},"exact":{"type":["boolean","null"]},"places":{"type":"array"},
	"at":{"type":"object","properties":{"lat":{"type":"number"}},"required":["lat"]},"left out":{"type":"string"}},
	"required":["city","days","unit","exact","places","at","never said"]}`

const weatherArguments = `{"at":{"lat":1},"city":"mock","days":1,"exact":true,"never said":{},"places":[],"unit":"celsius"}`

// offering puts two tools into a request, the second with a schema, and forces
// what choice says.
func offering(f format, body, choice string) string {
	tools := map[string]string{
		"openai-chat": `"tools":[{"type":"function","function":{"name":"weather","parameters":` + weatherSchema + `}},
			{"type":"function","function":{"name":"other"}}]`,
		"openai-responses": `"tools":[{"type":"web_search"},{"type":"function","name":"weather","parameters":` + weatherSchema + `},
			{"type":"function","name":"other","parameters":{}}]`,
		"anthropic-messages": `"tools":[{"type":"web_search_20250305","name":"web_search"},
			{"name":"weather","input_schema":` + weatherSchema + `},{"name":"other","input_schema":{"type":"object"}}]`,
		"google-generate": `"tools":[{"functionDeclarations":[{"name":"weather","parameters":` + weatherSchema + `},{"name":"other"}]}]`,
	}
	return strings.TrimSuffix(body, "}") + "," + tools[f.name] + choice + "}"
}

func TestTheToolIsCalledWhereTheUserSaysSo(t *testing.T) {
	finish := map[string]string{
		"openai-chat": "tool_calls", "openai-responses": "completed", "anthropic-messages": "tool_use", "google-generate": "STOP",
	}
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		var got [2]reading
		for i, stream := range []bool{false, true} {
			answer, text := s.post(f.path("mock", stream), offering(f, f.ask("mock", "Please use the Tool now", stream), ""))
			if answer.StatusCode != 200 {
				t.Fatal(text)
			}
			if stream {
				got[i] = f.stream(t, events(t, text)).settled()
			} else {
				got[i] = f.read(parse(t, text))
			}
		}
		if got[0] != got[1] {
			t.Errorf("whole    %+v\nstreamed %+v", got[0], got[1])
		}
		r := got[1]
		if r.tool != "weather" || r.arguments != weatherArguments || r.finish != finish[f.name] || !r.complete || r.text != "" {
			t.Errorf("%+v", r)
		}
		if r.output == 0 || r.input < 50 {
			t.Errorf("the tools are not counted: %d tokens", r.input)
		}
	})
}

// Google's Python client writes camelCase around a schema of its caller's, and
// snake_case for that one name.
func TestGeminisToolSchemaGoesByThreeNames(t *testing.T) {
	s, all := start(t, quick()), formats()
	google := all[slices.IndexFunc(all, func(f format) bool { return f.name == "google-generate" })]
	for _, name := range []string{"parameters", "parametersJsonSchema", "parameters_json_schema"} {
		_, text := s.post("/v1beta/models/mock:generateContent", `{"contents":[{"parts":[{"text":"use the tool"}]}],
			"tools":[{"functionDeclarations":[{"name":"weather","`+name+`":`+weatherSchema+`}]}]}`)
		if got := google.read(parse(t, text)); got.tool != "weather" || got.arguments != weatherArguments {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestNoToolIsCalledUnasked(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		_, text := s.post(f.path("mock", false), offering(f, f.ask("mock", "hello", false), ""))
		if got := f.read(parse(t, text)); got.tool != "" || got.text == "" {
			t.Errorf("%+v", got)
		}
	})
}

func TestAChoiceOfTheCallersForcesATool(t *testing.T) {
	forced := map[string]string{
		"openai-chat":        `,"tool_choice":"required"`,
		"openai-responses":   `,"tool_choice":"required"`,
		"anthropic-messages": `,"tool_choice":{"type":"any"}`,
		"google-generate":    `,"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}`,
	}
	named := map[string]string{
		"openai-chat":        `,"tool_choice":{"type":"function","function":{"name":"other"}}`,
		"openai-responses":   `,"tool_choice":{"type":"function","name":"other"}`,
		"anthropic-messages": `,"tool_choice":{"type":"tool","name":"other"}`,
		"google-generate":    `,"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["other"]}}`,
	}
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		_, text := s.post(f.path("mock", false), offering(f, f.ask("mock", "hello", false), forced[f.name]))
		if got := f.read(parse(t, text)); got.tool != "weather" {
			t.Errorf("forced: %+v", got)
		}
		_, text = s.post(f.path("mock", false), offering(f, f.ask("mock", "hello", false), named[f.name]))
		if got := f.read(parse(t, text)); got.tool != "other" || got.arguments != "{}" {
			t.Errorf("named: %+v", got)
		}
	})
}

func TestAfterAToolHasAnsweredTheModelSpeaks(t *testing.T) {
	s := start(t, quick())
	for _, c := range []struct{ name, path, body string }{
		{"openai chat", "/v1/chat/completions", `{"model":"mock","tool_choice":"required","tools":[{"type":"function","function":{"name":"w"}}],
			"messages":[{"role":"user","content":"use the tool"},{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]},
			{"role":"tool","tool_call_id":"c","content":"sunny"}]}`},
		{"openai responses", "/v1/responses", `{"model":"mock","tool_choice":"required","tools":[{"type":"function","name":"w"}],
			"input":[{"role":"user","content":"use the tool"},{"type":"function_call","name":"w"},
			{"type":"function_call_output","call_id":"c","output":"sunny"}]}`},
		{"anthropic", "/v1/messages", `{"model":"mock","max_tokens":99,"tool_choice":{"type":"any"},"tools":[{"name":"w","input_schema":{}}],
			"messages":[{"role":"user","content":"use the tool"},{"role":"assistant","content":[{"type":"tool_use","id":"c"}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"sunny"}]}]}]}`},
		{"gemini", "/v1beta/models/mock:generateContent", `{"toolConfig":{"functionCallingConfig":{"mode":"ANY"}},
			"tools":[{"function_declarations":[{"name":"w","parametersJsonSchema":{}}]}],
			"contents":[{"role":"user","parts":[{"text":"use the tool"}]},{"role":"model","parts":[{"functionCall":{"name":"w"}}]},
			{"role":"user","parts":[{"functionResponse":{"name":"w","response":"sunny"}}]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.in(t)
			if _, text := s.post(c.path, c.body); !strings.Contains(text, "I heard from your tool:") || !strings.Contains(text, "sunny") {
				t.Error(text)
			}
		})
	}
}
