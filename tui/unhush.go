package tui

import "github.com/llmgw/llmgw/tui/hush"

// When this package begins, the library that it draws with has begun, without asking the
// terminal anything; see package hush.
var _ = hush.Over()
