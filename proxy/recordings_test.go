package proxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// recording is one exchange that really took place with a provider.
type recording struct {
	name     string // protocol/exchange
	wire     accounts.Wire
	request  *http.Request // its body is requestBody
	reqBody  []byte
	status   int
	header   http.Header // of the response
	body     []byte
	expected recordingExpect
}

// recordingExpect is what somebody who decoded the whole body found in it.
type recordingExpect struct {
	Protocol string           `json:"protocol"`
	Stream   bool             `json:"stream"`
	Model    string           `json:"model"`
	Status   int              `json:"status"`
	Usage    map[string]int64 `json:"usage"`
	SHA256   string           `json:"response_body_sha256"`
	Bytes    int              `json:"response_body_bytes"`
}

// recordingsDir is where recordings of provider traffic are, if they are: they
// are not part of this repository.
func recordingsDir() string {
	if dir := os.Getenv("LLMGW_RECORDINGS"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "shared", "recordings")
}

// loadRecordings reads every recording there is, and skips the test where there
// are none.
func loadRecordings(t testing.TB) []recording {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(recordingsDir(), "*", "*", "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skipf("no recordings in %s (LLMGW_RECORDINGS names another place)", recordingsDir())
	}
	all := make([]recording, 0, len(found))
	for _, path := range found {
		all = append(all, loadRecording(t, filepath.Dir(path)))
	}
	return all
}

func loadRecording(t testing.TB, dir string) recording {
	t.Helper()
	r := recording{name: filepath.Base(filepath.Dir(dir)) + "/" + filepath.Base(dir)}
	if err := json.Unmarshal(readRecorded(t, dir, "expect.json"), &r.expected); err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	var known bool
	if r.wire, known = accounts.ParseWire(r.expected.Protocol); !known {
		t.Fatalf("%s: no wire format is called %q", r.name, r.expected.Protocol)
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(readRecorded(t, dir, "request.http"))))
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	r.request, r.reqBody = request, readAllRecorded(t, request.Body)
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(readRecorded(t, dir, "response.http"))), request)
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	r.status, r.header, r.body = response.StatusCode, response.Header, readAllRecorded(t, response.Body)
	return r
}

func readRecorded(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readAllRecorded(t testing.TB, body io.ReadCloser) []byte {
	t.Helper()
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// usageOf is what an observer must say of the recording: what the body says,
// and what Bedrock says of invoke in the head, which the expected figures, being
// those of the body, leave out.
func (r *recording) usageOf() map[string]int64 {
	usage := map[string]int64{}
	for name, values := range r.header {
		if r.wire == accounts.WireBedrock && strings.HasSuffix(name, "-Token-Count") {
			kind := strings.TrimSuffix(strings.TrimPrefix(name, "X-Amzn-Bedrock-"), "-Token-Count")
			var n int64
			if json.Unmarshal([]byte(values[0]), &n) == nil {
				usage[strings.ToLower(kind)+"_tokens"] = n
			}
		}
	}
	for name, n := range r.expected.Usage {
		usage[name] = n
	}
	return usage
}
