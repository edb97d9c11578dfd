package main

import (
	"bytes"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

func TestTailSaysOnceWhoseRequestsAreNotShown(t *testing.T) {
	var notes bytes.Buffer
	a := &app{shell: shell{err: &notes}}
	a.command = newRoot(a)
	f := &tailing{app: a}
	for _, p := range []api.Partial{
		{Nodes: []string{"b", "c"}, Problem: "the bus is unreachable"},
		{Nodes: []string{"b", "c"}, Problem: "the bus is unreachable"}, // on the next stream
		{Nodes: []string{"b\x1b[2J"}, Problem: "no answer"},
		{Nodes: []string{}},
		{Nodes: []string{}, Problem: "the store cannot be asked which nodes there are"},
	} {
		if err := f.take(api.Event{Partial: &p}); err != nil {
			t.Fatal(err)
		}
	}
	want := "requests of b, c are not shown: the bus is unreachable\n" +
		"requests of b [2J are not shown: no answer\n" +
		"every gateway's requests are shown again\n" +
		"requests of other gateways may be missing: the store cannot be asked which nodes there are\n"
	if notes.String() != want {
		t.Errorf("noted was\n%q, want\n%q", notes.String(), want)
	}
}
