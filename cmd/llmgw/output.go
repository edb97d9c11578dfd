package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

// The formats of -o.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatJSONL = "jsonl"
	formatYAML  = "yaml"
)

// output prints answers in the format that was asked for.
type output struct {
	w       io.Writer
	look    style
	format  string
	filter  *gojq.Code
	headers bool
	columns []string
	quiet   bool
}

// output reads the flags that shape an answer. It is called before anything is
// done, so that a mistake in one of them does nothing.
func (a *app) output(s *settings) (*output, error) {
	flags := a.command.Flags()
	expression, err := flags.GetString("jq")
	if err != nil {
		return nil, fmt.Errorf("reading --jq: %w", err)
	}
	columns, err := flags.GetStringSlice("columns")
	if err != nil {
		return nil, fmt.Errorf("reading --columns: %w", err)
	}
	o := &output{
		w: a.out, look: a.outStyle(), format: s.text("output"), columns: columns,
		headers: !a.flag("no-headers"), quiet: a.flag("quiet"),
	}
	if expression != "" {
		o.filter, err = compileFilter(expression)
	}
	return o, err
}

func compileFilter(expression string) (*gojq.Code, error) {
	query, err := gojq.Parse(expression)
	if err != nil {
		return nil, usage("--jq: %v", err)
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, usage("--jq: %v", err)
	}
	return code, nil
}

// isTable says whether a person reads the answer.
func (o *output) isTable() bool {
	return o.filter == nil && (o.format == formatTable || o.format == formatWide)
}

// column is one column of a table.
type column[T any] struct {
	name string
	wide bool // shown by -o wide only, or when named
	text func(T) string
}

// writeList prints items as a table, or whole as JSON or YAML. A footer is a
// line for people.
func writeList[T any](ctx context.Context, o *output, items []T, whole any, columns []column[T], footer string) error {
	chosen, err := chooseColumns(o, columns)
	if err != nil {
		return err
	}
	switch {
	case o.isTable():
		if err := writeTable(o, items, chosen); err != nil || footer == "" || !o.headers || o.quiet {
			return err
		}
		_, err := fmt.Fprintln(o.w, o.look.dim(o.look.plain(footer)))
		return err
	case o.format == formatJSONL && o.filter == nil:
		for _, item := range items {
			if err := writeCompact(o.w, item); err != nil {
				return err
			}
		}
		return nil
	}
	return o.value(ctx, whole)
}

// chooseColumns refuses names of columns that are not there before anything is
// printed.
func chooseColumns[T any](o *output, columns []column[T]) ([]column[T], error) {
	if len(o.columns) == 0 {
		return slices.DeleteFunc(slices.Clone(columns), func(c column[T]) bool { return c.wide && o.format != formatWide }), nil
	}
	var names []string
	for _, c := range columns {
		names = append(names, strings.ToLower(c.name))
	}
	chosen := make([]column[T], 0, len(o.columns))
	for _, name := range o.columns {
		i := slices.Index(names, strings.ToLower(strings.TrimSpace(name)))
		if i < 0 {
			return nil, usage("--columns: no column %q; there are %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, columns[i])
	}
	return chosen, nil
}

// writeTable sets items in columns two spaces apart. Every sign that this
// program prints is one cell wide.
func writeTable[T any](o *output, items []T, columns []column[T]) error {
	var rows [][]string
	if o.headers {
		var heading []string
		for _, c := range columns {
			heading = append(heading, c.name)
		}
		rows = append(rows, heading)
	}
	for _, item := range items {
		var row []string
		for _, c := range columns {
			row = append(row, oneLine(o.look.plain(c.text(item))))
		}
		rows = append(rows, row)
	}
	var b strings.Builder
	for i, line := range align(rows) {
		if i == 0 && o.headers {
			line = o.look.dim(line)
		}
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(o.w, b.String())
	return err
}

// align pads the cells of each column to one width.
func align(rows [][]string) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, 0, len(rows))
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// oneLine keeps what others wrote from breaking a table or steering a
// terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// writeOne prints one object: for people what text writes, else the value.
func writeOne(ctx context.Context, o *output, value any, text func(w io.Writer)) error {
	if !o.isTable() {
		return o.value(ctx, value)
	}
	var b strings.Builder
	text(&b)
	_, err := io.WriteString(o.w, o.look.plain(b.String()))
	return err
}

// value prints a value for a program, through the filter where there is one.
func (o *output) value(ctx context.Context, value any) error {
	if o.filter != nil {
		return o.filtered(ctx, value)
	}
	switch o.format {
	case formatJSONL:
		return writeCompact(o.w, value)
	case formatYAML:
		return writeYAML(o.w, value)
	}
	e := json.NewEncoder(o.w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

func writeCompact(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// filtered runs the jq expression. Strings are printed as they are, as
// jq --raw-output does.
func (o *output) filtered(ctx context.Context, value any) error {
	var b bytes.Buffer
	if err := writeCompact(&b, value); err != nil {
		return err
	}
	var tree any
	if err := json.Unmarshal(b.Bytes(), &tree); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	results := o.filter.RunWithContext(ctx, tree)
	for {
		result, ok := results.Next()
		if !ok {
			return nil
		}
		if err, ok := result.(error); ok {
			return usage("--jq: %v", err)
		}
		if text, ok := result.(string); ok {
			fmt.Fprintln(o.w, text)
			continue
		}
		text, err := gojq.Marshal(result)
		if err != nil {
			return fmt.Errorf("writing JSON: %w", err)
		}
		if _, err := fmt.Fprintln(o.w, string(text)); err != nil {
			return err
		}
	}
}
