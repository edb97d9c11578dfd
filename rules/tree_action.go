package rules

import (
	"go.yaml.in/yaml/v3"

	"github.com/llmgw/llmgw/accounts"
)

func (a *Action) tree() *yaml.Node {
	o := object{}
	o.text("upstream", a.Upstream)
	o.entries("upstreams", a.Upstreams)
	o.text("target", a.Target)
	o.entries("fallback", a.Fallback)
	o.text("affinity", a.Affinity)
	if a.Path != nil {
		o.put("path", a.Path.tree())
	}
	o.text("model", a.Model)
	o.edits("headers", &a.Headers)
	o.edits("response_headers", &a.ResponseHeaders)
	o.timeouts(a.Timeouts)
	if a.Retry != nil {
		o.put("retry", flow(a.Retry.tree()))
	}
	limits := make([]string, len(a.Limits))
	for i, limit := range a.Limits {
		limits[i] = limit.String()
	}
	o.texts("limits", limits)
	o.text("on_client_gone", a.OnClientGone)
	if a.BodyLog {
		o.put("body_log", boolNode(true))
	}
	if a.Respond != nil {
		o.put("respond", a.Respond.tree())
	}
	return o.node()
}

// entries writes upstreams, each in one line unless it has a path of its own.
func (o *object) entries(name string, entries []Entry) {
	if len(entries) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range entries {
		list.Content = append(list.Content, entries[i].tree())
	}
	o.put(name, list)
}

func (e *Entry) tree() *yaml.Node {
	o := object{}
	o.text("name", e.Name)
	if e.Weight != 0 {
		o.put("weight", numberNode(e.Weight))
	}
	o.text("model", e.Model)
	if e.Path != nil {
		o.put("path", e.Path.tree())
	}
	o.timeouts(e.Timeouts)
	if e.Path != nil {
		return o.node()
	}
	return flow(o.node())
}

// timeouts writes those that are given.
func (o *object) timeouts(t accounts.Timeouts) {
	inner := object{}
	for _, phase := range phases(&t) {
		switch span := *phase.value; {
		case span < 0:
			inner.put(phase.name, numberNode(0))
		case span > 0:
			inner.text(phase.name, durationText(span))
		}
	}
	if len(inner.content) > 0 {
		o.put("timeouts", flow(inner.node()))
	}
}

func (r *Retry) tree() *yaml.Node {
	o := object{}
	if r.On != (RetryOn{}) {
		on := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, k := range retryKinds {
			if r.On.Has(k.kind) {
				on.Content = append(on.Content, textNode(k.name))
			}
		}
		for _, code := range r.On.codes() {
			on.Content = append(on.Content, numberNode(code))
		}
		o.put("on", on)
	}
	if r.Attempts != 0 {
		o.put("attempts", numberNode(r.Attempts))
	}
	if r.Within != 0 {
		o.text("within", durationText(r.Within))
	}
	return o.node()
}

func (e *PathEdit) tree() *yaml.Node {
	o := object{}
	o.text("set", e.Set)
	o.text("strip_prefix", e.StripPrefix)
	o.text("add_prefix", e.AddPrefix)
	if e.Replace != nil {
		var replace object
		replace.put("regex", textNode(e.Replace.Regex))
		replace.put("with", textNode(e.Replace.With))
		o.put("replace", replace.node())
	}
	return o.node()
}

func (r *Respond) tree() *yaml.Node {
	o := object{}
	o.put("status", numberNode(r.Status))
	o.text("message", r.Message)
	o.textMap("headers", r.Headers)
	o.text("body", r.Body)
	return o.node()
}
