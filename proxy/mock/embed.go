package mock

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// How long a vector is, and how long it may be.
const (
	defaultDimensions = 256
	maxDimensions     = 4096
	maxInputs         = 2048 // texts in one request
)

type embeddingsRequest struct {
	Model      string          `json:"model"`
	Input      embeddingsInput `json:"input"`
	Dimensions int             `json:"dimensions"`
	Encoding   string          `json:"encoding_format"`
}

// embeddingsInput is a text, several, a list of token numbers, or several
// lists. Each becomes a text.
type embeddingsInput []string

func (in *embeddingsInput) UnmarshalJSON(raw []byte) error {
	var one string
	var numbers []int
	var several []json.RawMessage
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &one) == nil:
		*in = embeddingsInput{one}
	case json.Unmarshal(raw, (*[]string)(in)) == nil:
	case json.Unmarshal(raw, &numbers) == nil:
		*in = embeddingsInput{string(raw)}
	case json.Unmarshal(raw, &several) == nil:
		*in = nil
		for _, list := range several {
			*in = append(*in, string(list))
		}
	default:
		return refuse(400, "'$.input' is invalid.")
	}
	return nil
}

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"`
}

type embeddingsAnswer struct {
	Object string      `json:"object"`
	Data   []embedding `json:"data"`
	Model  string      `json:"model"`
	Usage  struct {
		PromptTokens int `json:"prompt_tokens"`
		TotalTokens  int `json:"total_tokens"`
	} `json:"usage"`
}

// embed answers with vectors: of unit length, and the same for the same text.
func (e *exchange) embed(body []byte) *refusal {
	r := embeddingsRequest{Dimensions: defaultDimensions}
	if refused := decode(body, &r); refused != nil {
		return refused
	}
	switch {
	case len(r.Input) == 0:
		return refuse(400, "'$.input' is invalid.")
	case len(r.Input) > maxInputs:
		return refuse(400, "'$.input' is invalid: at most %d texts.", maxInputs)
	case r.Dimensions < 1 || r.Dimensions > maxDimensions:
		return refuse(400, "Invalid value for 'dimensions' = %d. Must be between 1 and %d.", r.Dimensions, maxDimensions)
	case r.Encoding != "" && r.Encoding != "float" && r.Encoding != "base64":
		return refuse(400, "Invalid value for 'encoding_format'. Supported values are: 'float' and 'base64'.")
	}
	if refused := e.take(r.Model); refused != nil {
		return refused
	}
	a := embeddingsAnswer{Object: "list", Model: r.Model, Data: []embedding{}}
	for i, text := range r.Input {
		a.Usage.PromptTokens += countTokens(text)
		a.Data = append(a.Data, embedding{"embedding", i, r.written(vector(text, r.Dimensions))})
	}
	a.Usage.TotalTokens = a.Usage.PromptTokens
	e.sendWhole(encode(a), 0)
	return nil
}

// written gives a vector in the encoding asked for; base64 is of little-endian
// float32s.
func (r embeddingsRequest) written(v []float32) any {
	if r.Encoding != "base64" {
		return v
	}
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func vector(text string, dimensions int) []float32 {
	seed := fnv.New64a()
	seed.Write([]byte(text))
	source := rand.New(rand.NewPCG(seed.Sum64(), uint64(dimensions)))
	v := make([]float32, dimensions)
	var square float64
	for i := range v {
		x := source.NormFloat64()
		v[i], square = float32(x), square+x*x
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(square))
	}
	return v
}
