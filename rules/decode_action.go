package rules

import (
	"go.yaml.in/yaml/v3"

	"github.com/llmgw/llmgw/accounts"
)

func (d *decoder) action(path string, n *yaml.Node) (a Action) {
	d.object(path, n, "action", "actions are",
		field{"upstream", func(path string, n *yaml.Node) { a.Upstream, _ = d.name(path, n) }},
		field{"upstreams", func(path string, n *yaml.Node) { a.Upstreams = d.entries(path, n) }},
		field{"target", func(path string, n *yaml.Node) { a.Target = d.filled(path, n) }},
		field{"fallback", func(path string, n *yaml.Node) { a.Fallback = d.entries(path, n) }},
		field{"affinity", func(path string, n *yaml.Node) { a.Affinity = d.filled(path, n) }},
		field{"path", func(path string, n *yaml.Node) { a.Path = d.pathEdit(path, n) }},
		field{"model", func(path string, n *yaml.Node) { a.Model = d.filled(path, n) }},
		field{"headers", func(path string, n *yaml.Node) { a.Headers = d.headerEdits(path, n) }},
		field{"response_headers", func(path string, n *yaml.Node) { a.ResponseHeaders = d.headerEdits(path, n) }},
		field{"timeouts", func(path string, n *yaml.Node) { a.Timeouts = d.timeouts(path, n) }},
		field{"retry", func(path string, n *yaml.Node) { a.Retry = d.retry(path, n) }},
		field{"limits", func(path string, n *yaml.Node) { a.Limits = d.limits(path, n) }},
		field{"on_client_gone", func(path string, n *yaml.Node) { a.OnClientGone = d.filled(path, n) }},
		field{"body_log", func(path string, n *yaml.Node) {
			logged := d.boolean(path, n)
			a.BodyLog = logged != nil && *logged
		}},
		field{"respond", func(path string, n *yaml.Node) { a.Respond = d.respond(path, n) }},
	)
	return a
}

// entries reads upstreams, each with what is said of it alone.
func (d *decoder) entries(path string, n *yaml.Node) (entries []Entry) {
	d.list(path, n, false, func(path string, n *yaml.Node) {
		entries = append(entries, d.entry(path, n))
	})
	return entries
}

func (d *decoder) entry(path string, n *yaml.Node) (e Entry) {
	if n = d.resolve(n); n.Kind == yaml.ScalarNode && accounts.ValidName(n.Value) {
		d.refuse(at(n), path, "write {name: "+plainOrQuoted(n.Value)+"}", "must be fields (name: value), found %s", kind(n))
		return e
	}
	seen := d.object(path, n, "field", "fields of an upstream's entry are",
		field{"name", func(path string, n *yaml.Node) { e.Name, _ = d.name(path, n) }},
		field{"weight", func(path string, n *yaml.Node) { e.Weight = d.number(path, n, 1, maxWeight) }},
		field{"model", func(path string, n *yaml.Node) { e.Model = d.filled(path, n) }},
		field{"path", func(path string, n *yaml.Node) { e.Path = d.pathEdit(path, n) }},
		field{"timeouts", func(path string, n *yaml.Node) { e.Timeouts = d.timeouts(path, n) }},
	)
	if seen != nil && !seen["name"] {
		d.refuse(at(n), join(path, "name"), "", "name is missing")
	}
	return e
}

func (d *decoder) pathEdit(path string, n *yaml.Node) *PathEdit {
	var e PathEdit
	seen := d.object(path, n, "field", "fields of a path edit are",
		field{"set", func(path string, n *yaml.Node) { e.Set = d.filled(path, n) }},
		field{"strip_prefix", func(path string, n *yaml.Node) { e.StripPrefix = d.filled(path, n) }},
		field{"add_prefix", func(path string, n *yaml.Node) { e.AddPrefix = d.filled(path, n) }},
		field{"replace", func(path string, n *yaml.Node) { e.Replace = d.replace(path, n) }},
	)
	if len(seen) == 0 {
		return nil
	}
	return &e
}

func (d *decoder) replace(path string, n *yaml.Node) *Replace {
	var r Replace
	seen := d.object(path, n, "field", "fields of replace are",
		field{"regex", func(path string, n *yaml.Node) { r.Regex = d.filled(path, n) }},
		field{"with", func(path string, n *yaml.Node) { r.With = d.text(path, n) }},
	)
	if seen != nil && !seen["regex"] {
		d.refuse(at(n), join(path, "regex"), "", "regex is missing")
	}
	return &r
}

func (d *decoder) headerEdits(path string, n *yaml.Node) (e HeaderEdits) {
	d.object(path, n, "field", "fields of header edits are",
		field{"set", func(path string, n *yaml.Node) { e.Set = d.textMap(path, n) }},
		field{"add", func(path string, n *yaml.Node) { e.Add = d.textMap(path, n) }},
		field{"remove", func(path string, n *yaml.Node) { e.Remove = d.texts(path, n) }},
	)
	return e
}

func (d *decoder) respond(path string, n *yaml.Node) *Respond {
	var r Respond
	seen := d.object(path, n, "field", "fields of respond are",
		field{"status", func(path string, n *yaml.Node) { r.Status = d.number(path, n, 200, 599) }},
		field{"message", func(path string, n *yaml.Node) { r.Message = d.filled(path, n) }},
		field{"headers", func(path string, n *yaml.Node) { r.Headers = d.textMap(path, n) }},
		field{"body", func(path string, n *yaml.Node) { r.Body = d.text(path, n) }},
	)
	if seen != nil && !seen["status"] {
		d.refuse(at(n), join(path, "status"), "", "status is missing")
	}
	return &r
}
