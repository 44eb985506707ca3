// Package db holds the schema as migrations in the format of goose, one folder per
// engine. A released migration is never edited. The previous release must still
// work after each migration, so migrations only add.
package db

import "embed"

// Migrations holds the folders migrations/postgres and migrations/sqlite.
//
//go:embed migrations
var Migrations embed.FS
