package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/pflag"

	"github.com/llmgw/llmgw/admin/api"
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
// be there, or the first that is. named says which of the two it was.
func configPath(flags *pflag.FlagSet) (path string, named bool) {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String(), true
	}
	if path := os.Getenv("LLMGW_CONFIG"); path != "" {
		return path, true
	}
	for _, path := range configCandidates() {
		if _, err := os.Stat(path); err == nil {
			return path, false
		}
	}
	return "", false
}

// readConfig reads the configuration file, or nothing where there is none.
func readConfig(flags *pflag.FlagSet) (string, map[string]any, error) {
	path, _ := configPath(flags)
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
// wrong with it at once. No value is repeated in a problem's excerpt.
func decodeConfig(path string, source []byte) (map[string]any, []problem) {
	d := &configDecoder{path: path, values: map[string]any{}}
	file, err := parser.ParseBytes(source, 0)
	if err != nil {
		return nil, []problem{d.syntax(err)}
	}
	for _, document := range file.Docs {
		d.document(document.Body)
	}
	return d.values, d.problems
}

type configDecoder struct {
	path     string
	values   map[string]any
	problems []problem
}

func (d *configDecoder) document(body ast.Node) {
	switch n := body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.MappingNode:
		for _, pair := range n.Values {
			d.pair(pair)
		}
	case *ast.MappingValueNode: // a document of one key
		d.pair(n)
	default:
		d.say(body, "", "the file must be a list of keys and values", "")
	}
}

func (d *configDecoder) pair(pair *ast.MappingValueNode) {
	key := pair.Key.GetToken().Value
	s, ok := fileSetting(key)
	if !ok {
		hint := ""
		if near := nearest(strings.ReplaceAll(key, "-", "_"), fileKeys()); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		d.say(pair.Key, key, fmt.Sprintf("unknown key %q", key), hint)
		return
	}
	scalar, ok := pair.Value.(ast.ScalarNode)
	if _, null := pair.Value.(*ast.NullNode); !ok || null {
		d.say(pair.Key, key, fmt.Sprintf("%s must be one value", key), "")
		return
	}
	text := scalar.GetToken().Value
	if s.check != nil {
		if err := s.check(text); err != nil {
			d.say(pair.Value, key, fmt.Sprintf("%s: %v", key, err), "")
			return
		}
	}
	d.values[key] = text
}

func (d *configDecoder) say(at ast.Node, key, message, hint string) {
	p := problem{Problem: api.Problem{File: shortPath(d.path), Field: key, Message: message, Hint: hint}}
	if position := at.GetToken().Position; position != nil {
		p.Line, p.Column = position.Line, position.Column
	}
	if hint != "" {
		p.excerpt = excerpt(strings.Repeat(" ", max(p.Column-1, 0))+key+": …", p.Line, p.Column, len(key), hint)
	}
	d.problems = append(d.problems, p)
}

// syntax tells a YAML mistake without the source that goccy would show.
func (d *configDecoder) syntax(err error) problem {
	p := problem{Problem: api.Problem{File: shortPath(d.path), Message: "is not YAML"}}
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		p.Message = syntax.GetMessage()
		if token := syntax.GetToken(); token != nil && token.Position != nil {
			p.Line, p.Column = token.Position.Line, token.Position.Column
		}
	}
	return p
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
