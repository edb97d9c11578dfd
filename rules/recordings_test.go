package rules_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/rules"
)

// recordings lists folders of real exchanges, each with a request.http and an
// expect.json. They are not part of the project.
func recordings(t *testing.T) []string {
	t.Helper()
	root := os.Getenv("LLMGW_RECORDINGS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "recordings")
	}
	expectations, err := filepath.Glob(filepath.Join(root, "*", "*", "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(expectations) == 0 {
		t.Skipf("no recordings in %s: set LLMGW_RECORDINGS to a folder that has some", root)
	}
	return expectations
}

func TestRecordedRequestsAreReadAsTheyWereMeant(t *testing.T) {
	for _, path := range recordings(t) {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			var want struct {
				Protocol string
				Model    *string
				Stream   *bool
				Status   int
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}

			wire, model, stream := readRecorded(t, filepath.Join(filepath.Dir(path), "request.http"))
			if wire != want.Protocol {
				t.Errorf("the wire format is %q, want %q", wire, want.Protocol)
			}
			if want.Model != nil && model != *want.Model {
				t.Errorf("the model is %q, want %q", model, *want.Model)
			}
			if model == "" {
				t.Error("no model was found")
			}
			// What is expected is said of the answer, and a refusal is no stream.
			refused := want.Status >= http.StatusBadRequest
			if want.Stream != nil && stream != *want.Stream && !refused {
				t.Errorf("the request asks for a stream: %t, want %t", stream, *want.Stream)
			}
		})
	}
}

// readRecorded reads a request as the proxy does: path first, then body.
func readRecorded(t *testing.T, file string) (wire, model string, stream bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	request, err := http.ReadRequest(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	escaped, _, _ := strings.Cut(request.RequestURI, "?")
	path, err := rules.CanonicalPath(escaped)
	if err != nil || path != escaped {
		t.Fatalf("the path %s became %q, %v", escaped, path, err)
	}
	p := rules.ReadPath(path)
	if !rules.ReadsBody(p.Wire) {
		return p.Wire.String(), p.Model, p.Stream
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		t.Fatal(err)
	}
	read, err := rules.ScanBody(body)
	if err != nil || !read.JSON {
		t.Fatalf("the body is read as %+v, %v", read, err)
	}
	return p.Wire.String(), read.Model, read.Stream
}
