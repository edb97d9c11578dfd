package rules_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

var onlyFound = cmpopts.IgnoreUnexported(rules.Body{})

func TestScanBodyFindsModelAndStream(t *testing.T) {
	tests := []struct {
		name, body string
		want       rules.Body
	}{
		{"an empty object", `{}`, rules.Body{JSON: true}},
		{"white space everywhere", " \t\r\n{ \"model\" :\n\"m\" , \"stream\"\t: true }\r\n", rules.Body{JSON: true, Model: "m", HasModel: true, Stream: true}},
		{"a model first", `{"model":"gpt-5","messages":[]}`, rules.Body{JSON: true, Model: "gpt-5", HasModel: true}},
		{"a model last", `{"messages":[{"role":"user","content":"hi"}],"model":"gpt-5"}`, rules.Body{JSON: true, Model: "gpt-5", HasModel: true}},
		{"an empty model", `{"model":""}`, rules.Body{JSON: true, HasModel: true}},
		{"a stream that is false", `{"stream":false}`, rules.Body{JSON: true}},
		{"a stream that is the text true", `{"stream":"true"}`, rules.Body{JSON: true}},
		{"a stream that is one", `{"stream":1}`, rules.Body{JSON: true}},
		{"a stream that is an array of true", `{"stream":[true]}`, rules.Body{JSON: true}},
		{"a model that is null", `{"model":null,"stream":true}`, rules.Body{JSON: true, Stream: true}},
		{"a model that is a number", `{"model":5}`, rules.Body{JSON: true}},
		{"a model that is an object", `{"model":{"model":"x"}}`, rules.Body{JSON: true}},
		{"a model within another object", `{"input":{"model":"x","stream":true},"a":[{"model":"y"}]}`, rules.Body{JSON: true}},
		{"keys in another case", `{"Model":"a","MODEL":"b","Stream":true}`, rules.Body{JSON: true}},
		{"keys that begin alike", `{"models":"a","mode":"b","streaming":true,"stream_options":{}}`, rules.Body{JSON: true}},
		{"a key with escapes", `{"\u006d\u006F\u0064\u0065\u006c":"m","\u0073\u0074\u0072\u0065\u0061\u006d":true}`, rules.Body{JSON: true, Model: "m", HasModel: true, Stream: true}},
		{"a model with escapes", `{"model":"a\"b\\c\/d\b\f\n\r\t\u00e9\ud83d\ude00"}`, rules.Body{JSON: true, Model: "a\"b\\c/d\b\f\n\r\té😀", HasModel: true}},
		{"a model in UTF-8", `{"model":"modèle-😀-�"}`, rules.Body{JSON: true, Model: "modèle-😀-\ufffd", HasModel: true}},
		{"the text of a model in a string", `{"a":"\"model\":\"x\"","b":"\\"}`, rules.Body{JSON: true}},
		{"strings that end in backslashes", `{"a":"\\\\","b":"\\\"","model":"m"}`, rules.Body{JSON: true, Model: "m", HasModel: true}},
		{"long strings with quotes and backslashes near their ends", `{"a":"` + strings.Repeat("x", 40) + `\"","b":"` + strings.Repeat("x", 15) + `\\","c":"` + strings.Repeat("x", 14) + `\"` + strings.Repeat(`\\`, 20) + `","model":"m"}`, rules.Body{JSON: true, Model: "m", HasModel: true}},
		{"a control character in some other string", "{\"a\":\"line\nline\",\"model\":\"m\"}", rules.Body{JSON: true, Model: "m", HasModel: true}},
		{"an unknown escape in some other string", `{"a":"\x","model":"m"}`, rules.Body{JSON: true, Model: "m", HasModel: true}},
		{"every kind of value", `{"a":[true,false,null,0,-0,1.5,-12e3,1E+2,1e-2,0.0,"",{},[],{"b":{"c":[[{}]]}}],"model":"m"}`, rules.Body{JSON: true, Model: "m", HasModel: true}},
		{"any key twice but those two", `{"a":1,"a":2,"model":"m"}`, rules.Body{JSON: true, Model: "m", HasModel: true}},
		{"a model of 4 KiB", `{"model":"` + strings.Repeat("m", 4096) + `"}`, rules.Body{JSON: true, Model: strings.Repeat("m", 4096), HasModel: true}},
		{"a model beyond 4 KiB", `{"model":"` + strings.Repeat("m", 4097) + `","stream":true}`, rules.Body{JSON: true, Stream: true}},
		{"nesting to the limit", `{"a":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `,"model":"m"}`, rules.Body{JSON: true, Model: "m", HasModel: true}},
		{"nesting of both kinds", `{"a":` + strings.Repeat(`[{"b":`, 4999) + "1" + strings.Repeat("}]", 4999) + `,"model":"m"}`, rules.Body{JSON: true, Model: "m", HasModel: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rules.ScanBody([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, onlyFound); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkScan(t, []byte(test.body))
		})
	}
}

func TestScanBodyTakesNothingFromWhatIsNoJSONObject(t *testing.T) {
	tests := []struct{ name, body string }{
		{"nothing", ""},
		{"white space", " \n"},
		{"an array", `[{"model":"m"}]`},
		{"a string", `"model"`},
		{"a form", "model=m&stream=true"},
		{"a byte order mark", "\xef\xbb\xbf{\"model\":\"m\"}"},
		{"an object that does not end", `{"model":"m"`},
		{"a string that does not end", `{"model":"m`},
		{"a string that ends in an escaped quote", `{"model":"m\"}`},
		{"a long string that ends in an escaped quote", `{"model":"m","a":"` + strings.Repeat("x", 40) + `\"}`},
		{"a string that ends in a backslash", `{"model":"m","a":"` + strings.Repeat("x", 15) + `\`},
		{"an object behind the object", `{"model":"m"}{}`},
		{"text behind the object", `{"model":"m"} x`},
		{"a brace too many", `{"model":"m"}}`},
		{"a NUL behind the object", "{\"model\":\"m\"}\x00"},
		{"a comma before the end", `{"model":"m",}`},
		{"a comma first", `{,"model":"m"}`},
		{"two commas", `{"model":"m",,"a":1}`},
		{"a missing comma", `{"model":"m" "a":1}`},
		{"a missing colon", `{"model" "m"}`},
		{"a missing value", `{"model":}`},
		{"a missing value at the end", `{"model":"m","a":`},
		{"a key without quotes", `{model:"m"}`},
		{"a key in single quotes", `{'model':"m"}`},
		{"a key that is a number", `{"model":"m",1:2}`},
		{"a comment", `{"model":"m"/*c*/}`},
		{"a comma before an array's end", `{"model":"m","a":[1,]}`},
		{"a comma first in an array", `{"model":"m","a":[,1]}`},
		{"a comma before an inner object's end", `{"model":"m","a":{"b":1,}}`},
		{"an inner key without colon", `{"model":"m","a":{"b"}}`},
		{"an array closed by a brace", `{"model":"m","a":[1}}`},
		{"an object closed by a bracket", `{"model":"m","a":{"b":1]}`},
		{"a colon in an array", `{"model":"m","a":["b":1]}`},
		{"a leading zero", `{"model":"m","a":01}`},
		{"a leading plus", `{"model":"m","a":+1}`},
		{"a bare minus", `{"model":"m","a":-}`},
		{"a point without digits before", `{"model":"m","a":.5}`},
		{"a point without digits behind", `{"model":"m","a":1.}`},
		{"an exponent without digits", `{"model":"m","a":1e}`},
		{"an exponent with a sign only", `{"model":"m","a":1e+}`},
		{"a hexadecimal number", `{"model":"m","a":0x1}`},
		{"NaN", `{"model":"m","a":NaN}`},
		{"a word cut short", `{"model":"m","stream":tru}`},
		{"a word in upper case", `{"model":"m","stream":True}`},
		{"a word too long", `{"model":"m","stream":truex}`},
		{"another space", "{\"model\":\"m\",\u00a0\"a\":1}"},
		{"a form feed", "{\"model\":\"m\",\f\"a\":1}"},
		{"a control character in the model", "{\"model\":\"m\nn\"}"},
		{"an unknown escape in the model", `{"model":"m\x"}`},
		{"an escape cut short in the model", `{"model":"m\u00"}`},
		{"an escape with no hexadecimal digits in the model", `{"model":"\u00zz"}`},
		{"half a surrogate pair in the model", `{"model":"\ud83d"}`},
		{"half a surrogate pair before another escape", `{"model":"\ud83d\u0041"}`},
		{"the wrong half first", `{"model":"\ude00\ud83d"}`},
		{"invalid UTF-8 in the model", "{\"model\":\"m\xff\"}"},
		{"a surrogate in UTF-8 in the model", "{\"model\":\"m\xed\xa0\x80\"}"},
		{"invalid UTF-8 in a key", "{\"model\":\"m\",\"mod\xffel\":1}"},
		{"a control character in a key", "{\"model\":\"m\",\"a\tb\":1}"},
		{"an unknown escape in a key", `{"model":"m","\q":1}`},
		{"nesting beyond the limit", `{"model":"m","a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`},
		{"nesting without an end", `{"model":"m","a":` + strings.Repeat("[", 1_000_000)},
		{"two models and no end", `{"model":"a","model":"b"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rules.ScanBody([]byte(test.body))
			if err != nil || got != (rules.Body{}) {
				t.Errorf("got %+v, %v; want the zero Body", got, err)
			}
		})
	}
}

func TestScanBodyRefusesModelOrStreamTwice(t *testing.T) {
	tests := []struct{ name, body, key string }{
		{"two models", `{"model":"allowed","messages":[],"model":"forbidden"}`, "model"},
		{"the same model twice", `{"model":"m","model":"m"}`, "model"},
		{"the second one escaped", `{"model":"m","mode\u006c":"n"}`, "model"},
		{"both escaped", `{"\u006dodel":"m","mode\u006C":"n"}`, "model"},
		{"one that is no string", `{"model":"m","model":null}`, "model"},
		{"one in another case behind it", `{"model":"m","Model":"n"}`, "model"},
		{"one in another case before it", `{"MODEL":1,"model":"n"}`, "model"},
		{"one in another case and escaped", `{"model":"m","\u004dodel":"n"}`, "model"},
		{"a stream with a long s", `{"stream":false,"\u017ftream":true}`, "stream"},
		{"two streams", `{"stream":false,"model":"m","stream":true}`, "stream"},
		{"a model too long to be read first", `{"model":"` + strings.Repeat("m", 5000) + `","model":"n"}`, "model"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rules.ScanBody([]byte(test.body))
			var twice *rules.DuplicateKeyError
			if !errors.As(err, &twice) || twice.Key != test.key || got != (rules.Body{}) {
				t.Fatalf("got %+v, %v; want a *DuplicateKeyError about %s", got, err, test.key)
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("%q twice", test.key)) {
				t.Errorf("the error says %q", err)
			}
		})
	}
}

func TestWithModelChangesOnlyTheModelInTheBody(t *testing.T) {
	tests := []struct{ name, body, model, want string }{
		{"a shorter model", `{ "a":1.0, "model" : "gpt-5" ,"z":"\u0041" }`, "m", `{ "a":1.0, "model" : "m" ,"z":"\u0041" }`},
		{"a longer model", `{"model":"m"}`, "openai/gpt-5", `{"model":"openai/gpt-5"}`},
		{"an escaped model", `{"model":"\u006d\"x"}`, "n", `{"model":"n"}`},
		{"an empty model", `{"model":""}`, "n", `{"model":"n"}`},
		{"what must be escaped", `{"model":"m"}`, "a\"b\\c\n\x1f<é😀", `{"model":"a\"b\\c\u000a\u001f<é😀"}`},
		{"invalid UTF-8 is replaced", `{"model":"m"}`, "a\xffb", "{\"model\":\"a\ufffdb\"}"},
		{"only the outermost model", `{"a":{"model":"m"},"model":"m"}`, "n", `{"a":{"model":"m"},"model":"n"}`},
		{"a body without one", `{"a":1}`, "n", `{"a":1}`},
		{"a model that is no string", `{"model":null}`, "n", `{"model":null}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := []byte(test.body)
			read, err := rules.ScanBody(body)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(read.WithModel(body, test.model)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if string(body) != test.body {
				t.Errorf("the caller's body became %s", body)
			}
		})
	}
}

func TestAnyModelGoesIntoABodyAndComesBack(t *testing.T) {
	body := []byte(`{"stream":true,"model":"m","messages":[{"role":"user","content":"hi"}]}`)
	rapid.Check(t, func(t *rapid.T) {
		model := rapid.StringN(0, 60, 300).Draw(t, "model")
		read, err := rules.ScanBody(body)
		if err != nil {
			t.Fatal(err)
		}
		again, err := rules.ScanBody(read.WithModel(body, model))
		if err != nil || again.Model != model || !again.HasModel || !again.Stream {
			t.Fatalf("%q came back as %+v, %v", model, again, err)
		}
	})
}

// value makes JSON values of every kind, nested a little.
func value() *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Float64Range(-1e9, 1e9), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just(any(nil)),
	)
	array := func(of *rapid.Generator[any]) *rapid.Generator[any] {
		return rapid.Map(rapid.SliceOfN(of, 0, 3), func(s []any) any { return s })
	}
	object := func(of *rapid.Generator[any]) *rapid.Generator[any] {
		key := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"model", "stream", "Model"}))
		return rapid.Map(rapid.MapOfN(key, of, 0, 3), func(m map[string]any) any { return m })
	}
	inner := rapid.OneOf(leaf, array(leaf), object(leaf))
	return rapid.OneOf(leaf, array(inner), object(inner))
}

func TestScanBodyAgreesWithEncodingJSONOnGeneratedBodies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.MapOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"model", "stream", "messages"})), value(), 0, 6).Draw(t, "members")
		encode := json.Marshal
		if rapid.Bool().Draw(t, "indented") {
			encode = func(v any) ([]byte, error) { return json.MarshalIndent(v, "", "\t") }
		}
		body, err := encode(members)
		if err != nil {
			t.Fatal(err)
		}
		checkScan(t, body)
		// A byte lost or changed must not be read differently either.
		at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
		checkScan(t, slices.Delete(bytes.Clone(body), at, at+1))
		changed := bytes.Clone(body)
		changed[at] = rapid.SampledFrom([]byte(`{}[]",:\ 0e-.tn`)).Draw(t, "byte")
		checkScan(t, changed)
	})
}

