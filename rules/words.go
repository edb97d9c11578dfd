package rules

import "strings"

// nearestWord gives the known word that was probably meant, or "".
func nearestWord(word string, known []string) string {
	best, found := 1+max(1, len(word)/3), ""
	if len(word) > maxCompared {
		return ""
	}
	for _, candidate := range known {
		if d := distance(candidate, strings.ToLower(word)); d < best {
			best, found = d, candidate
		}
	}
	return found
}

// maxCompared bounds what distance is asked to compare: callers choose one side
// of it.
const maxCompared = 128

// distance is the number of single-byte edits that make text match a glob, in
// which * is any run of bytes. Two neighbours that changed places count as one,
// since that is how words are mistyped. text has at most maxCompared bytes.
func distance(glob, text string) int {
	var rows [3][maxCompared + 1]int
	older, old, row := &rows[0], &rows[1], &rows[2]
	for j := range len(text) + 1 {
		row[j] = j
	}
	for i := range len(glob) {
		older, old, row = old, row, older
		if glob[i] == '*' {
			row[0] = old[0]
			for j := 1; j <= len(text); j++ {
				row[j] = min(old[j], row[j-1])
			}
			continue
		}
		row[0] = old[0] + 1
		for j := 1; j <= len(text); j++ {
			cost := 1
			if glob[i] == text[j-1] {
				cost = 0
			}
			row[j] = min(old[j-1]+cost, old[j]+1, row[j-1]+1)
			if i > 0 && j > 1 && glob[i-1] != '*' && glob[i] == text[j-2] && glob[i-1] == text[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
	}
	return row[len(text)]
}
