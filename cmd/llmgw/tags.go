package main

import (
	"slices"
	"strings"
)

// tagMap reads --tag flags.
func tagMap(tags []string) (map[string]string, error) {
	m := map[string]string{}
	for _, tag := range tags {
		name, value, ok := strings.Cut(tag, "=")
		if !ok || name == "" {
			return nil, usage("--tag %q: write NAME=VALUE", tag)
		}
		m[name] = value
	}
	return m, nil
}

// nothing says whether a flag that takes several values was given the empty one
// alone, which takes away what is there.
func nothing(values []string) bool { return len(values) == 0 || len(values) == 1 && values[0] == "" }

// pairs writes a map as a=b,c=d in the order of its keys.
func pairs(m map[string]string) string {
	all := make([]string, 0, len(m))
	for k, v := range m {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}
