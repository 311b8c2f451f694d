// Package wire is the HTTP contract as Go types: models and a client, generated from api/openapi.yaml.
//
// It holds nothing else, knows no rule of the domain and never links the server's framework, so that client, browser and server share
// one set of types. Uploads are not in the client: they follow the tus protocol (api/openapi.yaml, tag uploads).
package wire

//go:generate go tool -modfile=../../scripts/tools.mod oapi-codegen -config generate.yaml ../../api/openapi.yaml
