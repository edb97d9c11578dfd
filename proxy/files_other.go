//go:build !unix

package proxy

// openFiles is how many files this process may have open; 0: nobody can say.
func openFiles() uint64 { return 0 }