func FuzzScanBody(f *testing.F) {
	for _, seed := range []string{
		`{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"a\\\"b"}]}`,
		`{"model":"a","mode\u006c":"b"}`, `{"\ud83d\ude00":-1.5e+3,"model":"\ud83d\ude00"}`,
		`{"model":"a","Model":"b"}`, `{"\u017ftream":1,"stream":true}`, "\ufeff{}", `{"model":"a"}{}`,
		`{"a":[[{}],{"b":[]}],"stream":true}`, `{"a":01}`, "{\"model\":\"\xff\"}", `{} `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) { checkScan(t, body) })
}

// checkScan compares ScanBody with encoding/json, and what WithModel makes of
// the body with the body.
func checkScan(t interface {
	Fatalf(format string, args ...any)
}, body []byte) {
	got, err := rules.ScanBody(body)
	members, valid := oracle(body)
	if !valid {
		// Beyond encoding/json ScanBody takes only strings that are none.
		if got.JSON && !json.Valid(harmless(body)) {
			t.Fatalf("%q is taken for JSON", body)
		}
		return
	}
	if twice := readTwice(members, "model") || readTwice(members, "stream"); twice != (err != nil) {
		t.Fatalf("%q: %v, with these keys: %v", body, err, members)
	} else if twice {
		return
	}
	want := rules.Body{JSON: true}
	for _, m := range members {
		text, isText := m.text()
		switch {
		case m.key == "model" && isText:
			if want.HasModel = len(m.raw)-len(`""`) <= 4096; want.HasModel {
				want.Model = text
			}
		case m.key == "stream":
			want.Stream = string(m.raw) == "true"
		}
	}
	if diff := cmp.Diff(want, got, onlyFound); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", body, diff)
	}
	if got.HasModel {
		checkWithModel(t, got, body)
	}
}

