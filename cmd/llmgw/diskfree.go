//go:build linux || darwin

package main

import "golang.org/x/sys/unix"

// diskFree tells how many bytes a user may still write to the disk of a
// directory.
func diskFree(dir string) (bytes uint64, known bool) {
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) != nil || disk.Bsize <= 0 {
		return 0, false
	}
	return disk.Bavail * uint64(disk.Bsize), true
}
