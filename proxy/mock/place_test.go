package mock_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"math"
	"net/http"
	"sync"
	"testing"

	"github.com/llmgw/llmgw/proxy/mock"
)

func TestAPrefixBeforeThePathIsTolerated(t *testing.T) {
	s := start(t, quick())
	each(t, func(t *testing.T, f format) {
		s := s.in(t)
		for _, prefix := range []string{"/openai", "/a/b/c"} {
			if answer, text := s.post(prefix+f.path("mock", false), f.ask("mock", "hi", false)); answer.StatusCode != 200 {
				t.Errorf("%s: %d %s", prefix, answer.StatusCode, text)
			}
		}
	})
	if answer, text := s.post("/chat/completions", formats()[0].ask("mock", "hi", false)); answer.StatusCode != 200 {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
}

func TestTheFrontDoor(t *testing.T) {
	s := start(t, quick())
	for _, method := range []string{"HEAD", "GET"} {
		answer := s.ask(method, "/", "")
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 200 || (len(text) > 0) != (method == "GET") {
			t.Errorf("%s: %d %q %v", method, answer.StatusCode, text, err)
		}
	}
}

func TestCountedTokensAreTheTokensOfUsage(t *testing.T) {
	s := start(t, quick())
	body := `{"model":"mock","max_tokens":5,"system":"be kind","messages":[{"role":"user","content":"a question of some length"}],
		"tools":[{"name":"w","input_schema":{"type":"object"}}]}`
	_, counted := s.post("/v1/messages/count_tokens", body)
	_, answered := s.post("/v1/messages", body)
	n := parse(t, counted).count("input_tokens")
	if n == 0 || n != parse(t, answered).count("usage", "input_tokens") {
		t.Errorf("%s against %s", counted, answered)
	}

	body = `{"systemInstruction":{"parts":[{"text":"be kind"}]},"contents":[{"parts":[{"text":"a question"}]}]}`
	_, answered = s.post("/v1beta/models/mock:generateContent", body)
	want := parse(t, answered).count("usageMetadata", "promptTokenCount")
	for _, counting := range []string{body, `{"generateContentRequest":` + body + `}`} {
		_, counted := s.post("/v1beta/models/mock:countTokens", counting)
		if n := parse(t, counted).count("totalTokens"); n == 0 || n != want {
			t.Errorf("%s against %s", counted, answered)
		}
	}
}

func TestTheModelsAreListed(t *testing.T) {
	s := start(t, quick())
	for i, m := range mock.Models() {
		_, list := s.get("/v1/models")
		if parse(t, list).text("data", i, "id") != m.Name {
			t.Errorf("%d is not %s in %s", i, m.Name, list)
		}
		_, one := s.get("/v1/models/" + m.Name)
		if parse(t, one).text("id") != m.Name {
			t.Error(one)
		}
		_, one = s.get("/v1beta/models/" + m.Name)
		if parse(t, one).text("name") != "models/"+m.Name {
			t.Error(one)
		}
		if m.About == "" {
			t.Errorf("%s: not a word about it", m.Name)
		}
	}
}

func (s stand) get(path string) (*http.Response, string) {
	s.t.Helper()
	answer := s.ask("GET", path, "")
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer, string(text)
}

func TestEmbeddingsAreUnitVectorsAndTheSameForTheSameText(t *testing.T) {
	s := start(t, quick())
	for _, c := range []struct {
		name, input string
		vectors     int
	}{
		{"one text", `"hello"`, 1},
		{"several texts", `["hello","world","hello"]`, 3},
		{"token numbers", `[1,2,3]`, 1},
		{"lists of token numbers", `[[1,2],[3]]`, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.in(t)
			_, plain := s.post("/v1/embeddings", `{"model":"mock","input":`+c.input+`}`)
			_, coded := s.post("/v1/embeddings", `{"model":"mock","encoding_format":"base64","input":`+c.input+`}`)
			n, b := parse(t, plain), parse(t, coded)
			list, _ := n.at("data").([]any)
			if len(list) != c.vectors || n.count("usage", "prompt_tokens") == 0 || n.count("usage", "total_tokens") != n.count("usage", "prompt_tokens") {
				t.Fatal(plain)
			}
			for i := range list {
				v := floats(t, n.at("data", i, "embedding"))
				if len(v) != 256 || math.Abs(length(v)-1) > 1e-3 {
					t.Errorf("%d numbers of length %v", len(v), length(v))
				}
				raw, err := base64.StdEncoding.DecodeString(b.text("data", i, "embedding"))
				if err != nil {
					t.Fatal(err)
				}
				same := make([]float32, len(raw)/4)
				if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, same); err != nil {
					t.Fatal(err)
				}
				for j := range v {
					if v[j] != same[j] {
						t.Fatalf("number %d is %v, in base64 %v", j, v[j], same[j])
					}
				}
			}
		})
	}
	_, text := s.post("/v1/embeddings", `{"model":"mock","input":["hello","world","hello"]}`)
	n := parse(t, text)
	first, second, third := floats(t, n.at("data", 0, "embedding")), floats(t, n.at("data", 1, "embedding")), floats(t, n.at("data", 2, "embedding"))
	if first[0] != third[0] || first[0] == second[0] {
		t.Errorf("%v %v %v", first[0], second[0], third[0])
	}
}

func floats(t *testing.T, v any) []float32 {
	t.Helper()
	list, _ := v.([]any)
	all := make([]float32, len(list))
	for i := range list {
		f, ok := list[i].(float64)
		if !ok {
			t.Fatalf("%v is no number", list[i])
		}
		all[i] = float32(f)
	}
	return all
}

func length(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func TestRequestsAreSeenAsTheyArrive(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]string{}
	o := quick()
	o.OnRequest = func(r *http.Request, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Test")] = string(body)
	}
	s := start(t, o)
	s.post("/v1/messages?beta=true", `{"as":"it came"}`, "x-test", "here")
	s.ask("HEAD", "/", "")
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || seen["POST /v1/messages?beta=true here"] != `{"as":"it came"}` || seen["HEAD / "] != "" {
		t.Errorf("%v", seen)
	}
}

func TestOptionsThatCannotBeMeant(t *testing.T) {
	for _, c := range []struct {
		name string
		o    mock.Options
		want string
	}{
		{"nothing said", mock.Options{}, ""},
		{"all said", mock.Options{Wires: mock.WireNames(), ErrorRate: 1}, ""},
		{"an unknown wire format", mock.Options{Wires: []string{"gemini", "soap"}}, `unknown wire format "soap"; there are openai, responses, anthropic, gemini`},
		{"a rate above one", mock.Options{ErrorRate: 1.5}, "error rate 1.5 is not between 0 and 1"},
		{"a rate below nothing", mock.Options{ErrorRate: -1}, "error rate -1 is not between 0 and 1"},
		{"a rate that is no number", mock.Options{ErrorRate: math.NaN()}, "error rate NaN is not between 0 and 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := c.o.Validate(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestTheServerBoundsWhatItWaitsFor(t *testing.T) {
	s := mock.NewServer(mock.Options{})
	if s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 {
		t.Errorf("read header %v, idle %v", s.ReadHeaderTimeout, s.IdleTimeout)
	}
	if s.WriteTimeout != 0 {
		t.Errorf("a write timeout of %v cuts streams", s.WriteTimeout)
	}
}
