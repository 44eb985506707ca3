// Package roster holds the contract of the Back Office API.
package roster

import _ "embed"

// OpenAPI is openapi.yaml, the description of the Back Office API and of the paths that belong to no API, such as
// /healthz. The tests hold the server and the client in pkg/client to it.
//
//go:embed openapi.yaml
var OpenAPI []byte
