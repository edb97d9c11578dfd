package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/llmgw/llmgw/accounts"
)

var (
	errAWSCredential = errors.New("an AWS credential is ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN where there is one, or a Bedrock API key")
	errAWSRegion     = errors.New("the upstream's URL names no AWS region, as https://bedrock-runtime.REGION.amazonaws.com does")
)

// signAWS puts an AWS credential on the final request: a signature over method,
// path, query, headers and body
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html), or,
// for a Bedrock API key, which has no colon, Authorization: Bearer.
func signAWS(ctx context.Context, a *attempt, secret accounts.Secret) error {
	id, rest, isPair := strings.Cut(secret.Reveal(), ":")
	if !isPair {
		a.header["Authorization"] = []string{"Bearer " + id}
		return nil
	}
	key, session, _ := strings.Cut(rest, ":")
	if id == "" || key == "" {
		return errAWSCredential
	}
	region, ok := awsRegion(a.url.Hostname())
	if !ok {
		return errAWSRegion
	}
	sum := sha256.Sum256(a.body)
	request := (&http.Request{Method: a.method, URL: a.url, Header: signedHeader(a.header), Host: a.url.Host, ContentLength: int64(len(a.body))}).WithContext(ctx)
	credential := aws.Credentials{AccessKeyID: id, SecretAccessKey: key, SessionToken: session}
	err := v4.NewSigner().SignHTTP(ctx, credential, request, hex.EncodeToString(sum[:]), "bedrock", region, time.Now())
	if err != nil {
		return err
	}
	for name, values := range request.Header {
		a.header[name] = values
	}
	return nil
}

// signedHeader is the part of the header that the signature covers: nothing
// that a hop on the way may change.
func signedHeader(h http.Header) http.Header {
	signed := http.Header{}
	for _, name := range [...]string{"Content-Type", "Accept"} {
		if values := h[name]; len(values) > 0 {
			signed[name] = values
		}
	}
	return signed
}

// awsRegion reads the region out of bedrock-runtime.REGION.amazonaws.com and
// its variants (fips, VPC endpoints, China).
func awsRegion(host string) (string, bool) {
	labels := strings.Split(host, ".")
	for i, label := range labels {
		if strings.HasPrefix(label, "bedrock") && i+1 < len(labels) && strings.Count(labels[i+1], "-") >= 2 {
			return labels[i+1], true
		}
	}
	return "", false
}
