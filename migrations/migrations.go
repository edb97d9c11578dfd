// Package migrations answers one question: which tables does the store have?
// It embeds one folder of SQL texts for each database, in the form of goose
// (https://pressly.github.io/goose). Package store runs them when it opens.
//
// The same number means the same tables in every folder. A text that has been
// released is never edited; what changes comes as the next number. There are
// texts for going forward only: the way back from a newer schema is a backup.
package migrations

import "embed"

// SQLite holds the texts for SQLite, under the folder sqlite.
//
//go:embed sqlite/*.sql
var SQLite embed.FS

// Postgres holds the texts for PostgreSQL, under the folder postgres. Texts have
// the collation "C": they are compared byte by byte, as in SQLite.
//
//go:embed postgres/*.sql
var Postgres embed.FS
