package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// configCandidates is where a configuration file is looked for, in order.
func configCandidates() []string {
	paths := []string{"llmgw.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		paths = append(paths, filepath.Join(dir, "llmgw", "config.yaml"))
	}
	return append(paths, "/etc/llmgw/config.yaml")
}

// configPath finds the configuration file: the one that was named, which must
// be there, or the first that is.
func configPath(flags *pflag.FlagSet) string {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String()
	}
	if path := os.Getenv("LLMGW_CONFIG"); path != "" {
		return path
	}
	for _, path := range configCandidates() {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// readConfig reads the configuration file, or nothing where there is none.
func readConfig(flags *pflag.FlagSet) (string, map[string]any, error) {
	path := configPath(flags)
	if path == "" {
		return "", map[string]any{}, nil
	}
	source, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, invalid("no configuration file at %s", shortPath(path)).withHint("see where it is looked for: llmgw config path")
	}
	if err != nil {
		return "", nil, invalid("reading %s: %v", shortPath(path), errors.Unwrap(err))
	}
	values, problems := decodeConfig(path, source)
	if len(problems) > 0 {
		return "", nil, invalidFiles(problems)
	}
	return path, values, nil
}

// decodeConfig reads the keys of a configuration file and says all that is
// wrong with it at once. No line is repeated in a problem's excerpt: a value may
// be a secret in the wrong place.
func decodeConfig(path string, source []byte) (map[string]any, []problem) {
	documents, wrong := rules.Documents(shortPath(path), source)
	if wrong != nil {
		return nil, []problem{{Problem: api.Problem{
			File: wrong.File, Line: wrong.Line, Column: wrong.Column, Message: withoutNames(wrong.Message),
		}}}
	}
	d := &configDecoder{path: shortPath(path), values: map[string]any{}, lines: map[string]int{}}
	for _, document := range documents {
		d.document(document)
	}
	return d.values, d.problems
}

// withoutNames drops the one thing that a syntax error repeats of the text: what
// stands behind a *, which is how a password may begin.
func withoutNames(message string) string {
	if before, _, ok := strings.Cut(message, "unknown anchor "); ok {
		return before + "unknown anchor; put a value that begins with * in quotes"
	}
	return message
}

type configDecoder struct {
	path     string
	values   map[string]any
	lines    map[string]int // where each key stands
	problems []problem
}

func (d *configDecoder) document(body *yaml.Node) {
	if body.Kind != yaml.MappingNode {
		d.say(body, "", "the file must be a list of keys and values", "")
		return
	}
	for i := 0; i+1 < len(body.Content); i += 2 {
		d.pair(body.Content[i], body.Content[i+1])
	}
}

func (d *configDecoder) pair(name, value *yaml.Node) {
	key := name.Value
	s, ok := fileSetting(key)
	if !ok {
		hint := ""
		if near := nearest(strings.ReplaceAll(key, "-", "_"), fileKeys()); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		d.say(name, key, fmt.Sprintf("unknown key %q", key), hint)
		return
	}
	if line, twice := d.lines[key]; twice {
		d.say(name, key, fmt.Sprintf("%s is set twice; the first is on line %d", key, line), "")
		return
	}
	d.lines[key] = name.Line
	if value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null" {
		d.say(name, key, fmt.Sprintf("%s must be one value", key), "")
		return
	}
	if s.check != nil {
		if err := s.check(value.Value); err != nil {
			d.say(value, key, fmt.Sprintf("%s: %v", key, err), "")
			return
		}
	}
	d.values[key] = value.Value
}

func (d *configDecoder) say(at *yaml.Node, key, message, hint string) {
	p := problem{Problem: api.Problem{File: d.path, Line: at.Line, Column: at.Column, Field: key, Message: message, Hint: hint}}
	if hint != "" {
		p.excerpt = excerpt(strings.Repeat(" ", max(p.Column-1, 0))+key+": …", p.Line, p.Column, len(key), hint)
	}
	d.problems = append(d.problems, p)
}

func fileSetting(key string) (setting, bool) {
	for _, s := range settingsTable() {
		if s.is(inFile) && s.key() == key {
			return s, true
		}
	}
	return setting{}, false
}

func fileKeys() []string {
	var keys []string
	for _, s := range settingsTable() {
		if s.is(inFile) {
			keys = append(keys, s.key())
		}
	}
	return keys
}
