package rules

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// Document is one document of what EncodeObjects writes.
type Document struct {
	Name string // of the file that it may stand in, without the .yaml
	YAML []byte
}

// EncodeObjects writes all objects as canonical YAML: a document for each kind,
// be there any or none, and one for each set. The same objects always give the
// same bytes, and DecodeObjects gives them again.
func EncodeObjects(o *Objects) []Document {
	sorted := Objects{Upstreams: slices.Clone(o.Upstreams), Users: slices.Clone(o.Users), Keys: slices.Clone(o.Keys), Bindings: slices.Clone(o.Bindings)}
	sorted.Sort()
	documents := []Document{
		listed(KindUpstream, trees(sorted.Upstreams, (*WrittenUpstream).tree)),
		listed(KindUser, trees(sorted.Users, (*WrittenUser).tree)),
		listed(KindKey, trees(sorted.Keys, (*WrittenKey).tree)),
	}
	for _, f := range inOrder(o.Sets) {
		if len(f.Rules) > 0 {
			documents = append(documents, Document{Name: "rules-" + f.Set, YAML: Encode([]File{f})})
		}
	}
	return append(documents, listed(KindBinding, trees(sorted.Bindings, (*WrittenBinding).tree)))
}

func trees[T any](objects []T, tree func(*T) *yaml.Node) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range objects {
		list.Content = append(list.Content, tree(&objects[i]))
	}
	if len(objects) == 0 {
		list.Style = yaml.FlowStyle
	}
	return list
}

func listed(kind Kind, list *yaml.Node) Document {
	o := object{}
	o.put("version", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: version})
	o.put(kind.plural(), list)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(o.node()); err != nil {
		panic(fmt.Sprintf("rules: writing a tree of our own making: %v", err))
	}
	if err := encoder.Close(); err != nil {
		panic(fmt.Sprintf("rules: writing to memory: %v", err))
	}
	return Document{Name: kind.plural(), YAML: out.Bytes()}
}

func (u *WrittenUpstream) tree() *yaml.Node {
	o := u.settings()
	if len(u.Credentials) > 0 {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, c := range u.credentials() {
			list.Content = append(list.Content, flow(c.node()))
		}
		o.put("credentials", list)
	}
	return o.node()
}

// fields is tree with the credentials by their names, for people who want to
// know what changes.
func (u *WrittenUpstream) fields() *yaml.Node {
	o := u.settings()
	var named object
	for _, c := range u.credentials() {
		named.put(c.content[1].Value, &yaml.Node{Kind: yaml.MappingNode, Content: c.content[2:]})
	}
	o.put("credentials", named.node())
	return o.node()
}

func (u *WrittenUpstream) settings() *object {
	o := &object{}
	o.text("name", u.Name)
	o.text("provider", string(u.Provider))
	o.text("url", u.URL)
	o.text("auth", string(u.Auth))
	o.texts("wires", u.Wires)
	o.texts("models", u.Models)
	o.timeouts(u.Timeouts)
	if u.MaxIdle != 0 {
		o.put("max_idle", numberNode(u.MaxIdle))
	}
	if u.IdleTimeout != 0 {
		o.text("idle_timeout", durationText(u.IdleTimeout))
	}
	if u.Websocket {
		o.put("websocket", boolNode(true))
	}
	o.enabled(u.Enabled)
	return o
}

// credentials writes them by name: the order of their making is the gateway's.
func (u *WrittenUpstream) credentials() []object {
	objects := make([]object, 0, len(u.Credentials))
	for i := range u.Credentials {
		c := &u.Credentials[i]
		o := object{}
		o.put("name", textNode(c.Name))
		o.text("reference", c.Reference)
		o.put("weight", numberNode(max(c.Weight, 1)))
		o.enabled(c.Enabled)
		objects = append(objects, o)
	}
	slices.SortStableFunc(objects, func(a, b object) int { return cmp.Compare(a.content[1].Value, b.content[1].Value) })
	return objects
}

func (u *WrittenUser) tree() *yaml.Node {
	o := object{}
	o.text("name", u.Name)
	o.text("email", u.Email)
	o.text("role", string(u.Role))
	o.tags(u.Tags)
	o.enabled(!u.Disabled)
	return o.node()
}

func (k *WrittenKey) tree() *yaml.Node {
	o := object{}
	o.text("name", k.Name)
	o.text("user", k.Owner)
	o.tags(k.Tags)
	o.texts("models", k.Models)
	limits := make([]string, len(k.Limits))
	for i, limit := range k.Limits {
		limits[i] = limit.String()
	}
	o.texts("limits", limits)
	if !k.ExpiresAt.IsZero() {
		o.put("expires", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: k.ExpiresAt.UTC().Format(time.RFC3339Nano)})
	}
	o.enabled(!k.Disabled)
	return o.node()
}

func (b *WrittenBinding) tree() *yaml.Node {
	o := object{}
	o.text("key", b.Key)
	o.text("user", b.User)
	o.text("tag", b.Tag)
	o.text("upstream", b.Upstream)
	o.text("credential", b.Credential)
	o.put("order", numberNode(b.Order))
	o.put("weight", numberNode(b.Weight))
	o.texts("models", b.Models)
	return o.node()
}

func (o *object) tags(tags map[string]string) {
	if len(tags) == 0 {
		return
	}
	var inner object
	inner.texted(tags)
	o.put("tags", flow(inner.node()))
}

// enabled is written where it is not what one expects.
func (o *object) enabled(on bool) {
	if !on {
		o.put("enabled", boolNode(false))
	}
}
