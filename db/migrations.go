// Package db holds the schema of both engines as migrations, one folder each,
// in the format of goose. A migration that has been released is never edited;
// each one leaves the previous release able to work (additive changes only).
package db

import "embed"

// Migrations has the folders migrations/postgres and migrations/sqlite.
//
//go:embed migrations
var Migrations embed.FS
