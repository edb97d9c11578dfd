package admin

import (
	"context"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/llmgw/llmgw/admin/api"
)

// routes is where operations are registered. Every one says who may call it at
// least: get(r, viewer, "/keys", …).
type routes struct {
	api    huma.API
	server *Server
}

// The inputs that several operations share.
type (
	nothing struct{}
	named   struct {
		Name string `path:"name" doc:"Name of the object"`
	}
	body[T any]       struct{ Body T }
	namedMaybe[T any] struct {
		Name string `path:"name" doc:"Name of the object"`
		Body *T
	}
	namedBody[T any] struct {
		Name string `path:"name" doc:"Name of the object"`
		Body T
	}
)

// The inputs of what changes an object: IfMatch says what the object is by the
// caller's lights.
type (
	changed struct {
		Name    string `path:"name" doc:"Name of the object"`
		IfMatch string `header:"If-Match" maxLength:"256" doc:"ETag of the object as it was read"`
	}
	changedBody[T any] struct {
		Name    string `path:"name" doc:"Name of the object"`
		IfMatch string `header:"If-Match" maxLength:"256" doc:"ETag of the object as it was read"`
		Body    T
	}
	changedMaybe[T any] struct {
		Name    string `path:"name" doc:"Name of the object"`
		IfMatch string `header:"If-Match" maxLength:"256" doc:"ETag of the object as it was read"`
		Body    *T
	}
)

type answer[T any] struct{ Body T }

type taggedAnswer[T any] struct {
	ETag string `header:"ETag" doc:"Changes with the object"`
	Body T
}

func get[I, T any](r routes, who least, path, summary string, f func(context.Context, *I) (T, error)) {
	handle(r, http.MethodGet, http.StatusOK, who, path, summary, f)
}

func post[I, T any](r routes, who least, path, summary string, f func(context.Context, *I) (T, error)) {
	handle(r, http.MethodPost, http.StatusOK, who, path, summary, f)
}

func create[I, T any](r routes, who least, path, summary string, f func(context.Context, *I) (T, error)) {
	handle(r, http.MethodPost, http.StatusCreated, who, path, summary, f)
}

func put[I, T any](r routes, who least, path, summary string, f func(context.Context, *I) (T, error)) {
	handle(r, http.MethodPut, http.StatusOK, who, path, summary, f)
}

// patch registers an operation that changes what it is given of an object and
// leaves the rest.
func patch[I, T any](r routes, who least, path, summary string, f func(context.Context, *I) (T, error)) {
	handle(r, http.MethodPatch, http.StatusOK, who, path, summary, f)
}

// handle registers an operation that answers with status and a T, and its entity
// tag where it has one.
func handle[I, T any](r routes, method string, status int, who least, path, summary string, f func(context.Context, *I) (T, error)) {
	if _, tagged := tagOf(*new(T)); tagged {
		huma.Register(r.api, r.operation(method, status, who, path, summary), func(ctx context.Context, in *I) (*taggedAnswer[T], error) {
			out, err := f(ctx, in)
			if err != nil {
				return nil, r.server.refuse(err)
			}
			tag, _ := tagOf(out)
			return &taggedAnswer[T]{ETag: `"` + tag + `"`, Body: out}, nil
		})
		return
	}
	huma.Register(r.api, r.operation(method, status, who, path, summary), func(ctx context.Context, in *I) (*answer[T], error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, r.server.refuse(err)
		}
		return &answer[T]{Body: out}, nil
	})
}

// remove registers an operation that deletes and answers 204.
func remove[I any](r routes, who least, path, summary string, f func(context.Context, *I) error) {
	huma.Register(r.api, r.operation(http.MethodDelete, http.StatusNoContent, who, path, summary), func(ctx context.Context, in *I) (*nothing, error) {
		if err := f(ctx, in); err != nil {
			return nil, r.server.refuse(err)
		}
		return nil, nil
	})
}

// operation describes one, and keeps out whoever may not call it before huma
// looks at what was sent. The body's limits are those of the guard, which has
// read it before huma does.
func (r routes) operation(method string, status int, who least, path, summary string) huma.Operation {
	if who == anybody {
		r.server.openRoutes[method+" /api/v1"+path] = true
	}
	noun, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return huma.Operation{
		OperationID:     operationID(summary),
		Method:          method,
		Path:            "/api/v1" + path,
		Summary:         summary,
		Tags:            []string{noun},
		DefaultStatus:   status,
		Middlewares:     huma.Middlewares{who.guarded},
		Security:        security(who),
		Extensions:      map[string]any{roleExtension: string(who)},
		MaxBodyBytes:    -1,
		BodyReadTimeout: -1,
		Responses: map[string]*huma.Response{"default": {
			Description: "Refused",
			Content: map[string]*huma.MediaType{problemType: {
				Schema: r.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Error](), true, "Error"),
			}},
		}},
	}
}

// bearer is the one security scheme of the OpenAPI document.
const bearer = "bearer"

func security(who least) []map[string][]string {
	if who == anybody {
		return []map[string][]string{}
	}
	return []map[string][]string{{bearer: {}}}
}

var notWord = regexp.MustCompile(`[^a-z]+`)

func operationID(summary string) string {
	return notWord.ReplaceAllString(strings.ToLower(summary), "-")
}
