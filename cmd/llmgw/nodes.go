package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// nodeLines shows nodes where there is more than one, for fields.
func nodeLines(nodes []api.Node) []string {
	if len(nodes) < 2 {
		return nil
	}
	var lines []string
	label := "nodes"
	for i := range nodes {
		lines = append(lines, label, nodeLine(nodes, &nodes[i]))
		label = ""
	}
	return lines
}

func nodeLine(nodes []api.Node, n *api.Node) string {
	parts := []string{
		sign(true, n.SameLog && !n.Silent && n.Problem == "") + " " + nodeLabel(nodes, n), "llmgw " + n.Version,
		fmt.Sprintf("revision %d", n.Revision), nodeLag(n), "bus " + n.Bus,
	}
	if n.Silent {
		parts = append(parts, "no sign for "+age(fromSeconds(n.SilenceS)))
	}
	if n.Problem != "" {
		parts = append(parts, n.Problem)
	}
	return strings.Join(parts, "   ")
}

func nodeLag(n *api.Node) string {
	switch {
	case !n.SameLog:
		return "not in step yet"
	case n.Behind == 0:
		return "in step"
	}
	return plural64(n.Behind, "change") + " behind"
}

// nodeLabel names a node; by its ID, too, where another one has its name.
func nodeLabel(nodes []api.Node, n *api.Node) string {
	label := n.Name
	for i := range nodes {
		if nodes[i].Name == n.Name && nodes[i].ID != n.ID {
			label = n.Name + " (" + n.ID + ")"
			break
		}
	}
	if n.Self {
		label += " (this one)"
	}
	return label
}

func fromSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
