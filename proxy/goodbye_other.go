//go:build !unix

package proxy

import "syscall"

// readAway cannot be done here without waiting.
func readAway(syscall.RawConn, int) {}