// readTwice says whether a name stands there, and once more to some reader.
func readTwice(members []member, name string) bool {
	exact, alike := 0, 0
	for _, m := range members {
		switch {
		case m.key == name:
			exact++
		case strings.EqualFold(m.key, name):
			alike++
		}
	}
	return exact > 1 || exact == 1 && alike > 0
}

func checkWithModel(t interface {
	Fatalf(format string, args ...any)
}, read rules.Body, body []byte) {
	const model = "other/\"model\\\n😀"
	changed := read.WithModel(body, model)
	members, valid := oracle(changed)
	if !valid {
		t.Fatalf("%q became %q", body, changed)
	}
	before, _ := oracle(body)
	for i, m := range before {
		now, _ := members[i].text()
		if m.key != members[i].key || m.key == "model" && now != model || m.key != "model" && !bytes.Equal(m.raw, members[i].raw) {
			t.Fatalf("%q became %q", body, changed)
		}
	}
	back, err := rules.ScanBody(changed)
	if err != nil || back.Model != model {
		t.Fatalf("%q is read as %+v, %v", changed, back, err)
	}
	// Of the bytes, only those of the string differ.
	plain := slices.ContainsFunc(before, func(m member) bool { return m.key == "model" && string(m.raw) == `"`+read.Model+`"` })
	if plain && !bytes.Equal(back.WithModel(changed, read.Model), body) {
		t.Fatalf("%q became %q, and does not come back", body, changed)
	}
}

