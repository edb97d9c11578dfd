//go:build !race

package main

// underRace is whether the race detector makes everything slow.
const underRace = false
