package rules_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

const formType = "multipart/form-data; boundary=XbX"

// form writes a form by hand: crlf for every line end.
func form(lines ...string) string { return strings.Join(lines, "\r\n") }

func field(name, value string) string {
	return form("--XbX", `Content-Disposition: form-data; name="`+name+`"`, "", value, "")
}

func TestScanMultipartReadsFields(t *testing.T) {
	const audio = "--XbX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \xc3\xa9.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\x00\xff\r\n\r\n--Xb\r\n\xfe\r\n"
	const end = "--XbX--\r\n"
	tests := []struct {
		name, contentType, body string
		want                    rules.Body
	}{
		{"a model after a file", formType, audio + field("model", "whisper-1") + end, rules.Body{Model: "whisper-1", HasModel: true}},
		{"a model before a file", formType, field("model", "whisper-1") + audio + end, rules.Body{Model: "whisper-1", HasModel: true}},
		{"a stream too", formType, field("stream", "true") + field("model", "gpt-4o-transcribe") + end, rules.Body{Model: "gpt-4o-transcribe", HasModel: true, Stream: true}},
		{"a stream that is false", formType, field("stream", "false") + end, rules.Body{}},
		{"an empty model", formType, field("model", "") + end, rules.Body{HasModel: true}},
		{"no line end behind the last boundary", formType, field("model", "m") + "--XbX--", rules.Body{Model: "m", HasModel: true}},
		{"text behind the last boundary", formType, field("model", "m") + end + "epilogue", rules.Body{Model: "m", HasModel: true}},
		{"a boundary in quotes", `Multipart/Form-Data; charset=utf-8; boundary="XbX"`, field("model", "m") + end, rules.Body{Model: "m", HasModel: true}},
		{"a header in another case", formType, "--XbX\r\ncontent-DISPOSITION:form-data;name=model\r\nContent-Type: text/plain\r\n\r\nm\r\n" + end, rules.Body{Model: "m", HasModel: true}},
		{"a model on two lines", formType, field("model", "a\r\nb") + end, rules.Body{Model: "a\r\nb", HasModel: true}},
		{"fields of other names", formType, field("Model", "a") + field("model[]", "b") + field("models", "c") + end, rules.Body{}},
		{"the same other field twice", formType, field("timestamp_granularities[]", "word") + field("timestamp_granularities[]", "segment") + field("model", "m") + end, rules.Body{Model: "m", HasModel: true}},
		{"a file by the name of model", formType, "--XbX\r\nContent-Disposition: form-data; name=model; filename=x\r\n\r\nm\r\n" + end, rules.Body{}},
		{"a model that must be decoded", formType, "--XbX\r\nContent-Disposition: form-data; name=model\r\nContent-Transfer-Encoding: base64\r\n\r\nbQ==\r\n" + end, rules.Body{}},
		{"a model that is no UTF-8", formType, field("model", "m\xff") + end, rules.Body{}},
		{"a model beyond 4 KiB", formType, field("model", strings.Repeat("m", 4097)) + end, rules.Body{}},
		{"a file with an extended name of its own", formType, "--XbX\r\nContent-Disposition: form-data; name=file; filename*=UTF-8''%C3%A9.wav\r\n\r\nx\r\n" + field("model", "m") + end, rules.Body{Model: "m", HasModel: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rules.ScanMultipart(test.contentType, []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, onlyFound); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestScanMultipartTakesNothingFromWhatStraysFromTheFormat(t *testing.T) {
	const end = "--XbX--\r\n"
	model := field("model", "m")
	tests := []struct{ name, contentType, body string }{
		{"no content type", "", model + end},
		{"another content type", "multipart/mixed; boundary=XbX", model + end},
		{"JSON", "application/json", `{"model":"m"}`},
		{"no boundary", "multipart/form-data", model + end},
		{"an empty boundary", `multipart/form-data; boundary=""`, model + end},
		{"two boundaries", "multipart/form-data; boundary=XbX; boundary=YbY", model + end},
		{"an extended boundary", "multipart/form-data; boundary*=utf-8''XbX", model + end},
		{"a boundary beyond 70 characters", "multipart/form-data; boundary=" + strings.Repeat("X", 71), strings.ReplaceAll(model+end, "XbX", strings.Repeat("X", 71))},
		{"nothing", formType, ""},
		{"text before the first boundary", formType, "preamble\r\n" + model + end},
		{"another boundary", formType, strings.ReplaceAll(model+end, "XbX", "YbY")},
		{"no last boundary", formType, model},
		{"a field cut off", formType, model + "--XbX\r\nContent-Disposition: form-data; name=a\r\n\r\nx"},
		{"a header cut off", formType, model + "--XbX\r\nContent-Disposition: form-data; name=a\r\n"},
		{"a boundary behind the last", formType, model + end + field("model", "n") + end},
		{"a boundary right behind the last", formType, model + "--XbX--\r\n--XbX\r\n"},
		{"dashes behind the last boundary", formType, model + "--XbX--x"},
		{"line feeds alone", formType, strings.ReplaceAll(model+end, "\r\n", "\n")},
		{"a boundary after a line feed alone", formType, "--XbX\r\nContent-Disposition: form-data; name=a\r\n\r\nx\n" + model + end},
		{"a line that begins like a boundary", formType, field("a", "x\r\n--XbXtra") + model + end},
		{"space behind a boundary", formType, strings.Replace(model, "--XbX", "--XbX ", 1) + end},
		{"a field without a header", formType, "--XbX\r\n\r\nx\r\n" + model + end},
		{"a field without a name", formType, "--XbX\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + model + end},
		{"a field with only a type", formType, "--XbX\r\nContent-Type: text/plain\r\n\r\nx\r\n" + model + end},
		{"a field with two names", formType, "--XbX\r\nContent-Disposition: form-data; name=a; name=model\r\n\r\nx\r\n" + model + end},
		{"a field with an extended name", formType, "--XbX\r\nContent-Disposition: form-data; name=a; NAME*=utf-8''model\r\n\r\nx\r\n" + model + end},
		{"a field with two dispositions", formType, "--XbX\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=model\r\n\r\nx\r\n" + end},
		{"an attachment", formType, "--XbX\r\nContent-Disposition: attachment; name=model\r\n\r\nx\r\n" + end},
		{"a folded header", formType, "--XbX\r\nContent-Disposition: form-data;\r\n name=model\r\n\r\nx\r\n" + end},
		{"a line feed alone in a header", formType, "--XbX\r\nX-A: b\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=model\r\n\r\nx\r\n" + end},
		{"space before the colon", formType, "--XbX\r\nContent-Disposition : form-data; name=model\r\n\r\nx\r\n" + end},
		{"a boundary with a colon within a header", `multipart/form-data; boundary="X:X"`, strings.ReplaceAll("--XbX\r\n--XbX\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n"+end, "XbX", "X:X")},
		{"a header beyond 8 KiB", formType, "--XbX\r\nX-A: " + strings.Repeat("a", 9000) + "\r\nContent-Disposition: form-data; name=model\r\n\r\nx\r\n" + end},
		{"more than a thousand fields", formType, strings.Repeat(field("a", "b"), 1000) + model + end},
		{"two models and no end", formType, model + model},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rules.ScanMultipart(test.contentType, []byte(test.body))
			if err != nil || got != (rules.Body{}) {
				t.Errorf("got %+v, %v; want the zero Body", got, err)
			}
		})
	}
}

func TestScanMultipartTakesAThousandFields(t *testing.T) {
	body := strings.Repeat(field("a", "b"), 999) + field("model", "m") + "--XbX--"
	if got, err := rules.ScanMultipart(formType, []byte(body)); err != nil || got.Model != "m" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestScanMultipartRefusesModelOrStreamTwice(t *testing.T) {
	for key, body := range map[string]string{
		"model":  field("model", "a") + field("x", "y") + field("model", "b") + "--XbX--",
		"stream": field("stream", "true") + field("model", "b") + field("stream", "true") + "--XbX--",
	} {
		got, err := rules.ScanMultipart(formType, []byte(body))
		var twice *rules.DuplicateKeyError
		if !errors.As(err, &twice) || twice.Key != key || got != (rules.Body{}) {
			t.Errorf("got %+v, %v; want a *DuplicateKeyError about %s", got, err, key)
		}
	}
}

func TestScanMultipartCountsAFileAmongTheTwo(t *testing.T) {
	body := "--XbX\r\nContent-Disposition: form-data; name=model; filename=x\r\n\r\na\r\n" + field("model", "b") + "--XbX--"
	var twice *rules.DuplicateKeyError
	if got, err := rules.ScanMultipart(formType, []byte(body)); !errors.As(err, &twice) {
		t.Errorf("got %+v, %v; want a *DuplicateKeyError", got, err)
	}
}

func TestWithModelChangesOnlyTheModelInAForm(t *testing.T) {
	before, after := field("a", "\x00\xff"), field("prompt", "hi")+"--XbX--\r\n"
	body := []byte(before + field("model", "dall-e-2") + after)
	read, err := rules.ScanMultipart(formType, body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(read.WithModel(body, "gpt \"image\"")), before+field("model", "gpt \"image\"")+after; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScanMultipartAgreesWithMimeMultipart(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom([]string{"model", "stream", "file", "prompt"}), rapid.StringMatching(`[ -~é]{1,8}`))
	text := rapid.OneOf(rapid.SampledFrom([]string{"true", "m", "--", "\r\n", "\r\n--"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for range rapid.IntRange(1, 6).Draw(t, "fields") {
			name, text := name.Draw(t, "name"), text.Draw(t, "text")
			write := w.CreateFormField
			if rapid.Bool().Draw(t, "file") {
				write = func(name string) (io.Writer, error) { return w.CreateFormFile(name, "a b.png") }
			}
			part, err := write(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(part, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		checkForm(t, w.FormDataContentType(), body.Bytes())
		if got, err := rules.ScanMultipart(w.FormDataContentType(), body.Bytes()); err == nil && !got.HasModel {
			want, _ := formOracle(w.FormDataContentType(), body.Bytes())
			if len(want["model"]) == 1 && !want["model"][0].file {
				t.Fatalf("%q: the model is not found", body.Bytes())
			}
		}
	})
}

func FuzzScanMultipart(f *testing.F) {
	f.Add(formType, []byte(field("model", "m")+field("stream", "true")+"--XbX--\r\n"))
	f.Add(formType, []byte(field("model", "m")+field("model", "n")+"--XbX--"))
	f.Add(`multipart/form-data; boundary="a b:c"`, []byte("--a b:c\r\nContent-Disposition: form-data; name=\"model\"; filename*=''x\r\n\r\nx\r\n--a b:c--"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) { checkForm(t, contentType, body) })
}

// checkForm holds that whatever ScanMultipart finds, mime/multipart finds too,
// once and no more. That may take forms that ScanMultipart does not.
func checkForm(t interface {
	Fatalf(format string, args ...any)
}, contentType string, body []byte) {
	got, err := rules.ScanMultipart(contentType, body)
	if err != nil || !got.HasModel {
		return
	}
	fields, ok := formOracle(contentType, body)
	if !ok || len(fields["model"]) != 1 || fields["model"][0].text != got.Model {
		t.Fatalf("%q: found the model %q; mime/multipart finds %v (%t)", body, got.Model, fields["model"], ok)
	}
	changed := got.WithModel(body, "other model")
	if after, ok := formOracle(contentType, changed); !ok || len(after) != len(fields) || after["model"][0].text != "other model" {
		t.Fatalf("%q became %q", body, changed)
	}
	back, err := rules.ScanMultipart(contentType, changed)
	if err != nil || !bytes.Equal(back.WithModel(changed, got.Model), body) {
		t.Fatalf("%q became %q, and does not come back (%v)", body, changed, err)
	}
}

type formField struct {
	text string
	file bool
}

func formOracle(contentType string, body []byte) (map[string][]formField, bool) {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, false
	}
	fields := map[string][]formField{}
	r := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		part, err := r.NextRawPart()
		if err == io.EOF {
			return fields, true
		}
		if err != nil {
			return nil, false
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, false
		}
		fields[part.FormName()] = append(fields[part.FormName()], formField{string(text), part.FileName() != ""})
	}
}

func BenchmarkScanMultipart(b *testing.B) {
	file := "--XbX\r\nContent-Disposition: form-data; name=file; filename=x\r\n\r\n" + strings.Repeat("RIFF\x00\n\r\n-", 100_000) + "\r\n"
	body := []byte(file + field("model", "whisper-1") + "--XbX--\r\n")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if read, err := rules.ScanMultipart(formType, body); err != nil || !read.HasModel {
			b.Fatalf("got %+v, %v", read, err)
		}
	}
}