// member is one key of the outermost object, and its value as it stands.
type member struct {
	key string
	raw json.RawMessage
}

func (m member) text() (string, bool) {
	var text *string
	if err := json.Unmarshal(m.raw, &text); err != nil || text == nil {
		return "", false
	}
	return *text, true
}

// oracle reads the members of the outermost object with encoding/json. Where
// that would repair a key or the model (it puts U+FFFD for what is no UTF-8
// and for half surrogate pairs), the body counts as invalid.
func oracle(body []byte) ([]member, bool) {
	if !json.Valid(body) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	var members []member
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		m := member{key: key.(string)}
		if err := d.Decode(&m.raw); err != nil {
			return nil, false
		}
		text, isText := m.text()
		if strings.ContainsRune(m.key, utf8.RuneError) || m.key == "model" && isText && strings.ContainsRune(text, utf8.RuneError) {
			return nil, false
		}
		members = append(members, m)
	}
	return members, true
}

// harmless empties all strings of a body, found byte by byte.
func harmless(body []byte) []byte {
	var out []byte
	for i := 0; i < len(body); i++ {
		out = append(out, body[i])
		if body[i] != '"' {
			continue
		}
		for i++; i < len(body) && body[i] != '"'; i++ {
			if body[i] == '\\' {
				i++
			}
		}
		if i < len(body) {
			out = append(out, '"')
		}
	}
	return out
}

