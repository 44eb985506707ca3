// Package roster holds the contract of the HTTP API.
package roster

import _ "embed"

// OpenAPI is openapi.yaml, the description of every path that Roster serves. The tests hold the server to it; the
// client in pkg/client is generated from it.
//
//go:embed openapi.yaml
var OpenAPI []byte
