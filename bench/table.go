package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// table is printed with its columns aligned.
type table struct{ rows [][]string }

func newTable(heads ...string) *table { return &table{rows: [][]string{heads}} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) error {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range t.rows {
		fmt.Fprintln(aligned, strings.Join(row, "\t")+"\t")
	}
	return aligned.Flush()
}

// oneDecimal and those below write figures for the cells of a table.
func oneDecimal(n float64) string { return fmt.Sprintf("%.1f", n) }

func inMillis(d time.Duration) string {
	return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond))
}

func asRatio(n float64) string { return fmt.Sprintf("%.2f×", n) }

const noFigure = "-"
