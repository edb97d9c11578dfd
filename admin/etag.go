package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// etag is what an object's entity tag is made of: the change that made the
// object what it is.
func etag(seq int64) string { return strconv.FormatInt(seq, 10) }

// tagOf gives the entity tag of what is answered, and whether answers of this
// type have one.
func tagOf(answer any) (tag string, tagged bool) {
	switch a := answer.(type) {
	case api.Key:
		return a.ETag, true
	case api.CreatedKey:
		return a.ETag, true
	case api.AddedSecret:
		return a.ETag, true
	case api.User:
		return a.ETag, true
	case api.Upstream:
		return a.ETag, true
	case api.Binding:
		return a.ETag, true
	}
	return "", false
}

// matches refuses to change what is not what the caller has read: If-Match of
// RFC 9110, section 13.1.1.
func matches(ifMatch string, seq int64, noun, name string) error {
	if ifMatch == "" || ifMatch == "*" {
		return nil
	}
	want := `"` + etag(seq) + `"`
	for tag := range strings.SplitSeq(ifMatch, ",") {
		if strings.TrimSpace(tag) == want {
			return nil
		}
	}
	return fail(http.StatusPreconditionFailed, api.CodeConflict,
		fmt.Sprintf("%s %q was changed since you read it", noun, name), "read it again, then repeat the command")
}