// chat makes a body as a coding agent sends it: a few long messages with line
// ends and quotes in them, then the model.
func chat(size int) []byte {
	line := `func (s *server) handle(w http.ResponseWriter, r *http.Request) {\n\tif r.Method != \"POST\" { return }\n\t// the quick brown fox jumps over the lazy dog, and the dog does not mind at all, because it is asleep\n`
	prose := strings.Repeat("Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt. ", 20)
	var b bytes.Buffer
	b.WriteString(`{"messages":[`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		text := prose
		if i%4 == 3 {
			text = strings.Repeat(line, 8)
		}
		fmt.Fprintf(&b, `{"role":"user","content":[{"type":"text","text":"%s","cache_control":{"type":"ephemeral"}}]}`, text)
	}
	b.WriteString(`],"max_tokens":32000,"temperature":1,"stream":true,"model":"claude-sonnet-4-5"}`)
	return b.Bytes()
}

func TestScanBodyAllocatesTheModelOnly(t *testing.T) {
	for name, body := range map[string][]byte{
		"plain":   chat(10 << 10),
		"escaped": []byte(`{"\u006dodel":"a\u0062\ud83d\ude00c","a very long key with \" in it, longer than any that matters":1}`),
	} {
		allocs := testing.AllocsPerRun(100, func() {
			if read, err := rules.ScanBody(body); err != nil || !read.HasModel {
				t.Fatalf("got %+v, %v", read, err)
			}
		})
		if allocs > 1 {
			t.Errorf("%s: %v allocations, want 1", name, allocs)
		}
	}
}

func BenchmarkScanBody(b *testing.B) {
	bodies := []struct {
		name string
		body []byte
	}{
		{"hello", []byte(`{"model":"gpt-5-mini","messages":[{"role":"user","content":"hi"}],"stream":true}`)},
		{"10KB", chat(10 << 10)},
		{"1MB", chat(1 << 20)},
		{"1MB of numbers", []byte(`{"model":"m","input":[` + strings.Repeat("12345, ", 150_000) + `0]}`)},
		{"1MB of quotes", []byte(`{"model":"m","input":"` + strings.Repeat(`\"ab\": \"c\", `, 75_000) + `"}`)},
	}
	for _, test := range bodies {
		b.Run(test.name, func(b *testing.B) {
			b.SetBytes(int64(len(test.body)))
			b.ReportAllocs()
			for b.Loop() {
				if read, err := rules.ScanBody(test.body); err != nil || !read.HasModel {
					b.Fatalf("got %+v, %v", read, err)
				}
			}
		})
	}
}
