//go:build !race

package store

// underRace is whether the race detector makes everything slow.
const underRace = false
